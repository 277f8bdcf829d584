//! Paths that the workload reads: that each is a real mount, is readable by this user and holds the expected files. An engine makes an
//! empty directory for a misspelled source.

mod content;
mod empty;

use super::listing::{self, DirectoryCount};
use super::path_facts::{self, PathFacts, PathSide};
use super::progress::TaskProgress;
use super::rules::Rules;
use super::speed::Speed;
use super::step::{CheckResult, Failure, Step, Target};
use super::task::CheckTask;
use super::verify::Verified;
use super::{Check, CheckContext, FindingFacts, HostFacts, Transient, failures, links};
use crate::config::{DataPath, PathKind, Severity};
use nix::errno::Errno;
use protocol::exit_code::FailureFamily;
use std::rc::Rc;
use sys::filesystem::FilesystemClass;
use sys::mountinfo::Mount;
use sys::volume::Volume;

/// A data path and its state during the checks.
pub(super) struct DataTarget {
    site: PathFacts,
    want: DataPath,
    listing: Option<DirectoryCount>,
    verified: Option<Verified>,
    speed: Option<Speed>,
    pulse: TaskProgress,
}

const fn check(id: &'static str, passing: Transient, about: &'static str, remedy: &'static str) -> Check {
    Check { id, family: FailureFamily::Data, severity: Severity::Fail, passing, about, remedy }
}

/// The checks of this family in the order in which they run.
pub(super) const STEPS: &[Step<DataTarget>] = &[
    Step {
        check: check(
            "data.responds",
            Transient::Always,
            "the file system answers in time (5 s, network 15 s, `timeout=`)",
            "look at the mount on the host",
        ),
        base: true,
        ask: |data| data.site.responds(),
    },
    Step {
        check: check("data.exists", Transient::Never, "the path exists", "`-v SOURCE:PATH:ro`"),
        base: true,
        ask: |data| data.site.exists(true, || data.site.mount_it(true)),
    },
    Step {
        check: check(
            "data.type",
            Transient::Never,
            "the path is a directory or a file, as the options want it",
            "check the path on the host",
        ),
        base: true,
        ask: DataTarget::right_type,
    },
    Step {
        check: check(
            "data.mounted",
            Transient::Never,
            "in a container: the path is on a mount, not in the image or an anonymous volume (off with `mounted=no`)",
            "`-v SOURCE:PATH:ro`",
        ),
        base: false,
        ask: DataTarget::mounted,
    },
    Step {
        check: check(
            "data.readable",
            Transient::Depends,
            "this user can list the directory and read a file in it",
            "`--user UID:GID`, or chmod on the host",
        ),
        base: false,
        ask: DataTarget::readable,
    },
    Step {
        check: check(
            "data.empty",
            Transient::Never,
            "it is not empty: engines make an empty directory for a missing source (off with `min_files=0`)",
            "check the source's spelling; `--mount type=bind` refuses a missing one",
        ),
        base: false,
        ask: DataTarget::not_empty,
    },
    Step {
        check: check(
            "data.files",
            Transient::Never,
            "the directory has at least `min_files=` entries",
            "mount the whole data set",
        ),
        base: false,
        ask: DataTarget::enough_files,
    },
    Step {
        check: check(
            "data.contains",
            Transient::Never,
            "the names and patterns of `contains=` exist below the path",
            "mount the directory that holds them",
        ),
        base: false,
        ask: DataTarget::contains,
    },
    Step {
        check: check(
            "data.manifest",
            Transient::Depends,
            "the files are those of `manifest=`",
            "copy the data set again; make the manifest anew",
        ),
        base: false,
        ask: DataTarget::like_its_manifest,
    },
    Step {
        check: check(
            "data.speed",
            Transient::Always,
            "it can be read as fast as `min_speed=` says (64 files, 64 MiB and 3 s at most are read)",
            "copy the data set to a local disk; larger files",
        ),
        base: false,
        ask: DataTarget::fast_enough,
    },
    Step {
        check: check(
            "data.access",
            Transient::Never,
            "in a container: the mount is read-only, or as `ro` or `rw` asks (a warning, when nothing is asked)",
            "add or drop `:ro`; `rw` behind the path",
        ),
        base: false,
        ask: DataTarget::access,
    },
    Step {
        check: Check {
            severity: Severity::Warn,
            ..check(
                "data.links",
                Transient::Never,
                "links in the directory (the first 64) lead somewhere, and not into the image",
                "mount what they point to, or copy with `cp -L`",
            )
        },
        base: false,
        ask: |data| data.listing.as_ref().map_or(Ok(()), |listing| links::lead_somewhere(&data.site, &listing.links)),
    },
];

/// Plans one task for each data path.
pub(super) fn plan<'a>(context: &CheckContext, host_facts: &Rc<HostFacts>, rules: &Rules<'a>) -> Vec<CheckTask<'a>> {
    let task = |want: &DataPath| {
        let site = PathFacts::new(&want.path, &context.workdir, host_facts).given_as(&want.path, context);
        let way = site.way();
        let long = want.manifest.is_some() || want.min_speed.is_some();
        let data = DataTarget {
            site,
            want: want.clone(),
            listing: None,
            verified: None,
            speed: None,
            pulse: Box::new(|_| {}),
        };
        Some(CheckTask::of_path(STEPS, rules, data, way, want.timeout)?.apart(long))
    };
    context.settings.data.iter().filter_map(task).collect()
}

