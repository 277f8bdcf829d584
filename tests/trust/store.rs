//! A store for environments that everybody may write: what another user puts there is neither believed, nor written through, nor waited for.

use crate::cases::Case;
use crate::harness::{Ended, docker};
use crate::wheel::Wheel;

/// A start as user 1000 that installs one small package and uses the store; nothing where there is no daemon.
fn start(case: &Case, more: &str) -> Option<Ended> {
    let base = case.path("");
    let options = format!(
        "-v {0}/store:/store -v {0}/home:/h -e HOME=/h -e TRAINIT_DEPS_FIND_LINKS=/code -e TRAINIT_DEPS_INDEX=off \
         -e TRAINIT_DEPS_STORE=/store -e TRAINIT_DEPS_TIMEOUT=40s {more}",
        base.display()
    );
    Some(case.run(&options, &["python3", "-c", "import small; print('has it')"])?.finish())
}

/// A store where an environment is built already, with its key; the cache of who built it is gone.
fn built() -> Option<(Case, String)> {
    let case = Case::new();
    case.directory("store", 0o777);
    case.directory("home", 0o777);
    Wheel::new("small", "1.0").write(&case.path("code"));
    case.write("code/requirements.txt", "small==1.0\n", 1000, 0o644);
    start(&case, "")?.expect_code(0).expect_text(&["has it"]);
    let names = std::fs::read_dir(case.path("store")).expect("it is ours").flatten();
    let names: Vec<String> = names.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    let key = names.iter().find_map(|name| name.strip_suffix(".tar.lz4")).expect("an environment").to_owned();
    forget(&case);
    Some((case, key))
}

/// Takes away what the user has in its own cache.
fn forget(case: &Case) {
    let _ = std::fs::remove_dir_all(case.path("home/.cache"));
}

/// Runs a script as user 2000 beside the store.
fn as_other(case: &Case, script: &str) {
    let mount = format!("{}:/store", case.path("store").display());
    let image = crate::images::image(crate::images::Image::Python).expect("a daemon");
    let words = ["run", "--rm", "--network", "none", "-u", "2000", "-v", &mount, "--entrypoint", "sh", &image, "-c"];
    let output = docker(words.iter().copied().chain([script]));
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_file_of_the_user_is_not_written_through_another_ones_link() {
    let Some((case, key)) = built() else { return };
    case.write("home/checkpoint", "a checkpoint", 1000, 0o644);
    std::fs::File::open(case.path("home/checkpoint"))
        .expect("it is ours")
        .set_modified(std::time::UNIX_EPOCH)
        .expect("it is ours");
    as_other(&case, &format!("rm -f /store/{key}.used; ln -s /h/checkpoint /store/{key}.used"));
    start(&case, "").expect("a daemon").expect_code(0).expect_text(&["has it"]);
    assert_eq!(case.read("home/checkpoint").0, "a checkpoint");
}

#[test]
fn nobody_waits_for_another_users_lease_or_pipe_nor_fails_as_he_says() {
    let Some((case, key)) = built() else { return };
    for planted in [
        format!("echo {{}} >/store/{key}.lease"),
        format!("rm -f /store/{key}.lease; mkfifo /store/{key}.lease"),
        format!("rm -f /store/{key}.lease; mkfifo /store/{key}.failed"),
        format!(
            "rm -f /store/{key}.failed; \
             echo '{{\"permanent\":true,\"tries\":9,\"host\":\"h\",\"what\":\"no\",\"because\":null,\"hints\":[]}}' >/store/{key}.failed"
        ),
        format!("mkfifo /store/{key}.tar.lz4"),
    ] {
        let _ = std::fs::remove_file(case.path(&format!("store/{key}.tar.lz4")));
        forget(&case);
        as_other(&case, &planted);
        start(&case, "").expect("a daemon").expect_code(0).expect_text(&["has it"]);
    }
}

#[test]
fn another_users_environment_is_not_unpacked() {
    let Some((case, key)) = built() else { return };
    as_other(&case, &format!("cd /store; cp {key}.tar.lz4 mine; rm {key}.tar.lz4; mv mine {key}.tar.lz4"));
    start(&case, "").expect("a daemon").expect_code(0).expect_text(&["belongs to user 2000", "has it"]);
}
