//! Who reads staged data: another container while it changes, another user, one who tries to write. The numbers of cases are those of the
//! public reports that the tests come from.

use crate::site::{Site, text};
use crate::support::{TRAINIT, copy_program, skip};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn case_35_a_reader_sees_the_old_data_or_the_new_and_never_both() {
    let site = Site::new();
    let source = site.path().join("versions");
    fs::create_dir(&source).unwrap();
    let stage = |version: usize| {
        ["a", "z"].iter().for_each(|name| fs::write(source.join(name), format!("version {version:04}")).unwrap());
        let wanted = format!("{}:from={}", site.data().display(), source.display());
        let store = site.path().join("store").display().to_string();
        let variables =
            [("TRAINIT_DATA", &*wanted), ("TRAINIT_STAGE_STORE", &store), ("TRAINIT_STAGE_REFRESH", "always")];
        let output = site.command(&["stage"], &variables);
        assert!(output.status.success(), "{}", text(&output));
    };
    stage(0);
    let (over, data) = (AtomicBool::new(false), site.data());
    let seen = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = Vec::new();
            while !over.load(Ordering::Relaxed) {
                // As a data loader that has opened its directory.
                let directory = fs::canonicalize(&data).unwrap();
                let [a, z] = ["a", "z"].map(|name| fs::read_to_string(directory.join(name)).unwrap());
                assert_eq!(a, z);
                seen.push(a);
            }
            seen.dedup();
            seen
        });
        (1..=10).for_each(stage);
        over.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    });
    assert!(seen.len() >= 2 && seen.is_sorted(), "{seen:?}");
}

/// Runs trainit as a user, with data of the site in a store.
fn as_user(uid: u32, site: &Site, data: &Path, words: &[&str]) -> Output {
    let mut command = Command::new("setpriv");
    let id = uid.to_string();
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]).arg(site.path().join("trainit")).args(words);
    command.env("TRAINIT_DATA", format!("{}:from={}", data.display(), site.source().display())).current_dir("/");
    command.env("TRAINIT_STAGE_STORE", site.path().join("store")).env("TRAINIT_GPU_COUNT", "none");
    command.output().unwrap()
}

/// A site with trainit in it, and a directory for each user to have a path in; `None` without the right to be another user.
fn site_for_users() -> Option<Site> {
    if !nix::unistd::geteuid().is_root() {
        skip("only root may start a program as another user");
        return None;
    }
    let site = Site::new();
    copy_program(TRAINIT, site.path().join("trainit"));
    fs::create_dir(site.path().join("store")).unwrap();
    for uid in [0, 1000, 1001] {
        let home = site.path().join(uid.to_string());
        fs::create_dir(&home).unwrap();
        chown(&home, Some(uid), Some(uid)).unwrap();
    }
    Some(site)
}

#[test]
fn case_14_another_user_reads_what_root_brought_and_nobody_changes_it() {
    let Some(site) = site_for_users() else { return };
    let at = |uid: u32| site.path().join(uid.to_string()).join("data");
    let first = as_user(0, &site, &at(0), &["stage"]);
    assert!(first.status.success(), "{}", text(&first));
    let write = "cd \"$0\" && for name in train/1 big; do echo x >>$name && exit 1; rm -f $name && exit 2; done; \
                 touch new && exit 3; mkdir train/new && exit 4; mv train other && exit 5; cat train/7 | wc -c";
    let data = at(1000).display().to_string();
    let second = as_user(1000, &site, &at(1000), &["run", "--", "sh", "-c", write, &data]);
    let said = text(&second);
    assert!(second.status.success() && said.contains("5007") && said.contains("unchanged"), "{said}");
    site.assert_whole(&fs::canonicalize(at(0)).unwrap());
}

#[test]
fn case_14_files_of_another_user_in_the_store_do_not_break_a_start() {
    let Some(site) = site_for_users() else { return };
    fs::set_permissions(site.path().join("store"), fs::Permissions::from_mode(0o1777)).unwrap();
    let at = |uid: u32| site.path().join(uid.to_string()).join("data");
    for uid in [1000, 1001, 1000] {
        let output =
            as_user(uid, &site, &at(uid), &["run", "--", "wc", "-c", &at(uid).join("train/7").display().to_string()]);
        assert!(output.status.success() && text(&output).contains("5007"), "{uid}: {}", text(&output));
    }
    // A link that a stranger left under the name of a part, of a tree or of a stamp leads nowhere.
    let outside = site.path().join("outside");
    fs::create_dir(&outside).unwrap();
    symlink(&outside, site.path().join("store/0123456789abcdef.part-1-1")).unwrap();
    let output = as_user(1001, &site, &at(1001), &["stage"]);
    assert!(output.status.success() && fs::read_dir(&outside).unwrap().next().is_none(), "{}", text(&output));
}
