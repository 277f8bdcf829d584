//! Who the workload is, and what it can do, for every way in which people start containers as somebody: the same questions to each.

use crate::harness::{Ended, Run};
use crate::images::{Image, image};
use crate::terminal::Terminal;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use tempfile::TempDir;

/// What each container is asked: numbers, names, the home, the mount, streams by name, and Python's idea of who this is.
const QUESTIONS: &str = "echo \"id $(id -u):$(id -g) groups $(id -G)\"; echo \"home $HOME\"; touch $HOME/x && echo home-ok; \
    touch /out/file && echo out-ok; echo by-name > /dev/stdout; echo by-name-too > /dev/stderr; \
    python -c 'import getpass; print(\"python\", getpass.getuser())'; echo \"whoami $(whoami 2>&1)\"";

/// One way to start a container, and what then holds.
struct Case {
    options: &'static str,
    id: &'static str,
    home: &'static str,
    name: &'static str,
}

const fn case(options: &'static str, id: &'static str, home: &'static str, name: &'static str) -> Case {
    Case { options, id, home, name }
}

const CASES: [Case; 14] = [
    case("", "0:0 groups 0", "/root", "root"),
    case("--user 12345", "12345:0 groups 0", "/tmp/home-12345", "uid12345"),
    case("--user 12345:0", "12345:0 groups 0", "/tmp/home-12345", "uid12345"),
    case("--user 12345:23456 --group-add 777", "12345:23456 groups 23456 777", "/tmp/home-12345", "uid12345"),
    case("-e TRAINIT_USER=12345", "12345:12345 groups 12345", "/tmp/home-12345", "uid12345"),
    case("-e TRAINIT_USER=12345:0 --group-add 777", "12345:0 groups 0 777", "/tmp/home-12345", "uid12345"),
    case("-e TRAINIT_USER=games", "5:60 groups 60", "/tmp/home-5", "games"),
    case("-e TRAINIT_USER=owner", "4242:4343 groups 4343", "/tmp/home-4242", "uid4242"),
    case("-e NB_UID=1000 -e NB_GID=100 -e NB_USER=alice", "1000:100 groups 100", "/tmp/home-1000", "alice"),
    case("-e PUID=1001 -e PGID=1002", "1001:1002 groups 1002", "/tmp/home-1001", "uid1001"),
    case("--read-only", "0:0 groups 0", "/dev/shm/home-0", "root"),
    case("--read-only --tmpfs /tmp:exec --user 12345", "12345:0 groups 0", "/tmp/home-12345", "uid12345"),
    case("--read-only -e TRAINIT_USER=12345", "12345:12345 groups 12345", "/dev/shm/home-12345", "uid12345"),
    case("--cap-drop ALL", "0:0 groups 0", "/root", "root"),
];

/// Code that belongs to 4242:4343, and a directory for everybody.
struct Mounts {
    code: TempDir,
    out: TempDir,
}

impl Mounts {
    fn new() -> Self {
        let directory = || tempfile::tempdir().expect("a temporary directory");
        let mounts = Mounts { code: directory(), out: directory() };
        chown(mounts.code.path(), Some(4242), Some(4343)).expect("the tests run as root");
        open(mounts.code.path(), 0o755);
        open(mounts.out.path(), 0o777);
        mounts
    }

    fn options(&self) -> String {
        format!("-v {}:/code -v {}:/out", self.code.path().display(), self.out.path().display())
    }
}

fn open(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a directory of ours");
}

/// A container that sees the mounts.
fn with_mounts(image: &str, mounts: &Mounts, options: &str, script: &str) -> Run {
    Run::of(image).with(&mounts.options()).with(options).command(&["sh", "-c", script])
}

fn owner(file: &Path) -> String {
    let found = std::fs::metadata(file).expect("the container made it");
    format!("{}:{}", found.uid(), found.gid())
}

#[test]
fn whoever_it_is_has_a_name_a_home_streams_by_name_and_files_of_its_own() {
    let Some(python) = image(Image::Python) else { return };
    for Case { options, id, home, name } in CASES {
        let mounts = Mounts::new();
        let ended = with_mounts(&python, &mounts, options, QUESTIONS).finish().expect_code(0);
        let lines = [&format!("id {id}\n"), &format!("home {home}\n"), &format!("python {name}\n")];
        let ended = ended.expect_text(&lines.map(String::as_str));
        ended.expect_text(&["home-ok\n", "out-ok\n", "\nby-name\n", "by-name-too\n"]);
        assert_eq!(Some(owner(&mounts.out.path().join("file")).as_str()), id.split(' ').next(), "{options}");
    }
}

#[test]
fn the_user_that_root_becomes_is_in_the_containers_account_files() {
    let Some(python) = image(Image::Python) else { return };
    let renamed = "-e NB_UID=5 -e NB_GID=2000 -e NB_USER=alice -e NB_GROUP=team";
    for (options, told) in [
        ("-e TRAINIT_USER=12345", "uid12345 uid12345 12345 /tmp/home-12345"),
        (renamed, "alice alice 5 /usr/games"),
        ("-e NB_UID=1234 -e NB_USER=games", "games games 1234 /usr/games"),
    ] {
        let script = "import pwd, os; me = pwd.getpwuid(os.getuid()); print(os.environ['USER'], *me[0:3:2], me.pw_dir)";
        let run = Run::of(&python).with(options).command(&["python", "-c", script]);
        run.finish().expect_code(0).expect_text(&[&format!("{told}\n")]);
    }
    let names = Run::of(&python).with(renamed).command(&["sh", "-c", "id; id games"]).finish();
    names.expect_text(&["uid=5(alice) gid=2000(team) groups=2000(team),60(games)", "uid=5(alice) gid=60(games)"]);
}

