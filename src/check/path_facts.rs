//! A user's path: what it is, and on which mount it lies. Everything here may hang, so it happens only in a process that can be
//! killed. The steps that all families of paths share are here, too.

use super::failures::{self, AccessDenied};
use super::step::{CheckResult, Failure};
use super::task::PathClass;
use super::{Change, FindingFacts, HostFacts, Remedy};
use crate::engine::Platform;
use crate::identity::CodeOwner;
use nix::errno::Errno;
use std::cell::OnceCell;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use sys::filesystem::FilesystemClass;
use sys::mountinfo::{self, Mount};
use sys::volume::Volume;
use sys::{reach, stat};

/// A path and what is known of it so far.
pub struct PathFacts {
    /// As configured, made absolute.
    pub path: PathBuf,
    /// As it is shown.
    pub shown: String,
    host_facts: Rc<HostFacts>,
    /// The mount that it lies on; none: not yet asked.
    on: OnceCell<Option<Mount>>,
    /// What is there, or why that cannot be said; none: not yet asked.
    pub meta: Option<Result<Metadata, Errno>>,
}

/// Where a path lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathSide<'a> {
    /// On a mount of its own, or somewhere inside one.
    On(&'a Mount),
    /// In the root file system.
    InRoot(&'a Mount),
    /// Cannot be said.
    Unknown,
}

impl PathFacts {
    /// A path that nobody has touched yet; relative ones start at `base`.
    pub fn new(path: &Path, base: &Path, host_facts: &Rc<HostFacts>) -> Self {
        // Without `.` and doubled slashes: `./run.sh` is shown as the file that it is.
        let path: PathBuf = base.join(path).components().collect();
        PathFacts { shown: text::path(&path), path, host_facts: Rc::clone(host_facts), on: OnceCell::new(), meta: None }
    }

    /// Something below it.
    pub fn file(&self, name: &OsStr) -> Self {
        PathFacts::new(Path::new(name), &self.path, &self.host_facts)
    }

    /// The mount that it seems to lie on, by its name alone; touches nothing.
    pub fn seems_on(&self) -> Option<&Mount> {
        mountinfo::covering(self.host_facts.mounts(), &self.path)
    }

    /// Whom a look at it depends on, found out without one.
    pub fn way(&self) -> PathClass {
        let far = reach::far(self.host_facts.mounts(), &self.path);
        let mount = far.or_else(|| self.seems_on());
        PathClass {
            patience: mount.map_or(mountinfo::LOCAL, Mount::patience),
            location: mount.map(|mount| text::location(mount.kind(), mount.source())),
            far: far.is_some(),
        }
    }

    /// Where this runs.
    pub fn platform(&self) -> Platform {
        self.host_facts.platform()
    }

    /// What is there, once `responds` has asked.
    pub fn metadata(&self) -> Option<&Metadata> {
        self.meta.as_ref()?.as_ref().ok()
    }

    /// Whether it is a directory, once `responds` has asked.
    pub fn is_dir(&self) -> bool {
        self.metadata().is_some_and(Metadata::is_dir)
    }

    /// Where it lies: by the mount's id where the kernel tells it, else by the longest name.
    pub fn lies(&self) -> PathSide<'_> {
        let Some(mount) = self.mount() else { return PathSide::Unknown };
        if self.host_facts.root_mount() == Some(mount.id) { PathSide::InRoot(mount) } else { PathSide::On(mount) }
    }

    /// The mount it lies on.
    pub fn mount(&self) -> Option<&Mount> {
        self.on.get_or_init(|| stat::row_of(&self.path, self.host_facts.mounts()).cloned()).as_ref()
    }

    /// Whether it is exactly the root of a mount; where the kernel does not tell, by its real name.
    pub fn is_mount_root(&self) -> bool {
        let named = || {
            std::fs::canonicalize(&self.path).ok().zip(self.mount()).is_some_and(|(path, mount)| path == mount.path())
        };
        stat::mount_of(&self.path).is_ok_and(|on| on.is_root.unwrap_or_else(named))
    }

    /// What kind of file system it lies on, by the mount's type, else by what the file system says of itself.
    pub fn class(&self) -> Option<FilesystemClass> {
        self.mount().and_then(Mount::class).or_else(|| stat::class_of(&self.path))
    }

    /// Whether what is mounted there was deleted since; then it stays empty, and nothing can be made in it.
    pub fn is_deleted(&self) -> bool {
        matches!(self.lies(), PathSide::On(mount) if mount.is_deleted())
    }

    /// Whether this is a mount, in a container, and the other mount's id is that of the image.
    pub fn leaves_for_the_image(&self, other: Option<u64>) -> bool {
        other.is_some()
            && other == self.host_facts.root_mount()
            && self.platform().is_container()
            && matches!(self.lies(), PathSide::On(_))
    }

    /// How many mounts the one that it lies on hides, at the same place.
    fn hides(&self, mount: &Mount) -> usize {
        self.host_facts.mounts().iter().filter(|other| other.point() == mount.point() && other.id != mount.id).count()
    }

    /// The remedy for a mount that is missing or wrong, in the words of the place.
    pub fn mount_it(&self, read_only: bool) -> Remedy {
        let target = self.path.to_string_lossy().into_owned();
        match self.platform() {
            Platform::Host => Remedy::Do(format!("mount it: mount SOURCE {}", text::quoted(self.path.as_os_str()))),
            Platform::Container | Platform::Pod => Remedy::Start(Change::Mount { target, read_only }),
        }
    }

    /// How what cannot be written becomes writable: by another start where this mount alone is read-only, else where the file
    /// system is mounted or exported.
    pub fn make_writable(&self) -> Remedy {
        let PathSide::On(mount) = self.lies() else { return self.mount_it(false) };
        match (mount.class(), mount.has_read_only_file_system(), mount.is_read_only()) {
            (Some(FilesystemClass::Memory), ..) | (_, false, true) => self.mount_it(false),
            (_, true, _) => Remedy::Do(
                "mount its file system writable on the host; after errors of a disk the kernel makes it read-only: dmesg"
                    .to_owned(),
            ),
            (_, false, false) => {
                Remedy::Do("the mount permits it, the server does not: export it for writing there".to_owned())
            }
        }
    }

    /// How to make the engine refuse a source that does not exist, instead of making an empty directory.
    pub fn refuse_missing(&self) -> String {
        match self.platform() {
            Platform::Pod => {
                "check the path on the node; `hostPath` with `type: Directory` refuses a missing one".to_owned()
            }
            _ => format!(
                "check the path on the host; `--mount type=bind,src=…,dst={}` refuses a missing one",
                self.shown
            ),
        }
    }

    /// The first real question: does the file system answer at all?
    pub fn responds(&mut self) -> CheckResult {
        let meta = std::fs::metadata(&self.path).map_err(failures::errno);
        let answer = match &meta {
            Err(Errno::ELOOP) if mountinfo::is_automount(self.host_facts.mounts(), &self.path) => {
                failures::not_mounted(&self.shown).found()
            }
            Err(errno) if failures::is_sick(*errno) => failures::sick(&self.shown, self.mount(), *errno).found(),
            _ => Ok(()),
        };
        self.meta = Some(meta);
        answer
    }

    /// Whether something is there. What may not be looked at exists, as far as anyone can tell.
    pub fn exists(&self, remedy: impl FnOnce() -> Remedy) -> CheckResult {
        match self.meta {
            Some(Err(errno @ (Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP))) => {
                self.absent(errno).remedy(remedy()).found()
            }
            _ => Ok(()),
        }
    }

    fn absent(&self, errno: Errno) -> Failure {
        match std::fs::read_link(&self.path) {
            Ok(target) => {
                Failure::new(format!("{} is a link to {}, which is not there", self.shown, text::path(&target)))
                    .because("a link is resolved in the container: what it points to must be mounted, too")
            }
            Err(_) if errno == Errno::ENOENT => Failure::new(format!("{} does not exist", self.shown)),
            Err(_) => Failure::new(format!("{} does not exist", self.shown)).because(errno.desc()),
        }
    }

    /// Whether this user can list the directory, or read the file.
    pub fn readable(&self) -> CheckResult {
        let tried = match &self.meta {
            Some(Ok(meta)) if meta.is_dir() => failures::listable(&self.path),
            Some(Ok(_)) => failures::one_byte(&self.path),
            Some(Err(errno)) => Err(*errno),
            None => Ok(()),
        };
        tried.or_else(|errno| self.refused("read", errno).found())
    }

    /// What to say about an access that failed: the storage is sick, or a permission is missing.
    pub fn refused(&self, verb: &'static str, errno: Errno) -> Failure {
        if errno == Errno::ENOENT && self.is_deleted() {
            return Failure::new(format!("{} cannot be {verb}: what is mounted there was deleted", self.shown))
                .because("the directory was removed on the host while this container has it mounted")
                .advice("make it again on the host, then recreate the container");
        }
        match failures::is_sick(errno) {
            true => failures::sick(&self.shown, self.mount(), errno),
            false => AccessDenied {
                shown: &self.shown,
                verb,
                errno,
                meta: self.metadata(),
                mount: self.mount(),
                place: self.platform(),
            }
            .failure(),
        }
    }

    /// `nfs4, read-only`: the kind of file system, the volume if it has a name, and what the mount permits.
    pub fn described(&self) -> String {
        match self.lies() {
            PathSide::InRoot(_) if self.platform().is_container() => "in the image".to_owned(),
            PathSide::On(mount) | PathSide::InRoot(mount) => {
                let kind = text::bytes(mount.kind());
                let volume = volume(mount).map(|volume| format!(" ({volume})")).unwrap_or_default();
                format!("{kind}{volume}, {}", if mount.is_read_only() { "read-only" } else { "writable" })
            }
            PathSide::Unknown => "there".to_owned(),
        }
    }

    /// Its owner, or why nobody counts as that.
    fn owner(&self) -> Result<(u32, u32), String> {
        match self.lies() {
            // As its desktop shows the machine that a virtual machine runs on: everything belongs to whoever asks.
            PathSide::On(mount) if mount.class() == Some(FilesystemClass::Share) => {
                Err(format!("is on {}, where owners are made up", text::bytes(mount.kind())))
            }
            PathSide::On(_) => match std::fs::metadata(&self.path) {
                Ok(meta) => Ok((meta.uid(), meta.gid())),
                Err(error) => Err(format!("cannot be looked at: {}", failures::errno(error).desc())),
            },
            _ => Err("is not on a mount".to_owned()),
        }
    }

    /// Facts for the report.
    pub fn facts(&self) -> FindingFacts {
        let mut facts = FindingFacts::new();
        let mut tell = |name: &str, value: serde_json::Value| _ = facts.insert(name.to_owned(), value);
        tell("path", self.path.to_string_lossy().into());
        if let Some(Ok(_)) = self.meta
            && let Some(mount) = self.mount()
        {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            tell("mounted", matches!(self.lies(), PathSide::On(_)).into());
            tell("mount_point", text(mount.point()).into());
            tell("kind", text(mount.kind()).into());
            tell("source", text::masked(&text(mount.source())).into());
            tell("root", text(mount.root()).into());
            tell("read_only", mount.is_read_only().into());
            tell("mount_root", self.is_mount_root().into());
            tell("hidden_mounts", self.hides(mount).into());
            tell("class", self.class().map(FilesystemClass::name).into());
            tell("volume", volume(mount).into());
        }
        facts
    }
}

