//! Paths that the workload writes: each must be writable by this user (tested by writing), have room, and outlive the container. `space`
//! checks the room.

use super::listing::PROBE as PROBE_NAME;
use super::path_facts::{self, PathFacts, PathSide};
use super::rules::Rules;
use super::space::{self, FreeSpace};
use super::step::{CheckResult, Failure, Step, Target};
use super::task::CheckTask;
use super::{Check, CheckContext, FindingFacts, HostFacts, Transient, failures};
use crate::config::{OutputPath, Severity};
use crate::engine::Platform;
use nix::errno::Errno;
use protocol::exit_code::FailureFamily;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, SystemTime};
use sys::filesystem::FilesystemClass;
use sys::mountinfo::{self, Mount};
use sys::volume::Volume;
use tempfile::Builder;

/// Difference below which clocks count as synchronised.
const SKEW: Duration = Duration::from_secs(5);
/// Difference above which a time stamp is not a clock's.
const LONG_AGO: Duration = Duration::from_secs(365 * 24 * 3600);
/// The bytes of the test: one page, so that a quota and a full disk are noticed.
const PROBE: [u8; 4096] = [0; 4096];

/// An output path and its state during the checks.
pub(super) struct OutputTarget {
    site: PathFacts,
    want: OutputPath,
    room: FreeSpace,
    /// Whether the test file was written.
    tried: bool,
    /// What the store could not do with the test file, if that was tried.
    unable: Option<Unable>,
    /// Difference between this clock and the clock of the machine that keeps the files.
    skew: Option<Duration>,
}

const fn check(id: &'static str, passing: Transient, about: &'static str, remedy: &'static str) -> Check {
    Check { id, family: FailureFamily::Output, severity: Severity::Fail, passing, about, remedy }
}

/// Whether checkpoints can take their final names.
const RENAME: Step<OutputTarget> = Step {
    check: Check {
        severity: Severity::Warn,
        ..check(
            "output.rename",
            Transient::Never,
            "files can be renamed and overwritten, as trainers do with checkpoints; also in `checkpoint.dir`",
            "write to a disk or a share, and copy from there",
        )
    },
    base: false,
    ask: OutputTarget::renames,
};

/// What is asked of `checkpoint.dir`, which a trainer may make.
const CHECKPOINT_STEPS: &[Step<OutputTarget>] = &[RENAME];

/// The checks of this family in the order in which they run.
pub(super) const STEPS: &[Step<OutputTarget>] = &[
    Step {
        check: check(
            "output.responds",
            Transient::Always,
            "the file system answers in time (5 s, network 15 s, `timeout=`)",
            "look at the mount on the host",
        ),
        base: true,
        ask: |output| output.site.responds(),
    },
    Step {
        check: check("output.exists", Transient::Never, "the path exists and is a directory", "`-v SOURCE:PATH`"),
        base: true,
        ask: OutputTarget::exists,
    },
    Step {
        check: Check {
            severity: Severity::Warn,
            ..check(
                "output.mounted",
                Transient::Never,
                "in a container: the path is on a mount that outlives it (a failure with `mounted=yes`, off with `mounted=no`)",
                "`-v SOURCE:PATH`",
            )
        },
        base: false,
        ask: OutputTarget::mounted,
    },
    Step {
        check: check(
            "output.writable",
            Transient::Depends,
            "this user can create, write and delete a file (in object stores only with `probe=yes`)",
            "`-v SOURCE:PATH` without `:ro`; `--user UID:GID`",
        ),
        base: false,
        ask: OutputTarget::writable,
    },
    RENAME,
    Step {
        check: Check {
            severity: Severity::Warn,
            ..check(
                "output.clock",
                Transient::Always,
                "a file on another machine gets this machine's time, within 5 s",
                "set the clocks (chrony, ntpd)",
            )
        },
        base: false,
        ask: OutputTarget::same_clock,
    },
    Step {
        check: check(
            "output.free",
            Transient::Always,
            "`min_free=` is free (a warning below 1 GiB, and below 10 GiB of a disk that is nearly full)",
            "free some, or mount more",
        ),
        base: false,
        ask: |output| space::free(&output.site, &output.room, output.want.min_free),
    },
    Step {
        check: Check {
            severity: Severity::Warn,
            ..check(
                "output.inodes",
                Transient::Always,
                "at least 1000 more files can be made",
                "delete some, or mount another directory",
            )
        },
        base: false,
        ask: |output| space::inodes(&output.site, &output.room),
    },
    Step {
        check: check(
            "output.allocate",
            Transient::Always,
            "`allocate=` can be allocated (and is given back): quotas show only then",
            "raise the quota, or free some space",
        ),
        base: false,
        ask: |output| space::allocate(&output.site, output.want.allocate),
    },
];

