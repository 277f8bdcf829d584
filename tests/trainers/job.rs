//! A training job of tests/trainers/*.py: its directory, what its ranks wrote down, its newest checkpoint. Knows what the scripts
//! write and how trainit is told of it; not what a test expects.

use crate::support::look;
use crate::support::port::free_port;
use crate::support::{Finished, Launch, Place, Role, Running};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a job gets from the stop to SIGKILL: more than it ever needs, so that what is lost was not lost for want of time.
pub const GRACE: Duration = Duration::from_secs(50);

/// Importing torch takes a while where others compute as well.
const PATIENCE: Duration = Duration::from_secs(180);

/// A directory for one job.
pub struct Job {
    directory: tempfile::TempDir,
}

impl Job {
    pub fn new() -> Self {
        Job { directory: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The directory as a word of a command line.
    pub fn word(&self) -> &str {
        self.path().to_str().unwrap()
    }

    /// What trainit is told: a grace, and where checkpoints appear.
    pub fn settings(&self, command: &[&str]) -> [(&'static str, String); 4] {
        let torch = command.iter().any(|word| word.contains("ranks.py"));
        [
            ("TRAINIT_STOP_GRACE", GRACE.as_secs().to_string()),
            ("TRAINIT_CHECKPOINT_DIR", self.word().to_owned()),
            ("TRAINIT_CHECKPOINT_PATTERN", if torch { "ckpt-{step}.pt" } else { "ckpt-{step}.json" }.to_owned()),
            ("TRAINIT_CHECKPOINT_RESUME", "env".to_owned()),
        ]
    }

    /// The job below trainit.
    pub fn under_trainit(&self, place: Place, command: &[&str]) -> Launch {
        let launch = Launch::of(Role::Run, place, &[&["--"], command].concat());
        self.settings(command).iter().fold(launch, |launch, (name, value)| launch.env(name, value))
    }

    /// The job below another init, as PID 1.
    pub fn under(&self, init: &[&str], command: &[&str]) -> Launch {
        let mut line = Command::new(init[0]);
        line.args(&init[1..]).args(command).current_dir("/");
        Launch::with(line, Place::First)
    }

    /// What a rank saw last.
    pub fn rank(&self, rank: u32) -> Option<Rank> {
        let text = std::fs::read_to_string(self.path().join("ranks").join(rank.to_string())).ok()?;
        let seen: serde_json::Value = serde_json::from_str(&text).unwrap();
        let number = |name: &str| seen[name].as_u64().unwrap_or(0);
        Some(Rank {
            first: number("first"),
            step: number("step"),
            signals: number("signals"),
            left: seen["left"].as_bool().unwrap_or(false),
            timeout: seen["timeout"].as_str().map(str::to_owned),
        })
    }

    /// Waits until each of the ranks has made a few steps; says what the job printed when one does not.
    #[track_caller]
    pub fn wait_for_steps(&self, ranks: u32, running: &mut Running) {
        self.wait_while(ranks, |still| {
            let alive = running.is_alive();
            assert!(still && alive, "no steps: alive {alive}, stderr {:#?}", running.errors_so_far());
        });
    }

    /// Waits for those steps and asks meanwhile, with false once it took too long.
    #[track_caller]
    pub fn wait_while(&self, ranks: u32, mut goes_on: impl FnMut(bool)) {
        let begun = Instant::now();
        while !(0..ranks).all(|rank| self.rank(rank).is_some_and(|seen| seen.step >= seen.first + 3)) {
            goes_on(begun.elapsed() < PATIENCE);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The steps of the checkpoints that are there.
    pub fn checkpoints(&self) -> Vec<u64> {
        let entries = std::fs::read_dir(self.path()).unwrap().flatten();
        let step = |name: String| {
            name.strip_prefix("ckpt-")?.split_once('.')?.0.parse().ok().filter(|_| !name.ends_with(".tmp"))
        };
        entries.filter_map(|entry| step(entry.file_name().into_string().ok()?)).collect()
    }

    /// Fails unless the job was stopped with nothing lost: the newest step saved, each rank told exactly once, nobody killed, the
    /// stop code, all of it told, and nobody left.
    #[track_caller]
    pub fn assert_saved(&self, ranks: u32, finished: &Finished) {
        assert_eq!(finished.code, Some(143), "{finished:#?}");
        assert!(finished.took < GRACE, "{finished:#?}");
        self.assert_ranks_saved(ranks, &finished.err);
        self.assert_nobody_left();
    }

    /// The part of it that the ranks' notes, the checkpoints and trainit's words tell.
    #[track_caller]
    pub fn assert_ranks_saved(&self, ranks: u32, told: &str) {
        let seen: Vec<Rank> = (0..ranks).map(|rank| self.rank(rank).unwrap()).collect();
        assert!(seen.iter().all(|rank| rank.left), "a rank did not leave by itself: {seen:#?} {told}");
        assert!(seen.iter().all(|rank| rank.signals == 1), "not told exactly once: {seen:#?} {told}");
        assert_eq!(self.checkpoints(), [seen[0].step], "{told}");
        assert!(!told.contains("SIGKILL to every process"), "{told}");
        let newest = told.split("newest checkpoint ").nth(1).unwrap_or_else(|| panic!("no checkpoint is told: {told}"));
        assert!(newest.starts_with(self.word()) && newest.contains(&format!("(step {}, ", seen[0].step)), "{told}");
    }

    /// Fails if the job did save: then the way that it was stopped in is not one that loses it.
    #[track_caller]
    pub fn assert_lost(&self, told: &str) {
        assert_eq!(self.checkpoints(), [0; 0], "it was saved: {told}");
    }

    /// Every process of the job has its directory on its command line.
    #[track_caller]
    pub fn assert_nobody_left(&self) {
        look::until_true("the job's last process to go", || look::with_word(self.word()).is_empty());
    }
}

/// What a rank wrote down.
#[derive(Debug)]
pub struct Rank {
    pub first: u64,
    pub step: u64,
    pub signals: u64,
    pub left: bool,
    pub timeout: Option<String>,
}

/// One of the scripts beside this file.
pub fn script(name: &str) -> String {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "trainers", name].iter().collect();
    path.into_os_string().into_string().unwrap()
}

/// The Python that has torch. Debian's torch belongs to Debian's Python; a virtual environment's may be named instead.
pub fn torch_python() -> String {
    std::env::var("TRAINERS_PYTHON").unwrap_or_else(|_| "/usr/bin/python3".into())
}

/// Whether there is torch; if not, says so.
pub fn torch_is_here() -> bool {
    has_module(&torch_python(), "torch", "apt-get install python3-torch")
}

/// The command line of torchrun with several ranks on this node. Debian 12's torch 1.13 fails on its own default for `--redirects`
/// under Debian's Python 3.11, so both that and `--tee` are named.
pub fn torchrun(job: &Job, ranks: u32) -> Vec<String> {
    let port = free_port();
    let options = format!(
        "--nproc_per_node={ranks} --master_addr=127.0.0.1 --master_port={port} --redirects=1 --tee=1 --log_dir={}/logs",
        job.word()
    );
    let program = [torch_python(), "-m".to_owned(), "torch.distributed.run".to_owned()];
    let options = options.split(' ').map(str::to_owned);
    program.into_iter().chain(options).chain([script("ranks.py"), job.word().to_owned()]).collect()
}

/// Words as most functions want them.
pub fn words(command: &[String]) -> Vec<&str> {
    command.iter().map(String::as_str).collect()
}

/// Whether Python finds this module; if not, says how to get it.
fn has_module(python: &str, module: &str, remedy: &str) -> bool {
    let code = format!("import importlib.util, sys; sys.exit(importlib.util.find_spec({module:?}) is None)");
    let found =
        Command::new(python).args(["-c", &code]).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !found {
        crate::support::skip(&format!("{python} has no {module} ({remedy})"));
    }
    found
}
