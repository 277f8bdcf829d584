//! File systems of other machines, as a server of the tests' own plays them: broken, slow, hanging, dying.

use crate::sandbox::{Sandbox, possible};
use crate::support::fuse::{Act, Disk, Manner, op};
use std::time::Duration;

fn disk(manner: Manner) -> Disk {
    Disk { files: vec![("a.tar".to_owned(), vec![7; 100]), ("b.tar".to_owned(), vec![8; 100])], manner, appends: true }
}

fn far(kind: &str, manner: Manner) -> Sandbox {
    Sandbox::new("").serves("far", kind, disk(manner))
}

#[test]
fn a_share_that_answers_is_well() {
    if !possible(&["/dev/fuse"]) {
        return;
    }
    let checked = far("fuse.sshfs", |_| Act::Answer).with("TRAINIT_DATA", "$D/far:rw,contains=*.tar").check();
    assert!(checked.only("data").2.contains("/far: fuse.sshfs"), "{}", checked.only("data").2);
    let written = far("fuse.sshfs", |_| Act::Answer).with("TRAINIT_OUTPUT", "$D/far").check();
    assert_eq!((written.only("output").0, written.only("output").1), ("output.writable", "ok"));
    assert!(written.only("output").2.ends_with("32 GiB free"), "{}", written.only("output").2);
}

#[test]
fn a_slow_share_is_waited_for() {
    if !possible(&["/dev/fuse"]) {
        return;
    }
    let checked = far("fuse.sshfs", |_| Act::Late(Duration::from_millis(30))).with("TRAINIT_DATA", "$D/far").check();
    assert_eq!(checked.code, 0, "{:#?}", checked.findings);
}

#[test]
fn an_object_store_is_only_written_to_when_that_is_asked_for() {
    if !possible(&["/dev/fuse"]) {
        return;
    }
    // It may be written to, but would never delete.
    let forever = |code| if code == op::CREATE { Act::Fail(libc::EPERM) } else { Act::Answer };
    let asked =
        |options: &str| far("fuse.gcsfuse", forever).with("TRAINIT_OUTPUT", &format!("$D/far{options}")).check();
    let left = asked("");
    assert_eq!((left.only("output").0, left.only("output").1), ("output.writable", "ok"));
    assert!(left.only("output").2.ends_with(", not tried by writing"), "{}", left.only("output").2);
    assert_eq!(asked(":probe=yes").only("output").1, "fail");
}

#[test]
fn how_fast_a_share_is_is_told_when_that_is_asked_for() {
    if !possible(&["/dev/fuse"]) {
        return;
    }
    let late = |code| if code == op::READ { Act::Late(Duration::from_millis(200)) } else { Act::Answer };
    let slow = far("fuse.sshfs", late).with("TRAINIT_DATA", "$D/far:rw,min_speed=10MB").check();
    assert_eq!((slow.only("data").0, slow.code), ("data.speed", 211));
    assert!(slow.only("data").2.contains(" B/s, ") && slow.only("data").2.contains("min_speed asks for 9.5 MiB/s"));
    let memory = "mkdir -p data; mount -t tmpfs none data; head -c 1000000 /dev/zero > data/x";
    let fast = Sandbox::new(memory).with("TRAINIT_DATA", "$D/data:min_speed=1MB").check();
    assert!(fast.only("data").2.ends_with(" opens/s (from this machine's memory)"), "{}", fast.only("data").2);
}

#[test]
fn owners_on_a_share_of_a_virtual_machine_are_not_trusted() {
    if !possible(&["/dev/fuse"]) {
        return;
    }
    let told = |kind: &str| {
        let sandbox = far(kind, |_| Act::Answer).with("TRAINIT_CODE_PATH", "$D/far").with("TRAINIT_USER", "owner");
        let (output, _) = sandbox.start("exec -- id -u");
        assert_eq!(output.stdout, b"0\n");
        String::from_utf8(output.stderr).unwrap()
    };
    let shared = told("fuse.grpcfuse");
    assert!(shared.contains("/far is on fuse.grpcfuse, where owners are made up"), "{shared}");
    assert!(!told("fuse.sshfs").contains("made up"));
}