#[test]
fn an_arbitrary_user_of_group_0_adds_itself_where_the_image_lets_it() {
    let Some(open) = image(Image::OpenAccounts) else { return };
    let run = Run::of(&open).with("--user 1000650000:0").command(&["whoami"]);
    run.finish().expect_code(0).expect_text(&["uid1000650000\n"]);
    Run::of(&open)
        .with("--user 1000650000:7")
        .command(&["sh", "-c", "whoami || echo unknown"])
        .finish()
        .expect_text(&["unknown\n"]);
}

#[test]
fn account_files_that_are_mounted_stay_as_they_are() {
    let Some(python) = image(Image::Python) else { return };
    let mounts = Mounts::new();
    let passwd = mounts.out.path().join("passwd");
    std::fs::write(&passwd, "root:x:0:0:root:/root:/bin/sh\n").expect("a temporary file");
    let options = format!("-v {}:/etc/passwd -e TRAINIT_USER=12345", passwd.display());
    Run::of(&python).with(&options).command(&["id", "-u"]).finish().expect_code(0).expect_text(&["12345\n"]);
    assert_eq!(std::fs::read_to_string(&passwd).expect("it is there"), "root:x:0:0:root:/root:/bin/sh\n");
}

#[test]
fn a_stop_reaches_another_user_without_the_right_to_signal_it() {
    let Some(python) = image(Image::Python) else { return };
    for options in ["", "--cap-drop KILL", "--cap-drop ALL --cap-add SETUID --cap-add SETGID"] {
        let script = "trap 'echo saved; exit 0' TERM; echo up; while :; do sleep 0.05; done";
        let run = Run::of(&python).with("-e TRAINIT_USER=12345").with(options).command(&["sh", "-c", script]);
        let container = run.start();
        container.wait_for_text("up\n");
        container.stop(60);
        container.ended().expect_code(143).expect_text(&["saved\n"]);
    }
}

#[test]
fn without_the_capabilities_a_change_of_user_is_refused_before_anything_starts() {
    let Some(python) = image(Image::Python) else { return };
    let refused = |options: &str| -> Ended {
        let run = Run::of(&python).with(options).command(&["echo", "never-started"]);
        let ended = run.finish().expect_code(115);
        assert!(!ended.text.contains("\nnever-started"), "{}", ended.text);
        ended
    };
    refused("--cap-drop ALL -e TRAINIT_USER=1000:1000").expect_text(&["SETUID", "start the container as 1000:1000"]);
    refused("--user 12345 -e TRAINIT_USER=1000").expect_text(&["trainit was started as 12345:0"]);
    refused("-e TRAINIT_USER=alice").expect_text(&["there is no alice in /etc/passwd"]);
}

#[test]
fn where_streams_cannot_be_given_away_writing_to_them_still_works() {
    let Some(python) = image(Image::Python) else { return };
    let script = "echo written; (echo by-name > /dev/stdout) 2>/dev/null || echo not-by-name";
    let run = Run::of(&python).with("--cap-drop CHOWN -e TRAINIT_USER=12345").command(&["sh", "-c", script]);
    run.finish().expect_code(0).expect_text(&["written\nnot-by-name\n"]);
}

#[test]
fn in_a_user_namespace_as_rootless_engines_make_them_root_stays() {
    let Some(python) = image(Image::Python) else { return };
    let run = Run::of(&python).with("--cap-add SYS_ADMIN --security-opt seccomp=unconfined --entrypoint unshare");
    let run =
        run.with("-e NB_UID=1000 -e NB_GID=100").command(&["-Ur", "trainit", "--", "sh", "-c", "echo id $(id -u)"]);
    let ended = run.finish();
    if ended.text.contains("unshare failed") {
        return crate::harness::skipped("no user namespace can be made here (control group or sysctl)");
    }
    ended.expect_code(0).expect_text(&["id 0\n", "NB_UID: not changed to 1000:100"]);
}

#[test]
fn a_terminal_belongs_to_the_user_and_so_does_a_session_from_outside() {
    let Some(python) = image(Image::Python) else { return };
    let run = Run::of(&python).with("-e TRAINIT_USER=12345 -e TRAINIT_CHECKPOINT_REQUEST_FILE=/tmp/home-12345/SAVE");
    let mut terminal = Terminal::open(run.command(&["shell"]));
    terminal.sees("$ ");
    terminal.types("echo name > /dev/stdout; id -u; trainit checkpoint\n");
    terminal.sees("\rname");
    terminal.sees("12345");
    terminal.sees("asked for a checkpoint");
    terminal.types("exit 0\n");
    assert_eq!(terminal.ended().0, Some(0));
}

#[test]
fn directories_are_given_to_the_user_only_when_they_are_named() {
    let Some(python) = image(Image::Python) else { return };
    let mounts = Mounts::new();
    let below = mounts.out.path().join("below");
    std::fs::create_dir(&below).expect("a temporary directory");
    let run = |options: &str| with_mounts(&python, &mounts, options, "true").finish().expect_code(0);
    run("-e NB_UID=1000 -e NB_GID=100");
    assert_eq!(owner(mounts.out.path()), "0:0");
    run("-e NB_UID=1000 -e NB_GID=100 -e CHOWN_EXTRA=/out");
    assert_eq!((owner(mounts.out.path()), owner(&below)), ("1000:100".to_owned(), "0:0".to_owned()));
    run("-e NB_UID=1000 -e NB_GID=100 -e CHOWN_EXTRA=/out -e CHOWN_EXTRA_OPTS=-R");
    assert_eq!(owner(&below), "1000:100");
}
