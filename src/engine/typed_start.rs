//! The command that started this container, as far as it can be seen from inside: PID 1's rights and limits, the mount table, devices.
//!
//! Facts that cannot be seen (the image's name, published ports, networks) are not guessed.

use super::{Platform, StartPart, container};
use crate::config::OUTPUTS;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use sys::Root;
use sys::environment::Environment;
use sys::filesystem::FilesystemClass;
use sys::mountinfo::{self, Mount};
use sys::volume::Volume;

/// A start that a person could type again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypedStart {
    /// The program that starts containers here.
    pub program: &'static str,
    /// The parts that the container was given.
    pub parts: Vec<StartPart>,
    /// The words behind the image's name.
    pub command: Vec<OsString>,
}

/// Other programs' variables that trainit honours, and that images usually do not set.
const ALIASES: [&str; 13] = [
    "NB_USER",
    "NB_UID",
    "NB_GID",
    "NB_GROUP",
    "NB_UMASK",
    "CHOWN_HOME",
    "CHOWN_HOME_OPTS",
    "CHOWN_EXTRA",
    "CHOWN_EXTRA_OPTS",
    "PUID",
    "PGID",
    "UMASK",
    "CUDA_VISIBLE_DEVICES",
];

/// Docker's default size of /dev/shm.
const SHM: u64 = 64 << 20;

/// The inputs of the reconstruction.
struct StartView<'a> {
    root: &'a Root,
    environment: &'a Environment,
    mounts: &'a [Mount],
    status: String,
}

/// Reconstructs the start; `command` counts only if PID 1 is not trainit, because otherwise the words of PID 1 are the container's.
///
/// In a pod, and on a machine, there is no command line to type again, so only the command is returned.
pub fn started(
    root: &Root,
    environment: &Environment,
    mounts: &[Mount],
    place: Platform,
    command: &[OsString],
) -> TypedStart {
    let program = container::program(root);
    let command = words_of_pid_1(root).filter(|_| place.is_container()).unwrap_or_else(|| command.to_vec());
    if place != Platform::Container {
        return TypedStart { program, parts: Vec::new(), command };
    }
    let status = root.text("/proc/1/status").unwrap_or_default();
    let view = StartView { root, environment, mounts, status };
    TypedStart { program, parts: view.parts(), command }
}

/// Returns the words of PID 1 behind its name, if that is trainit.
fn words_of_pid_1(root: &Root) -> Option<Vec<OsString>> {
    let line = root.read("/proc/1/cmdline").ok()?;
    let mut words = line.strip_suffix(b"\0")?.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec()));
    let name = words.next()?;
    (Path::new(&name).file_name() == Some(OsStr::new("trainit"))).then(|| words.collect())
}