impl DataTarget {
    fn right_type(&mut self) -> CheckResult {
        let Some(meta) = self.site.metadata() else { return Ok(()) };
        let shown = &self.site.shown;
        let inside = !self.want.contains.is_empty() || self.want.manifest.is_some();
        let wants_directory = inside || self.want.min_files > 1;
        match self.want.kind {
            Some(PathKind::File) if meta.is_dir() => {
                Failure::new(format!("{shown} is a directory, and was asked to be a file"))
                    .because("for a missing file that is mounted the engine makes a directory")
                    .remedy(self.site.mount_another())
                    .advice(self.site.refuse_missing())
            }
            Some(PathKind::Dir) if !meta.is_dir() => {
                Failure::new(format!("{shown} is a file, and was asked to be a directory"))
                    .remedy(self.site.mount_another())
            }
            None if wants_directory && !meta.is_dir() => {
                Failure::new(format!("{shown} is a file, and its options ask for what is in it"))
                    .remedy(self.site.mount_another())
                    .advice("or drop the options behind the path")
            }
            _ => return Ok(()),
        }
        .found()
    }

    fn mounted(&mut self) -> CheckResult {
        if !self.want.mounted || !self.site.platform().is_container() {
            return Ok(());
        }
        let failure = match self.site.lies() {
            PathSide::InRoot(_) => {
                Failure::new(format!("{} is a directory of the image, not a mount", self.site.shown))
                    .because("the data was not mounted into this container")
            }
            PathSide::On(mount) if mount.volume() == Volume::Anonymous => {
                Failure::new(format!("{} is an anonymous volume", self.site.shown))
                    .because("the image declares a VOLUME there and nothing was mounted over it")
            }
            _ => return Ok(()),
        };
        failure
            .remedy(self.site.mount_it(true))
            .advice("`mounted=no` behind the path says that it is part of the image")
            .found()
    }

    fn readable(&mut self) -> CheckResult {
        self.site.readable()?;
        if !self.site.is_dir() {
            return Ok(());
        }
        match listing::count(&self.site.path, self.want.min_files) {
            Ok(listing) => self.listing = Some(listing),
            Err(errno) => return self.site.refused("listed", errno).found(),
        }
        self.some_file_readable()
    }

    /// Checks that one of the first few files is readable. If none is, that is systematic: mode 0600, or a squashed root.
    fn some_file_readable(&self) -> CheckResult {
        let names = self.listing.iter().flat_map(|listing| &listing.names);
        let mut refused = None;
        for name in names {
            match failures::one_byte(&self.site.path.join(name)) {
                Ok(()) => return Ok(()),
                Err(Errno::ENOENT) => {} // a broken link, or deleted since
                Err(errno) => refused = refused.or(Some((name, errno))),
            }
        }
        let Some((name, errno)) = refused else { return Ok(()) };
        let mut file = self.site.file(name);
        file.responds()?;
        file.refused("read", errno).found()
    }

    fn access(&mut self) -> CheckResult {
        // What trainit brings is sealed file by file.
        let Some(mount) = self.site.mount().filter(|_| self.want.from.is_none()) else { return Ok(()) };
        match (self.want.read_only, mount.is_read_only()) {
            (Some(true), false) => {
                Failure::new(format!("{} is writable, and was asked to be read-only", self.site.shown))
                    .because(AT_RISK)
                    .remedy(self.site.mount_it(true))
            }
            (Some(false), true) => {
                Failure::new(format!("{} is read-only, and was asked to be writable", self.site.shown))
                    .remedy(self.site.make_writable())
            }
            (None, false) if self.is_given() => Failure::new(format!("{} is writable", self.site.shown))
                .because(AT_RISK)
                .remedy(self.site.mount_it(true))
                .advice("`rw` behind the path says that it is meant so")
                .level(Some(Severity::Warn)),
            _ => return Ok(()),
        }
        .found()
    }

    /// Returns whether the path was mounted into a container from outside, and is not a copy that ends with the container.
    fn is_given(&self) -> bool {
        let given = |mount: &Mount| mount.class() != Some(FilesystemClass::Memory) && !path_facts::is_scratch(mount);
        self.site.platform().is_container() && matches!(self.site.lies(), PathSide::On(mount) if given(mount))
    }
}

/// The reason to mount data read-only.
const AT_RISK: &str = "a mistake in the job could change or delete the data set";

impl Target for DataTarget {
    const MAIN: &'static str = "data.readable";

    fn name(&self) -> Option<String> {
        Some(self.site.shown.clone())
    }

    fn summary(&mut self) -> Option<String> {
        let content = match (&self.listing, self.site.metadata()) {
            (Some(listing), _) => format!(", {}", listing.described()),
            (None, Some(meta)) if meta.is_file() => format!(", a file of {}", text::size(meta.len())),
            _ => String::new(),
        };
        let verified = self.verified.as_ref().map(|verified| format!(", {}", verified.described())).unwrap_or_default();
        let speed = self.speed.map(|speed| format!(", {}", speed.described())).unwrap_or_default();
        Some(format!("{}: {}{content}{verified}{speed}", self.site.shown, self.site.described()))
    }

    fn facts(&self) -> FindingFacts {
        let mut facts = self.site.facts();
        if let Some(listing) = &self.listing {
            facts.insert("entries".to_owned(), listing.entries.into());
            facts.insert("more".to_owned(), listing.more.into());
        }
        let speed = self.speed.and_then(|speed| speed.bytes_per_second());
        facts.extend(speed.map(|bytes| ("bytes_per_second".to_owned(), bytes.into())));
        if let Some(verified) = &self.verified {
            facts.insert("verified_files".to_owned(), verified.files.into());
            facts.insert("hashed_files".to_owned(), verified.hashed.into());
        }
        facts
    }

    fn speaks_with(&mut self, pulse: TaskProgress) {
        self.pulse = pulse;
    }
}
