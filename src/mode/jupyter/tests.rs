//! Results of variables and settings, without any Jupyter.

use super::*;
use crate::config::{JupyterAuth, OriginValue};
use crate::engine::Platform;
use crate::mode::server_setup::KeptFile;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;

const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";

struct World {
    settings: Settings,
    environment: Environment,
    typed: Vec<OsString>,
    programs: Vec<&'static str>,
    files: BTreeMap<PathBuf, &'static str>,
    place: Platform,
    uid: u32,
    holder: Option<&'static str>,
    lost: bool,
}

impl World {
    fn new(variables: &[(&str, &str)]) -> Self {
        World {
            settings: Settings::default(),
            environment: variables.iter().copied().collect(),
            typed: Vec::new(),
            programs: vec!["jupyter-lab", "jupyter-notebook", "jupyterhub-singleuser"],
            files: BTreeMap::new(),
            place: Platform::Container,
            uid: 1000,
            holder: None,
            lost: false,
        }
    }

    fn typed(mut self, words: &str) -> Self {
        self.typed = words.split(' ').map(OsString::from).collect();
        self
    }

    fn set(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    fn dress(&self) -> Result<ServerSetup> {
        let program = |name: &str| self.programs.contains(&name).then(|| Path::new("/venv/bin").join(name));
        let holder = |_: u16| self.holder.map(str::to_owned);
        let read = |path: &Path| match self.files.get(path) {
            Some(text) => Ok(text.as_bytes().to_vec()),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        let around = ServerContext {
            settings: &self.settings,
            environment: &self.environment,
            place: self.place,
            workdir: Path::new("/work"),
            code: Path::new("/code"),
            interpreter: Some(Path::new("/venv/bin/python")),
            uid: self.uid,
            grace: None,
            private: Path::new("/private"),
            login_shells_lose_path: self.lost,
            kept_secret: &|| Some("/kept/jupyter".into()),
            secret: SECRET,
            program: &program,
            module: &|_| true,
            holder: &holder,
            read: &read,
        };
        set_up(&around, &self.typed)
    }

    fn setup(&self) -> ServerSetup {
        self.dress().unwrap()
    }

    fn command(&self) -> String {
        self.setup().command.join(OsStr::new(" ")).into_string().unwrap()
    }

    fn lines(&self) -> Vec<String> {
        self.setup().lines
    }

    /// Returns Jupyter's own configuration file.
    fn config(&self) -> String {
        content(&self.setup(), "jupyter_server_config.py").unwrap()
    }

    fn service(&self) -> Service {
        service(&self.settings, &self.environment, &self.typed).unwrap().unwrap()
    }

    fn error(&self) -> String {
        format!("{:#}", self.dress().unwrap_err())
    }
}

fn content(setup: &ServerSetup, name: &str) -> Option<String> {
    let file = setup.files.iter().find(|file| file.path.file_name() == Some(OsStr::new(name)))?;
    Some(String::from_utf8(file.content.clone()).unwrap())
}

fn value<T>(value: T) -> OriginValue<T> {
    OriginValue { value, origin: crate::config::ValueOrigin::Default }
}

#[test]
fn a_server_listens_where_a_container_publishes_and_on_a_machine_only_inside() {
    let world = World::new(&[]);
    assert_eq!(world.command(), "/venv/bin/jupyter-lab --ip=* --port=8888 --no-browser");
    assert_eq!(world.service(), Service { path: Some("/api".into()), ..Service::on(8888) });
    let machine = World { place: Platform::Host, ..World::new(&[]) };
    assert_eq!(machine.command(), "/venv/bin/jupyter-lab --ip=127.0.0.1 --port=8888 --no-browser");
}

#[test]
fn a_server_that_listens_inside_is_not_told_to_be_published() {
    let inside =
        World::new(&[("RUNPOD_POD_ID", "p")]).set(|settings| settings.jupyter_address.value = Some("127.0.0.1".into()));
    let lines = inside.lines().join("\n");
    assert!(lines.contains("http://localhost:8888/lab") && lines.contains("inside this container only"), "{lines}");
    assert!(!lines.contains("published (") && !lines.contains("runpod"), "{lines}");
}

#[test]
fn a_made_token_is_told_once_and_stands_on_no_command_line() {
    let world = World::new(&[("JUPYTER_TOKEN", ""), ("JUPYTER_PASSWORD", "")]);
    let setup = world.setup();
    assert_eq!(setup.lines[0], format!("Jupyter: http://localhost:8888/lab?token={SECRET}"));
    assert_eq!(setup.lines.iter().filter(|line| line.contains(SECRET)).count(), 1);
    assert!(!world.command().contains(SECRET));
    assert!(world.config().contains(&format!("token = \"{SECRET}\"")));
    assert_eq!(content(&setup, "token").unwrap(), SECRET);
    assert_eq!(setup.unset, ["JUPYTER_TOKEN", "JUPYTER_TOKEN_FILE", "JUPYTER_PASSWORD"]);
    assert!(!setup.set.iter().any(|(_, value)| value.to_string_lossy().contains(SECRET)));
}

#[test]
fn a_token_of_an_earlier_start_of_the_container_stays_and_is_not_told_again() {
    let mut world = World::new(&[]);
    let keep = KeptFile { from: "/private/token".into(), to: "/kept/jupyter".into() };
    assert_eq!(world.setup().kept, [keep]);
    for file in ["/private/token", "/kept/jupyter"] {
        world.files = [(file.into(), "earlier")].into();
        assert!(world.config().contains("token = \"earlier\""));
        assert!(!world.lines().concat().contains("earlier"), "{:?}", world.lines());
        assert!(world.lines()[1].contains("first start") && world.setup().kept.is_empty());
    }
}

#[test]
fn where_login_shells_lose_path_terminals_start_another_one_unless_an_option_says_which() {
    let world = World { lost: true, ..World::new(&[("SHELL", "/bin/zsh")]) };
    assert!(world.config().contains("own, shell = \"/private\", \"/bin/zsh\""), "{}", world.config());
    let typed = World { lost: true, ..World::new(&[("SHELL", "/bin/zsh")]) };
    let typed = typed.typed("--ServerApp.terminado_settings={'shell_command':['fish']}");
    for world in [World::new(&[("SHELL", "/bin/zsh")]), typed] {
        assert!(!world.config().contains("terminado"), "{}", world.config());
    }
}

#[test]
fn without_a_token_it_runs_only_where_a_platform_is_in_front_or_where_that_is_forced() {
    let with =
        |auth, variables: &[(&str, &str)]| World::new(variables).set(|settings| settings.jupyter_auth.value = auth);
    let kubeflow =
        [("NB_PREFIX", "/notebook/team/jane"), ("NOTEBOOK_ARGS", "--ServerApp.token='' --ServerApp.password=''")];
    let world = with(JupyterAuth::Proxy, &kubeflow);
    assert!(world.config().contains("token = \"\"") && content(&world.setup(), "token").is_none());
    assert_eq!(world.lines()[0], "Jupyter: http://localhost:8888/notebook/team/jane/lab");
    assert!(world.lines()[1].contains("the platform in front (NB_PREFIX) decides"), "{:?}", world.lines());
    let nothing = with(JupyterAuth::Proxy, &[("NB_PREFIX", "")]).error();
    assert!(nothing.contains("no platform is known here"), "{nothing}");
    let forced = with(JupyterAuth::None, &[]);
    assert!(forced.config().contains("token = \"\"") && forced.lines()[1].contains("can run code in here"));
    let unasked = with(JupyterAuth::Token, &kubeflow).error();
    assert!(unasked.contains("TRAINIT_JUPYTER_AUTH=proxy"), "{unasked}");
    for auth in [JupyterAuth::Proxy, JupyterAuth::None] {
        let given = with(auth, &[("NB_PREFIX", "/x"), ("JUPYTER_TOKEN", "s3cret")]);
        assert!(given.config().contains("token = \"s3cret\""));
    }
}

#[test]
fn a_given_token_is_taken_and_never_told() {
    let world = World::new(&[("JUPYTER_TOKEN", "s3cret")]);
    assert!(world.config().contains("token = \"s3cret\""));
    assert_eq!(world.lines()[0], "Jupyter: http://localhost:8888/lab");
    assert!(!world.lines().concat().contains("s3cret"));
    let mut world = World::new(&[("JUPYTER_TOKEN_FILE", "/run/secrets/jupyter")]);
    assert!(world.error().contains("/run/secrets/jupyter cannot be read"), "{}", world.error());
    world.files.insert("/run/secrets/jupyter".into(), " \n");
    assert!(world.error().contains("empty"), "{}", world.error());
    world.files.insert("/run/secrets/jupyter".into(), "from-file\n");
    assert!(world.config().contains("token = \"from-file\""));
}

#[test]
fn a_password_is_hashed_and_replaces_the_token_except_where_the_platform_uses_it_as_one() {
    let world = World::new(&[("JUPYTER_PASSWORD", "pässword")]);
    let config = world.config();
    // printf pässwordfedcba987654 | sha256sum
    let digest = "3b2d666f1704c3e65a4305f1949bf69c584efa0383a788af3d31fc88d1b06987";
    assert_eq!(config_password(&config), format!("sha256:fedcba987654:{digest}"));
    assert!(config.contains("token = None") && !config.contains("pässword"));
    assert_eq!(world.lines()[1], "log in with the password of JUPYTER_PASSWORD");
    let hashed = World::new(&[("JUPYTER_PASSWORD", "argon2:$argon2id$v=19$m=10240")]);
    assert_eq!(config_password(&hashed.config()), "argon2:$argon2id$v=19$m=10240");
    let runpod = World::new(&[("JUPYTER_PASSWORD", "p"), ("RUNPOD_POD_ID", "abc")]);
    assert!(runpod.config().contains("token = \"p\""));
    assert_eq!(runpod.lines()[0], "Jupyter: https://abc-8888.proxy.runpod.net/lab");
}

fn config_password(config: &str) -> String {
    let line = config.lines().find_map(|line| line.strip_prefix("password = ")).unwrap();
    line.trim_matches('"').to_owned()
}

#[test]
fn nobody_gets_in_without_a_secret() {
    for (variables, typed) in [
        (vec![("NOTEBOOK_ARGS", "--NotebookApp.token=''")], ""),
        (vec![("NOTEBOOK_ARGS", "--ServerApp.token= --no-browser")], ""),
        (vec![], "--IdentityProvider.token="),
        (vec![], "--IdentityProvider.token --no-browser"),
    ] {
        let world = World::new(&variables);
        let world = if typed.is_empty() { world } else { world.typed(typed) };
        assert!(world.error().contains("token is empty"), "{variables:?} {typed}");
    }
    let by_hand = World::new(&[]).typed("--IdentityProvider.token=mine");
    assert!(by_hand.config().contains("token = None"));
    assert_eq!(by_hand.lines()[0], "Jupyter: http://localhost:8888/lab");
}

#[test]
fn options_that_are_given_by_hand_win_and_come_last() {
    let world = World::new(&[("NOTEBOOK_ARGS", "--ServerApp.port=9001 --debug")]).typed("--ip 10.0.0.7 --port=9002");
    let world = world.set(|settings| settings.jupyter_args = value(vec!["--ServerApp.max_body_size=1".into()]));
    let expected = "/venv/bin/jupyter-lab --no-browser --ServerApp.max_body_size=1 --ServerApp.port=9001 --debug --ip 10.0.0.7 --port=9002";
    assert_eq!(world.command(), expected);
    assert_eq!((world.service().port, world.service().address.as_str()), (9002, "10.0.0.7"));
    assert!(World::new(&[]).typed("--port=many").error().contains("many is no port"));
    assert!(World::new(&[("NOTEBOOK_ARGS", "it's")]).error().contains("NOTEBOOK_ARGS"));
}

#[test]
fn a_port_comes_from_settings_then_from_the_variable_that_jupyter_knows() {
    assert_eq!(World::new(&[("JUPYTER_PORT", "7777")]).service().port, 7777);
    let set = World::new(&[("JUPYTER_PORT", "7777")]).set(|settings| settings.jupyter_port = value(Some(8080)));
    assert_eq!(set.service().port, 8080);
    let linked = World::new(&[("JUPYTER_PORT", "tcp://10.0.0.1:80")]);
    assert_eq!(linked.service().port, 8888);
    assert!(linked.setup().unset.contains(&"JUPYTER_PORT".into()));
}

#[test]
fn proxies_get_their_prefix() {
    let kubeflow = World::new(&[("NB_PREFIX", "/notebook/team/jane")]);
    assert!(kubeflow.config().contains("app.base_url = \"/notebook/team/jane/\""));
    assert_eq!(kubeflow.service().path.as_deref(), Some("/notebook/team/jane/api"));
    assert!(kubeflow.lines()[0].starts_with("Jupyter: http://localhost:8888/notebook/team/jane/lab?token="));
    assert!(kubeflow.lines()[1].contains("behind a proxy it is at /notebook/team/jane/"));
    let set = |text: &str| value(Some(text.to_owned()));
    let runai = World::new(&[("RUNAI_PROJECT", "p"), ("RUNAI_JOB_NAME", "j"), ("NB_PREFIX", "/x")]);
    let runai = runai.set(|settings| settings.jupyter_base_url = set("/${RUNAI_PROJECT}/${RUNAI_JOB_NAME}"));
    assert_eq!(runai.service().path.as_deref(), Some("/p/j/api"));
    let unset = World::new(&[]).set(|settings| settings.jupyter_base_url = set("/${NOBODY}"));
    assert!(unset.error().contains("NOBODY"));
}

#[test]
fn the_way_to_it_is_told_as_the_place_needs_it() {
    let vast = World::new(&[("PUBLIC_IPADDR", "1.2.3.4"), ("VAST_TCP_PORT_8888", "40001")]);
    assert!(vast.lines()[0].starts_with("Jupyter: http://1.2.3.4:40001/lab?token="));
    assert_eq!(vast.lines().len(), 1);
    assert!(World::new(&[]).lines()[1].contains("published (8888:8888)"));
    let pod = World { place: Platform::Pod, ..World::new(&[("HOSTNAME", "jane-0")]) };
    assert!(pod.lines()[1].contains("kubectl port-forward jane-0 8888:8888"));
    assert_eq!(World { place: Platform::Host, ..World::new(&[]) }.lines().len(), 1);
}

#[test]
fn what_is_there_starts_and_what_is_named_must_be_there() {
    let with = |programs: &[&'static str], variables| World { programs: programs.to_vec(), ..World::new(variables) };
    assert!(with(&["jupyter-server", "jupyter-notebook"], &[]).command().starts_with("/venv/bin/jupyter-notebook "));
    assert!(with(&["jupyter-server"], &[]).lines()[0].starts_with("Jupyter: http://localhost:8888/?token="));
    let named = &[("DOCKER_STACKS_JUPYTER_CMD", "notebook")];
    assert!(with(&["jupyter-lab", "jupyter-notebook"], named).command().starts_with("/venv/bin/jupyter-notebook "));
    let error = with(&["jupyter-lab"], named).error();
    assert!(error.contains("no jupyter-notebook") && error.contains("-m pip install notebook"), "{error}");
    let none = with(&[], &[]).dress().unwrap_err();
    assert_eq!((none.exit().code(), none.hints.len()), (127, 2));
    assert_eq!(none.hints[0], "in the image: RUN /venv/bin/python -m pip install jupyterlab");
}

#[test]
fn root_is_let_in_with_a_clear_line() {
    let root = World { uid: 0, ..World::new(&[]) };
    assert!(root.command().ends_with(" --allow-root"));
    assert!(root.lines().iter().any(|line| line.starts_with("Jupyter runs as root")));
}

#[test]
fn a_taken_port_is_told_with_who_has_it_and_may_pass() {
    let error = World { holder: Some("pid 17 (python)"), ..World::new(&[]) }.dress().unwrap_err();
    assert_eq!((error.exit().code(), error.because.as_deref()), (214, Some("pid 17 (python) listens on it")));
}

#[test]
fn a_hub_says_where_to_listen_and_who_may_log_in() {
    let variables = [
        ("JUPYTERHUB_API_TOKEN", "t"),
        ("JUPYTERHUB_SERVICE_URL", "http://127.0.0.1:8899/user/jane/"),
        ("JUPYTERHUB_SERVICE_PREFIX", "/user/jane/"),
        ("NOTEBOOK_ARGS", "--debug"),
    ];
    let world = World::new(&variables);
    assert_eq!(world.command(), "/venv/bin/jupyterhub-singleuser --ip=0.0.0.0 --debug");
    assert_eq!(world.service(), Service { path: Some("/user/jane/api".into()), ..Service::on(8899) });
    assert!(world.setup().files.is_empty() && world.setup().unset.is_empty());
}

#[test]
fn a_certificate_is_made_where_docker_stacks_makes_it_and_only_a_connection_is_probed() {
    let world = World::new(&[("GEN_CERT", "yes"), ("HOME", "/home/jane")]);
    let made = &world.setup().made[0];
    assert_eq!(made.path, Path::new("/home/jane/.local/share/jupyter/notebook.pem"));
    assert_eq!(made.command[0], "openssl");
    assert!(world.config().contains("app.certfile = \"/home/jane/.local/share/jupyter/notebook.pem\""));
    assert!(world.lines()[0].starts_with("Jupyter: https://localhost:8888/lab"));
    assert_eq!(world.service().path, None);
    let own = World::new(&[]).set(|settings| settings.jupyter_certificate = value(Some("certs/own.pem".into())));
    assert!(own.setup().made.is_empty() && own.config().contains("app.certfile = \"/work/certs/own.pem\""));
}

#[test]
fn kernels_get_most_of_a_known_grace_and_their_files_from_the_code() {
    let world = World::new(&[]);
    assert!(world.config().contains("app.root_dir = \"/code\"") && !world.config().contains("shutdown_wait_time"));
    assert_eq!(config::saving(std::time::Duration::from_secs(120)), 96.0);
    let elsewhere = world.set(|settings| settings.jupyter_root = value(Some("data".into())));
    assert!(elsewhere.config().contains("app.root_dir = \"/work/data\""));
}

#[test]
fn a_server_is_known_by_its_words() {
    let is = |line: &str| is_server(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
    for line in
        ["jupyter lab", "jupyter lab --port 9999", "/opt/bin/jupyter-notebook x.ipynb", "jupyterhub-singleuser --debug"]
    {
        assert!(is(line), "{line}");
    }
    for line in [
        "jupyter",
        "jupyter nbconvert x.ipynb",
        "jupyter lab build",
        "jupyter server list",
        "jupyter-lab --version",
        "python",
    ] {
        assert!(!is(line), "{line}");
    }
}

#[test]
fn a_secret_is_in_private_files_and_in_nothing_that_others_may_read() {
    use std::os::unix::ffi::OsStrExt;
    for (variables, secret) in [(&[][..], SECRET), (&[("JUPYTER_TOKEN", "t0psecret")], "t0psecret")] {
        let setup = World::new(variables).setup();
        let holds = |bytes: &[u8]| bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
        assert!(setup.files.iter().any(|file| holds(&file.content)), "{secret}");
        let mut words = setup.command.iter().chain(setup.made.iter().flat_map(|made| &made.command));
        assert!(!words.any(|word| holds(word.as_bytes())), "{:?}", setup.command);
        assert!(!setup.set.iter().any(|(_, value)| holds(value.as_bytes())), "{:?}", setup.set);
        assert!(!setup.shared.iter().any(|file| holds(&file.content)), "{:?}", setup.shared);
    }
}
