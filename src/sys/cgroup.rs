//! Control groups: which one this process is in, and how often the kernel killed in it for want of memory. Version 2, version 1 and
//! the mixture of both; in a container the own group is usually mounted as the root, so that is looked at, too.

use super::Root;
use std::path::PathBuf;

/// Where the kernel counts kills for want of memory: version 2 (the own group and all below it) and version 1.
const EVENTS: &str = "memory.events";
const EVENTS_V1: &str = "memory.oom_control";

/// The groups of a process: controllers (empty for version 2) and path, as in /proc/PID/cgroup (cgroups(7)).
pub fn parse(text: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(text);
    let group = |line: &str| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        Some((controllers.to_owned(), path.to_owned()))
    };
    text.lines().filter_map(group).collect()
}

/// The value of a name in a file of `name value` lines.
pub fn value(text: &[u8], name: &str) -> Option<u64> {
    let text = String::from_utf8_lossy(text);
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// How often the kernel has killed in our group for want of memory; none where that cannot be seen.
pub fn memory_kills(root: &Root) -> Option<u64> {
    let groups = parse(&root.read("/proc/self/cgroup").unwrap_or_default());
    candidates(&groups).into_iter().find_map(|file| value(&root.read(file).ok()?, "oom_kill"))
}

fn candidates(groups: &[(String, String)]) -> Vec<PathBuf> {
    let path = |wanted: &dyn Fn(&str) -> bool| {
        groups.iter().find(|(controllers, _)| wanted(controllers)).map_or("", |(_, path)| path.trim_start_matches('/'))
    };
    let unified = path(&|controllers| controllers.is_empty());
    let memory = path(&|controllers| controllers.split(',').any(|controller| controller == "memory"));
    vec![
        PathBuf::from("/sys/fs/cgroup").join(unified).join(EVENTS),
        PathBuf::from("/sys/fs/cgroup").join(EVENTS),
        PathBuf::from("/sys/fs/cgroup/memory").join(memory).join(EVENTS_V1),
        PathBuf::from("/sys/fs/cgroup/memory").join(EVENTS_V1),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        for (path, text) in files {
            let path = root.path(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        (directory, root)
    }

    #[test]
    fn kills_are_counted_in_both_versions_and_behind_a_bind_mount() {
        let (_v2, v2) = machine(&[
            ("/proc/self/cgroup", "0::/kubepods/pod1\n"),
            ("/sys/fs/cgroup/kubepods/pod1/memory.events", "low 0\noom 3\noom_kill 2\noom_group_kill 0\n"),
        ]);
        assert_eq!(memory_kills(&v2), Some(2));
        let (_v1, v1) = machine(&[
            ("/proc/self/cgroup", "5:cpu,cpuacct:/docker/x\n4:memory:/docker/x\n0::/\n"),
            ("/sys/fs/cgroup/memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 7\n"),
        ]);
        assert_eq!(memory_kills(&v1), Some(7));
        assert_eq!(memory_kills(&Root::at("/nonexistent")), None);
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_parsers(bytes: Vec<u8>) {
            let _ = (parse(&bytes), value(&bytes, "oom_kill"));
        }
    }
}
