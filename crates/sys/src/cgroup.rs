//! Control groups: the group of this process, the limits of that group, and the number of kills in it for want of memory. All of
//! version 2, version 1 and their mixture are read (cgroups(7)). In a container the own group is usually mounted as the root, so
//! the root is read, too.

use super::Root;
use std::path::{Path, PathBuf};

/// The file in which version 2 counts kills for want of memory, in the own group and all below it.
const EVENTS: &str = "memory.events";
/// The same file where the own group is mounted as the root.
const OWN_EVENTS: &str = "/sys/fs/cgroup/memory.events";
/// The file in which version 1 counts kills for want of memory.
const EVENTS_V1: &str = "memory.oom_control";

/// Reads the groups of a process from /proc/PID/cgroup (cgroups(7)): the controllers, empty for version 2, and the path.
pub fn parse(text: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(text);
    let group = |line: &str| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        Some((controllers.to_owned(), path.to_owned()))
    };
    text.lines().filter_map(group).collect()
}

/// Returns the number that stands behind a name in a file of `name value` lines.
pub fn value(text: &[u8], name: &str) -> Option<u64> {
    let text = String::from_utf8_lossy(text);
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// Returns how many processes of our group the kernel has killed for want of memory; `None` where that cannot be seen.
pub fn memory_kills(root: &Root) -> Option<u64> {
    let kills = |file: PathBuf| value(&root.read(file).ok()?, "oom_kill");
    // In a container with version 2 and its own cgroup namespace this file is enough; the host's root group has no such file.
    kills(PathBuf::from(OWN_EVENTS)).or_else(|| {
        // The text is read before the paths are made from it: the heap takes back only its newest piece (heap.rs).
        let text = root.read("/proc/self/cgroup").unwrap_or_default();
        let groups = parse(&text);
        candidates(&groups).into_iter().find_map(kills)
    })
}

/// The limits of this process's groups; `None` where there is no limit, or where the limit cannot be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// Memory in bytes that is left below the limits, where what the kernel can take back (files, caches) counts as left.
    pub memory_left: Option<u64>,
    /// CPU time, in thousandths of a CPU.
    pub millicpus: Option<u64>,
    /// Number of processes and threads.
    pub pids: Option<Pids>,
}

/// A limit on the number of processes and threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pids {
    /// How many there may be.
    pub max: u64,
    /// How many more there may be now.
    pub left: u64,
}

/// Where version 2 is mounted, and where version 1 has its directories.
const MOUNTED: &str = "/sys/fs/cgroup";

/// Reads the limits. The lowest one counts, from the own group up to the visible root.
pub fn limits(root: &Root) -> Limits {
    let groups = parse(&root.read("/proc/self/cgroup").unwrap_or_default());
    let (memory, memory_left) = memory(root, &groups);
    Limits { memory, memory_left, millicpus: cpu(root, &groups), pids: pids(root, &groups) }
}

/// Parts of memory.stat that no pressure takes back without swap: those of version 2, and those of version 1, which count the groups below.
const HELD: [&str; 3] = ["anon", "shmem", "slab_unreclaimable"];
const HELD_V1: [&str; 2] = ["total_rss", "total_shmem"];

/// Returns the lowest limit of memory, and the least that is left below one.
fn memory(root: &Root, groups: &[(String, String)]) -> (Option<u64>, Option<u64>) {
    let (levels, second) = levels(groups, "memory");
    let (name, parts) = if second { ("memory.max", &HELD[..]) } else { ("memory.limit_in_bytes", &HELD_V1[..]) };
    let held = |level: &PathBuf| -> u64 {
        let text = root.read(level.join("memory.stat")).unwrap_or_default();
        parts.iter().filter_map(|part| value(&text, part)).fold(0, u64::saturating_add)
    };
    // Version 1 writes the largest number of pages where there is no limit.
    let limit = |level: &PathBuf| number(root, &level.join(name)).filter(|limit| *limit < 1 << 60);
    let limited: Vec<(u64, u64)> = levels.iter().filter_map(|level| Some((limit(level)?, held(level)))).collect();
    let left = limited.iter().map(|(limit, held)| limit.saturating_sub(*held));
    (limited.iter().map(|(limit, _)| *limit).min(), left.min())
}