/// Something that a store cannot do with a file: the word for it, and the error.
type Unable = (&'static str, Errno);

/// Plans one task for each output path, and one for `checkpoint.dir` on a store that cannot rename files.
pub(super) fn plan<'a>(context: &CheckContext, host_facts: &Rc<HostFacts>, rules: &Rules<'a>) -> Vec<CheckTask<'a>> {
    let target = |want: &OutputPath| {
        let site = PathFacts::new(&want.path, &context.workdir, host_facts).given_as(&want.path, context);
        OutputTarget { site, want: want.clone(), room: FreeSpace::default(), tried: false, unable: None, skew: None }
    };
    let task = |steps, output: OutputTarget| {
        let (way, timeout) = (output.site.way(), output.want.timeout);
        CheckTask::of_path(steps, rules, output, way, timeout)
    };
    let outputs = context.settings.output.iter().map(|want| (STEPS, target(want)));
    let store = |path: &PathBuf| mountinfo::covering(&context.mounts, &context.workdir.join(path));
    let stores = context.settings.checkpoint_dir.iter().filter_map(store).filter(|mount| is_write_once(mount));
    let checkpoints = stores.map(|mount| target(&of_checkpoints(mount.path())));
    outputs
        .chain(checkpoints.map(|output| (CHECKPOINT_STEPS, output)))
        .filter_map(|(steps, output)| task(steps, output))
        .collect()
}

/// Returns what is wanted of the store that `checkpoint.dir` lies on: nothing but what it can do.
fn of_checkpoints(path: &Path) -> OutputPath {
    OutputPath { path: path.to_owned(), mounted: None, min_free: None, allocate: None, probe: None, timeout: None }
}

fn is_write_once(mount: &Mount) -> bool {
    FilesystemClass::is_write_once(mount.kind(), mount.source())
}

impl OutputTarget {
    fn exists(&mut self) -> CheckResult {
        let make = || match self.site.platform() == Platform::Host || self.site.is_below_mount() {
            true => self.site.by_command(|path| format!("mkdir -p {path}")),
            false => self.site.mount_it(false),
        };
        self.site.exists(false, make)?;
        match self.site.metadata() {
            Some(meta) if !meta.is_dir() => Failure::new(format!("{} is a file, not a directory", self.site.shown))
                .remedy(self.site.mount_another())
                .found(),
            _ => {
                self.room = FreeSpace::of(&self.site.path);
                Ok(())
            }
        }
    }

    fn mounted(&mut self) -> CheckResult {
        if self.want.mounted == Some(false) || !self.site.platform().is_container() {
            return Ok(());
        }
        let kind = match self.site.lies() {
            PathSide::InRoot(_) => "a directory of the image, not a mount",
            PathSide::On(mount) if mount.volume() == Volume::Anonymous => "an anonymous volume, not a mount of yours",
            PathSide::On(mount) if mount.class() == Some(FilesystemClass::Memory) => "in memory (tmpfs)",
            PathSide::On(mount) if path_facts::is_scratch(mount) => "an emptyDir, which ends with the pod",
            _ => return Ok(()),
        };
        let demanded = self.want.mounted.map(|_| Severity::Fail);
        Failure::new(format!("{} is {kind}", self.site.shown))
            .because("checkpoints are lost with the container")
            .remedy(self.site.mount_it(false))
            .level(demanded)
            .found()
    }

