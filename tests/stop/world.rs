//! What a container has around its processes, for tests: a /dev of its own, a limit of memory. All of it is gone with the job.
#![allow(unsafe_code)] // mounts between fork and exec have no safe interface; only test processes are touched

use crate::support::group::Group;
use crate::support::look::until_true;
use crate::support::{Launch, skip};
use std::ffi::{CString, c_ulong};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A private /dev: the usual devices, a termination log, and a small /dev/shm.
pub struct Dev {
    directory: PathBuf,
}

const DEVICES: [&str; 4] = ["null", "zero", "urandom", "tty"];

impl Dev {
    /// Makes its files in an empty directory.
    pub fn new(directory: PathBuf) -> Self {
        std::fs::create_dir(&directory).unwrap();
        std::fs::create_dir(directory.join("shm")).unwrap();
        DEVICES.iter().chain(&["termination-log"]).for_each(|name| std::fs::write(directory.join(name), "").unwrap());
        Dev { directory }
    }

    /// What a reader outside would find in /dev/termination-log.
    pub fn last_words(&self) -> String {
        std::fs::read_to_string(self.directory.join("termination-log")).unwrap()
    }

    /// For who is started in a mount namespace of its own.
    pub fn is_seen_by(&self, launch: Launch) -> Launch {
        let path = |path: &Path| CString::new(path.as_os_str().as_bytes()).unwrap();
        let devices: Vec<(CString, CString)> = DEVICES
            .iter()
            .map(|name| (path(&Path::new("/dev").join(name)), path(&self.directory.join(name))))
            .collect();
        let (own, shm) = (path(&self.directory), path(&self.directory.join("shm")));
        launch.before_exec(move || {
            // SAFETY: unshare(2) takes no pointers; this process is about to exec.
            check(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
            mount(None, c"/", libc::MS_REC | libc::MS_PRIVATE, None)?;
            for (real, ours) in &devices {
                mount(Some(real), ours, libc::MS_BIND, None)?;
            }
            mount(Some(c"tmpfs"), &shm, 0, Some(c"size=1m"))?;
            mount(Some(&own), c"/dev", libc::MS_BIND | libc::MS_REC, None)
        })
    }
}

fn mount(
    what: Option<&std::ffi::CStr>,
    at: &std::ffi::CStr,
    flags: c_ulong,
    data: Option<&std::ffi::CStr>,
) -> std::io::Result<()> {
    let pointer = |text: Option<&std::ffi::CStr>| text.map_or(std::ptr::null(), std::ffi::CStr::as_ptr);
    // SAFETY: each is NULL or a NUL-terminated string; the type is only looked at for a new file system.
    check(unsafe { libc::mount(pointer(what), at.as_ptr(), c"tmpfs".as_ptr(), flags, pointer(data).cast()) })
}

fn check(result: i32) -> std::io::Result<()> {
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// A control group that kills for want of memory.
pub struct Memory(Group);

impl Memory {
    /// Makes one below the group of this test; says why it cannot.
    pub fn limited_to(bytes: u64) -> Option<Self> {
        let (base, limits): (&str, &[&str]) = match Path::new("/sys/fs/cgroup/memory/memory.limit_in_bytes").exists() {
            true => ("/sys/fs/cgroup/memory", &["memory.limit_in_bytes"]),
            false => ("/sys/fs/cgroup", &["memory.max", "memory.swap.max"]),
        };
        let made = Group::below(Path::new(base), &format!("memory-{bytes}")).and_then(|group| {
            limits.iter().try_for_each(|file| match group.set(file, &bytes.to_string()) {
                Err(error) if *file != "memory.swap.max" => Err(error),
                _ => Ok(()),
            })?;
            Ok(Memory(group))
        });
        made.inspect_err(|error| skip(&format!("no control group with a limit of memory can be made here: {error}")))
            .ok()
    }

    /// For who is started in it.
    pub fn holds(&self, launch: Launch) -> Launch {
        let members = self.0.members();
        launch.before_exec(move || std::fs::write(&members, "0"))
    }
}

/// A control group whose processes SIGKILL does not reach, as if they waited for a dead file system: version 1 only.
pub struct Ice(Group);

impl Ice {
    /// Makes one; says why it cannot.
    pub fn new(name: &str) -> Option<Self> {
        let made = Group::below(Path::new("/sys/fs/cgroup/freezer"), name);
        made.inspect_err(|error| skip(&format!("no freezer of control groups version 1 here: {error}"))).ok().map(Ice)
    }

    /// From now on this process does nothing, and cannot be killed.
    pub fn freezes(&self, pid: i32) {
        self.0.set("cgroup.procs", &pid.to_string()).unwrap();
        self.0.set("freezer.state", "FROZEN").unwrap();
        let state =
            || std::fs::read_to_string(self.0.0.join("freezer.state")).is_ok_and(|state| state.trim() == "FROZEN");
        until_true("frost", state);
    }
}

impl Drop for Ice {
    fn drop(&mut self) {
        let _ = self.0.set("freezer.state", "THAWED");
    }
}
