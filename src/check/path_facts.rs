//! A user's path: its type, and its mount. Every access may hang, so this code runs only in a process that can be killed. The file also
//! has the steps that all families of paths share.

use super::failures::{self, AccessDenied};
use super::link_end::{self, LinkEnd};
use super::step::{CheckResult, Failure};
use super::task::PathClass;
use super::{Change, CheckContext, FindingFacts, HostFacts, Remedy};
use crate::engine::{Platform, Starter, given, host_path};
use crate::identity::{CodeOwner, NoOwner, OwnerDoubt};
use nix::errno::Errno;
use std::cell::OnceCell;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use sys::environment::Environment;
use sys::filesystem::FilesystemClass;
use sys::mountinfo::{self, Mount};
use sys::volume::Volume;
use sys::{reach, stat};

/// A path and the facts that are known about it.
pub(super) struct PathFacts {
    /// The configured path, made absolute.
    pub path: PathBuf,
    /// The path as messages show it.
    pub shown: String,
    host_facts: Rc<HostFacts>,
    /// The mount that the path lies on; `None` inside means that it is unknown.
    on: OnceCell<Option<Mount>>,
    /// Why the configured text is not the path that was meant, and the change of the variable that gives it, if one does.
    misread: Option<(&'static str, Option<Change>)>,
    /// Whether another start cannot choose the user.
    user_is_locked: bool,
    /// The metadata, or the error of the access; `None` before the access.
    pub meta: Option<Result<Metadata, Errno>>,
}

/// The location of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathSide<'a> {
    /// On a mount other than the root file system.
    On(&'a Mount),
    /// In the root file system.
    InRoot(&'a Mount),
    /// The location is unknown.
    Unknown,
}

impl PathFacts {
    /// Makes a path without an access; relative paths start at `base`.
    pub(super) fn new(path: &Path, base: &Path, host_facts: &Rc<HostFacts>) -> Self {
        // Normalised without `.` and double slashes: `./run.sh` is shown as `run.sh`.
        let path: PathBuf = base.join(path).components().collect();
        PathFacts {
            shown: text::path(&path),
            path,
            host_facts: Rc::clone(host_facts),
            on: OnceCell::new(),
            misread: None,
            user_is_locked: false,
            meta: None,
        }
    }

    /// Adds what a look at the configured text tells: quotes, a line end of Windows, or a blank that an env-file keeps.
    pub(super) fn given_as(mut self, configured: &Path, context: &CheckContext) -> Self {
        self.misread = configured.to_str().and_then(|text| misread(text, &context.environment));
        self.user_is_locked = context.settings.lock_of("user").is_some();
        self
    }

    /// Returns the path of an entry below this one.
    pub(super) fn file(&self, name: &OsStr) -> Self {
        PathFacts::new(Path::new(name), &self.path, &self.host_facts)
    }

    /// Returns the mount by the path's name alone, without an access.
    pub(super) fn seems_on(&self) -> Option<&Mount> {
        mountinfo::covering(self.host_facts.mounts(), &self.path)
    }

    /// Returns the class of the path, without an access.
    pub(super) fn way(&self) -> PathClass {
        let far = reach::far(self.host_facts.mounts(), &self.path);
        let mount = far.or_else(|| self.seems_on());
        PathClass {
            patience: mount.map_or(mountinfo::LOCAL, Mount::patience),
            location: mount.map(|mount| text::location(mount.kind(), mount.source())),
            far: far.is_some(),
        }
    }

    /// Returns the platform of this process.
    pub(super) fn platform(&self) -> Platform {
        self.host_facts.platform()
    }

    /// Returns the program that started this container.
    pub(super) fn starter(&self) -> Starter {
        self.host_facts.starter()
    }

    /// Returns the metadata after `responds` has read it.
    pub(super) fn metadata(&self) -> Option<&Metadata> {
        self.meta.as_ref()?.as_ref().ok()
    }

    /// Returns whether the path is a directory, after `responds` has read the metadata.
    pub(super) fn is_dir(&self) -> bool {
        self.metadata().is_some_and(Metadata::is_dir)
    }

    /// Returns the location: by the mount's id if the kernel reports it, else by the longest name.
    pub(super) fn lies(&self) -> PathSide<'_> {
        let Some(mount) = self.mount() else { return PathSide::Unknown };
        if self.host_facts.root_mount() == Some(mount.id) { PathSide::InRoot(mount) } else { PathSide::On(mount) }
    }

    /// Returns the mount that the path lies on.
    pub(super) fn mount(&self) -> Option<&Mount> {
        self.on.get_or_init(|| stat::row_of(&self.path, self.host_facts.mounts()).cloned()).as_ref()
    }

    /// Returns whether the path is the root of a mount; by its real name if the kernel reports no mount id.
    pub(super) fn is_mount_root(&self) -> bool {
        let named = || {
            std::fs::canonicalize(&self.path).ok().zip(self.mount()).is_some_and(|(path, mount)| path == mount.path())
        };
        stat::mount_of(&self.path).is_ok_and(|on| on.is_root.unwrap_or_else(named))
    }

    /// Returns the class of the file system: by the mount's type, else by statfs(2).
    pub(super) fn class(&self) -> Option<FilesystemClass> {
        self.mount().and_then(Mount::class).or_else(|| stat::class_of(&self.path))
    }

    /// Returns whether the source of the mount was deleted. Such a directory stays empty, and no file can be made in it.
    pub(super) fn is_deleted(&self) -> bool {
        matches!(self.lies(), PathSide::On(mount) if mount.is_deleted())
    }

    /// Returns whether this path is a mount in a container, and the other mount id is that of the image.
    pub(super) fn leaves_for_the_image(&self, other: Option<u64>) -> bool {
        other.is_some()
            && other == self.host_facts.root_mount()
            && self.platform().is_container()
            && matches!(self.lies(), PathSide::On(_))
    }

    /// Returns whether a missing path lies below a mount of the container's, so that only a directory is missing.
    pub(super) fn is_below_mount(&self) -> bool {
        let there = self.path.ancestors().skip(1).find(|parent| parent.is_dir());
        let row = there.and_then(|parent| stat::row_of(parent, self.host_facts.mounts()));
        row.is_some_and(|mount| self.host_facts.root_mount() != Some(mount.id) && !mount.is_read_only())
    }

    /// Returns how many mounts this mount hides on the same path.
    fn hides(&self, mount: &Mount) -> usize {
        self.host_facts.mounts().iter().filter(|other| other.point() == mount.point() && other.id != mount.id).count()
    }

    /// Makes the remedy for a missing or wrong mount in the words of the platform.
    pub(super) fn mount_it(&self, read_only: bool) -> Remedy {
        let target = self.path.to_string_lossy().into_owned();
        Remedy::Start(Change::Mount { target, read_only })
    }

    /// Returns where the path lies on the host, if that is certain.
    pub(super) fn on_host(&self) -> Option<PathBuf> {
        self.host_path_of(&self.path)
    }

    /// Returns where any path lies on the host, if that is certain.
    pub(super) fn host_path_of(&self, path: &Path) -> Option<PathBuf> {
        match self.platform() {
            Platform::Host => Some(path.to_owned()),
            Platform::Container => host_path(self.host_facts.mounts(), path),
            Platform::Pod => None,
        }
    }

    /// Returns the directories of the container's own mounts, without those that may hang.
    pub(super) fn mounted_directories(&self) -> Vec<PathBuf> {
        let near = given(self.host_facts.mounts()).filter(|mount| !mount.is_far());
        near.map(|mount| mount.path().to_owned()).collect()
    }

    /// Makes the remedy for a dangling link: a mount of its target at the same path.
    pub(super) fn mount_of_link(&self, link: &Path, read_only: bool) -> Option<Remedy> {
        let end = link_end::end_of(link, self.host_path_of(link).as_deref())?;
        let LinkEnd::Missing { here, there } = end else { return None };
        let target = here.to_str()?.to_owned();
        Some(Remedy::Start(match there.as_deref().and_then(Path::to_str) {
            Some(source) => Change::Bind { source: source.to_owned(), target, read_only },
            None => Change::Mount { target, read_only },
        }))
    }

    /// Makes the remedy for a directory where a file is meant: another source of its mount.
    pub(super) fn another_file(&self) -> Remedy {
        match self.is_mount_root() {
            true => self.mount_it(self.mount().is_some_and(Mount::is_read_only)),
            false => Remedy::Do("check the path of the file on the host".to_owned()),
        }
    }

    /// Makes the remedy for another source of the mount that is there; a path below a mount needs another path.
    pub(super) fn mount_another(&self) -> Remedy {
        match self.is_mount_root() {
            true => self.mount_it(self.mount().is_some_and(Mount::is_read_only)),
            false => Remedy::Do("name another path, or replace the file by a directory".to_owned()),
        }
    }

    /// Makes the remedy that is a command about this path: typed on the host where it is known, else told.
    pub(super) fn by_command(&self, command: impl Fn(&str) -> String) -> Remedy {
        let quoted = |path: &Path| text::quoted(path.as_os_str());
        match self.on_host() {
            Some(path) => Remedy::Start(Change::Before(command(&quoted(&path)))),
            None if self.seems_on().is_some_and(|mount| mount.point() == b"/") => {
                Remedy::Do(format!("in the image: {}", command(&quoted(&self.path))))
            }
            None => Remedy::Do(format!("{}, on the host in what is mounted", command(&quoted(&self.path)))),
        }
    }

    /// Makes the remedy for a path that is not writable: another start if only this mount is read-only, else a change on the machine that
    /// mounts or exports the file system.
    pub(super) fn make_writable(&self) -> Remedy {
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

    /// Returns the option that makes the engine refuse a missing source, instead of making an empty directory.
    pub(super) fn refuse_missing(&self) -> String {
        match self.starter() {
            Starter::Kubernetes => {
                "check the path on the node; `hostPath` with `type: Directory` refuses a missing one".to_owned()
            }
            Starter::Docker | Starter::Podman => format!(
                "check the path on the host; `--mount type=bind,src=…,dst={}` refuses a missing one",
                self.shown
            ),
            _ => "check the path on the host".to_owned(),
        }
    }

    /// Checks that the file system answers at all.
    pub(super) fn responds(&mut self) -> CheckResult {
        let meta = std::fs::metadata(&self.path).map_err(failures::errno);
        let answer = match &meta {
            Err(Errno::ELOOP) if mountinfo::is_automount(self.host_facts.mounts(), &self.path) => {
                failures::not_mounted(&self.shown, b"autofs").found()
            }
            Err(Errno::ELOOP) if failures::has_no_links(&self.path) => {
                failures::not_mounted(&self.shown, self.seems_on().map_or(b"", Mount::kind)).found()
            }
            Err(errno) if failures::is_sick(*errno) => failures::sick(&self.shown, self.mount(), *errno).found(),
            _ => Ok(()),
        };
        self.meta = Some(meta);
        answer
    }

    /// Checks that the path exists. A path that may not be examined counts as existing. What a link points to is mounted `read_only`.
    pub(super) fn exists(&self, read_only: bool, remedy: impl FnOnce() -> Remedy) -> CheckResult {
        match self.meta {
            Some(Err(Errno::ENOENT)) if self.unexpanded().is_some() => {
                let word = self.unexpanded().unwrap_or_default();
                Failure::new(format!("{} does not exist", self.shown))
                    .because(format!(
                        "`{}` is a word that only a shell replaces: an env-file and a pod's `value` keep it",
                        text::line(word)
                    ))
                    .advice("write the whole path, as it is in the container")
                    .found()
            }
            Some(Err(_)) if self.misread.is_some() => {
                let (because, change) = self.misread.clone().unwrap_or_default();
                let failure = Failure::new(format!("{} does not exist", self.shown)).because(because);
                change.map(Remedy::Start).into_iter().fold(failure, Failure::remedy).found()
            }
            Some(Err(Errno::ELOOP)) => {
                let advice = Remedy::Do(format!("replace the link {} by what it should lead to", self.shown));
                self.absent(Errno::ELOOP).remedy(if self.path.is_symlink() { advice } else { remedy() }).found()
            }
            Some(Err(errno @ (Errno::ENOENT | Errno::ENOTDIR))) => {
                let of_link = self.mount_of_link(&self.path, read_only);
                self.absent(errno).remedy(of_link.unwrap_or_else(remedy)).found()
            }
            _ => Ok(()),
        }
    }

    /// Returns the part of the path that a shell would have replaced: `~`, `$HOME`, `${DATA}`.
    fn unexpanded(&self) -> Option<&str> {
        let mut parts = self.path.iter().filter_map(OsStr::to_str);
        parts.find(|part| *part == "~" || part.starts_with("${") || part.strip_prefix('$').is_some_and(is_name))
    }

    fn absent(&self, errno: Errno) -> Failure {
        match std::fs::read_link(&self.path) {
            Ok(target) if errno == Errno::ELOOP => {
                Failure::new(format!("{} is a link to {}, which leads back to it", self.shown, text::path(&target)))
                    .because("a circle of links ends nowhere")
            }
            Ok(target) => {
                Failure::new(format!("{} is a link to {}, which is not there", self.shown, text::path(&target)))
                    .because("a link is resolved in the container: what it points to must be mounted, too")
            }
            Err(_) if errno == Errno::ENOENT => Failure::new(format!("{} does not exist", self.shown)),
            Err(_) => Failure::new(format!("{} does not exist", self.shown)).because(protocol::errno::words(errno)),
        }
    }

    /// Checks that this user can list the directory, or read the file.
    pub(super) fn readable(&self) -> CheckResult {
        let tried = match &self.meta {
            Some(Ok(meta)) if meta.is_dir() => failures::listable(&self.path),
            Some(Ok(_)) => failures::one_byte(&self.path),
            Some(Err(errno)) => Err(*errno),
            None => Ok(()),
        };
        tried.or_else(|errno| self.refused("read", errno).found())
    }

    /// Makes the failure for a refused access: the storage fails, or a permission is missing.
    pub(super) fn refused(&self, verb: &'static str, errno: Errno) -> Failure {
        if errno == Errno::ENOENT && self.is_deleted() {
            return Failure::new(format!("{} cannot be {verb}: what is mounted there was deleted", self.shown))
                .because("the directory was removed on the host while this container has it mounted")
                .advice("make it again on the host, then recreate the container");
        }
        match failures::is_sick(errno) {
            true => failures::sick(&self.shown, self.mount(), errno),
            false => AccessDenied {
                path: &self.path,
                on_host: self.on_host(),
                user_is_locked: self.user_is_locked,
                shown: &self.shown,
                verb,
                errno,
                meta: self.metadata(),
                // A refused path does not tell its mount.
                mount: self.mount().or_else(|| self.seems_on()),
                place: self.platform(),
            }
            .failure(),
        }
    }

    /// Describes the file system: its type, the volume's name, and the access that the mount permits (`nfs4, read-only`).
    pub(super) fn described(&self) -> String {
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

    /// Returns the owner, or the reason why the path has no real owner.
    fn owner(&self) -> Result<(u32, u32), OwnerDoubt> {
        match self.lies() {
            // The share of a virtual machine's desktop reports every file as owned by the caller.
            PathSide::On(mount) if mount.class() == Some(FilesystemClass::Share) => {
                Err(OwnerDoubt::MadeUp(text::bytes(mount.kind())))
            }
            PathSide::On(_) => match std::fs::metadata(&self.path) {
                Ok(meta) => Ok((meta.uid(), meta.gid())),
                Err(error) => Err(OwnerDoubt::Unexamined(failures::errno(error) as i32)),
            },
            _ => Err(OwnerDoubt::NoMount),
        }
    }

    /// Returns facts for the report.
    pub(super) fn facts(&self) -> FindingFacts {
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

/// Returns the owner of the code directory, if it is mounted and the owner is real.
pub(super) fn owner(code: &Path, host_facts: &Rc<HostFacts>) -> CodeOwner {
    let site = PathFacts::new(code, Path::new("/"), host_facts);
    let found = reach::look(host_facts.mounts(), code, || site.owner());
    match found.unwrap_or(Err(OwnerDoubt::Silent)) {
        Ok((uid, gid)) => CodeOwner::Of(uid, gid),
        Err(why) => CodeOwner::Nobody(NoOwner { directory: site.shown, why }),
    }
}

/// Returns the engine's name of the volume; `None` for a mount that is no volume.
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

/// Returns what an env-file keeps of a value though a shell would not, and the variable without it.
fn misread(text: &str, environment: &Environment) -> Option<(&'static str, Option<Change>)> {
    let bare = text.trim_end_matches('\r');
    let quoted = |quote: char| bare.strip_prefix(quote)?.strip_suffix(quote);
    let (because, meant) = match (quoted('"').or(quoted('\'')), bare != text, text.trim() != text) {
        (Some(meant), ..) => ("an env-file and a pod's `value` keep quotes", meant),
        (None, true, _) => ("the line ends as Windows ends it (CR LF): an invisible CR stands at its end", bare),
        (None, false, true) => ("an env-file keeps blanks at the end of a line", text.trim()),
        _ => return None,
    };
    let given = environment.iter().find_map(|(name, value)| {
        let (name, value) = (name.to_str()?, value.to_str()?);
        let ours = name.starts_with("TRAINIT_") && value.contains(text);
        ours.then(|| Change::Env { name: name.to_owned(), value: Some(value.replace(text, meant)) })
    });
    Some((because, given))
}

/// Returns whether a text is the name of a variable.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

/// Returns whether a mount is a pod's scratch directory.
pub(super) fn is_scratch(mount: &Mount) -> bool {
    matches!(mount.volume(), Volume::Pod { plugin: b"empty-dir", .. })
}
