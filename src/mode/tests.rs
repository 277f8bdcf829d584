//! The meaning of words. A program "exists" if the fake PATH has it.

use super::*;
use std::os::unix::fs::PermissionsExt;

struct World {
    path: tempfile::TempDir,
    settings: Settings,
    attended: bool,
    editor: bool,
    shell: Option<&'static str>,
}

impl World {
    fn with(programs: &[&str]) -> Self {
        let path = tempfile::tempdir().unwrap();
        for program in programs {
            let file = path.path().join(program);
            std::fs::write(&file, "").unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut settings = Settings::default();
        settings.mode.value = "auto".into();
        World { path, settings, attended: false, editor: false, shell: None }
    }

    fn mode(mut self, name: &str, command: &[&str]) -> Self {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        self.settings
            .modes
            .value
            .insert(name.into(), ModeSpec { command, kind: WorkloadKind::Build, ..ModeSpec::default() });
        self
    }

    fn command(mut self, words: &[&str]) -> Self {
        self.settings.command.value = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    fn attended(self) -> Self {
        World { attended: true, ..self }
    }

    fn plan(&self, line: &str) -> Result<Plan> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let environment: Environment = [("PATH", self.path.path().to_str().unwrap())].into_iter().collect();
        let shell = || self.shell.map(OsString::from);
        let facts = ModeFacts {
            attended: self.attended,
            editor: &|| self.editor,
            environment: &environment,
            shell: &shell,
            workdir: Path::new("/"),
        };
        plan(&crate::cli::parse(&words).unwrap(), &self.settings, facts)
    }

    /// Returns the plan as `mode: words`.
    fn preparation(&self, line: &str) -> String {
        match self.plan(line) {
            Ok(plan) => format!("{}: {}", plan.mode, plan.command.join(OsStr::new(" ")).display()),
            Err(error) => error.exit().code().to_string(),
        }
    }
}

#[test]
fn a_command_trains_unless_a_person_types_it_for_a_shell() {
    let world = World::with(&["bash", "python"]);
    assert_eq!(world.preparation("python train.py"), "train: python train.py");
    assert_eq!(world.preparation("bash"), "train: bash");
    let world = world.attended();
    assert_eq!(world.preparation("bash -l"), "shell: bash -l");
    assert_eq!(world.preparation("bash train.sh"), "train: bash train.sh");
    assert_eq!(world.preparation("python -c x"), "train: python -c x");
}

#[test]
fn no_command_is_a_shell_on_a_terminal_and_the_configured_command_elsewhere() {
    assert_eq!(World::with(&["bash"]).attended().preparation(""), "shell: bash");
    assert_eq!(World::with(&["sh"]).attended().preparation(""), "shell: sh");
    assert_eq!(World::with(&["bash"]).command(&["python", "t.py"]).preparation(""), "train: python t.py");
    assert_eq!(World::with(&["bash"]).preparation(""), "64");
    assert_eq!(World::with(&[]).attended().preparation(""), "127");
}

#[test]
fn the_users_own_shell_is_taken_if_it_is_there_and_sh_is_nobodys_wish() {
    let preparation =
        |programs: &[&str], shell| World { shell: Some(shell), ..World::with(programs) }.preparation("shell");
    assert_eq!(preparation(&["bash", "zsh"], "zsh"), "shell: zsh");
    assert_eq!(preparation(&["bash"], "zsh"), "shell: bash");
    assert_eq!(preparation(&["bash", "sh"], "sh"), "shell: bash");
    assert_eq!(preparation(&["sh"], "sh"), "shell: sh");
}

#[test]
fn the_banner_of_a_shell_names_the_configured_command() {
    let plan = World::with(&["bash"]).attended().command(&["python", "t.py"]).plan("").unwrap();
    assert!(plan.note.unwrap().contains("python t.py"));
}

#[test]
fn a_mode_word_is_a_mode_when_it_is_last_or_followed_by_two_dashes() {
    let world = World::with(&["bash"]).command(&["python", "t.py"]);
    assert_eq!(world.preparation("train"), "train: python t.py");
    assert_eq!(world.preparation("shell"), "shell: bash");
    assert_eq!(world.preparation("shell -- zsh -l"), "shell: zsh -l");
    assert_eq!(world.preparation("train --lr 3"), "train: --lr 3");
}

#[test]
fn a_mode_word_that_is_a_program_runs_as_typed_and_is_told() {
    let world = World::with(&["train", "bash"]);
    assert_eq!(world.preparation("train --lr 3"), "train: train --lr 3");
    assert_eq!(world.preparation("train"), "train: train");
    assert!(world.plan("train --lr 3").unwrap().note.is_some());
    assert_eq!(World::with(&["train"]).command(&["x"]).preparation("train"), "train: x");
}

#[test]
fn words_behind_two_dashes_are_never_a_mode() {
    assert_eq!(World::with(&["bash"]).preparation("-- shell"), "train: shell");
}

#[test]
fn a_custom_mode_starts_its_command_but_never_hides_a_program() {
    let world = World::with(&["marimo"]).mode("lab", &["marimo", "edit"]).mode("marimo", &["x"]).mode("check", &["y"]);
    assert_eq!(world.preparation("lab"), "lab: marimo edit");
    assert_eq!(world.plan("lab").unwrap().kind, WorkloadKind::Build);
    assert_eq!(world.preparation("marimo"), "train: marimo");
}

#[test]
fn a_mode_that_is_set_takes_the_words_as_its_command() {
    let mut world = World::with(&["bash"]);
    world.settings.mode.value = "shell".into();
    assert_eq!(world.preparation(""), "shell: bash");
    assert_eq!(world.preparation("shell"), "shell: bash");
    assert_eq!(world.preparation("zsh"), "shell: zsh");
    world.settings.mode.value = "shel".into();
    assert_eq!(world.preparation(""), "78");
}

#[test]
fn of_several_modes_the_first_has_the_words_and_the_others_run_beside_it() {
    let mut world = World::with(&["bash"]).mode("board", &["tensorboard"]).mode("lab", &["jupyter-lab"]);
    let plan = world.plan("lab,board -- jupyter-lab --debug").unwrap();
    assert_eq!((plan.mode.as_str(), plan.sidecars.as_slice()), ("lab", ["board".to_owned()].as_slice()));
    assert_eq!(world.preparation("lab,board"), "lab: jupyter-lab");
    assert_eq!(world.preparation("lab,nothing"), "train: lab,nothing");
    assert_eq!(world.preparation("-- lab,board"), "train: lab,board");
    world.settings.mode.value = "train, board,lab".into();
    assert_eq!(world.plan("python t.py").unwrap().sidecars, ["board", "lab"]);
    assert_eq!(world.preparation("python t.py"), "train: python t.py");
    for wrong in ["board,bord", "board,board", "board,shell", "board,", "auto,board"] {
        world.settings.mode.value = wrong.into();
        assert_eq!(world.preparation("x"), "78", "{wrong}");
    }
}

#[test]
fn a_sidecar_starts_its_modes_own_command() {
    let world = World::with(&[]).mode("board", &["tensorboard"]);
    let environment = Environment::default();
    let facts = ModeFacts {
        attended: false,
        editor: &|| false,
        environment: &environment,
        shell: &|| None,
        workdir: Path::new("/"),
    };
    let plan = sidecar("board", &world.settings, facts).unwrap();
    assert_eq!((plan.mode.as_str(), plan.command.as_slice()), ("board", ["tensorboard".into()].as_slice()));
}

#[test]
fn a_custom_server_is_dressed_when_it_starts_its_own_command() {
    let mut world = World::with(&["bash"]).mode("ide", &["serve", "{port}"]);
    world.settings.modes.value.get_mut("ide").unwrap().port = Some(8080);
    let plan = world.plan("ide").unwrap();
    assert_eq!((plan.setup, plan.service), (true, Some(Service::on(8080))));
    assert_eq!(world.preparation("ide"), "ide: serve 8080");
    let plan = world.plan("ide -- other").unwrap();
    assert_eq!((plan.setup, plan.service), (false, None));
}

#[test]
fn a_servers_command_is_the_program_that_will_be_started() {
    let mut world = World::with(&["jupyter-lab", "jupyter-notebook", "dropbear", "sshd"]);
    assert_eq!(world.preparation("jupyter"), "jupyter: jupyter-lab");
    assert_eq!(world.preparation("ssh"), "ssh: sshd");
    world.settings.jupyter_app.value = "notebook".parse().unwrap();
    assert_eq!(world.preparation("jupyter"), "jupyter: jupyter-notebook");
}

#[test]
fn a_server_beside_an_interpreter_that_is_named_counts_and_one_that_an_installation_may_bring_is_left_open() {
    let decided = |world: &World| world.plan("jupyter").map(|plan| (plan.command[0].clone(), plan.is_open)).unwrap();
    let beside = World::with(&["python", "jupyter-lab"]);
    let mut world = World::with(&["jupyter-notebook"]);
    assert_eq!(decided(&world), ("jupyter-notebook".into(), false));
    world.settings.deps_python.value = Some(beside.path.path().join("python"));
    assert_eq!(decided(&world), ("jupyter-lab".into(), false));

    let mut world = World::with(&["jupyter-notebook"]);
    world.settings.jupyter_install.value = vec!["jupyterlab".into()];
    assert!(decided(&world).1);
    assert!(decided(&World::with(&["python"])).1);
    assert!(!World::with(&[]).plan("jupyter -- jupyter lab").unwrap().is_open);
}
