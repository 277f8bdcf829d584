//! The directories for temporary files and caches: the temporary directory and HOME. Each is tested by writing as the workload's user.
//! They share a task with the machine's checks, unless one of them lies on a file system that may hang.

use super::check;
use crate::check::listing::PROBE;
use crate::check::path_facts::PathFacts;
use crate::check::rules::Rules;
use crate::check::step::{CheckResult, Failure, Step, Target};
use crate::check::task::{CheckTask, PathClass};
use crate::check::{Change, CheckContext, FindingFacts, HostFacts, Remedy, failures};
use nix::errno::Errno;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;
use sys::mountinfo;

/// Variables that name the caches of kernel compilers outside HOME and the temporary directory.
const CACHES: [&str; 2] = ["TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR"];
/// Longest wait: a warning is worth no more of a start's time, however slow HOME is.
const PATIENCE: Duration = Duration::from_secs(5);
/// The bytes of the test: one page, so that a full disk or a quota is noticed.
const PAGE: [u8; 4096] = [0; 4096];

/// Both directories and their state during the checks.
pub(crate) struct ScratchTarget {
    temporary: PathFacts,
    home: Option<PathFacts>,
    /// The directory that may have to be waited for.
    far: Option<String>,
    host_facts: Rc<HostFacts>,
    /// The directories that built code is loaded from.
    built: Vec<PathBuf>,
}

/// The checks in the order in which they run.
pub(crate) const STEPS: &[Step<ScratchTarget>] = &[
    Step {
        check: check(
            "host.tmp",
            "this user can write to the temporary directory (TMPDIR, else /tmp)",
            "`--tmpfs /tmp:exec`, or `-e TMPDIR=…`",
        ),
        base: false,
        ask: |scratch| {
            usable(&scratch.temporary, "programs and libraries need a place for temporary files", |path| {
                Change::Scratch { target: path.to_owned() }
            })
        },
    },
    Step {
        check: check("host.home", "this user can write to HOME", "`-e HOME=/tmp/home`, or mount one"),
        base: false,
        ask: |scratch| {
            let because = "caches and settings go there: Hugging Face, Triton, Matplotlib, pip";
            scratch.home.as_ref().map_or(Ok(()), |home| usable(home, because, |_| variable("HOME", "/tmp/home")))
        },
    },
    Step {
        check: check(
            "host.noexec",
            "TMPDIR, HOME and the caches of Triton and Inductor are not mounted noexec",
            "`--tmpfs /tmp:exec`",
        ),
        base: false,
        ask: ScratchTarget::loadable,
    },
];

/// Plans one task; it gets a process of its own only if it may have to wait.
pub(crate) fn plan<'a>(context: &CheckContext, host_facts: &Rc<HostFacts>, rules: &Rules<'a>) -> Vec<CheckTask<'a>> {
    let directory = |name: &str| context.environment.get(name).map(PathBuf::from);
    let site = |path: &Path| PathFacts::new(path, &context.workdir, host_facts);
    let (temporary, home) = (directory("TMPDIR").unwrap_or_else(|| "/tmp".into()), directory("HOME"));
    let built = [Some(temporary.clone()), home.clone()].into_iter().chain(CACHES.map(directory)).flatten();
    let mut scratch = ScratchTarget {
        temporary: site(&temporary),
        home: home.filter(|home| *home != temporary).as_deref().map(site),
        far: None,
        host_facts: Rc::clone(host_facts),
        built: built.map(|path| context.workdir.join(path)).collect(),
    };
    let task = match scratch.far() {
        Some((shown, way)) => {
            scratch.far = Some(shown);
            CheckTask::of_path(STEPS, rules, scratch, way, Some(PATIENCE))
        }
        None => CheckTask::of_machine(STEPS, rules, scratch),
    };
    task.into_iter().collect()
}

/// Checks that this user can write to a directory.
fn usable(site: &PathFacts, because: &str, change: fn(&str) -> Change) -> CheckResult {
    let Err(errno) = write_to(&site.path) else { return Ok(()) };
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    let what = match errno {
        Errno::ENOENT => format!("{} does not exist", site.shown),
        Errno::ENOSPC | Errno::EDQUOT => format!("{} is full: not even a page can be written", site.shown),
        _ => format!("{} cannot be written as {uid}:{gid}: {}", site.shown, protocol::errno::words(errno)),
    };
    let remedy = match site.platform().is_container() {
        true => Remedy::Start(change(&site.path.to_string_lossy())),
        false => Remedy::Do("another directory (TMPDIR, HOME), or its permissions".to_owned()),
    };
    Failure::new(what).because(because).remedy(remedy).found()
}

fn variable(name: &str, value: &str) -> Change {
    Change::Env { name: name.to_owned(), value: Some(value.to_owned()) }
}

/// Writes a page to a file without a name.
fn write_to(directory: &Path) -> Result<(), Errno> {
    let written = temporary::unnamed(directory, PROBE).and_then(|mut file| file.write_all(&PAGE));
    written.map_err(failures::errno)
}

impl ScratchTarget {
    fn far(&self) -> Option<(String, PathClass)> {
        let sites = std::iter::once(&self.temporary).chain(&self.home);
        sites.map(|site| (site.shown.clone(), site.way())).find(|(_, way)| way.far)
    }

    fn loadable(&mut self) -> CheckResult {
        let noexec = |path: &&PathBuf| {
            mountinfo::covering(self.host_facts.mounts(), path).is_some_and(|mount| mount.is_noexec())
        };
        let Some(path) = self.built.iter().find(noexec) else { return Ok(()) };
        let shown = text::path(path);
        // A home in /dev/shm was made because /tmp is not writable.
        let better = if path.starts_with("/dev/shm") { "/tmp".into() } else { path.to_string_lossy() };
        let remedy = match self.temporary.platform().is_container() {
            true => Remedy::Start(Change::Scratch { target: better.into_owned() }),
            false => Remedy::Do(format!("mount -o remount,exec {shown}")),
        };
        Failure::new(format!("{shown} is mounted noexec"))
            .because("what Triton, torch.compile and extensions build there cannot be loaded: `failed to map segment from shared object`")
            .remedy(remedy)
            .advice("or a cache elsewhere (TRITON_CACHE_DIR, TORCHINDUCTOR_CACHE_DIR)")
            .found()
    }
}

impl Target for ScratchTarget {
    const MAIN: &'static str = "host.tmp";

    fn name(&self) -> Option<String> {
        self.far.clone()
    }

    /// Returns nothing: enough room is not worth a line.
    fn summary(&mut self) -> Option<String> {
        None
    }

    fn facts(&self) -> FindingFacts {
        FindingFacts::new()
    }
}
