//! Starts as they look from inside, simulated by files.

use super::*;

const ID: &str = "1cc4f33f3d44e59c9098eb12bb539a558f79e50e3f7b676c361ef74f4d72360a";

/// Returns what Docker 20.10 made of a start without options.
fn plain() -> String {
    format!(
        "69 45 0:39 / / rw,noatime - overlay overlay rw\n\
         70 69 0:41 / /proc rw - proc proc rw\n\
         71 69 0:42 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755\n\
         85 71 0:46 / /dev/shm rw - tmpfs shm rw,size=65536k\n\
         90 69 254:0 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw - ext4 /dev/vda rw\n\
         50 70 0:48 / /proc/acpi ro,relatime - tmpfs tmpfs ro\n"
    )
}

fn seen(table: &str, files: &[(&str, &str)], variables: &[(&str, &str)], place: Platform) -> TypedStart {
    let directory = tempfile::tempdir().unwrap();
    let root = Root::at(directory.path());
    let usual = [("/proc/1/status", "Uid:\t0\t0\t0\t0\nCapBnd:\t00000000a80425fb\nNoNewPrivs:\t0\n")];
    for (path, text) in usual.iter().chain(files) {
        std::fs::create_dir_all(root.path(path).parent().unwrap()).unwrap();
        std::fs::write(root.path(path), text).unwrap();
    }
    let mounts = mountinfo::parse(table.as_bytes());
    let mut started = started(&root, &variables.iter().copied().collect(), &mounts, place, &["true".into()]);
    started.parts.retain(|part| !matches!(part, StartPart::Workdir(_))); // the working directory of the test itself
    started
}

fn parts(more: &str, files: &[(&str, &str)], variables: &[(&str, &str)]) -> Vec<StartPart> {
    seen(&format!("{}{more}", plain()), files, variables, Platform::Container).parts
}

#[test]
fn a_start_without_options_has_nothing_to_repeat() {
    assert_eq!(parts("", &[("/proc/sys/kernel/hostname", "1cc4f33f3d44\n")], &[("PATH", "/bin")]), []);
}

#[test]
fn mounts_have_their_source_where_it_is_sure() {
    let found = parts(
        "86 69 254:0 /var/lib/docker/volumes/cache/_data /cache rw - ext4 /dev/vda rw\n\
         87 69 254:0 /srv/my\\040data /data ro - ext4 /dev/vda rw\n\
         88 69 0:9 /imagenet /sets ro - nfs4 nas:/export rw\n\
         89 69 0:47 / /t rw - tmpfs tmpfs rw,size=10240k\n\
         91 69 254:0 /var/lib/docker/volumes/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/_data /v rw - ext4 /dev/vda rw\n\
         92 69 254:0 /usr/lib/libcuda.so.1 /usr/lib/libcuda.so.1 ro - ext4 /dev/vda rw\n",
        &[],
        &[],
    );
    let bind = |source: &str, target: &str, read_only| StartPart::Bind {
        source: source.into(),
        target: target.into(),
        read_only,
    };
    assert_eq!(
        found,
        [
            bind("cache", "/cache", false),
            bind("/srv/my data", "/data", true),
            StartPart::Mount { target: "/sets".into(), read_only: true },
            StartPart::Tmpfs { target: "/t".into(), bytes: Some(10 << 20) },
        ]
    );
}

#[test]
fn a_disk_that_is_not_the_hosts_root_gives_no_path() {
    let table = plain().replace("/var/lib/docker/", "/docker/") + "87 69 254:0 /data /data rw - ext4 /dev/vda rw\n";
    let started = seen(&table, &[], &[], Platform::Container);
    assert_eq!(started.parts, [StartPart::Mount { target: "/data".into(), read_only: false }]);
}

#[test]
fn rights_limits_user_and_devices_are_told() {
    let status = "Uid:\t1000\t1000\t1000\t1000\nGid:\t100\t100\t100\t100\nCapBnd:\t00000000a80c25fb\nNoNewPrivs:\t1\n";
    let limits = "Max locked memory         unlimited            unlimited            bytes\n\
                  Max stack size            67108864             unlimited            bytes\n";
    let files = [
        ("/proc/1/status", status),
        ("/proc/1/limits", limits),
        ("/proc/sys/kernel/hostname", "node7\n"),
        ("/dev/nvidia0", ""),
        ("/dev/nvidiactl", ""),
    ];
    let ulimit = |name: &str, limit| StartPart::Ulimit { name: name.into(), limit };
    assert_eq!(
        parts("", &files, &[("NVIDIA_VISIBLE_DEVICES", "0,2")]),
        [
            StartPart::Hostname("node7".into()),
            StartPart::User { uid: 1000, gid: 100 },
            StartPart::CapAdd("SYS_PTRACE".into()),
            StartPart::NoNewPrivileges,
            StartPart::GpuIds("0,2".into()),
            ulimit("memlock", None),
            ulimit("stack", Some(64 << 20)),
        ]
    );
}

