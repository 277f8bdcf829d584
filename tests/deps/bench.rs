//! A place to try starts in: wheels, a virtual environment, a code directory, and starts that are processes of their own, as
//! in reality: they can be other users, be killed, and be counted.

use crate::wheel::Wheel;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use sys::Root;
use sys::environment::Environment;
use trainit::config::{self, Installer, OriginValue, Requirements, Settings, ValueOrigin};
use trainit::deps::{self, DepsOutcome, DepsRequest};

/// The variable that names the file with a start to make.
pub const START: &str = "TRAINIT_TEST_START";

/// What one start is like.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Start {
    pub root: PathBuf,
    pub code: PathBuf,
    pub command: Vec<String>,
    pub environment: BTreeMap<String, String>,
    pub files: Vec<PathBuf>,
    pub installer: Option<String>,
    pub retries: u8,
    pub timeout: Option<f64>,
    /// What is configured: `key=value`.
    pub set: Vec<String>,
    /// Where the report goes.
    pub report_file: PathBuf,
    #[serde(skip)]
    pub uid: Option<u32>,
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    pub outcome: String,
    pub installer: String,
    pub environment: BTreeMap<String, String>,
    pub error: String,
    pub code: u8,
    pub lines: Vec<String>,
    pub micros: u64,
    /// Page faults of children: 0 means that there were none.
    pub children: i64,
    pub status: String,
}

impl Report {
    /// All that was told.
    pub fn text(&self) -> String {
        format!("{}\n{}", self.lines.join("\n"), self.error)
    }
}

/// Makes the start that a file describes: the body of the process.
pub fn make_start(file: &Path) {
    let start: Start = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let environment: Environment =
        start.environment.iter().map(|(n, v)| (OsString::from(n), OsString::from(v))).collect();
    let settings = settings(&start);
    let command: Vec<OsString> = start.command.iter().map(OsString::from).collect();
    let root = Root::at(&start.root);
    let (workdir, code) = (start.code.clone(), start.code.clone());
    let (environment, settings) = (&environment, &settings);
    let request = DepsRequest {
        root: &root,
        settings,
        environment,
        workdir,
        code,
        command: &command,
        by_mode: false,
        kind: Default::default(),
    };
    let mut lines = Vec::new();
    let began = Instant::now();
    let outcome = deps::ensure(&request, &mut |line| lines.push(line.to_owned()));
    let micros = began.elapsed().as_micros() as u64;
    let children = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN).unwrap();
    let mut report = Report { lines, micros, children: children.minor_page_faults(), ..Report::default() };
    match outcome {
        Ok(outcome) => tell_outcome(&outcome, &mut report),
        Err(error) => (report.error, report.code) = (format!("{error:#}"), error.exit().code()),
    }
    report.status = format!("{:?}", deps::status(&request));
    std::fs::write(&start.report_file, serde_json::to_vec(&report).unwrap()).unwrap();
}

fn settings(start: &Start) -> Settings {
    let (root, environment) = (Root::at("/none"), Environment::default());
    let options = config::ConfigOptions { set: start.set.clone(), ..Default::default() };
    let sources =
        config::ConfigSources { root: &root, environment: &environment, options: &options, workdir: Path::new("/") };
    let mut settings = config::load(&sources).unwrap().settings;
    settings.deps_retries.value = Some(start.retries);
    settings.deps_timeout.value = start.timeout.map(Duration::from_secs_f64);
    settings.deps_installer.value = match start.installer.as_deref() {
        Some("uv") => Installer::Uv,
        Some("pip") => Installer::Pip,
        _ => Installer::Auto,
    };
    if !start.files.is_empty() {
        let origin = ValueOrigin::Environment("TRAINIT_DEPS_REQUIREMENTS".into());
        settings.deps_requirements = OriginValue { value: Requirements::Files(start.files.clone()), origin };
    }
    *settings
}

fn tell_outcome(outcome: &DepsOutcome, report: &mut Report) {
    let text = |word: &OsString| word.to_string_lossy().into_owned();
    report.environment = outcome.environment().iter().map(|(n, v)| (text(n), text(v))).collect();
    report.outcome = match outcome {
        DepsOutcome::Nothing(_) => "nothing",
        DepsOutcome::Unchanged { .. } => "unchanged",
        DepsOutcome::Satisfied { .. } => "satisfied",
        DepsOutcome::Unpacked { installer, .. } => {
            report.installer = installer.clone();
            "unpacked"
        }
        DepsOutcome::Installed { installer, .. } => {
            report.installer = installer.clone();
            "installed"
        }
    }
    .to_owned();
}

