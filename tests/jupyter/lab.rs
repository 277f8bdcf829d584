//! A real Jupyter from the index, in a virtual environment that is made once and kept, and a server of it below trainit.

use crate::support::look::until;
use crate::support::port::free_port;
use crate::support::{Launch, Place, Role, Running, TRAINIT, has, skip};
use nix::fcntl::{Flock, FlockArg};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

/// What is in the environment. Its name changes with this.
const PACKAGES: [&str; 3] = ["jupyterlab>=4.4,<5", "notebook>=7.4,<8", "jupyterhub>=5,<7"];
const NAME: &str = "jupyter-1";

/// Its `bin`; none, and a line about it, where it cannot be made.
pub fn bin() -> Option<&'static Path> {
    static BIN: OnceLock<Option<PathBuf>> = OnceLock::new();
    let made = BIN.get_or_init(|| environment(NAME, &PACKAGES));
    if made.is_none() {
        skip("Jupyter cannot be installed from an index here");
    }
    made.as_deref()
}

/// Where things that are slow to make stay from one run to the next.
pub fn cache() -> PathBuf {
    let home = || Path::new(&std::env::var_os("HOME").unwrap_or_default()).join(".cache");
    std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from).join("trainit")
}

/// The `bin` of a virtual environment of this name with these packages, which is made once and kept; none where it cannot be made.
pub fn environment(name: &str, packages: &[&str]) -> Option<PathBuf> {
    if !has("python3") {
        return None;
    }
    let cache = cache();
    std::fs::create_dir_all(&cache).ok()?;
    let lock = File::create(cache.join(format!("{name}.lock"))).ok()?;
    let _lock = Flock::lock(lock, FlockArg::LockExclusive).ok()?;
    let (venv, done) = (cache.join(name), cache.join(name).join("complete"));
    if !done.exists() {
        let _ = std::fs::remove_dir_all(&venv);
        let run = |command: &mut Command| command.stdout(Stdio::null()).status().is_ok_and(|status| status.success());
        let made = run(Command::new("python3").args(["-m", "venv"]).arg(&venv));
        let mut pip = Command::new(venv.join("bin/python"));
        pip.args(["-m", "pip", "install", "-q", "--disable-pip-version-check"]).args(packages);
        if !made || !run(&mut pip) {
            return None;
        }
        std::fs::write(done, "").ok()?;
    }
    Some(venv.join("bin"))
}

/// A server and its directory: code, HOME and state are in it.
pub struct Lab {
    pub directory: tempfile::TempDir,
    pub port: u16,
    bin: PathBuf,
    /// Variables.
    given: Vec<(String, String)>,
}

impl Lab {
    /// One that can be started; none, and a line about it, where there is no Jupyter.
    pub fn new() -> Option<Self> {
        Some(Self::with_programs(bin()?))
    }

    /// One whose programs are these.
    pub fn with_programs(bin: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        ["code", "home", "state"].iter().for_each(|name| std::fs::create_dir(directory.path().join(name)).unwrap());
        Lab { directory, port: free_port(), bin: bin.to_owned(), given: Vec::new() }
    }

    /// Also sets this.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.given.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Where its programs are.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// trainit with these words, in what looks like a container to it.
    pub fn launch(&self, words: &[&str]) -> Launch {
        let path = format!("{}:/usr/bin:/bin", self.bin.display());
        let mut launch = Launch::of(Role::Run, Place::Aside, words);
        launch.command.current_dir(self.path("code")).env_clear();
        let word = |path: PathBuf| path.to_str().unwrap().to_owned();
        let launch = launch
            .env("PATH", &path)
            .env("HOME", &word(self.path("home")))
            .env("TRAINIT_STATE_DIR", &word(self.path("state")))
            .env("TRAINIT_REPORT_FILE", &word(self.path("report.json")))
            .env("TRAINIT_JUPYTER_PORT", &self.port.to_string())
            .env("container", "docker");
        self.given.iter().fold(launch, |launch, (name, value)| launch.env(name, value))
    }

    pub fn start(&self, words: &[&str]) -> Running {
        self.launch(words).spawn()
    }

    /// The state directory of the server.
    pub fn run_dir(&self) -> PathBuf {
        until("a state directory", || {
            let owner = self.path("state").read_dir().ok()?.flatten().next()?.path();
            owner.read_dir().ok()?.flatten().next().map(|entry| entry.path())
        })
    }

    /// `trainit WORDS --instance …`: exit code and text.
    pub fn ask(&self, words: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(TRAINIT).args(words).arg("--instance").arg(self.run_dir()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    /// Waits until health says that it answers.
    #[track_caller]
    pub fn is_ready(&self, running: &mut Running) -> String {
        until("a Jupyter that answers", || {
            assert!(running.is_alive(), "it has ended: {:#?}", running.errors_so_far());
            Some(self.ask(&["health", "--ready"])).filter(|(code, _)| *code == Some(0)).map(|(_, text)| text)
        })
    }

    /// The client's answer.
    pub fn client(&self, words: &[&str]) -> serde_json::Value {
        let Output { stdout, stderr, .. } = self.client_command(words).output().unwrap();
        serde_json::from_slice(&stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&stderr)))
    }

    /// The client with these words.
    pub fn client_command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.bin.join("python"));
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/jupyter/client.py")).args(words);
        command
    }
}

/// Programs that only say how they were called, instead of Jupyter's.
pub fn stand_ins(names: &[&str]) -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    for name in names {
        let file = directory.path().join(name);
        std::fs::write(&file, "#!/bin/sh\necho \"${0##*/} $*\"\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    directory
}

/// A JupyterHub that starts trainit for its users, with the environment that DockerSpawner gives a container.
pub struct Hub {
    process: Child,
    port: u16,
    log: PathBuf,
}

impl Hub {
    /// Starts it, and waits until it answers.
    pub fn start(lab: &Lab) -> Self {
        let (port, log) = (free_port(), lab.path("hub.log"));
        let file = File::create(&log).unwrap();
        let mut command = Command::new(lab.bin.join("jupyterhub"));
        command
            .args(["-f", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/jupyter/hub.py")])
            .current_dir(lab.path("home"));
        command.env("HUB_PORT", port.to_string()).env("HUB_PUBLIC_PORT", free_port().to_string());
        command.env("HUB_TOKEN", HUB_TOKEN).env("TRAINIT", TRAINIT);
        for (name, value) in lab.launch(&[]).command.get_envs() {
            let given = format!("GIVEN_{}", name.to_str().unwrap());
            command.envs(value.filter(|_| name != "TRAINIT_JUPYTER_PORT").map(|value| (given, value)));
        }
        let process = command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        let mut hub = Hub { process, port, log };
        until("a hub", || {
            assert!(hub.process.try_wait().unwrap().is_none(), "{}", hub.log());
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()
        });
        hub
    }

    /// Has a server started, used and stopped for a user; what she and a stranger found.
    pub fn serves_jane(&self, lab: &Lab) -> serde_json::Value {
        lab.client(&[&format!("http://127.0.0.1:{}/hub/", self.port), "user", HUB_TOKEN])
    }

    /// What the hub and its servers have logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.process.id().cast_signed());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.process.wait();
    }
}

/// The secret with which a test asks the hub.
const HUB_TOKEN: &str = "hub-secret";
