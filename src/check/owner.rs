//! The owners of the mounted directories if root stays root: new files there belong to root, also on the host.

use super::path_facts::PathFacts;
use super::rules::Rules;
use super::step::{CheckResult, Failure, Step, Target};
use super::task::CheckTask;
use super::{Change, Check, CheckContext, FindingFacts, HostFacts, Remedy, Transient};
use crate::config::Severity;
use protocol::exit_code::FailureFamily;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use sys::Root;
use sys::credentials::{self, UNMAPPED};
use sys::mountinfo::Mount;

/// A mounted directory and its owner.
pub(super) struct Owned {
    site: PathFacts,
    code: bool,
    root: Root,
}

/// The checks of the family `user` that examine directories.
pub(super) const STEPS: &[Step<Owned>] = &[Step {
    check: Check {
        id: "user.owner_mismatch",
        family: FailureFamily::User,
        severity: Severity::Warn,
        passing: Transient::Never,
        about: "in a container, when root runs: mounted code and output directories are root's (not on network file systems, shares of a virtual machine, or in a user namespace)",
        remedy: "`user: owner` (`TRAINIT_USER=owner`), or `--user UID:GID`",
    },
    base: false,
    ask: Owned::is_roots,
}];

/// Plans one task for each writable directory that a user of this machine mounted.
pub(super) fn plan<'a>(context: &CheckContext, host_facts: &Rc<HostFacts>, rules: &Rules<'a>) -> Vec<CheckTask<'a>> {
    if credentials::own_uid() != 0 || !host_facts.platform().is_container() {
        return Vec::new();
    }
    let outputs = context.settings.output.iter().map(|output| context.workdir.join(&output.path));
    let mut paths: Vec<PathBuf> = std::iter::once(context.code.clone()).chain(outputs).collect();
    paths.dedup();
    paths.iter().filter_map(|path| task(path, *path == context.code, context, host_facts, rules)).collect()
}

fn task<'a>(
    path: &Path,
    code: bool,
    context: &CheckContext,
    host_facts: &Rc<HostFacts>,
    rules: &Rules<'a>,
) -> Option<CheckTask<'a>> {
    let site = PathFacts::new(path, &context.workdir, host_facts);
    site.seems_on().filter(|mount| is_a_persons(mount))?;
    let way = site.way();
    CheckTask::of_path(STEPS, rules, Owned { site, code, root: context.root.clone() }, way, None)
}

/// Returns whether a mount is a writable directory of this machine's disks.
fn is_a_persons(mount: &Mount) -> bool {
    mount.point() != b"/" && !mount.is_far() && !mount.is_read_only()
}

impl Owned {
    fn is_roots(&mut self) -> CheckResult {
        let Ok(meta) = std::fs::metadata(&self.site.path) else { return Ok(()) };
        let (uid, gid) = (meta.uid(), meta.gid());
        let fenced = || self.root.read("/proc/self/uid_map").is_ok_and(|map| !credentials::is_whole(&map));
        if [0, UNMAPPED].contains(&uid) || fenced() {
            return Ok(());
        }
        let become_it = match self.code {
            true => "TRAINIT_USER=owner: trainit becomes the owner before anything else".to_owned(),
            false => format!("TRAINIT_USER={uid}:{gid}: trainit becomes the owner before anything else"),
        };
        Failure::new(format!("{} belongs to {uid}:{gid}, and root runs here", self.site.shown))
            .because("new files in it will be root's on the host, too, where their owner cannot change them")
            .advice(become_it)
            .remedy(Remedy::Start(Change::User { uid, gid }))
            .found()
    }
}

impl Target for Owned {
    const MAIN: &'static str = "user.owner_mismatch";

    fn name(&self) -> Option<String> {
        Some(self.site.shown.clone())
    }

    fn summary(&mut self) -> Option<String> {
        None
    }

    fn facts(&self) -> FindingFacts {
        FindingFacts::new()
    }
}
