//! The host checks against machines that are laid out as files.

use super::super::rules::Rules;
use super::super::step::walk;
use super::super::{Change, Finding, Remedy, Status};
use super::*;
use crate::config::Settings;

/// A machine as files, and what runs on it.
struct Machine {
    directory: tempfile::TempDir,
    host: HostTarget,
}

fn machine(files: &[(&str, &str)]) -> Machine {
    let directory = tempfile::tempdir().unwrap();
    let root = Root::at(directory.path());
    std::fs::create_dir_all(root.path("/dev/shm")).unwrap();
    for (path, text) in files {
        let path = root.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let host = HostTarget {
        root,
        place: Platform::Container,
        environment: Environment::default(),
        command: Vec::new(),
        wanted: HostRequirements::default(),
        limits: OnceCell::new(),
        shm: None,
    };
    Machine { directory, host }
}

impl Machine {
    fn with(mut self, variables: &[(&str, &str)]) -> Self {
        self.host.environment = variables.iter().copied().collect();
        self
    }

    /// Returns the findings of these checks.
    fn asked(mut self, ids: &[&str]) -> Vec<Finding> {
        let only: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        let settings = Settings::default();
        let findings = walk(STEPS, &Rules::new(&settings.checks, Some(&only)), &mut self.host);
        drop(self.directory);
        findings.into_iter().filter(|finding| finding.status != Status::Ok).collect()
    }

    /// Returns the failure of one check.
    fn wrong(self, id: &str) -> Option<String> {
        self.asked(&[id]).pop().map(|finding| finding.what)
    }
}

fn shm(size: Option<u64>, minimum: Option<u64>) -> Option<Finding> {
    let mut machine = machine(&[]);
    machine.host.wanted.shm = minimum.map(Size);
    machine.host.shm = size.map(|size| shm::SharedMemory { size, free: size });
    let settings = Settings::default();
    let failure = machine.host.judge_shared_memory().err()?;
    failure.finding(&STEPS[0].check, &Rules::new(&settings.checks, None))
}

#[test]
fn little_shared_memory_is_a_warning() {
    let finding = shm(Some(64 << 20), None).unwrap();
    assert_eq!((finding.status, finding.what.as_str()), (Status::Warn, "/dev/shm is 64 MiB"));
    assert_eq!(finding.remedy, [Remedy::Start(Change::Shm { bytes: 8 << 30 })]);
    assert_eq!(shm(Some(1 << 30), None), None);
    assert_eq!(shm(Some(0), None), None);
}

#[test]
fn less_than_what_was_asked_for_is_a_failure() {
    let finding = shm(Some(2 << 30), Some(16 << 30)).unwrap();
    assert_eq!((finding.status, finding.exit.code()), (Status::Fail, 114));
    assert_eq!(finding.remedy, [Remedy::Start(Change::Shm { bytes: 16 << 30 })]);
    assert_eq!(shm(Some(64 << 20), Some(64 << 20)), None);
}

#[test]
fn what_is_free_of_shared_memory_counts() {
    let told = |size, free, minimum: Option<u64>| {
        let mut machine = machine(&[]);
        machine.host.wanted.shm = minimum.map(Size);
        machine.host.shm = Some(shm::SharedMemory { size, free });
        let failure = machine.host.judge_shared_memory().err()?;
        let finding = failure.finding(&STEPS[0].check, &Rules::new(&Settings::default().checks, None)).unwrap();
        Some((finding.status, finding.what))
    };
    let gib = 1 << 30;
    assert_eq!(told(gib, 0, None), Some((Status::Warn, "of /dev/shm, 1 GiB, only 0 B are free".to_owned())));
    let asked = "of /dev/shm, 8 GiB, only 1 GiB are free, host.shm asks for 2 GiB".to_owned();
    assert_eq!(told(8 * gib, gib, Some(2 * gib)), Some((Status::Fail, asked)));
    assert_eq!(told(gib, gib - (1 << 20), Some(gib)), None, "a few files are in every container");
    assert_eq!(told(0, 0, Some(gib)), None, "without a limit");
    assert_eq!(told(64 * gib, 2 * gib, None), None);
}

#[test]
fn shared_memory_that_the_memory_limit_does_not_hold_cannot_be_had() {
    let limited = ("/sys/fs/cgroup/memory.max", "1073741824\n");
    let mut machine = machine(&[CGROUP, limited]);
    machine.host.wanted.shm = Some(Size(2 << 30));
    let told = machine.wrong("host.shm").unwrap();
    assert_eq!(told, "host.shm asks for 2 GiB of shared memory, and only 1 GiB of memory may be used");
}

#[test]
fn memory_that_is_in_use_is_not_there_for_shared_memory() {
    let limited = ("/sys/fs/cgroup/memory.max", "4294967296\n");
    let told = |stat: &str| {
        let mut machine = machine(&[CGROUP, limited, ("/sys/fs/cgroup/memory.stat", stat)]);
        machine.host.wanted.shm = Some(Size(2 << 30));
        machine.host.shm = Some(shm::SharedMemory { size: 0, free: 0 });
        machine.host.judge_shared_memory().err()
    };
    let failure = told("anon 3221225472\nfile 0\nshmem 0\n").unwrap();
    let finding = failure.finding(&STEPS[0].check, &Rules::new(&Settings::default().checks, None)).unwrap();
    assert_eq!(finding.what, "host.shm asks for 2 GiB of shared memory, and of 4 GiB of memory only 1 GiB are left");
    assert_eq!(told("anon 104857600\nfile 3221225472\nshmem 0\n"), None, "the kernel takes cached files back");
    assert_eq!(told("anon 2200000000\n"), None, "nearly as much as is asked for");
}

#[test]
fn the_interfaces_that_variables_name_are_here() {
    let devices = ("/proc/net/dev", "Inter-| Receive\n face |bytes\n    lo: 0 0\n  eth0: 0 0\n  ib0: 0 0\n");
    let told =
        |variables: &[(&str, &str)]| machine(&[devices, GPUS[0], GPUS[1]]).with(variables).wrong("host.interface");
    for well in
        ["eth", "eth0", "=eth0", "ens5,ib", "^docker0,lo", "^=eth0", "=eth0:4000", "eth0,", "^docker0,", "^=eth"]
    {
        assert_eq!(told(&[("NCCL_SOCKET_IFNAME", well)]), None, "{well}");
    }
    for gone in ["ens5", "=eth", "=bond0,ens5", "^lo,eth,ib", "ens5,", "^=lo,eth0,ib0"] {
        let expected = format!("NCCL_SOCKET_IFNAME={gone}: no such network interface is here");
        assert_eq!(told(&[("NCCL_SOCKET_IFNAME", gone)]), Some(expected));
    }
    assert_eq!(told(&[("GLOO_SOCKET_IFNAME", "ib0")]), None);
    assert_eq!(told(&[("GLOO_SOCKET_IFNAME", "eth0,ib0")]), None);
    for gone in ["eth", "eth0,ens5", "^lo", "=eth0"] {
        assert!(told(&[("GLOO_SOCKET_IFNAME", gone)]).is_some(), "Gloo opens each of these, by its whole name: {gone}");
    }
    for gpus in 0..2 {
        let files: Vec<(&str, &str)> = [devices].into_iter().chain(GPUS.into_iter().take(gpus)).collect();
        let alone = machine(&files).with(&[("NCCL_SOCKET_IFNAME", "ens5")]);
        assert_eq!(alone.wrong("host.interface"), None, "one process talks to no other");
    }
    let unseen = machine(&GPUS).with(&[("NCCL_SOCKET_IFNAME", "ens5")]);
    assert_eq!(unseen.wrong("host.interface"), None);
}

#[test]
fn a_demand_for_locked_memory_is_met_by_who_may_lock_all() {
    let status = ("/proc/self/status", "Name:\tx\nCapEff:\t0000000000004000\n");
    let mut machine = machine(&[status]);
    machine.host.wanted.locked = Some(LockedMemory::Unlimited);
    assert_eq!(machine.wrong("host.memlock"), None);
}

#[test]
fn a_missing_directory_is_told() {
    let mut machine = machine(&[]);
    machine.host.place = Platform::Host;
    std::fs::remove_dir_all(machine.directory.path().join("dev")).unwrap();
    let findings = machine.asked(&["host.shm"]);
    assert_eq!(findings[0].what, "/dev/shm does not exist");
    assert_eq!(findings[0].remedy, [Remedy::Start(Change::Shm { bytes: 8 << 30 })]);
}

const GPUS: [(&str, &str); 2] = [("/dev/nvidia0", ""), ("/dev/nvidia1", "")];
const CGROUP: (&str, &str) = ("/proc/self/cgroup", "0::/\n");

#[test]
fn little_memory_matters_beside_a_gpu_only() {
    let little = ("/sys/fs/cgroup/memory.max", "2147483648\n");
    assert_eq!(machine(&[CGROUP, little]).wrong("host.memory"), None);
    let gpu = ("/dev/nvidia0", "");
    assert_eq!(machine(&[CGROUP, little, gpu]).wrong("host.memory").unwrap(), "2 GiB of memory beside 1 GPU");
}

#[test]
fn seeing_many_more_cpus_than_may_be_used_is_told_unless_threads_are_set() {
    let seen = own::cpus().unwrap();
    let part = |times: u64| format!("{} 100000\n", u64::from(seen) * 100_000 / times);
    let (quarter, half) = (part(4), part(2));
    let limited = |quota: &str| machine(&[CGROUP, ("/sys/fs/cgroup/cpu.max", quota)]);
    let told = limited(&quarter).wrong("host.threads").unwrap();
    assert!(told.ends_with(&format!(" CPUs may be used, but programs see {seen}")), "{told}");
    assert_eq!(limited(&half).wrong("host.threads"), None);
    assert_eq!(limited(&quarter).with(&[("OMP_NUM_THREADS", "1")]).wrong("host.threads"), None);
    let mut decided = limited(&quarter);
    decided.host.wanted.threads_decided = true;
    assert_eq!(decided.wrong("host.threads"), None);
    let mut torchrun = limited(&quarter);
    torchrun.host.command = vec!["/opt/bin/torchrun".into(), "train.py".into()];
    assert_eq!(torchrun.wrong("host.threads"), None);
}

#[test]
fn few_processes_are_told() {
    let pids =
        |max: &str| machine(&[CGROUP, ("/sys/fs/cgroup/pids.max", max), ("/sys/fs/cgroup/pids.current", "32\n")]);
    let told = pids("512\n").wrong("host.pids").unwrap();
    assert_eq!(told, "only 480 more processes and threads may be started (limit 512)");
    assert_eq!((pids("max\n").wrong("host.pids"), pids("16384\n").wrong("host.pids")), (None, None));
}

#[test]
fn rdma_devices_are_missed_where_nccl_was_told_of_them() {
    let hca = [("NCCL_IB_HCA", "mlx5_0")];
    assert_eq!(machine(&[]).wrong("host.rdma"), None);
    assert_eq!(machine(&[]).with(&hca).wrong("host.rdma").unwrap(), "there is no /dev/infiniband/uverbs*");
    assert_eq!(machine(&[]).with(&[hca[0], ("NCCL_IB_DISABLE", "1")]).wrong("host.rdma"), None);
    let here = [("/dev/infiniband/uverbs0", ""), ("/sys/class/infiniband/mlx5_0/node_type", "")];
    assert_eq!(machine(&here[..1]).with(&hca).wrong("host.rdma"), None);
    let named = |list: &str| machine(&here).with(&[("NCCL_IB_HCA", list)]).wrong("host.rdma");
    for well in ["mlx5", "mlx5_0:1", "=mlx5_0:1,mlx5_1:1", "^mlx5_1", "^=mlx5_1:1"] {
        assert_eq!(named(well), None, "{well}");
    }
    for gone in ["=mlx5", "mlx4", "=mlx5_1:1"] {
        assert_eq!(named(gone), Some(format!("NCCL_IB_HCA={gone}: no such RDMA device is here")));
    }
    assert_eq!(machine(&[]).with(&[("NCCL_IB_HCA", "^mlx5_bond_0")]).wrong("host.rdma"), None, "it names none");
    assert_eq!(machine(&[]).with(&[hca[0], ("NCCL_NET", "Socket")]).wrong("host.rdma"), None);
}

#[test]
fn locked_memory_matters_beside_rdma_devices_and_not_to_who_may_lock_all() {
    let little = own::limit(own::LimitedResource::LockedMemory).is_some_and(|limit| limit.soft < 1 << 30);
    let rdma = ("/dev/infiniband/uverbs0", "");
    let told = machine(&[rdma]).wrong("host.memlock");
    assert_eq!(told.is_some(), little, "{told:?}");
    let status = ("/proc/self/status", "Name:\tx\nCapEff:\t0000000000004000\n");
    assert_eq!(machine(&[rdma, status]).wrong("host.memlock"), None);
    assert_eq!(machine(&[]).wrong("host.memlock"), None);
}

#[test]
fn more_files_than_the_hard_limit_cannot_be_had() {
    let hard = own::limit(own::LimitedResource::Files).unwrap().hard;
    let mut machine = machine(&[]);
    machine.host.wanted.files = OpenFiles::AtLeast(u32::try_from(hard + 1).unwrap());
    let findings = machine.asked(&["host.nofile"]);
    assert_eq!((findings[0].status, findings[0].exit.code()), (Status::Fail, 114));
}

const HOSTS: &str = "127.0.0.1 localhost # box\n10.0.0.2\tother Box-1\n";

#[test]
fn the_own_name_is_looked_for_where_it_can_be_found() {
    let only_loopback = ("/proc/net/dev", "Inter-|   Receive\n face |bytes\n    lo: 0 0\n");
    let several = [("MASTER_ADDR", "box")];
    let named = |name: &str| machine(&[("/proc/sys/kernel/hostname", name), ("/etc/hosts", HOSTS), only_loopback]);
    assert_eq!(named("box-1\n").with(&several).wrong("host.hostname"), None);
    let told = named("box\n").with(&several).wrong("host.hostname").unwrap();
    assert_eq!(told, "this host's name, box, is not in /etc/hosts");
    assert_eq!(named("box\n").wrong("host.hostname"), None, "one process needs no name");
    let asked = machine(&[("/proc/sys/kernel/hostname", "box\n"), ("/proc/net/dev", "lo: 0\neth0: 0\n")]);
    assert_eq!(asked.with(&several).wrong("host.hostname"), None, "a name server may know it");
    let itself = ("/etc/nsswitch.conf", "hosts: files dns myhostname\n");
    let itself = machine(&[("/proc/sys/kernel/hostname", "box\n"), only_loopback, itself]);
    assert_eq!(itself.with(&several).wrong("host.hostname"), None);
}

#[test]
fn a_proxy_must_spare_this_machine_and_both_cases_must_agree() {
    let wrong = |variables: &[(&str, &str)]| machine(&[]).with(variables).wrong("host.proxy");
    let proxy = ("HTTP_PROXY", "http://me:secret@proxy:3128");
    assert_eq!(wrong(&[("no_proxy", "")]), None);
    let told = wrong(&[proxy]).unwrap();
    assert!(told.contains("proxy:3128") && !told.contains("secret"), "{told}");
    assert_eq!(wrong(&[proxy, ("NO_PROXY", ".svc, localhost")]), None);
    let told = wrong(&[proxy, ("http_proxy", "http://other:1"), ("no_proxy", "*")]).unwrap();
    assert_eq!(told, "http_proxy and HTTP_PROXY say different things");
}