fn cpu(root: &Root, groups: &[(String, String)]) -> Option<u64> {
    let (levels, second) = levels(groups, "cpu");
    let quota = |level: &PathBuf| match second {
        true => {
            let text = root.text(level.join("cpu.max")).ok()?;
            let mut numbers = text.split_whitespace().map(|word| word.parse::<u64>().ok());
            Some((numbers.next()??, numbers.next()??))
        }
        false => {
            Some((number(root, &level.join("cpu.cfs_quota_us"))?, number(root, &level.join("cpu.cfs_period_us"))?))
        }
    };
    levels.iter().filter_map(quota).filter_map(|(quota, period)| quota.saturating_mul(1000).checked_div(period)).min()
}

fn pids(root: &Root, groups: &[(String, String)]) -> Option<Pids> {
    let pids = |level: &PathBuf| {
        let max = number(root, &level.join("pids.max"))?;
        let current = number(root, &level.join("pids.current")).unwrap_or_default();
        Some(Pids { max, left: max.saturating_sub(current) })
    };
    levels(groups, "pids").0.iter().filter_map(pids).min_by_key(|pids| pids.left)
}

/// Reads a file that holds one number; `max` and `-1` give `None`.
fn number(root: &Root, file: &Path) -> Option<u64> {
    root.text(file).ok()?.trim().parse().ok()
}

/// Lists the directories of a controller, from the own group up to the root, and tells whether they are of version 2.
fn levels(groups: &[(String, String)], controller: &str) -> (Vec<PathBuf>, bool) {
    let first = groups.iter().find(|(names, _)| names.split(',').any(|name| name == controller));
    let second = groups.iter().find(|(names, _)| names.is_empty());
    let (base, path) = match (first, second) {
        // `cpu,cpuacct` is mounted under its whole name, and `cpu` is a link to that directory.
        (Some((_, path)), _) => (Path::new(MOUNTED).join(controller), path.as_str()),
        (None, second) => (PathBuf::from(MOUNTED), second.map_or("/", |(_, path)| path)),
    };
    let path = Path::new(path.trim_start_matches('/'));
    let inside = path.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    let path = if inside { path } else { Path::new("") };
    (path.ancestors().map(|level| base.join(level)).collect(), first.is_none())
}

