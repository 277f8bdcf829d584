//! What a container has around its processes, for tests: a /dev of its own, a limit of memory. All of it is gone with the job.
#![allow(unsafe_code)] // mounts between fork and exec have no safe interface; only test processes are touched

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
pub struct Memory(PathBuf);

impl Memory {
    /// Makes one below the group of this test; says why it cannot.
    pub fn limited_to(bytes: u64) -> Option<Self> {
        let name = format!("trainit-test-{}-{bytes}", std::process::id());
        let (base, limits): (&str, &[&str]) = match Path::new("/sys/fs/cgroup/memory/memory.limit_in_bytes").exists() {
            true => ("/sys/fs/cgroup/memory", &["memory.limit_in_bytes"]),
            false => ("/sys/fs/cgroup", &["memory.max", "memory.swap.max"]),
        };
        let group = Path::new(base).join(name);
        let made = std::fs::create_dir(&group).and_then(|()| {
            limits.iter().try_for_each(|file| match std::fs::write(group.join(file), bytes.to_string()) {
                Err(error) if *file != "memory.swap.max" => Err(error),
                _ => Ok(()),
            })
        });
        let memory = Memory(group);
        match made {
            Ok(()) => Some(memory),
            Err(error) => {
                skip(&format!("no control group with a limit of memory can be made here: {error}"));
                None
            }
        }
    }

    /// For who is started in it.
    pub fn holds(&self, launch: Launch) -> Launch {
        let members = self.0.join("cgroup.procs");
        launch.before_exec(move || std::fs::write(&members, "0"))
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

/// A control group whose processes SIGKILL does not reach, as if they waited for a dead file system: version 1 only.
pub struct Ice(PathBuf);

impl Ice {
    /// Makes one; says why it cannot.
    pub fn new(name: &str) -> Option<Self> {
        let group = PathBuf::from(format!("/sys/fs/cgroup/freezer/trainit-{name}-{}", std::process::id()));
        match std::fs::create_dir(&group) {
            Ok(()) => Some(Ice(group)),
            Err(error) => {
                skip(&format!("no freezer of control groups version 1 here: {error}"));
                None
            }
        }
    }

    /// From now on this process does nothing, and cannot be killed.
    pub fn freezes(&self, pid: i32) {
        std::fs::write(self.0.join("cgroup.procs"), pid.to_string()).unwrap();
        std::fs::write(self.0.join("freezer.state"), "FROZEN").unwrap();
        let state =
            || std::fs::read_to_string(self.0.join("freezer.state")).is_ok_and(|state| state.trim() == "FROZEN");
        until_true("frost", state);
    }
}

impl Drop for Ice {
    fn drop(&mut self) {
        let _ = std::fs::write(self.0.join("freezer.state"), "THAWED");
        remove(&self.0);
    }
}

/// Only an empty one can be removed; its last process may still be on its way out.
fn remove(group: &Path) {
    for _ in 0..100 {
        if std::fs::remove_dir(group).is_ok() || !group.exists() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