#[test]
fn each_error_of_a_share_is_told_with_its_meaning() {
    if !possible(&["/dev/fuse"]) {
        return;
    }
    let cases: [(Manner, &str, &str); 4] = [
        (
            |code| if code == op::GETATTR { Act::Fail(libc::ESTALE) } else { Act::Answer },
            "data.responds",
            "its export was removed or moved",
        ),
        (
            |code| if code == op::OPENDIR { Act::Fail(libc::EIO) } else { Act::Answer },
            "data.readable",
            "the storage reports an error",
        ),
        (
            |code| if code == op::READ { Act::Fail(libc::EIO) } else { Act::Answer },
            "data.readable",
            "the storage reports an error",
        ),
        (
            |code| if code == op::OPENDIR { Act::Fail(libc::EACCES) } else { Act::Answer },
            "data.readable",
            "root has no rights there",
        ),
    ];
    for (manner, check, because) in cases {
        let checked = far("fuse.sshfs", manner).with("TRAINIT_DATA", "$D/far").check();
        let (told, _, what) = checked.only("data");
        assert!(told == check && what.contains(because), "{told}: {what}");
    }
}

#[test]
fn what_nobody_may_write_is_told_from_what_this_container_may_not() {
    if !possible(&["/dev/fuse"]) {
        return;
    }
    let refuses = |code| if code == op::CREATE { Act::Fail(libc::EROFS) } else { Act::Answer };
    let told = |script: &str| {
        let sandbox = far("fuse.sshfs", refuses).with("TRAINIT_OUTPUT", "$D/out");
        let checked = sandbox.after(&format!("mkdir -p out; mount --bind far out; {script}")).check();
        let (check, _, what) = checked.only("output");
        assert_eq!((check, checked.code), ("output.writable", 113), "{what}");
        format!("{what}: {}", checked.remedy("output"))
    };
    assert!(told("true").contains("/out is exported read-only: the mount permits it, the server does not"));
    assert!(
        told("mount -i -o remount,bind,ro out").contains("/out is mounted read-only: docker run -v /path/on/host:")
    );
    let below = told("mount -i -o remount,ro far");
    assert!(below.contains("/out is mounted read-only: mount its file system writable on the host"), "{below}");
}

#[test]
fn a_daemon_that_dies_while_it_is_asked_is_told() {
    if !possible(&["/dev/fuse"]) {
        return;
    }
    let dies = |code| if code == op::OPENDIR { Act::Die } else { Act::Answer };
    let checked = far("fuse.sshfs", dies).with("TRAINIT_DATA", "$D/far").check();
    assert!(checked.only("data").2.contains("its FUSE daemon died"), "{}", checked.only("data").2);
    assert_eq!(checked.code, 211);
}

#[test]
fn one_that_hangs_where_no_signal_helps_costs_its_deadline_too() {
    if !possible(&["/dev/fuse"]) {
        return;
    }
    // The request has been read: from then on nothing ends the process that made it.
    let hangs = |code| if code == op::OPENDIR { Act::Hang } else { Act::Answer };
    let checked = far("fuse.sshfs", hangs).with("TRAINIT_DATA", "$D/far:timeout=1s").check();
    assert_eq!((checked.only("data").0, checked.code), ("data.responds", 211));
    assert!(checked.took < Duration::from_secs(10), "{:?}", checked.took);
}

/// Hangs as soon as anything of it is looked at.
fn dead(code: u32) -> Act {
    if [op::GETATTR, op::LOOKUP, op::OPENDIR].contains(&code) { Act::Hang } else { Act::Answer }
}