fn candidates(groups: &[(String, String)]) -> Vec<PathBuf> {
    let path = |wanted: &dyn Fn(&str) -> bool| {
        groups.iter().find(|(controllers, _)| wanted(controllers)).map_or("", |(_, path)| path.trim_start_matches('/'))
    };
    let unified = path(&|controllers| controllers.is_empty());
    let memory = path(&|controllers| controllers.split(',').any(|controller| controller == "memory"));
    vec![
        PathBuf::from("/sys/fs/cgroup").join(unified).join(EVENTS),
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

    const PLENTY: &str = "9223372036854771712\n";

    #[test]
    fn limits_of_version_2_are_the_lowest_on_the_way_up() {
        let (_v2, v2) = machine(&[
            ("/proc/self/cgroup", "0::/kubepods/pod1/main\n"),
            ("/sys/fs/cgroup/kubepods/pod1/main/memory.max", "max\n"),
            ("/sys/fs/cgroup/kubepods/pod1/memory.max", "1073741824\n"),
            ("/sys/fs/cgroup/kubepods/memory.max", "2147483648\n"),
            ("/sys/fs/cgroup/kubepods/pod1/main/cpu.max", "150000 100000\n"),
            ("/sys/fs/cgroup/kubepods/pod1/cpu.max", "max 100000\n"),
            ("/sys/fs/cgroup/kubepods/pod1/main/pids.max", "100\n"),
            ("/sys/fs/cgroup/kubepods/pod1/main/pids.current", "40\n"),
            ("/sys/fs/cgroup/kubepods/pod1/pids.max", "1000\n"),
        ]);
        let expected = Limits {
            memory: Some(1 << 30),
            memory_left: Some(1 << 30),
            millicpus: Some(1500),
            pids: Some(Pids { max: 100, left: 60 }),
        };
        assert_eq!(limits(&v2), expected);
        let (_private, private) = machine(&[("/proc/self/cgroup", "0::/\n"), ("/sys/fs/cgroup/memory.max", "4096\n")]);
        assert_eq!(limits(&private), Limits { memory: Some(4096), memory_left: Some(4096), ..Limits::default() });
    }

    #[test]
    fn limits_of_version_1_are_found_behind_a_bind_mount_and_in_the_mixture() {
        let (_v1, v1) = machine(&[
            ("/proc/self/cgroup", "8:pids:/docker/x\n5:cpu,cpuacct:/docker/x\n4:memory:/docker/x\n0::/docker/x\n"),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n"),
            ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n"),
            ("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
            ("/sys/fs/cgroup/pids/pids.max", "max\n"),
        ]);
        let expected =
            Limits { memory: Some(512 << 20), memory_left: Some(512 << 20), millicpus: Some(500), pids: None };
        assert_eq!(limits(&v1), expected);
        let (_free, free) = machine(&[
            ("/proc/self/cgroup", "4:memory:/\n5:cpu,cpuacct:/\n"),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", PLENTY),
            ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"),
            ("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "0\n"),
        ]);
        assert_eq!((limits(&free), limits(&Root::at("/nonexistent"))), (Limits::default(), Limits::default()));
    }

    #[test]
    fn memory_is_left_unless_it_is_held() {
        let (_v2, v2) = machine(&[
            ("/proc/self/cgroup", "0::/pod/main\n"),
            ("/sys/fs/cgroup/pod/main/memory.max", "5000\n"),
            ("/sys/fs/cgroup/pod/main/memory.stat", "anon 100\nfile 4000\nshmem 200\nfile_mapped 3\n"),
            ("/sys/fs/cgroup/pod/memory.max", "6000\n"),
            ("/sys/fs/cgroup/pod/memory.stat", "anon 3000\nfile 900\nshmem 200\nslab_unreclaimable 50\n"),
        ]);
        assert_eq!((limits(&v2).memory, limits(&v2).memory_left), (Some(5000), Some(2750)));
        let (_v1, v1) = machine(&[
            ("/proc/self/cgroup", "4:memory:/\n"),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "1000\n"),
            ("/sys/fs/cgroup/memory/memory.stat", "cache 900\nrss 1\nshmem 1\ntotal_rss 300\ntotal_shmem 2000\n"),
        ]);
        assert_eq!(limits(&v1).memory_left, Some(0));
    }

    #[test]
    fn a_path_that_leads_out_of_the_hierarchy_is_not_followed() {
        let (_odd, odd) = machine(&[
            ("/proc/self/cgroup", "0::/../../x\n"),
            ("/sys/x/memory.max", "1\n"),
            ("/sys/fs/cgroup/memory.max", "2\n"),
        ]);
        assert_eq!(limits(&odd).memory, Some(2));
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_limits(group in proptest::collection::vec(any::<u8>(), 0..60), text in "(max|-?[0-9]{0,25}) ?[0-9]{0,25}") {
            let text = text.as_str();
            let files = ["memory.max", "cpu.max", "pids.max", "pids.current"].map(|name| (format!("/sys/fs/cgroup/{name}"), text));
            let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
            let (_machine, root) = machine(&files);
            std::fs::create_dir_all(root.path("/proc/self")).unwrap();
            std::fs::write(root.path("/proc/self/cgroup"), &group).unwrap();
            let _ = limits(&root);
        }

        #[test]
        fn no_bytes_break_the_parsers(bytes: Vec<u8>) {
            let _ = (parse(&bytes), value(&bytes, "oom_kill"));
        }
    }
}
