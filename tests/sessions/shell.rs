//! The mode `shell` at a real terminal, and tmux in it.

use crate::support::look::{children, field, state, until, until_true};
use crate::support::pty::{self, Pty};
use crate::support::{Launch, Place, Role, Running, can_unshare, has};
use tempfile::TempDir;

const CTRL_C: &str = "\x03";
const CTRL_Z: &str = "\x1a";

/// A person at a container's shell, with a home and a code directory.
struct Session {
    person: Pty,
    running: Running,
    home: TempDir,
    code: TempDir,
}

/// Starts trainit at a terminal, as PID 1.
fn shell(variables: &[(&str, &str)]) -> Option<Session> {
    if !can_unshare() || !has("bash") {
        return None;
    }
    let (home, code) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (person, terminal) = pty::open();
    let mut launch = Launch::of(Role::Run, Place::First, &["shell"]).before_exec(pty::sit_at(&terminal));
    for name in ["SHELL", "USER", "LOGNAME", "LANG", "LC_ALL", "TERM", "PROMPT_COMMAND", "HISTFILE", "TMUX", "BASH_ENV"]
    {
        launch.command.env_remove(name);
    }
    launch.command.env("PS1", "ready> ").env("HOME", home.path()).env("TRAINIT_CODE_PATH", code.path());
    launch.command.env("TRAINIT_CHECKS", "code=off host=off");
    launch.command.envs(variables.iter().copied());
    for file in [".bashrc", ".bash_profile"] {
        std::fs::write(home.path().join(file), "PS1='ready> '\nbind 'set enable-bracketed-paste off'\n").unwrap();
    }
    std::fs::write(home.path().join(".zshrc"), "").unwrap();
    Some(Session { person, running: launch.spawn(), home, code })
}

impl Session {
    /// A line, and the answer to it.
    #[track_caller]
    fn says(&self, line: &str, answer: &str) {
        self.person.types(&format!("{line}\n"));
        self.person.shows(answer);
        self.person.shows("ready> ");
    }

    /// The shell has taken what was typed and waits for more. Before, readline can take a Ctrl-C and not see it until the next key.
    #[track_caller]
    fn has_read(&self, typed: &str) {
        self.person.shows(typed);
        self.waits();
    }

    /// The shell sleeps.
    #[track_caller]
    fn waits(&self) {
        let shell = self.running.workload();
        until_true("the shell waits", || state(shell) == Some('S'));
    }

    /// The program of this name below the shell, once it is in front.
    fn in_front(&self, name: &str) -> i32 {
        let shell = self.running.workload();
        let job = until(name, || children(shell).into_iter().find(|pid| field(*pid, "Name").as_deref() == Some(name)));
        self.person.foreground_is(job);
        job
    }
}

#[test]
fn a_person_finds_job_control_the_code_and_the_variables_of_a_login() {
    let Some(session) = shell(&[]) else { return };
    let person = &session.person;
    person.shows("ready> ");
    session.says("echo [$PWD]", &format!("[{}]", session.code.path().display()));
    session.says("echo [$USER $LOGNAME $TERM]", "[root root xterm]");
    session.says("echo [$SHELL ${TRAINIT_RUN_MODE}]", "bash shell]");
    person.types("half a line");
    session.has_read("half a line");
    person.types(CTRL_C);
    person.shows("ready> ");
    session.says("echo code=$?", "code=130");
    person.types("sleep 60\n");
    session.in_front("sleep");
    person.types(CTRL_C);
    person.shows("ready> ");
    person.types("sleep 60\n");
    let job = session.in_front("sleep");
    person.types(CTRL_Z);
    person.shows("Stopped");
    until_true("stopped", || state(job) == Some('T'));
    person.shows("ready> ");
    person.types("fg\n");
    person.foreground_is(job);
    until_true("it goes on", || state(job) == Some('S'));
    person.types(CTRL_C);
    person.shows("ready> ");
    person.resize(33, 77);
    session.says("stty size", "33 77");
    person.types("exit 7\n");
    let history = session.home.path().join(".bash_history");
    assert_eq!(session.running.code(), 7);
    assert!(std::fs::read_to_string(history).unwrap().contains("stty size"));
}

#[test]
fn a_stop_ends_the_shell_at_once_and_keeps_its_history() {
    let Some(session) = shell(&[]) else { return };
    session.person.shows("ready> ");
    session.says("echo remem''bered", "remembered");
    session.waits();
    session.running.signal(libc::SIGTERM);
    let history = session.home.path().join(".bash_history");
    assert_eq!(session.running.code(), 128 + libc::SIGHUP);
    assert!(std::fs::read_to_string(history).unwrap().contains("remem"));
}