/// A start that reads something of a dead share: what it says, its exit code, and what the workload printed.
fn begun(variables: &[(&str, &str)]) -> (String, Option<i32>, String) {
    let sandbox = Sandbox::new("ln -sfn far link").serves("far", "fuse.sshfs", disk(dead));
    let sandbox = variables.iter().fold(sandbox, |sandbox, (name, value)| sandbox.with(name, value));
    let (output, took) = sandbox.start("exec -- echo begun");
    assert!(took >= Duration::from_secs(15) && took < Duration::from_secs(28), "{variables:?} {took:?}");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stderr), output.status.code(), text(&output.stdout))
}

#[test]
fn what_a_start_reads_of_a_dead_share_is_waited_for_once() {
    const SILENT: &str = "no answer in 15 s (fuse.sshfs from nas:/export)";
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, i32);
    let cases: [Case<'_>; 5] = [
        (&[("TRAINIT_CODE_PATH", "$D/far/code")], "trainit.yaml did not answer in 15 s", 212),
        (&[("TRAINIT_CODE_PATH", "$D/link/code")], "trainit.yaml did not answer in 15 s", 212),
        (&[("TRAINIT_CHECKPOINT_DIR", "$D/far/run"), ("TRAINIT_CHECKPOINT_RESUME", "env")], SILENT, 213),
        (
            &[("TRAINIT_WORKDIR", "$D/far/run"), ("TRAINIT_CODE_PATH", "/usr")],
            "cannot enter the working directory",
            212,
        ),
        (&[("TRAINIT_REPORT_FILE", "$D/far/report.json")], "its file system does not answer", 0),
    ];
    if !possible(&["/dev/fuse"]) {
        return;
    }
    std::thread::scope(|scope| {
        for (variables, because, code) in cases {
            scope.spawn(move || {
                let (text, ended, out) = begun(variables);
                assert!(text.contains(because), "{variables:?}: {text}");
                assert_eq!((ended, out.is_empty()), (Some(code), code != 0), "{variables:?}: {text}");
            });
        }
    });
}

/// Answers everything that is looked at with this error.
fn sick<const ERRNO: i32>(code: u32) -> Act {
    let looks = [op::GETATTR, op::LOOKUP, op::OPENDIR, op::OPEN, op::READ];
    if looks.contains(&code) { Act::Fail(ERRNO) } else { Act::Answer }
}

#[test]
fn each_error_of_a_sick_share_has_a_cause_and_a_passing_code_for_code_as_for_data() {
    if !possible(&["/dev/fuse"]) {
        return;
    }
    const UNREACHABLE: &str = "its server cannot be reached";
    let cases: [(Manner, &str); 7] = [
        (sick::<{ libc::ENOTCONN }>, "its FUSE daemon died"),
        (sick::<{ libc::ESTALE }>, "its export was removed or moved on the server"),
        (sick::<{ libc::EIO }>, "the storage reports an error"),
        (sick::<{ libc::ENODEV }>, "the device below it is gone or offline"),
        (sick::<{ libc::ETIMEDOUT }>, UNREACHABLE),
        (sick::<{ libc::EHOSTDOWN }>, UNREACHABLE),
        (sick::<{ libc::EKEYEXPIRED }>, "the key or ticket for it (Kerberos, AFS) is missing, expired or refused"),
    ];
    for (manner, because) in cases {
        for (variable, code) in [("TRAINIT_CODE_PATH", 212), ("TRAINIT_DATA", 211)] {
            let (output, _) = far("fuse.nfs4", manner).with(variable, "$D/far").start("exec -- echo begun");
            let text = String::from_utf8_lossy(&output.stderr);
            assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(code), true), "{variable}: {text}");
            assert!(text.contains(because), "{variable}: no {because:?} in {text}");
        }
    }
}

