//! The answer "all is there" against the answers of uv and pip themselves, on generated sets of packages: what is called satisfied
//! without an installer has to be satisfied for both, and what is not must not be for both. `TRAINIT_TEST_CASES=5000` tries more of
//! them, `TRAINIT_TEST_SEED=8` others.

#[path = "differ/cases.rs"]
pub mod cases;

use crate::bench::Bench;
use crate::possible;
use cases::Dice;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use sys::Root;
use sys::environment::Environment;
use trainit::config::Settings;
use trainit::deps::{self, DepsRequest};

/// Yes, no, or none where it is left to an installer. A line that is refused has to be refused by both installers, too.
fn own_answer(request: &DepsRequest<'_>) -> Option<bool> {
    let status = match deps::status(request) {
        Ok(status) => status?,
        Err(error) => {
            assert!(error.what.contains("cannot be understood"), "{error}");
            return Some(false);
        }
    };
    let unknown = status.why.as_ref().is_some_and(|why| why.contains("the installer has to look"));
    (!unknown).then_some(status.current)
}

/// pip in a process of its own that answers again and again: starting it takes longer than what it does.
struct Pip(Child);

impl Pip {
    fn start(python: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/deps/ask_pip.py");
        let mut command = Command::new(python);
        command.arg(script).env_clear().env("PIP_CONFIG_FILE", "/dev/null");
        Pip(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap())
    }

    /// Whether all is there, and what was said.
    fn ask(&mut self, file: &Path) -> (bool, String) {
        writeln!(self.0.stdin.as_mut().unwrap(), "{}", file.display()).unwrap();
        let mut line = String::new();
        BufReader::new(self.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }
}

impl Drop for Pip {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

struct Uv {
    python: PathBuf,
    cache: PathBuf,
}

impl Uv {
    /// Whether all is there, and what was said. Lines that it cannot read at all are pip's alone.
    fn ask(&self, file: &Path) -> (Option<bool>, String) {
        let mut uv = Command::new(crate::bench::uv().unwrap());
        uv.args(["pip", "install", "--offline", "--no-config", "--dry-run", "--no-index", "-r"]).arg(file);
        let uv = uv.arg("--python").arg(&self.python).env("UV_CACHE_DIR", &self.cache).output().unwrap();
        let said = String::from_utf8_lossy(&[uv.stdout, uv.stderr].concat()).into_owned();
        let satisfied = uv.status.success() && said.contains("Would make no changes");
        ((!said.contains("Couldn't parse requirement in")).then_some(satisfied), said)
    }
}

fn wish(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A place with an environment that trainit knows, and the installers to ask.
struct Trial {
    bench: Bench,
    environment: Environment,
    settings: Settings,
    uv: Uv,
    pip: Pip,
    /// Answers of no, of yes, left to an installer, and satisfied among these.
    seen: [usize; 4],
    wrong: Vec<String>,
}

impl Trial {
    fn new() -> Self {
        let bench = Bench::with_venv();
        bench.code("requirements.txt", "tiny\n");
        bench.start().installer("uv").run();
        bench.take_away(&["tiny"]);
        let environment =
            bench.start().environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut settings = Settings::default();
        // Neither pip nor uv knows what an image keeps.
        settings.deps_protect.value.clear();
        let uv = Uv { python: bench.python(), cache: bench.path("home") };
        let pip = Pip::start(&bench.python());
        Trial { bench, environment, settings, uv, pip, seen: [0; 4], wrong: Vec::new() }
    }

    fn own_answer(&self) -> Option<bool> {
        let (root, code) = (Root::at(self.bench.path("container")), self.bench.path("code"));
        own_answer(&DepsRequest {
            root: &root,
            settings: &self.settings,
            environment: &self.environment,
            workdir: code.clone(),
            code,
            command: &["python".into(), "train.py".into()],
            by_mode: false,
            kind: Default::default(),
        })
    }

    /// Holds one answer against those of the installers. They need not be asked for what both of them would install.
    fn hold(&mut self, case: &str) {
        let file = self.bench.path("code/requirements.txt");
        let own = self.own_answer();
        self.seen[own.map_or(2, usize::from)] += 1;
        let (by_uv, said_uv) = self.uv.ask(&file);
        if own == Some(false) && by_uv == Some(false) {
            return;
        }
        let (by_pip, said_pip) = self.pip.ask(&file);
        // With Python 3.14 pip refuses metadata with a requirement in two lines, which uv reads; nothing is missing then.
        let is_refused = own == Some(true) && said_pip.contains("invalid-installed-package");
        let both = by_uv != Some(false) && (by_pip || is_refused);
        self.seen[3] += usize::from(own.is_none() && both);
        if own == Some(true) && !both || own == Some(false) && both {
            let told = cases::told(&self.bench.site(), &self.bench.path("code"));
            let answers = format!("we say {own:?}, uv {by_uv:?}, pip {by_pip}");
            self.wrong.push(format!("{case}: {answers}\n{told}uv: {said_uv}pip: {said_pip}"));
        }
    }

    fn end(self) -> [usize; 4] {
        let Trial { seen, wrong, .. } = self;
        println!("{} no, {} yes, {} left to an installer, {} of these satisfied", seen[0], seen[1], seen[2], seen[3]);
        let some = wrong.iter().take(10).map(String::as_str).collect::<Vec<_>>().join("\n");
        assert!(wrong.is_empty(), "{} wrong, as\n{some}", wrong.len());
        seen
    }
}

#[test]
fn what_is_called_satisfied_is_satisfied_for_uv_and_for_pip() {
    if !possible(true) {
        return;
    }
    let (count, mut dice) = (wish("TRAINIT_TEST_CASES", 600) as usize, Dice(wish("TRAINIT_TEST_SEED", 7)));
    let mut trial = Trial::new();
    for number in 0..count {
        cases::lay_out(&mut dice, &trial.bench.site(), &trial.bench.path("code"));
        trial.hold(&format!("case {number}"));
    }
    let seen = trial.end();
    assert!(seen[0] > count / 10 && seen[1] > count / 20, "{seen:?}");
}

#[test]
fn odd_files_are_answered_as_uv_and_pip_answer() {
    if !possible(true) {
        return;
    }
    let mut trial = Trial::new();
    cases::lay_out_for_odd(&trial.bench.site(), &trial.bench.path("code"));
    for text in cases::ODD {
        trial.bench.code("requirements.txt", text);
        trial.hold(&format!("{:?}", String::from_utf8_lossy(text)));
    }
    for text in cases::ODD_FOR_PIP {
        trial.bench.code("requirements.txt", text);
        let file = trial.bench.path("code/requirements.txt");
        let (own, (by_uv, _), (by_pip, _)) = (trial.own_answer(), trial.uv.ask(&file), trial.pip.ask(&file));
        assert!(own == Some(true) && by_pip && by_uv != Some(true), "{:?}", String::from_utf8_lossy(text));
    }
    let seen = trial.end();
    assert!(seen.iter().all(|count| *count > 5), "{seen:?}");
}
