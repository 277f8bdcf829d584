//! Finds processes that have a GPU open: its memory is not free for the next job as long as one of them lives.
//!
//! Only open descriptors are looked at, never memory maps: a process that hangs in its driver holds the lock that reading its maps
//! would wait for.

use std::path::Path;
use sys::directory::numbers;
use sys::{Pid, Root, proc};

/// Prefixes of the GPU device files, and whether a number must follow (nvidiactl is also open in mere monitors).
const DEVICES: [(&str, bool); 5] = [
    ("/dev/nvidia", true),
    ("/dev/nvidia-uvm", false),
    ("/dev/kfd", false),
    ("/dev/dri/renderD", true),
    ("/dev/accel/accel", true),
];

/// Most processes that are looked at: a job has tens, and a storm of orphans must not keep PID 1 from reaping.
const MOST: usize = 256;

/// A process that has a GPU open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GpuUser {
    /// The process.
    pub pid: Pid,
    /// A GPU device that the process has open.
    pub device: String,
}

/// Returns which of these processes have a GPU open; a process that is gone or may not be looked at is left out.
pub(crate) fn gpu_users(root: &Root, pids: &[Pid]) -> Vec<GpuUser> {
    pids.iter().take(MOST).filter_map(|pid| Some(GpuUser { pid: *pid, device: device_of(root, *pid)? })).collect()
}

/// Returns the GPU users that are not in `named` yet, and adds them to it.
pub(crate) fn new_gpu_users(root: &Root, pids: &[Pid], named: &mut Vec<GpuUser>) -> Vec<GpuUser> {
    let mut found = gpu_users(root, pids);
    found.retain(|holder| !named.contains(holder));
    named.extend_from_slice(&found);
    found
}

/// Returns the first GPU device that a process has open.
pub(crate) fn device_of(root: &Root, pid: Pid) -> Option<String> {
    let directory = root.path(format!("/proc/{pid}/fd"));
    proc::with_rights_over(pid, || {
        let open = numbers(&directory)?.into_iter();
        let open = open.filter_map(|fd| std::fs::read_link(directory.join(fd.to_string())).ok());
        Ok(open.filter_map(|target| gpu(&target)).min())
    })
    .ok()
    .flatten()
}

fn gpu(target: &Path) -> Option<String> {
    let path = target.to_str()?;
    let is_gpu = DEVICES.iter().any(|(start, numbered)| match path.strip_prefix(start) {
        Some(rest) if *numbered => !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()),
        Some(rest) => rest.is_empty(),
        None => false,
    });
    is_gpu.then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn whoever_has_a_gpu_open_is_named_and_nobody_else() {
        let fake = tempfile::tempdir().unwrap();
        let opens = |pid: u8, targets: &[&str]| {
            let directory = fake.path().join(format!("proc/{pid}/fd"));
            std::fs::create_dir_all(&directory).unwrap();
            for (n, target) in targets.iter().enumerate() {
                symlink(target, directory.join(n.to_string())).unwrap();
            }
        };
        opens(10, &["/dev/null", "/dev/nvidiactl", "/dev/nvidia3", "/dev/nvidia-uvm"]);
        opens(11, &["/dev/null", "/dev/nvidiactl", "/home/me/dev/nvidia0", "/dev/nvidia-caps/nvidia-cap1"]);
        opens(12, &["/dev/dri/renderD128"]);
        opens(13, &["/dev/kfd", "socket:[1]"]);
        let found = gpu_users(&Root::at(fake.path()), &[10, 11, 12, 13, 14].map(|pid| Pid::new(pid).unwrap()));
        let named: Vec<_> = found.iter().map(|holder| (holder.pid.number(), holder.device.as_str())).collect();
        assert_eq!(named, [(10, "/dev/nvidia-uvm"), (12, "/dev/dri/renderD128"), (13, "/dev/kfd")]);
    }

    #[test]
    fn what_this_process_has_open_can_be_looked_at() {
        assert_eq!(device_of(&Root::real(), Pid::own()), None);
    }
}
