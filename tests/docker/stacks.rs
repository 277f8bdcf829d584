//! What users of docker-stacks' and linuxserver's images are used to: the rows of docs/compatibility.md, each in a container of an image
//! with their users. A row names what has to be printed, by the workload or by trainit.

use crate::harness::{Run, unique_name};
use crate::images::{Image, image};

/// One row: the test in its own project, the options of `docker run`, the shell's words, and what has to be there.
struct Row {
    name: &'static str,
    options: &'static str,
    script: &'static str,
    expected: &'static [&'static str],
}

const fn row(
    name: &'static str,
    options: &'static str,
    script: &'static str,
    expected: &'static [&'static str],
) -> Row {
    Row { name, options, script, expected }
}

/// A secret that the workload is not to have.
const UNSET: &str = "-e JUPYTER_ENV_VARS_TO_UNSET=SECRET,NONE -e SECRET=hunter2 -e FRUIT=pear";

const STACKS: &[Row] = &[
    row(
        "uid_change",
        "--user root -e NB_UID=1010",
        "id; touch $HOME/x && echo may-write",
        &["uid=1010(jovyan)", "may-write"],
    ),
    row("gid_change", "--user root -e NB_GID=110", "id", &["gid=110(jovyan)", "groups=110(jovyan),100(users)"]),
    row("nb_group_change", "--user root -e NB_GID=2000 -e NB_GROUP=custom-group", "id -gn", &["custom-group\n"]),
    row(
        "nb_user_change",
        "--user root -e NB_USER=nayvoj -e CHOWN_HOME=yes",
        "id; pwd; stat -c '%n %F %U %G' ~/ ~/work",
        &[
            "uid=1000(nayvoj) gid=100(users) groups=100(users)\n/home/nayvoj\n",
            "/home/nayvoj/ directory nayvoj users\n/home/nayvoj/work directory nayvoj users\n",
        ],
    ),
    row(
        "chown_extra",
        "--user root -e NB_UID=1010 -e NB_GID=101 -e CHOWN_EXTRA=/home/jovyan,/opt/conda/bin -e CHOWN_EXTRA_OPTS=-R",
        "stat -c %n:%u:%g /home/jovyan/.bashrc /opt/conda/bin/jupyter",
        &["/home/jovyan/.bashrc:1010:101\n/opt/conda/bin/jupyter:1010:101\n"],
    ),
    row(
        "chown_home",
        "--user root -e CHOWN_HOME=yes -e CHOWN_HOME_OPTS=-R -e NB_USER=kitten -e NB_UID=1010 -e NB_GID=101",
        "stat -c %n:%u:%g /home/kitten/.bashrc; echo $HOME; touch here && echo may-write",
        &["/home/kitten/.bashrc:1010:101\n/home/kitten\nmay-write\n"],
    ),
    row("sudo", "--user root -e GRANT_SUDO=yes", "id", &["uid=1000(jovyan)", "GRANT_SUDO: not done"]),
    row("sudo_path", "--user root", "command -v jupyter", &["/opt/conda/bin/jupyter\n"]),
    row(
        "group_add",
        "--user 1010:1010 --group-add users",
        "id; touch $HOME/x && echo may-write",
        &["uid=1010 gid=1010 groups=1010,100(users)\nmay-write", "a start as 1010:0 adds it"],
    ),
    row("set_uid", "--user 1010", "id", &["uid=1010(jovyan) gid=0(root)", "is for group 100"]),
    row(
        "set_uid_and_nb_user",
        "--user 1010 -e NB_USER=kitten --group-add users",
        "id; echo $HOME; touch here && echo may-write",
        &["uid=1010(kitten) gid=0(root)", "\n/home/jovyan\nmay-write\n"],
    ),
    row("env_vars_to_unset", UNSET, "echo $FRUIT ${SECRET:-none}", &["pear none\n"]),
    row(
        "env_vars_to_unset as root",
        "--user root -e JUPYTER_ENV_VARS_TO_UNSET=SECRET -e SECRET=hunter2",
        "echo ${SECRET:-none}",
        &["none\n"],
    ),
    row(
        "secure_path",
        "--user root -e LD_LIBRARY_PATH=/x -e PYTHONPATH=/y",
        "echo $LD_LIBRARY_PATH $PYTHONPATH $PATH",
        &["/x /y /opt/conda/bin:"],
    ),
    row(
        "rootless_triplet",
        "--user root -e NB_USER=root -e NB_UID=0 -e NB_GID=0",
        "id; echo HOME=$HOME; getent passwd root; env | grep SUDO",
        &["uid=0(root) gid=0(root) groups=0(root)\nHOME=/home/root\nroot:x:0:0:root:/home/root:/bin/bash\n"],
    ),
    row("nb_umask", "-e NB_UMASK=002", "umask", &["0002\n"]),
    row(
        "no root",
        "-e NB_UID=1234 -e NB_GID=99 -e CHOWN_HOME=yes",
        "id",
        &[
            "NB_UID asks for user 1234, and 1000 runs; NB_GID asks for group 99, and 100 runs",
            "CHOWN_HOME: not done, only a start as root can",
            "uid=1000(jovyan)",
        ],
    ),
    row("restartable", "-e RESTARTABLE=yes", "id", &["RESTARTABLE: not read", "uid=1000(jovyan)"]),
    row(
        "an existing home",
        "--user root -e NB_USER=kitten --tmpfs /home/kitten:mode=0777",
        "echo $HOME; ls -A ~ | wc -l",
        &["/home/kitten\n0\n"],
    ),
    row(
        "/etc that cannot be written",
        "--user root -e NB_USER=kitten --read-only --tmpfs /tmp:exec,mode=1777",
        "id -u",
        &["1000\n", "NB_USER: /home/kitten cannot be made"],
    ),
];

