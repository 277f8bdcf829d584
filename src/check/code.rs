//! The code directory, its commit, and the entry file. The directory may be baked into the image or mounted. Without `code.path` and
//! `code.entry` it is only the workload's working directory, and few checks apply.

use super::dirty::GitStatus;
use super::entry::EntryFile;
use super::path_facts::{PathFacts, PathSide};
use super::provenance::{Commit, ProvenanceInput};
use super::rules::Rules;
use super::step::{CheckResult, Failure, Step, Target};
use super::task::CheckTask;
use super::{Change, Check, CheckContext, FindingFacts, HostFacts, Remedy, Transient};
use crate::code::is_missing;
use crate::config::Severity;
use protocol::exit_code::FailureFamily;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use sys::environment::Environment;

/// The code directory and its state during the checks.
pub(super) struct CodeTarget {
    site: PathFacts,
    /// The directory in which the command starts.
    workdir: PathBuf,
    entry: Option<EntryFile>,
    configured: bool,
    /// The commit that is checked out; `None` before it is read, or if no key asks for it.
    commit: Option<Commit>,
    given: ProvenanceInput,
    environment: Environment,
    /// What git reports about changed files; `None` if no key asks for it.
    work: Option<GitStatus>,
}

const fn check(id: &'static str, passing: Transient, about: &'static str, remedy: &'static str) -> Check {
    Check { id, family: FailureFamily::Code, severity: Severity::Fail, passing, about, remedy }
}

/// The checks of this family in the order in which they run.
pub(super) const STEPS: &[Step<CodeTarget>] = &[
    Step {
        check: check(
            "code.responds",
            Transient::Always,
            "the file system answers in time (5 s, network 15 s)",
            "look at the mount on the host",
        ),
        base: true,
        ask: |code| code.site.responds(),
    },
    Step {
        check: check("code.exists", Transient::Never, "the directory exists", "`-v SOURCE:PATH`, or set `code.path`"),
        base: true,
        ask: CodeTarget::exists,
    },
    Step {
        check: check(
            "code.readable",
            Transient::Depends,
            "this user can list the directory",
            "`--user UID:GID`, or chmod",
        ),
        base: false,
        ask: |code| code.site.readable(),
    },
    Step {
        check: check(
            "code.empty",
            Transient::Never,
            "a mounted code directory is not empty (a warning, unless `code.path` or `code.entry` is set)",
            "check the source's spelling; `--mount type=bind` refuses a missing one",
        ),
        base: false,
        ask: CodeTarget::not_empty,
    },
    Step {
        check: Check {
            severity: Severity::Off,
            ..check(
                "code.git",
                Transient::Never,
                "the commit is known. Off: it need not be",
                "mount the whole repository, or `TRAINIT_CODE_COMMIT=…`",
            )
        },
        base: false,
        ask: CodeTarget::commit_known,
    },
    Step {
        check: Check {
            severity: Severity::Off,
            ..check(
                DIRTY,
                Transient::Never,
                "no file differs from the commit, as the image's git says. Off: git is not asked",
                "`git commit`, or `git stash`",
            )
        },
        base: false,
        ask: CodeTarget::all_committed,
    },
    Step {
        check: check(
            "code.entry",
            Transient::Depends,
            "`code.entry`, or the script that the command names, can be started (what cannot be executed: 126 or 127)",
            "set `code.entry`; chmod +x, Unix line ends, its interpreter",
        ),
        base: false,
        ask: CodeTarget::entry,
    },
];

const DIRTY: &str = "code.dirty";

/// Plans one task, unless the code directory is only the root directory.
pub(super) fn plan<'a>(context: &CheckContext, host_facts: &Rc<HostFacts>, rules: &Rules<'a>) -> Vec<CheckTask<'a>> {
    let (code, workdir) = (&context.code, &context.workdir);
    // A start brings it first, and then looks at it.
    if is_missing(&context.settings, code) {
        return Vec::new();
    }
    let set = context.settings.code_entry.as_ref();
    let entry = set.map(|entry| EntryFile::configured(entry, code, workdir, &context.command));
    let configured = entry.is_some() || context.settings.code_path.is_some();
    let entry = entry.or_else(|| EntryFile::named(&context.command, workdir));
    let site = PathFacts::new(code, workdir, host_facts).given_as(code.strip_prefix(workdir).unwrap_or(code), context);
    if entry.is_none() && !configured && site.path == Path::new("/") {
        return Vec::new();
    }
    let way = site.way();
    let given = ProvenanceInput::of(context, rules.forbids("code.git"));
    let environment = context.environment.clone();
    let workdir = workdir.clone();
    let code = CodeTarget { site, workdir, entry, configured, commit: None, given, environment, work: None };
    // git may have to read every file, so this task may take long.
    let long = STEPS.iter().any(|step| step.check.id == DIRTY && rules.wants(&step.check));
    CheckTask::of_path(STEPS, rules, code, way, None).map(|task| task.apart(long)).into_iter().collect()
}