    fn writable(&mut self) -> CheckResult {
        let class = self.site.class();
        // An object store may charge for the test file, and may forbid its deletion.
        self.tried = self.want.probe.unwrap_or(class != Some(FilesystemClass::Object));
        if !self.tried {
            return match self.site.mount() {
                Some(mount) if mount.is_read_only() => self.read_only().found(),
                _ => Ok(()),
            };
        }
        let begun = SystemTime::now();
        let is_fuse = self.site.mount().is_some_and(Mount::is_fuse);
        match write_probe(&self.site.path, class.is_none_or(FilesystemClass::is_far), is_fuse) {
            Ok((stamped, unable)) => {
                self.unable = unable;
                self.skew = stamped.map(|stamped| skew(stamped, begun, SystemTime::now()));
                Ok(())
            }
            Err(Errno::EROFS) => self.read_only().found(),
            Err(Errno::ENOSPC | Errno::EDQUOT) => self.full().found(),
            Err(errno) => self.site.refused("written", errno).found(),
        }
    }

    /// Warns of a store on which checkpoints cannot take their final name. Trainers write under another name first, and rename.
    fn renames(&mut self) -> CheckResult {
        let Some(mount) = self.site.mount() else { return Ok(()) };
        let (shown, store) = (&self.site.shown, text::masked(&text::bytes(mount.source())));
        let what = match self.unable {
            Some((deed, errno)) => {
                format!("{shown}: files cannot be {deed} there ({store}): {}", protocol::errno::words(errno))
            }
            None if self.tried || !is_write_once(mount) => return Ok(()),
            None => format!("{shown}: {store} cannot rename files, and by default neither overwrites nor deletes any"),
        };
        Failure::new(what)
            .because("Lightning, Hugging Face's Trainer and Orbax write a checkpoint under another name and rename it: the first save fails")
            .advice("write to a disk or a share and copy from there; torch.save to a new name works with Mountpoint, or S3's own writer (s3torchconnector)")
            .found()
    }

    fn same_clock(&mut self) -> CheckResult {
        // A file system without time stamps reports a time long ago.
        let Some(skew) = self.skew.filter(|skew| *skew > SKEW && *skew < LONG_AGO) else { return Ok(()) };
        let what = format!("{}: its server's clock differs by {}", self.site.shown, text::seconds(skew));
        Failure::new(what)
            .because("the newest checkpoint is told by its time, make and caches compare times, and TLS and tokens fail by them")
            .advice("set the clocks (chrony, ntpd)")
            .found()
    }

    fn read_only(&self) -> Failure {
        let shown = &self.site.shown;
        match self.site.lies() {
            PathSide::InRoot(_) if self.site.platform().is_container() => {
                Failure::new(format!("{shown} cannot be written: the container's root is read-only"))
                    .because("nothing is mounted there")
            }
            PathSide::On(mount) if !mount.is_read_only() => Failure::new(format!("{shown} is exported read-only")),
            _ => Failure::new(format!("{shown} is mounted read-only")),
        }
        .remedy(self.site.make_writable())
    }

    fn full(&self) -> Failure {
        let (what, because) = match (self.room.inodes, self.room.free) {
            (Some(0), _) => ("has no inodes left", "no further file can be made, whatever space is free"),
            (_, Some(free)) if free > 1 << 20 => ("is full for this user", "a quota is used up"),
            _ => ("is full", "not even a page can be written"),
        };
        Failure::new(format!("{} {what}", self.site.shown))
            .because(because)
            .advice("free some space, or mount another directory")
            .passing(true)
    }
}