const LINUXSERVER: &[Row] = &[
    row(
        "PUID, PGID",
        "-e PUID=1001 -e PGID=1002",
        "id; echo $HOME; stat -c %u:%g /config",
        &["uid=1001(abc) gid=1002(abc) groups=1002(abc),", "/config\n1001:1002\n"],
    ),
    row("UMASK", "-e PUID=1001 -e UMASK=002", "umask", &["0002\n"]),
    row("UMASK without PUID", "-e UMASK=002", "umask", &["0022\n", "UMASK: not read without PUID"]),
    row("UMASK without root", "--user 1001:1002 -e PUID=1001 -e PGID=1002 -e UMASK=002", "umask", &["0002\n"]),
    row(
        "FILE__",
        "-e FILE__SECRET=/etc/hostname -e FILE__NONE=/no/such",
        "[ -n \"$SECRET\" ] && echo read",
        &["read\n", "FILE__NONE: /no/such cannot be read"],
    ),
    row("DOCKER_MODS", "-e DOCKER_MODS=some/mod", "id", &["DOCKER_MODS: not installed", "uid=0(root)"]),
    row(
        "custom-cont-init.d",
        "--tmpfs /custom-services.d",
        "id",
        &["/custom-cont-init.d: not run, TRAINIT_HOOKS_BEFORE_START=/custom-cont-init.d"],
    ),
    row(
        "custom-cont-init.d as a hook",
        "-e PUID=1001 -e TRAINIT_HOOKS_BEFORE_START=/custom-cont-init.d",
        "id",
        &["custom as 1001\n"],
    ),
];

fn hold(image: &str, rows: &[Row]) {
    for Row { name, options, script, expected } in rows {
        let ended = Run::of(image).with(options).command(&["bash", "-c", script]).finish();
        for wanted in *expected {
            assert!(ended.text.contains(wanted), "{name}: no {wanted:?} in:\n{}", ended.text);
        }
        assert!(
            !ended.text.contains("hunter2") && ended.text.matches("  user  ").count() <= 1,
            "{name}:\n{}",
            ended.text
        );
    }
}

#[test]
fn what_docker_stacks_tests_of_users_ask_for_holds_or_is_told() {
    let Some(stacks) = image(Image::Stacks) else { return };
    hold(&stacks, STACKS);
}

#[test]
fn what_linuxservers_users_know_holds_or_is_told() {
    let Some(linuxserver) = image(Image::Linuxserver) else { return };
    hold(&linuxserver, LINUXSERVER);
}

#[test]
fn a_mount_below_a_home_that_is_given_away_stays_as_it_is() {
    let Some(stacks) = image(Image::Stacks) else { return };
    let data = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(data.path().join("foo.txt"), "some content").expect("a temporary file");
    let options =
        format!("--user root -w /home -e NB_USER=user -e NB_UID=1010 -v {}:/home/jovyan/data", data.path().display());
    let given = "-e CHOWN_HOME=yes -e CHOWN_HOME_OPTS=-R";
    let run = Run::of(&stacks).with(&options).with(given).command(&["bash", "-c", "stat -c %n:%u ~/.bashrc ~/data"]);
    let ended = run.finish().expect_code(0);
    ended.expect_text(&["/home/user/.bashrc:1010\n/home/user/data:0\n", "data below it is a mount"]);
    assert_eq!(std::fs::read_to_string(data.path().join("foo.txt")).expect("it is there"), "some content");
}

#[test]
fn a_container_that_is_started_again_keeps_its_user() {
    let Some(stacks) = image(Image::Stacks) else { return };
    let options = "--user root -e NB_USER=kitten -e NB_UID=1010 -e NB_GID=101 -e CHOWN_HOME=yes";
    let run = Run::of(&stacks).with(options).with("--hostname").with(&unique_name());
    let container = run.command(&["bash", "-c", "echo $(id) $HOME $(stat -c %u ~/)"]).start();
    container.wait_for_field(".State.Status", "exited");
    container.start_again();
    let ended = container.ended();
    let line = "uid=1010(kitten) gid=101(kitten) groups=101(kitten),100(users) /home/kitten 1010\n";
    assert_eq!(ended.text.matches(line).count(), 2, "{}", ended.text);
}
