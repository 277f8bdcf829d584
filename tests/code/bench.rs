//! A place for one test: repositories, a server, a directory for the code, and starts of trainit there.

use crate::support::{Launch, Place, Role, has};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// The token of the servers that want one.
pub const TOKEN: &str = "t0p-Secret-Of-The-Server";

/// A directory with a repository `train` and its bare copy `served/train.git`.
pub struct Bench {
    directory: TempDir,
}

/// A server that ends with the test.
pub struct Server {
    child: Child,
    /// Its port.
    pub port: u16,
    log: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// What was asked so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// How many requests have this text.
    pub fn count(&self, text: &str) -> usize {
        self.log().lines().filter(|line| line.contains(text)).count()
    }
}

/// Runs a program and returns its output; it has to end well.
pub fn run(directory: &Path, program: &str, words: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(words).current_dir(directory).stdin(Stdio::null());
    command.envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_SYSTEM", "/dev/null"), ("GIT_LFS_SKIP_PUSH", "1")]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// Runs git as an author.
pub fn git(directory: &Path, words: &str) -> String {
    let settings = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always"];
    let words: Vec<&str> = settings.into_iter().chain(words.split(' ')).collect();
    run(directory, "git", &words)
}

impl Bench {
    /// Makes the repository with one commit, tagged `v1`; `None` where a tool is missing.
    pub fn new() -> Option<Self> {
        if !["git", "python3"].iter().all(|tool| has(tool)) {
            return None;
        }
        let bench = Bench { directory: tempfile::tempdir().unwrap() };
        fs::create_dir_all(bench.path("served")).unwrap();
        ["home", "state"].iter().for_each(|name| fs::create_dir(bench.path(name)).unwrap());
        git(&bench.path(""), "init -q -b main train");
        bench.commit("train.py", "print('one')\n");
        git(&bench.path("train"), "tag -a -m x v1");
        git(&bench.path(""), "clone -q --bare train served/train.git");
        Some(bench)
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The directory that the code goes to.
    pub fn code(&self) -> PathBuf {
        self.path("code")
    }

    /// Writes a file into the repository and commits it; returns the commit.
    pub fn commit(&self, name: &str, content: &str) -> String {
        let path = self.path("train").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        git(&self.path("train"), "add -A");
        git(&self.path("train"), "commit -q -m x");
        git(&self.path("train"), "rev-parse HEAD")
    }

    /// Publishes what was committed; returns the commit.
    pub fn push(&self) -> String {
        git(&self.path("train"), &format!("push -q --force {} main --tags", self.path("served/train.git").display()));
        git(&self.path("train"), "rev-parse HEAD")
    }

    /// Commits a file and publishes it; returns the commit.
    pub fn publish(&self, name: &str, content: &str) -> String {
        self.commit(name, content);
        self.push()
    }

    /// Starts a server over HTTP.
    pub fn http(&self, options: &[&str]) -> Server {
        let root = self.path("served");
        self.server(&[&["http", root.to_str().unwrap()], &[self.path("log").to_str().unwrap()][..], options].concat())
    }

    /// Starts a server with these words behind the name of the script.
    pub fn server(&self, words: &[&str]) -> Server {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/code/server.py");
        let mut command = Command::new("python3");
        command.arg(script).args(words).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().unwrap_or_else(|_| panic!("the server told no port: {line:?}"));
        Server { child, port, log: self.path("log") }
    }

    /// Makes a certificate of an authority of its own, and returns the options of a server for it.
    pub fn certificate(&self) -> [String; 3] {
        let words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
                     -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout tls.key -out tls.pem";
        run(&self.path(""), "openssl", &words.split_whitespace().collect::<Vec<_>>());
        ["--tls".to_owned(), self.text("tls.pem"), self.text("tls.key")]
    }

    /// A path in it as text.
    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Writes the token into a file, and returns its path.
    pub fn token_file(&self, token: &str) -> String {
        self.token_file_of("token", token)
    }

    /// Does the same with a file of this name.
    pub fn token_file_of(&self, name: &str, token: &str) -> String {
        fs::write(self.path(name), format!("{token}\n")).unwrap();
        self.text(name)
    }

    /// A start of trainit with this `code.from`, not begun.
    pub fn start(&self, from: &str, words: &[&str]) -> Launch {
        let mut launch = Launch::of(Role::Run, Place::Aside, words);
        let path = std::env::var("PATH").unwrap();
        launch.command.env_clear().envs([("PATH", path.as_str()), ("HOME", &self.text("home"))]);
        launch.command.envs([("GIT_CONFIG_SYSTEM", "/dev/null"), ("TRAINIT_CODE_FROM", from)]);
        let code = self.text("code");
        launch.command.envs([
            ("TRAINIT_CODE_PATH", code.as_str()),
            ("TRAINIT_WORKDIR", &code),
            ("TRAINIT_GPU_COUNT", "none"),
        ]);
        launch.env("TRAINIT_STATE_DIR", &self.text("state"))
    }

    /// A start from the repository beside it, without a server.
    pub fn start_here(&self, reference: &str, words: &[&str]) -> Launch {
        self.start(&format!("{}{reference}", self.text("served/train.git")), words)
    }

    /// The commit that is checked out.
    pub fn head(&self) -> String {
        git(&self.code(), "rev-parse HEAD")
    }
}
