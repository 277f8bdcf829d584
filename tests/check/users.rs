//! Checks of the user, with real owners of real mounts.

use super::sandbox::{Sandbox, possible};

/// Code that belongs to somebody, mounted.
const CODE: &str = "mkdir -p src code; chown 4242:4343 src; mount --bind src code";

/// What a test's own pipe is not asked about.
const STREAMS: &str = "code=off user.stdio=off";

fn on_code() -> Sandbox {
    Sandbox::new(CODE).with("TRAINIT_CODE_PATH", "$D/code").with("TRAINIT_CHECKS", "code=off")
}

#[test]
fn root_on_a_mount_of_somebodys_is_told_what_becomes_of_new_files() {
    if !possible(&[]) {
        return;
    }
    let checked = on_code().check();
    let (check, status, what) = checked.only("user");
    assert_eq!((check, status, checked.code), ("user.owner_mismatch", "warn", 0));
    assert!(what.contains("/code belongs to 4242:4343, and root runs here"), "{what}");
    let remedy = checked.remedy("user");
    assert!(remedy.contains("TRAINIT_USER=owner") && remedy.contains("--user 4242:4343"), "{remedy}");
}

#[test]
fn where_nothing_can_be_written_or_root_does_not_run_nothing_is_told() {
    if !possible(&[]) {
        return;
    }
    let read_only =
        Sandbox::new(&format!("{CODE}; mount -o remount,bind,ro code")).with("TRAINIT_CODE_PATH", "$D/code");
    let of_user = |sandbox: Sandbox| {
        sandbox.check().findings.iter().filter(|finding| finding["check"] == "user.owner_mismatch").count()
    };
    assert_eq!([of_user(read_only), of_user(on_code().user(4242)), of_user(on_code().with("container", ""))], [0; 3]);
}

#[test]
fn a_user_that_nobody_knows_is_told_with_its_new_home() {
    if !possible(&[]) {
        return;
    }
    let sandbox = Sandbox::new("mkdir -m 1777 tmp")
        .user(12345)
        .with("TRAINIT_CHECKS", STREAMS)
        .with("HOME", "/")
        .with("TMPDIR", "$D/tmp");
    let checked = sandbox.check();
    let (check, status, what) = checked.only("user");
    assert_eq!((check, status), ("user.name", "ok"));
    let home = sandbox.path("tmp/home-12345");
    assert!(what.starts_with("12345:12345, uid12345, which /etc/passwd did not know, a new home in "), "{what}");
    assert!(what.ends_with(&home) && std::path::Path::new(&home).is_dir(), "{what}");
}

#[test]
fn a_user_that_is_asked_for_in_vain_is_told_how_to_get_it() {
    if !possible(&[]) {
        return;
    }
    let checked = Sandbox::new("true").user(12345).with("TRAINIT_CHECKS", STREAMS).with("NB_UID", "777").check();
    let (check, status, what) = checked.only("user");
    assert_eq!(
        (check, status, what.as_str()),
        (
            "user.asked",
            "warn",
            "NB_UID asks for user 777, and 12345 runs: only a container that starts as root can become another user"
        )
    );
    assert!(checked.remedy("user").contains("docker run --user 0:0"), "{}", checked.remedy("user"));
}

#[test]
fn a_check_runs_as_the_user_of_a_start() {
    if !possible(&[]) {
        return;
    }
    // /etc is a mount of its own, so that the machine's account files stay as they are.
    let script = "mount --bind /etc /etc; mkdir -p data; echo x > data/a; chmod 700 data; mount -t tmpfs none /mnt";
    let sandbox = Sandbox::new(script).with("TRAINIT_DATA", "$D/data:mounted=no");
    let refused = sandbox.with("TRAINIT_USER", "4242:4343").check();
    assert_eq!((refused.only("data").0, refused.code), ("data.readable", 111));
    assert!(refused.only("data").2.contains("cannot be read as 4242:4343"), "{:?}", refused.only("data"));
    // With `--user` trainit could not become anybody: whom it became is changed where that was said.
    let given = script.replace("chmod 700 data", "chmod 700 data; chown 777:888 data");
    let refused =
        Sandbox::new(&given).with("TRAINIT_DATA", "$D/data:mounted=no").with("TRAINIT_USER", "4242:4343").check();
    assert_eq!(refused.remedy("data"), "docker run -e TRAINIT_USER=777:888 …");
    let start = refused.report["start"]["docker"].as_str().unwrap();
    assert!(
        start.contains("-e TRAINIT_USER=777:888") && !start.contains("4242") && !start.contains("--user"),
        "{start}"
    );
}