/// A place of its own for one test.
pub struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    /// With the wheels that most tests use: `tiny` 1.0 and 2.0, and `needy`, which needs tiny.
    pub fn new() -> Self {
        let bench = Bench { dir: tempfile::tempdir().unwrap() };
        open_to_all(bench.dir.path());
        for name in ["wheels", "code", "home", "tmp", "container"] {
            std::fs::create_dir(bench.path(name)).unwrap();
            open_to_all(&bench.path(name));
        }
        std::fs::write(bench.path("container/.dockerenv"), "").unwrap();
        std::fs::set_permissions(bench.path("tmp"), std::fs::Permissions::from_mode(0o1777)).unwrap();
        Wheel::new("tiny", "1.0").script("tiny-tool").write(&bench.path("wheels"));
        Wheel::new("tiny", "2.0").script("tiny-tool").write(&bench.path("wheels"));
        Wheel::new("needy", "1.0").requires("tiny").write(&bench.path("wheels"));
        bench
    }

    /// With a virtual environment that has pip.
    pub fn with_venv() -> Self {
        let bench = Self::new();
        copy(template(), &bench.venv());
        bench
    }

    /// With a virtual environment of this Python.
    pub fn with_venv_of(python: &Path) -> Self {
        let bench = Self::new();
        assert!(Command::new(python).args(["-m", "venv"]).arg(bench.venv()).status().unwrap().success());
        bench
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn venv(&self) -> PathBuf {
        self.path("venv")
    }

    pub fn python(&self) -> PathBuf {
        self.venv().join("bin/python")
    }

    /// The directory of packages in the virtual environment.
    pub fn site(&self) -> PathBuf {
        let lib = std::fs::read_dir(self.venv().join("lib")).unwrap().next().unwrap().unwrap();
        lib.path().join("site-packages")
    }

    /// Writes a file into the code directory.
    pub fn code(&self, name: &str, text: impl AsRef<[u8]>) {
        let file = self.path("code").join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    /// A start of `python train.py` in the virtual environment, from the wheels alone.
    pub fn start(&self) -> Start {
        let path = format!("{}/bin:/usr/bin:/bin", self.venv().display());
        let variable = |name: &str, value: String| (name.to_owned(), value);
        let environment = [
            variable("PATH", path),
            variable("HOME", self.path("home").display().to_string()),
            variable("TMPDIR", self.path("tmp").display().to_string()),
            variable("PIP_NO_INDEX", "1".into()),
            variable("PIP_FIND_LINKS", self.path("wheels").display().to_string()),
        ];
        Start {
            root: self.path("container"),
            code: self.path("code"),
            command: vec!["python".into(), "train.py".into()],
            environment: environment.into_iter().collect(),
            report_file: self.path("tmp").join("report.json"),
            ..Start::default()
        }
    }

    /// Removes packages, as if they had never been installed.
    pub fn take_away(&self, names: &[&str]) {
        for entry in std::fs::read_dir(self.site()).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            if names.contains(&name.split('-').next().unwrap_or_default()) {
                std::fs::remove_dir_all(entry.path()).unwrap();
            }
        }
    }

    /// What a command of the virtual environment prints with these variables on top.
    pub fn say(&self, program: &Path, words: &[&str], report: &Report) -> String {
        let output =
            Command::new(program).args(words).env_remove("PYTHONPATH").envs(&report.environment).output().unwrap();
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
            .trim()
            .to_owned()
    }
}