impl StartView<'_> {
    fn parts(&self) -> Vec<StartPart> {
        let mut parts: Vec<StartPart> =
            [self.terminal(), self.hostname(), self.user(), self.workdir(), self.read_only()]
                .into_iter()
                .flatten()
                .collect();
        parts.extend(self.rights());
        parts.extend([self.gpus(), self.shm()].into_iter().flatten());
        parts.extend(self.ulimits());
        parts.extend(given(self.mounts).filter_map(|mount| self.mount(mount)));
        parts.extend(self.variables());
        parts
    }

    /// Returns a field of PID 1's status (proc_pid_status(5)).
    fn field(&self, name: &str) -> Option<&str> {
        self.status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    }

    /// Returns the terminal, which engines mount at this path.
    fn terminal(&self) -> Option<StartPart> {
        self.mounts.iter().any(|mount| mount.point() == b"/dev/console").then_some(StartPart::Terminal)
    }

    /// Returns the host name, unless it is the engine's default, the container's id.
    fn hostname(&self) -> Option<StartPart> {
        let name = self.root.text("/proc/sys/kernel/hostname").ok()?.trim().to_owned();
        let own = container::id(self.mounts)?;
        (!name.is_empty() && name != own).then_some(StartPart::Hostname(name))
    }

    fn user(&self) -> Option<StartPart> {
        let number = |name| self.field(name)?.split_whitespace().next()?.parse().ok();
        let (uid, gid) = (number("Uid")?, number("Gid")?);
        (uid != 0).then_some(StartPart::User { uid, gid })
    }

    fn workdir(&self) -> Option<StartPart> {
        let here = std::env::current_dir().ok()?.into_os_string().into_string().ok()?;
        (here != "/").then_some(StartPart::Workdir(here))
    }

    fn read_only(&self) -> Option<StartPart> {
        mountinfo::covering(self.mounts, Path::new("/"))?.is_read_only().then_some(StartPart::ReadOnlyRoot)
    }

    fn rights(&self) -> Vec<StartPart> {
        let bound = self.field("CapBnd").and_then(|set| u64::from_str_radix(set, 16).ok());
        let mut parts = bound.map(|bound| capabilities(bound, self.is_sys_writable())).unwrap_or_default();
        if self.field("NoNewPrivs") == Some("1") {
            parts.push(StartPart::NoNewPrivileges);
        }
        parts
    }

    /// Returns whether /sys is writable: engines mount it read-only, unless the container is privileged.
    fn is_sys_writable(&self) -> bool {
        self.mounts.iter().rfind(|mount| mount.point() == b"/sys").is_some_and(|mount| !mount.is_read_only())
    }

    fn gpus(&self) -> Option<StartPart> {
        let is_gpu = |name: &OsStr| {
            let number = name.to_str().and_then(|name| name.strip_prefix("nvidia"));
            number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let any = std::fs::read_dir(self.root.path("/dev")).ok()?.flatten().any(|entry| is_gpu(&entry.file_name()));
        match self.environment.text("NVIDIA_VISIBLE_DEVICES") {
            _ if !any => None,
            None | Some("all" | "void" | "none") => Some(StartPart::Gpus { count: None }),
            Some(ids) => Some(StartPart::GpuIds(ids.to_owned())),
        }
    }

    fn shm(&self) -> Option<StartPart> {
        let mount = self.mounts.iter().rfind(|mount| mount.point() == b"/dev/shm")?;
        match size_of(mount) {
            _ if mount.source() == b"tmpfs" => Some(StartPart::HostIpc),
            Some(bytes) if bytes != SHM => Some(StartPart::Shm { bytes }),
            _ => None,
        }
    }

    /// Returns the limits that differ from every engine's defaults: unlimited locked memory, and another stack size.
    fn ulimits(&self) -> Vec<StartPart> {
        let limits = self.root.text("/proc/1/limits").unwrap_or_default();
        let soft = |title: &str| {
            let rest = limits.lines().find_map(|line| line.strip_prefix(title))?;
            rest.split_whitespace().next().map(|limit| limit.parse::<u64>().ok())
        };
        let part = |name: &str, limit| StartPart::Ulimit { name: name.to_owned(), limit };
        let locked = soft("Max locked memory").filter(Option::is_none).map(|limit| part("memlock", limit));
        let stack = soft("Max stack size").filter(|limit| *limit != Some(8 << 20)).map(|limit| part("stack", limit));
        locked.into_iter().chain(stack).collect()
    }

    fn mount(&self, mount: &Mount) -> Option<StartPart> {
        let target = String::from_utf8(mount.point().to_vec()).ok()?;
        if mount.class() == Some(FilesystemClass::Memory) && mount.root() == b"/" {
            return Some(StartPart::Tmpfs { target, bytes: size_of(mount) });
        }
        let read_only = mount.is_read_only();
        Some(match self.source(mount) {
            Some(source) => StartPart::Bind { source, target, read_only },
            None => StartPart::Mount { target, read_only },
        })
    }

    /// Returns a volume's name, or the path on the host if that is certain.
    fn source(&self, mount: &Mount) -> Option<String> {
        match mount.volume() {
            Volume::Named(name) if !mount.is_deleted() => std::str::from_utf8(name).ok().map(str::to_owned),
            _ => source_on_host(self.mounts, mount),
        }
    }

    fn variables(&self) -> Vec<StartPart> {
        let ours = |name: &str| name.starts_with("TRAINIT_") && !OUTPUTS.contains(&name) || ALIASES.contains(&name);
        let part = |(name, value): (&OsStr, &OsStr)| {
            let name = name.to_str().filter(|name| ours(name))?;
            let open = |value: &&str| !value.is_empty() && !text::is_secret(name) && text::masked(value) == **value;
            let value = value.to_str().filter(open).map(str::to_owned);
            Some(StartPart::Env { name: name.to_owned(), value })
        };
        self.environment.iter().filter_map(part).collect()
    }
}

