//! The machine's checks with real limits, directories and control groups; and what a workload starts with.

use crate::sandbox::{Checked, Sandbox, possible};
use crate::support::group::Group;
use std::path::Path;
use std::process::Command;

/// What a workload that prints its limits and threads is started with, after `before` in the same shell.
fn workload(before: &str, variables: &[(&str, &str)]) -> (String, String) {
    let script = format!("{before}; exec \"$TRAINIT\" exec -- sh -c 'ulimit -Sn; ulimit -Hn; echo $OMP_NUM_THREADS'");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).env("TRAINIT", env!("CARGO_BIN_EXE_trainit")).env_remove("OMP_NUM_THREADS");
    let output = command.env("TRAINIT_CHECKS", "gpu=off code=off").envs(variables.iter().copied()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().replace('\n', " ");
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn open_files_are_raised_where_that_is_wanted_and_else_handed_on() {
    let given = "ulimit -Sn 300; ulimit -Hn 8192";
    assert_eq!(workload(given, &[]).0, "300 8192");
    assert_eq!(workload(given, &[("TRAINIT_HOST_NOFILE", "4000")]).0, "4000 8192");
    let auto = [("TRAINIT_HOST_NOFILE", "auto")];
    assert_eq!(workload(given, &auto).0, "8192 8192");
    if workload("ulimit -Hn 90000", &[]).0.ends_with(" 90000") {
        assert_eq!(workload("ulimit -Sn 300; ulimit -Hn 90000", &auto).0, "65536 90000");
        assert_eq!(workload("ulimit -n 80000", &auto).0, "80000 80000", "never lowered");
    }
}

#[test]
fn a_time_zone_and_a_locale_that_are_not_here_are_one_note_and_no_warning() {
    let zone = [("TZ", "Mars/Base"), ("LC_ALL", "xx_XX.UTF-8")];
    let told = workload("true", &zone).1;
    let lines: Vec<&str> = told.split("trainit").filter(|line| line.contains("TZ=Mars/Base")).collect();
    assert!(told.contains("so times are UTC") && lines.len() == 1, "{told}");
    assert!(!told.to_lowercase().contains("warn"), "{told}");
    assert!(!workload("true", &[("TZ", "UTC0"), ("LC_ALL", "C.UTF-8")]).1.contains("TZ="));
}

#[test]
fn files_that_cannot_be_had_end_the_start() {
    if !possible(&["/usr/bin/setpriv"]) {
        return;
    }
    let script = "ulimit -n 2048";
    let user =
        |wanted: &str| Sandbox::new(script).user(12345).with("HOME", "$D").with("TRAINIT_HOST_NOFILE", wanted).check();
    let little = user("off");
    assert!(little.of("host.nofile").unwrap().starts_with("at most 2048 files may be open at once"));
    assert_eq!((little.code, user("5000").code), (0, 114));
    assert_eq!(user("5000").remedies("host.nofile"), "docker run --ulimit nofile=5000 …");
}

#[test]
fn threads_follow_the_affinity_and_the_ranks() {
    if !possible(&["/usr/bin/taskset"]) {
        return;
    }
    let auto = [("TRAINIT_HOST_THREADS", "auto")];
    let one = workload("taskset -p -c 0 $$ >/dev/null", &auto);
    assert!(one.0.ends_with(" 1") && one.1.contains("OMP_NUM_THREADS: 1, of 1 CPU here (host.threads)"), "{one:?}");
    let inherited = workload("export OMP_NUM_THREADS=7", &auto);
    assert!(inherited.0.ends_with(" 7") && !inherited.1.contains("OMP_NUM_THREADS:"), "{inherited:?}");
    assert!(workload(":", &[("TRAINIT_HOST_THREADS", "3")]).0.ends_with(" 3"));
    assert_eq!(workload("ulimit -n 64", &[]).0, "64 64", "nothing is told when nothing is said");
}

#[test]
fn a_real_control_group_is_read() {
    let controllers = ["memory", "cpu", "pids"].map(|name| format!("/sys/fs/cgroup/{name}/cgroup.procs"));
    if !possible(&controllers.each_ref().map(String::as_str)) {
        return;
    }
    let limits = [("memory", "memory.limit_in_bytes", "512M"), ("cpu", "cpu.cfs_period_us", "100000")];
    let limits = limits.into_iter().chain([("cpu", "cpu.cfs_quota_us", "25000"), ("pids", "pids.max", "300")]);
    let group = |name: &str| Group::below(&Path::new("/sys/fs/cgroup").join(name), "host").unwrap();
    let groups = ["memory", "cpu", "pids"].map(|name| (name, group(name)));
    for (controller, file, value) in limits {
        groups.iter().filter(|(name, _)| *name == controller).for_each(|(_, group)| group.set(file, value).unwrap());
    }
    let script: String = groups.iter().map(|(_, group)| format!("echo $$ > {}\n", group.members().display())).collect();
    let checked = Sandbox::new(&script).check();
    let facts = &checked.findings.iter().find(|finding| finding["family"] == "host").unwrap()["facts"];
    assert_eq!((&facts["memory_bytes"], &facts["millicpus"]), (&(512u64 << 20).into(), &250.into()), "{facts}");
    assert!(checked.of("host.pids").unwrap().contains("may be started (limit 300): "));
    assert!(checked.of("host.threads").unwrap().starts_with("the time of 0.25 CPUs may be used, but programs see "));
}

#[test]
fn directories_that_cannot_be_used_are_told_and_nothing_is_left_in_the_others() {
    if !possible(&["/usr/bin/setpriv"]) {
        return;
    }
    let well = Sandbox::new("mkdir -p home; mkdir -m 1777 tmp");
    let well = well.with("TMPDIR", "$D/tmp").with("HOME", "$D/home").user(12345);
    let checked = well.check();
    // A home that cannot be written was replaced before.
    assert_eq!((checked.of("host.tmp"), checked.of("host.home"), checked.of("host.noexec")), (None, None, None));
    let left: Vec<_> = std::fs::read_dir(well.path("tmp")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name == "home-12345"), "{left:?}");
    let full = "mkdir home; mount -t tmpfs -o size=4k none home; head -c 4096 /dev/zero > home/x";
    let full = Sandbox::new(full).with("HOME", "$D/home").check();
    assert!(full.of("host.home").unwrap().contains("/home is full"), "{:?}", full.of("host.home"));

    let told = |script: &str| Sandbox::new(script).with("TMPDIR", "$D/tmp").with("HOME", "$D").check();
    let is = |checked: &Checked, words: &str| {
        let told = checked.of("host.tmp").unwrap_or_default();
        assert!(told.contains(words), "{words}: {told}");
    };
    is(&told(""), "/tmp does not exist");
    is(&told("mkdir tmp; mount -t tmpfs -o ro none tmp"), "Read-only file system");
    is(&told("mkdir tmp; mount -t tmpfs -o size=4k none tmp; head -c 4096 /dev/zero > tmp/x"), "is full");
    let noexec = told("mkdir tmp; mount -t tmpfs -o noexec none tmp");
    assert!(noexec.of("host.noexec").unwrap().contains("/tmp is mounted noexec"));
    assert_eq!((noexec.of("host.tmp"), noexec.code), (None, 0));
}