#[test]
fn a_share_whose_daemon_dies_during_training_ends_the_next_start_with_a_passing_code() {
    if !possible(&["/dev/fuse"]) {
        return;
    }
    let dies = |code| if code == op::READ { Act::Die } else { Act::Answer };
    let sandbox = far("fuse.gcsfuse", dies).with("TRAINIT_CODE_PATH", "$D/far");
    let sandbox = sandbox.with("TRAINIT_RESTART_MAX", "2").with("TRAINIT_RESTART_BACKOFF", "1ms..1ms");
    let (output, _) = sandbox.start("run -- sh -c 'echo begun; cat far/a.tar; exit 5'");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(212), &b"begun\n"[..]), "{text}");
    assert!(text.contains("its FUSE daemon died"), "{text}");
}

#[test]
fn what_cluster_file_systems_answer_is_told_with_its_cause() {
    if !possible(&["/dev/fuse"]) {
        return;
    }
    let answers = |manner: Manner| far("fuse.nfs4", manner).with("TRAINIT_DATA", "$D/far").check();
    let cases: [(Manner, &str); 5] = [
        (|_| Act::Fail(libc::ELOOP), "its automount does not reach into this container"),
        (|_| Act::Fail(libc::EKEYEXPIRED), "the key or ticket for it"),
        (|_| Act::Fail(libc::EREMOTE), "its server refers to another one"),
        (|_| Act::Fail(libc::EINPROGRESS), "its server has not recovered yet"),
        (|_| Act::Fail(libc::ENODATA), "the storage reports an error"),
    ];
    for (manner, because) in cases {
        let checked = answers(manner);
        let (_, status, words) = checked.only("data");
        assert_eq!((status, checked.code), ("fail", 211), "{words}");
        assert!(words.contains(because), "{words}");
    }
}

#[test]
fn a_loop_of_links_is_the_users_own() {
    let looped = Sandbox::new("ln -s b a; ln -s a b").with("TRAINIT_DATA", "$D/a").check();
    assert_eq!((looped.only("data").1, looped.code), ("fail", 111), "{}", looped.only("data").2);
}

#[test]
fn an_empty_bucket_is_no_directory_that_an_engine_made() {
    if !possible(&["/dev/fuse"]) {
        return;
    }
    let empty = Disk { files: Vec::new(), manner: |_| Act::Answer, appends: true };
    let checked = Sandbox::new("").serves("far", "fuse.gcsfuse", empty).with("TRAINIT_DATA", "$D/far").check();
    let (check, _, words) = checked.only("data");
    assert_eq!(check, "data.empty");
    assert!(words.contains("the bucket, or the prefix that is mounted, holds nothing (nas:/export)"), "{words}");
}

#[test]
fn a_store_that_cannot_rename_is_told_before_training() {
    if !possible(&["/dev/fuse"]) {
        return;
    }
    let never = |code| if code == op::RENAME { Act::Fail(libc::ENOSYS) } else { Act::Answer };
    let tried = far("fuse.mystore", never).with("TRAINIT_OUTPUT", "$D/far").check();
    let told = tried.of("output.rename").unwrap();
    assert!(told.contains("/far: files cannot be renamed there (nas:/export)") && tried.code == 0, "{told}");
    let once = |code| if code == op::SETATTR { Act::Fail(libc::EPERM) } else { Act::Answer };
    let tried = far("fuse.mystore", once).with("TRAINIT_OUTPUT", "$D/far").check();
    assert!(tried.of("output.rename").unwrap().contains("files cannot be overwritten there"), "{:#?}", tried.findings);
    let checkpoints = far("fuse.mountpoint-s3", |_| Act::Answer).with("TRAINIT_CHECKPOINT_DIR", "$D/far/run").check();
    assert!(checkpoints.of("output.rename").unwrap().contains("/far: nas:/export cannot rename files"));
    let known = far("fuse.mountpoint-s3", |_| Act::Answer).with("TRAINIT_OUTPUT", "$D/far").check();
    assert!(known.of("output.rename").unwrap().contains("nas:/export cannot rename files"), "{:#?}", known.findings);
    let other = far("fuse.gcsfuse", |_| Act::Answer).with("TRAINIT_OUTPUT", "$D/far").check();
    assert_eq!(other.of("output.rename"), None);
}