/// Returns the path of a mount's source on the host if that is certain.
///
/// A mount shows only a path within its file system. That file system is the host's root if the engine's own files have the same path
/// in it as on the host.
fn source_on_host(mounts: &[Mount], mount: &Mount) -> Option<String> {
    let root = std::str::from_utf8(mount.root()).ok().filter(|_| !mount.is_deleted())?;
    let known = |made: &&Mount| made.source() == mount.source() && made.root().starts_with(b"/var/lib/");
    container::made(mounts).find(known).map(|_| root.to_owned())
}

/// Returns where a path of this container lies on the host, if that is certain.
pub fn host_path(mounts: &[Mount], path: &Path) -> Option<PathBuf> {
    let mount = mountinfo::covering(mounts, path)?;
    let below = path.strip_prefix(mount.path()).ok()?;
    let source = PathBuf::from(source_on_host(mounts, mount)?);
    let found = if below.as_os_str().is_empty() { source } else { source.join(below) };
    (mount.point() != b"/").then_some(found)
}

/// Returns the mounts that the user asked for.
pub fn given(mounts: &[Mount]) -> impl Iterator<Item = &Mount> {
    mounts.iter().filter(|mount| is_given(mount))
}

/// Returns whether the user asked for a mount; engines, their GPU hooks and images make the others.
fn is_given(mount: &Mount) -> bool {
    let point = mount.point();
    let name = point.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let engines = matches!(point, b"/" | b"/run/.containerenv" | b"/sbin/docker-init")
        || ENGINES.iter().any(|directory| mountinfo::is_below(point, directory))
        || container::is_made(mount);
    let hooks =
        point.windows(6).any(|part| part == b"nvidia") || name.starts_with(b"libcuda") || name.starts_with(b"libnv");
    // A namespace that an engine (or another program) inside this container keeps alive by a mount. No option makes one.
    let namespace = mount.kind() == b"nsfs";
    !engines && !hooks && !namespace && mount.volume() != Volume::Anonymous
}

/// Directories of mounts that every container has.
const ENGINES: [&[u8]; 5] = [b"/proc", b"/sys", b"/dev", b"/run/secrets", b"/var/run/secrets"];

/// Returns the `size=` of a tmpfs in KiB.
fn size_of(mount: &Mount) -> Option<u64> {
    let options = std::str::from_utf8(mount.super_options()).ok()?;
    let size = options.split(',').find_map(|option| option.strip_prefix("size="))?;
    Some(size.strip_suffix('k')?.parse::<u64>().ok()? << 10)
}

/// Docker's default set of capabilities (moby's `oci/caps/defaults.go`).
const DOCKERS: u64 = 0xa804_25fb;
/// Podman's default set of capabilities.
const PODMANS: u64 = 0x8004_05fb;

/// Names of capabilities(7) in the order of their numbers.
const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// Returns the fewest options that give this bounding set.
///
/// `sys_writable` marks a privileged container, which gets the engine's own capabilities. An engine that itself runs in a container may
/// lack some.
fn capabilities(bound: u64, sys_writable: bool) -> Vec<StartPart> {
    match bound {
        0 => return vec![StartPart::CapDrop("ALL".into())],
        DOCKERS | PODMANS => return Vec::new(),
        // A full set: every capability that this kernel knows, whose number depends on its version.
        all if all.trailing_ones() >= 38 && all.count_ones() == all.trailing_ones() => {
            return vec![StartPart::Privileged];
        }
        _ => {}
    }
    let (added, dropped) = (named(bound & !DOCKERS), named(DOCKERS & !bound));
    let missing = named(!bound & (u64::MAX >> bound.leading_zeros()));
    let drop = |names: Vec<&str>| names.into_iter().map(|name| StartPart::CapDrop(name.to_owned())).collect::<Vec<_>>();
    match missing.len() < added.len() {
        true if sys_writable => vec![StartPart::Privileged],
        true => [vec![StartPart::CapAdd("ALL".into())], drop(missing)].concat(),
        false => {
            let add = added.into_iter().map(|name| StartPart::CapAdd(name.to_owned()));
            add.chain(drop(dropped)).collect()
        }
    }
}

/// Returns the names of a set.
fn named(set: u64) -> Vec<&'static str> {
    let numbered = CAPABILITIES.iter().enumerate();
    numbered.filter(|(number, _)| set & (1 << number) != 0).map(|(_, name)| *name).collect()
}

#[cfg(test)]
mod tests;