/// A shell that is hung up on would hang up on its jobs.
#[test]
fn a_training_in_front_of_the_shell_saves_before_the_shell_ends() {
    let Some(session) = shell(&[]) else { return };
    if !has("python3") {
        return;
    }
    let code = "import signal, sys, time\n\
                def save(*_):\n    time.sleep(1)\n    open('saved', 'w').close()\n    sys.exit(0)\n\
                signal.signal(signal.SIGTERM, save)\nopen('ready', 'w').close()\ntime.sleep(60)\n";
    std::fs::write(session.code.path().join("train.py"), code).unwrap();
    session.person.shows("ready> ");
    session.person.types("python3 train.py\n");
    until_true("the training", || session.code.path().join("ready").exists());
    session.running.signal(libc::SIGTERM);
    assert_eq!(session.running.code(), 128 + libc::SIGHUP);
    assert!(session.code.path().join("saved").exists());
}

#[test]
fn the_lines_above_the_first_prompt_can_be_left_away() {
    let Some(session) = shell(&[]) else { return };
    session.person.shows("python  ");
    session.person.shows("set     ");
    session.person.shows("USER LOGNAME");
    session.person.shows("TRAINIT_SHELL_BANNER=off");
    session.person.shows("ready> ");
    let Some(session) = shell(&[("TRAINIT_SHELL_BANNER", "off")]) else { return };
    session.person.shows("ready> ");
    assert!(!session.person.screen().contains("python  "), "{}", session.person.screen());
}

#[test]
fn a_shell_of_the_users_own_is_taken() {
    if !has("zsh") {
        return;
    }
    let Some(session) = shell(&[("SHELL", "/bin/zsh")]) else { return };
    session.person.shows("/bin/zsh as ");
    session.person.types("echo zsh-$ZSH_VERSION,$SHELL; exit\n");
    session.person.shows(",/bin/zsh");
    assert_eq!(session.running.code(), 0);
}

#[test]
fn without_a_terminal_the_shell_says_so_and_reads_its_input() {
    let finished = Launch::of(Role::Run, Place::Aside, &["shell"]).finish();
    assert_eq!(finished.code, Some(0));
    assert!(finished.err.contains("this is no terminal"), "{}", finished.err);
    let finished = Launch::of(Role::Run, Place::Aside, &["shell", "--", "sh", "-c", "exit 3"]).finish();
    assert_eq!(finished.code, Some(3));
    assert!(!finished.err.contains("this is no terminal"), "{}", finished.err);
}

/// Waits until the program in front reads: what is typed before that may be thrown away with the next Ctrl-Z.
fn answers(person: &Pty) {
    person.types("purr\n");
    person.shows("purr!");
}

#[test]
fn tmux_has_windows_with_job_control_survives_a_detach_and_leaves_nothing() {
    if !has("tmux") {
        return;
    }
    let sockets = tempfile::tempdir().unwrap();
    // Keys within a millisecond of each other are a paste to tmux, in which Ctrl-B is no prefix; a test types as fast.
    let settings = sockets.path().join("tmux.conf");
    std::fs::write(&settings, "set -g assume-paste-time 0\n").unwrap();
    let Some(session) = shell(&[("TMUX_TMPDIR", sockets.path().to_str().unwrap())]) else { return };
    let person = &session.person;
    person.resize(24, 200); // wide enough for the name of any temporary directory
    person.shows("ready> ");
    person.types(&format!("tmux -f {} new-session -s work\n", settings.display()));
    person.shows("[work]");
    person.types("echo in-$((40 + 2)) $TMUX_PANE $PWD\n");
    person.shows(&format!("in-42 %0 {}", session.code.path().display()));
    person.types("sed -u 's/$/!/'\n");
    answers(person);
    person.types(CTRL_Z);
    person.shows("Stopped");
    person.types("fg\n");
    answers(person);
    person.types(CTRL_C);
    person.shows("ready> ");
    person.types("echo back-$((40 + 3))-$?\n");
    person.shows("back-43-130");
    person.types("\x02d"); // detach
    person.shows("detached (from session work)");
    person.types("tmux attach -t work\n");
    person.shows("[work]");
    person.types("exit\n");
    person.shows("[exited]");
    person.types("exit 5\n");
    assert_eq!(session.running.code(), 5);
}