impl CodeTarget {
    fn exists(&mut self) -> CheckResult {
        self.site.exists(false, || self.site.mount_it(false))?;
        match self.site.metadata() {
            Some(meta) if !meta.is_dir() => Failure::new(format!("{} is a file, not a directory", self.site.shown))
                .remedy(self.site.mount_another())
                .found(),
            _ => {
                self.commit = self.given.look(&self.site.path);
                Ok(())
            }
        }
    }

    fn commit_known(&mut self) -> CheckResult {
        self.commit.as_ref().map_or(Ok(()), |commit| commit.known(&self.site))
    }

    /// Checks that every file is committed. Without a repository there is nothing to compare.
    fn all_committed(&mut self) -> CheckResult {
        let Some(repository) = self.commit.as_ref().and_then(Commit::repository) else { return Ok(()) };
        let work = GitStatus::of(repository, &self.environment);
        let answer = work.committed(&self.site);
        self.work = Some(work);
        answer
    }

    fn not_empty(&mut self) -> CheckResult {
        if !self.site.is_mount_root() {
            return Ok(());
        }
        match super::listing::count(&self.site.path, 1) {
            Ok(listing) if listing.entries > 0 => return Ok(()),
            Ok(_) => {}
            Err(errno) => return self.site.refused("listed", errno).found(),
        }
        Failure::new(format!("{} is mounted, but empty", self.site.shown))
            .because("for a misspelled source the engine makes an empty directory")
            .remedy(self.site.mount_it(false))
            .advice(self.site.refuse_missing())
            .level(if self.configured { None } else { Some(Severity::Warn) })
            .found()
    }

    fn entry(&mut self) -> CheckResult {
        let Some(entry) = &self.entry else { return Ok(()) };
        entry.check(self.site.file(entry.path.as_os_str()), || self.names_instead())
    }

    /// Suggests another working directory if the file is in the code directory or in a mount, a file of a similar name, a mount if the code
    /// directory is empty, else existing files.
    fn names_instead(&self) -> Remedy {
        let (shown, contained) = (&self.site.shown, self.site.platform().is_container());
        if let Some(workdir) = self.other_workdir() {
            return Remedy::Start(Change::Workdir(workdir));
        }
        if let Some(change) = self.entry.as_ref().and_then(|entry| entry.meant(&self.workdir, &self.site.path)) {
            return Remedy::Start(change);
        }
        let listing = super::listing::count(&self.site.path, 1).unwrap_or_default();
        match listing.entries {
            0 if contained && self.site.path != Path::new("/") => self.site.mount_it(false),
            0 => Remedy::Do(format!("{shown} is empty: put the code there")),
            _ => Remedy::Do(format!("what is in {shown}: {}", listing.shown_names())),
        }
    }

    /// Returns the code directory, or a mounted directory, if the command's file is there, and not in the working directory.
    fn other_workdir(&self) -> Option<String> {
        let relative = self.entry.as_ref()?.path.strip_prefix(&self.workdir).ok()?;
        let mounted = if self.site.platform().is_container() { self.site.mounted_directories() } else { Vec::new() };
        let mut directories = std::iter::once(self.site.path.clone()).chain(mounted);
        let found = directories.find(|directory| *directory != self.workdir && directory.join(relative).is_file())?;
        found.into_os_string().into_string().ok()
    }
}

impl Target for CodeTarget {
    const MAIN: &'static str = "code.readable";

    fn name(&self) -> Option<String> {
        Some(self.site.shown.clone())
    }

    /// Returns no line for a directory that no key names and that belongs to the image or the machine, unless it has a commit.
    fn summary(&mut self) -> Option<String> {
        let named =
            self.configured || (self.site.platform().is_container() && matches!(self.site.lies(), PathSide::On(_)));
        let commit = self.commit.as_ref().and_then(Commit::words);
        let entry = self.entry.as_ref().and_then(|entry| entry.shown(&self.site.path));
        let also: String = [entry, commit.clone()].into_iter().flatten().map(|words| format!(", {words}")).collect();
        (named || commit.is_some()).then(|| format!("{}: {}{also}", self.site.shown, self.site.described()))
    }

    fn facts(&self) -> FindingFacts {
        let mut facts = self.site.facts();
        facts.extend(self.commit.iter().flat_map(Commit::facts));
        let dirty = self.work.as_ref().and_then(GitStatus::is_changed);
        facts.extend(dirty.map(|dirty| ("dirty".to_owned(), dirty.into())));
        facts
    }
}