#[test]
fn capabilities_are_told_in_the_fewest_words() {
    let told = |bound, sys_writable| {
        let word = |part| match part {
            StartPart::CapAdd(name) => format!("+{name}"),
            StartPart::CapDrop(name) => format!("-{name}"),
            other => format!("{other:?}"),
        };
        capabilities(bound, sys_writable).into_iter().map(word).collect::<Vec<_>>().join(" ")
    };
    const ALL: u64 = 0x1ff_ffff_ffff;
    const SYS_RESOURCE: u64 = 1 << 24;
    assert_eq!(told(DOCKERS, false), "");
    assert_eq!(told(PODMANS, false), "");
    assert_eq!(told(0, false), "-ALL");
    assert_eq!(told(0xa804_25fa, false), "-CHOWN");
    assert_eq!(told(DOCKERS & !1 | 1 << 19, true), "+SYS_PTRACE -CHOWN");
    assert_eq!(told(ALL, true), "Privileged");
    assert_eq!(told(ALL >> 3, true), "Privileged", "an older kernel knows fewer");
    assert_eq!(told(ALL & !SYS_RESOURCE, true), "Privileged", "the engine itself lacks one");
    assert_eq!(told(ALL & !SYS_RESOURCE, false), "+ALL -SYS_RESOURCE");
}

#[test]
fn a_privileged_start_is_one_word_also_where_the_engine_is_in_a_container_itself() {
    let status = ("/proc/1/status", "Uid:\t0\t0\t0\t0\nCapBnd:\t000001fffeffffff\nNoNewPrivs:\t0\n");
    let sys = |how: &str| format!("72 69 0:43 / /sys {how} - sysfs sysfs rw\n");
    assert_eq!(parts(&sys("rw"), &[status], &[]), [StartPart::Privileged]);
    let added = [StartPart::CapAdd("ALL".into()), StartPart::CapDrop("SYS_RESOURCE".into())];
    assert_eq!(parts(&sys("ro,nosuid"), &[status], &[]), added);
}

#[test]
fn a_namespace_that_somebody_keeps_by_a_mount_is_nothing_that_was_given() {
    let kept = "44 69 0:4 net:[4026531833] /run/docker/netns/default rw - nsfs nsfs rw\n";
    assert_eq!(parts(kept, &[], &[]), []);
}

#[test]
fn variables_of_trainit_are_repeated_and_secrets_are_only_named() {
    let given = [
        ("PATH", "/bin"),
        ("TRAINIT_DATA", "/data"),
        ("TRAINIT_RUN_DIR", "/run/x"),
        ("NB_UID", "1000"),
        ("TRAINIT_JUPYTER_TOKEN", "abc"),
        ("TRAINIT_DEPS_INDEX", "https://me:pw@host/simple"),
    ];
    let env = |name: &str, value: Option<&str>| StartPart::Env { name: name.into(), value: value.map(str::to_owned) };
    assert_eq!(
        parts("", &[], &given),
        [
            env("TRAINIT_DATA", Some("/data")),
            env("NB_UID", Some("1000")),
            env("TRAINIT_JUPYTER_TOKEN", None),
            env("TRAINIT_DEPS_INDEX", None),
        ]
    );
}

#[test]
fn the_words_are_those_of_pid_1_where_it_is_trainit() {
    let words = |line: &str, place| seen(&plain(), &[("/proc/1/cmdline", line)], &[], place).command;
    let typed = ["--set", "gpu.count=2", "python", "train.py"].map(OsString::from);
    let line = "/usr/local/bin/trainit\0--set\0gpu.count=2\0python\0train.py\0";
    assert_eq!(words(line, Platform::Container), typed);
    assert_eq!(words(line, Platform::Pod), typed);
    assert_eq!(words("/sbin/init\0", Platform::Container), ["true"]);
    assert_eq!(words(line, Platform::Host), ["true"]);
}

#[test]
fn in_a_pod_nothing_is_typed_again() {
    let table = format!("{}87 69 254:0 /data /data rw - ext4 /dev/vda rw\n", plain());
    assert_eq!(seen(&table, &[], &[("TRAINIT_DATA", "/data")], Platform::Pod).parts, []);
}