/// Whose the code directory is, if it is mounted and its owner is a real one.
pub fn owner(code: &Path, host_facts: &Rc<HostFacts>) -> CodeOwner {
    let site = PathFacts::new(code, Path::new("/"), host_facts);
    let found = reach::look(host_facts.mounts(), code, || site.owner());
    let found = found.unwrap_or_else(|_| Err("does not answer".to_owned()));
    found.map_or_else(|why| CodeOwner::Nobody(format!("{} {why}", site.shown)), |(uid, gid)| CodeOwner::Of(uid, gid))
}

/// The volume as its engine calls it; none: a mount of something else.
fn volume(mount: &Mount) -> Option<String> {
    Some(match mount.volume() {
        Volume::Plain => return None,
        Volume::Anonymous => "anonymous volume".to_owned(),
        Volume::Named(name) => format!("volume {}", text::bytes(name)),
        Volume::Pod { plugin, name, part } => {
            let kind = match plugin {
                b"empty-dir" => "emptyDir",
                b"configmap" => "ConfigMap",
                b"secret" => "Secret",
                b"projected" => "projected volume",
                b"downward-api" => "downwardAPI volume",
                _ => "volume",
            };
            format!("{kind} {}{}", text::bytes(name), if part { ", subPath" } else { "" })
        }
    })
}

/// Whether a mount is a pod's scratch directory.
pub fn is_scratch(mount: &Mount) -> bool {
    matches!(mount.volume(), Volume::Pod { plugin: b"empty-dir", .. })
}