#[test]
fn a_temporary_directory_on_a_hung_file_system_costs_its_deadline_in_a_process_of_its_own() {
    if !possible(&["/dev/fuse"]) {
        return;
    }
    let script = "mkdir -p hung; exec 9<>/dev/fuse
        mount -i -t fuse.hang -o fd=9,rootmode=40000,user_id=0,group_id=0 nas:/tmp hung";
    let sandbox = Sandbox::new(script).with("HOME", "$D").with("TMPDIR", "$D/hung/me");
    let checked = sandbox.check();
    let expected = format!("{} did not answer in 5 s (fuse.hang from nas:/tmp)", sandbox.path("hung/me"));
    assert!(checked.of("host.tmp").unwrap().starts_with(&expected), "{:?}", checked.of("host.tmp"));
    assert!(checked.findings.iter().any(|finding| finding["check"] == "host.shm"), "{:#?}", checked.findings);
    assert_eq!((checked.code, sandbox.left_behind()), (0, Vec::new()));
}

#[test]
fn an_ordinary_machine_is_told_in_one_line() {
    if !possible(&["/dev/shm"]) {
        return;
    }
    let checked = Sandbox::new("mount -t tmpfs -o size=2g shm /dev/shm").check();
    let (check, status, what) = checked.only("host");
    assert_eq!((check, status), ("host.shm", "ok"), "{what}");
    assert!(what.starts_with("/dev/shm 2 GiB, memory ") && what.contains(" CPU"), "{what}");
}
