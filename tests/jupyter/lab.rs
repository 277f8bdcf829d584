//! A real Jupyter from the index, in a virtual environment that is made once and kept, and a server of it below trainit.

use crate::support::look::until;
use crate::support::{Launch, Place, Role, Running, TRAINIT, has, skip};
use nix::fcntl::{Flock, FlockArg};
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// What is in the environment. Its name changes with this.
const PACKAGES: [&str; 3] = ["jupyterlab>=4.4,<5", "notebook>=7.4,<8", "jupyterhub>=5,<7"];
const NAME: &str = "jupyter-1";

/// Its `bin`; none, and a line about it, where it cannot be made.
pub fn bin() -> Option<&'static Path> {
    static BIN: OnceLock<Option<PathBuf>> = OnceLock::new();
    let made = BIN.get_or_init(|| has("python3").then(make).flatten());
    if made.is_none() {
        skip("Jupyter cannot be installed from an index here");
    }
    made.as_deref()
}

fn make() -> Option<PathBuf> {
    let home = || Path::new(&std::env::var_os("HOME").unwrap_or_default()).join(".cache");
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from).join("trainit");
    std::fs::create_dir_all(&cache).ok()?;
    let lock = File::create(cache.join(format!("{NAME}.lock"))).ok()?;
    let _lock = Flock::lock(lock, FlockArg::LockExclusive).ok()?;
    let (venv, done) = (cache.join(NAME), cache.join(NAME).join("complete"));
    if !done.exists() {
        let _ = std::fs::remove_dir_all(&venv);
        let run = |command: &mut Command| command.stdout(Stdio::null()).status().is_ok_and(|status| status.success());
        let made = run(Command::new("python3").args(["-m", "venv"]).arg(&venv));
        let mut pip = Command::new(venv.join("bin/python"));
        pip.args(["-m", "pip", "install", "-q", "--disable-pip-version-check"]).args(PACKAGES);
        if !made || !run(&mut pip) {
            return None;
        }
        std::fs::write(done, "").ok()?;
    }
    Some(venv.join("bin"))
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
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