/// Creates, writes, closes and deletes a file; with `changes` the file is overwritten and renamed before, and what the store cannot do of
/// that is returned. A network file system reports a full disk or a quota only at the sync or the close. A local file system reports it at
/// the write, and a sync would only wait for the disk.
fn write_probe(directory: &Path, sync: bool, changes: bool) -> Result<(Option<SystemTime>, Option<Unable>), Errno> {
    // For writing only: a file system of a store may refuse to do both.
    let open = |path: &Path| File::options().write(true).create_new(true).mode(0o600).open(path);
    let made = Builder::new().prefix(PROBE_NAME).make_in(directory, open);
    let (mut file, name) = made.map_err(failures::errno)?.into_parts();
    let written = file.write_all(&PROBE).and_then(|()| if sync { file.sync_all() } else { Ok(()) });
    let stamped = if sync { file.metadata().and_then(|meta| meta.modified()).ok() } else { None };
    let closed = nix::unistd::close(file);
    let unable = if changes { overwritten(&name).or_else(|| renamed(&name)) } else { None };
    // A store that forbids deletion still is writable.
    let _ = name.close();
    written.map_err(failures::errno).or_else(unsupported).and(closed).map(|()| (stamped, unable))
}

/// Overwrites a file, as trainers do with the newest checkpoint's name.
fn overwritten(name: &Path) -> Option<Unable> {
    let write = |mut file: File| file.write_all(&PROBE);
    let tried = File::options().write(true).truncate(true).open(name).and_then(write);
    // A file system without an own answer to truncate(2) may still overwrite.
    cannot("overwritten", tried).filter(|(_, errno)| *errno != Errno::ENOSYS)
}

/// Renames a file and deletes it.
fn renamed(name: &Path) -> Option<Unable> {
    let mut other = name.as_os_str().to_owned();
    other.push("-renamed");
    let moved = std::fs::rename(name, &other);
    if moved.is_ok() {
        let _ = std::fs::remove_file(&other);
    }
    cannot("renamed", moved)
}

/// Returns only errors of a store that cannot do something.
fn cannot(deed: &'static str, tried: io::Result<()>) -> Option<Unable> {
    let errno = failures::errno(tried.err()?);
    let is_of_stores = matches!(errno, Errno::ENOSYS | Errno::EPERM | Errno::EOPNOTSUPP | Errno::EXDEV | Errno::EINVAL);
    is_of_stores.then_some((deed, errno))
}

/// Returns the difference between a time stamp and this clock, if the stamp was taken after `begun`.
fn skew(stamped: SystemTime, begun: SystemTime, now: SystemTime) -> Duration {
    let (early, late) = (begun.duration_since(stamped), stamped.duration_since(now));
    early.or(late).unwrap_or_default()
}

/// Ignores the error of a file system that cannot sync.
fn unsupported(errno: Errno) -> Result<(), Errno> {
    if matches!(errno, Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) { Ok(()) } else { Err(errno) }
}

impl Target for OutputTarget {
    const MAIN: &'static str = "output.writable";

    fn name(&self) -> Option<String> {
        Some(self.site.shown.clone())
    }

    fn summary(&mut self) -> Option<String> {
        let free = self.room.free.map(|free| format!(", {} free", text::size(free))).unwrap_or_default();
        let untried = if self.tried { "" } else { ", not tried by writing" };
        Some(format!("{}: {}{free}{untried}", self.site.shown, self.site.described()))
    }

    fn facts(&self) -> FindingFacts {
        let mut facts = self.site.facts();
        facts.extend(self.room.free.map(|free| ("free_bytes".to_owned(), free.into())));
        facts.extend(self.room.inodes.map(|inodes| ("free_inodes".to_owned(), inodes.into())));
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_clock_is_early_late_or_right() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let skew = |stamped| skew(at(stamped), at(100), at(103)).as_secs();
        assert_eq!([skew(40), skew(100), skew(102), skew(103), skew(163)], [60, 0, 0, 0, 60]);
    }

    #[test]
    fn what_is_written_near_has_no_time_of_another_machine() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(write_probe(place.path(), false, true), Ok((None, None)));
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
        let (begun, stamped) = (SystemTime::now(), write_probe(place.path(), true, false).unwrap().0.unwrap());
        assert!(skew(stamped, begun, SystemTime::now()) < SKEW);
    }
}