impl Start {
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.environment.remove(name);
        self
    }

    /// With real uv on PATH.
    pub fn with_uv(mut self) -> Self {
        let uv = uv().and_then(Path::parent);
        if let (Some(dir), Some(path)) = (uv, self.environment.get_mut("PATH")) {
            *path = format!("{path}:{}", dir.display());
        }
        self
    }

    /// With this installer and no other.
    pub fn installer(mut self, name: &str) -> Self {
        self.installer = Some(name.into());
        if name == "uv" { self.with_uv() } else { self }
    }

    /// With this configured.
    pub fn set(&self, key: &str, value: impl std::fmt::Display) -> Self {
        let mut with = self.clone();
        with.set.push(format!("{key}={value}"));
        with
    }

    /// With this command.
    pub fn starting(mut self, words: &[&str]) -> Self {
        self.command = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// As another user.
    pub fn user(mut self, uid: u32) -> Self {
        self.uid = Some(uid);
        self
    }

    /// Starts, and waits for the end.
    pub fn run(&self) -> Report {
        self.report(&self.spawn().wait_with_output().unwrap())
    }

    /// The report of a start that ended.
    pub fn report(&self, output: &Output) -> Report {
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!said.contains("Successfully installed"), "stdout belongs to the workload: {said}");
        let report = std::fs::read(&self.report_file)
            .unwrap_or_else(|_| panic!("no report: {said}{}", String::from_utf8_lossy(&output.stderr)));
        std::fs::remove_file(&self.report_file).unwrap();
        serde_json::from_slice(&report).unwrap()
    }

    /// The process of a start.
    pub fn spawn(&self) -> Child {
        let mut command = self.command(&[]);
        if let Some(uid) = self.uid {
            command.uid(uid).gid(uid);
        }
        command.spawn().unwrap()
    }

    /// Starts behind mounts that only it sees; none if mounts cannot be made here.
    pub fn run_behind(&self, mounts: &str) -> Option<Report> {
        Some(self.report(&self.behind(mounts)?.output().unwrap()))
    }

    /// The command of a start behind mounts that only it sees; none if mounts cannot be made here.
    pub fn behind(&self, mounts: &str) -> Option<Command> {
        let able = Command::new("unshare").args(["-m", "true"]).output().is_ok_and(|output| output.status.success());
        if !able {
            println!("SKIPPED: mounts cannot be made here (unshare -m)");
            return None;
        }
        let user =
            self.uid.map(|uid| format!("setpriv --reuid {uid} --regid {uid} --clear-groups")).unwrap_or_default();
        let script = format!("set -e; {mounts}; {user} \"$0\" \"$@\"");
        Some(self.command(&["unshare", "-m", "sh", "-c", &script]))
    }

    /// The command of a start, perhaps behind other words.
    pub fn command(&self, before: &[&str]) -> Command {
        let file = self.report_file.with_extension("start");
        std::fs::write(&file, serde_json::to_vec(self).unwrap()).unwrap();
        let mut exe = std::env::current_exe().unwrap();
        if self.uid.is_some() {
            // Another user may not be allowed to reach the directory of builds.
            let reachable = self.report_file.with_extension("exe");
            if !reachable.exists() {
                crate::support::copy_program(exe, &reachable);
            }
            exe = reachable;
        }
        let words: Vec<OsString> = before.iter().map(OsString::from).chain([exe.into_os_string()]).collect();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(["one_start", "--exact", "--nocapture", "--test-threads=1"]);
        command.env(START, file).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// A second report file, for a start at the same time.
    pub fn beside(mut self, name: &str) -> Self {
        self.report_file.set_file_name(name);
        self
    }
}

fn open_to_all(directory: &Path) {
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

/// A Python that any user may run and that can make virtual environments with pip.
pub fn base() -> Option<&'static Path> {
    static BASE: OnceLock<Option<PathBuf>> = OnceLock::new();
    BASE.get_or_init(|| {
        let all = ["/usr/bin/python3", "/usr/local/bin/python3", "/opt/conda/bin/python3"].map(PathBuf::from);
        all.into_iter().find(|path| makes_venvs(path, ""))
    })
    .as_deref()
}

/// Whether a Python is there that can make virtual environments with pip, and of which this holds.
pub fn makes_venvs(python: &Path, condition: &str) -> bool {
    let code = format!("import venv, ensurepip, sys; {condition}");
    Command::new(python).args(["-c", &code]).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// A virtual environment with pip that is made once and copied for every test.
fn template() -> &'static Path {
    static TEMPLATE: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let make = || {
        let dir = tempfile::tempdir().unwrap();
        let venv = dir.path().join("venv");
        assert!(Command::new(base().unwrap()).args(["-m", "venv"]).arg(&venv).status().unwrap().success());
        (dir, venv)
    };
    &TEMPLATE.get_or_init(make).1
}

/// Real uv, where any user may run it.
pub fn uv() -> Option<&'static Path> {
    static UV: OnceLock<Option<(tempfile::TempDir, PathBuf)>> = OnceLock::new();
    UV.get_or_init(|| {
        let found = "command -v pyenv >/dev/null && pyenv which uv 2>/dev/null || command -v uv";
        let output = Command::new("sh").args(["-c", found]).output().ok()?;
        let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
        let dir = tempfile::tempdir().ok()?;
        open_to_all(dir.path());
        crate::support::copy_program(path, dir.path().join("uv"));
        let uv = dir.path().join("uv");
        Some((dir, uv))
    })
    .as_ref()
    .map(|(_, path)| path.as_path())
}
