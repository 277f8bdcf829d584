//! What trainit reads from git's files, beside what git itself says: repositories made by the real git, in every layout.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test may")]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use trainit::git::{Unknown, find, published};

/// Runs git in a directory, untouched by the machine's configuration; none: it refused.
fn try_git(directory: &Path, words: &str) -> Option<String> {
    let words = words.split(' ').map(|word| word.replace('~', " "));
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@b",
            "-c",
            "protocol.file.allow=always",
            "-c",
            "commit.gpgsign=no",
        ])
        .args(words)
        .current_dir(directory)
        .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_SYSTEM", "/dev/null")])
        .output()
        .unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim_end().to_owned())
}

fn git(directory: &Path, words: &str) -> String {
    try_git(directory, words).unwrap_or_else(|| panic!("git {words}"))
}

/// A repository with one commit; none where there is no git, or none that can do this.
fn repository(options: &str) -> Option<(tempfile::TempDir, PathBuf)> {
    if Command::new("git").arg("--version").output().is_err() {
        println!("SKIPPED: there is no git here");
        return None;
    }
    let place = tempfile::tempdir().unwrap();
    let path = place.path().canonicalize().unwrap().join("project");
    std::fs::create_dir(&path).unwrap();
    if try_git(&path, &format!("init -q -b main{options}")).is_none() {
        println!("SKIPPED: git init{options}: this git cannot do it");
        return None;
    }
    commit(&path);
    Some((place, path))
}

fn commit(path: &Path) {
    git(path, "commit -q --allow-empty -m x");
}

/// Reads a directory, and asks git about it.
#[track_caller]
fn agree(directory: &Path) {
    let found = find(directory).unwrap();
    assert_eq!(found.commit, Ok(git(directory, "rev-parse HEAD")));
    let branch = git(directory, "rev-parse --abbrev-ref HEAD");
    assert_eq!(found.branch.map(|name| String::from_utf8(name).unwrap()), (branch != "HEAD").then_some(branch));
    assert_eq!(found.root.to_str().unwrap(), git(directory, "rev-parse --show-toplevel"));
}

#[test]
fn branches_packed_references_and_detached_heads_are_read_as_git_reads_them() {
    let Some((_place, path)) = repository("") else { return };
    agree(&path);
    git(&path, "checkout -q -b feature/a.b");
    commit(&path);
    agree(&path);
    git(&path, "tag -a -m x v1");
    git(&path, "pack-refs --all");
    assert!(!path.join(".git/refs/heads/feature/a.b").exists());
    agree(&path);
    commit(&path); // loose again, over an older packed one
    agree(&path);
    git(&path, "checkout -q --detach HEAD~1".replace("HEAD~1", "v1^0").as_str());
    agree(&path);
    let below = path.join("src/deep");
    std::fs::create_dir_all(&below).unwrap();
    agree(&below);
}

#[test]
fn a_symbolic_reference_to_another_is_followed() {
    let Some((_place, path)) = repository("") else { return };
    git(&path, "symbolic-ref refs/heads/alias refs/heads/main");
    git(&path, "symbolic-ref HEAD refs/heads/alias");
    let found = find(&path).unwrap();
    assert_eq!(found.commit, Ok(git(&path, "rev-parse HEAD")));
    git(&path, "symbolic-ref refs/heads/main refs/heads/alias");
    assert!(find(&path).unwrap().commit.is_err(), "a circle has an end");
}

#[test]
fn longer_hashes_are_commits_too() {
    let Some((_place, path)) = repository(" --object-format=sha256") else { return };
    agree(&path);
    assert_eq!(find(&path).unwrap().commit.unwrap().len(), 64);
}

#[test]
fn a_repository_without_a_commit_says_so() {
    let Some((_place, path)) = repository("") else { return };
    git(&path, "checkout -q --orphan fresh");
    let found = find(&path).unwrap();
    assert_eq!((found.commit, found.branch), (Err(Unknown::Unborn), Some(b"fresh".to_vec())));
}

#[test]
fn worktrees_are_read_and_so_is_one_whose_repository_is_not_there() {
    let Some((_place, path)) = repository("") else { return };
    let tree = path.with_file_name("tree");
    git(&path, "worktree add -q -b other ../tree");
    commit(&tree);
    agree(&tree);
    git(&path, "pack-refs --all");
    agree(&tree);
    agree(&path);
    std::fs::rename(&path, path.with_file_name("gone")).unwrap();
    let expected = path.join(".git/worktrees/tree");
    assert_eq!(find(&tree).unwrap().commit, Err(Unknown::Elsewhere(expected)));
}

#[test]
fn submodules_are_read_and_so_is_one_that_stands_alone() {
    let Some((_place, path)) = repository("") else { return };
    let inner = path.with_file_name("inner");
    git(path.parent().unwrap(), "clone -q project inner");
    git(&path, "submodule --quiet add ../inner parts/inner");
    let module = path.join("parts/inner");
    agree(&module);
    assert_eq!(find(&module).unwrap().commit, find(&inner).unwrap().commit);
    let alone = path.with_file_name("alone");
    std::fs::rename(&module, &alone).unwrap();
    assert!(matches!(find(&alone).unwrap().commit, Err(Unknown::Elsewhere(_))));
}

#[test]
fn tables_of_references_are_read() {
    let Some((_place, path)) = repository(" --ref-format=reftable") else { return };
    agree(&path);
    // Many names that share beginnings, in more than one block, and a table for each change behind it.
    let hash = git(&path, "rev-parse HEAD");
    let create: String = (0..400).map(|number| format!("create refs/heads/feature/{number:04} {hash}\n")).collect();
    std::fs::write(path.join("names"), create).unwrap();
    let names = std::fs::File::open(path.join("names")).unwrap();
    let mut update = Command::new("git");
    assert!(update.args(["update-ref", "--stdin"]).stdin(names).current_dir(&path).status().unwrap().success());
    git(&path, "pack-refs --all");
    commit(&path);
    agree(&path);
    git(&path, "switch -q feature/0399");
    agree(&path);
    git(&path, "worktree add -q -b zz ../tree");
    commit(&path.with_file_name("tree"));
    agree(&path.with_file_name("tree"));
    agree(&path);
    git(&path, "switch -q --detach");
    agree(&path);
    git(&path, "switch -q --orphan nothing");
    let unborn = find(&path).unwrap();
    assert_eq!((unborn.commit, unborn.branch.as_deref()), (Err(Unknown::Unborn), Some(&b"nothing"[..])));
}

#[test]
fn tables_that_cannot_be_read_have_no_commit_and_their_placeholder_is_never_a_branch() {
    let Some((_place, path)) = repository(" --ref-format=reftable") else { return };
    let list = path.join(".git/reftable/tables.list");
    std::fs::write(&list, "").unwrap();
    let found = find(&path).unwrap();
    assert_eq!((found.commit, found.branch), (Err(Unknown::Reftable), None));
    std::fs::remove_file(list).unwrap();
    assert!(matches!(find(&path).unwrap().commit, Err(Unknown::Unreadable(_))));
}

#[test]
fn the_layout_of_git_sync_tells_the_commit_even_where_its_repository_is_not_mounted() {
    let Some((_place, path)) = repository("") else { return };
    let hash = git(&path, "rev-parse HEAD");
    git(&path, &format!("worktree add -q --detach ../.worktrees/{hash}"));
    let link = path.with_file_name("current");
    symlink(format!(".worktrees/{hash}"), &link).unwrap();
    let found = find(&link).unwrap();
    assert_eq!((found.commit.as_ref(), found.branch), (Ok(&hash), None));
    std::fs::remove_dir_all(&path).unwrap();
    assert!(matches!(find(&link).unwrap().commit, Err(Unknown::Elsewhere(_))));
    assert_eq!(published(&link), Some(hash));
}

#[test]
fn odd_repositories_neither_hang_nor_lead_out() {
    let Some((_place, path)) = repository("") else { return };
    let head = |text: &str| {
        std::fs::write(path.join(".git/HEAD"), text).unwrap();
        find(&path).unwrap().commit
    };
    std::fs::write(path.join("secret"), "0".repeat(40)).unwrap();
    for odd in ["", "ref: refs/../../secret", "ref: /etc/passwd", "ref: secret", "\u{0}", "ref: refs/heads"] {
        assert!(head(odd).is_err(), "{odd:?}");
    }
    std::fs::remove_file(path.join(".git/HEAD")).unwrap();
    nix::unistd::mkfifo(&path.join(".git/HEAD"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(matches!(find(&path).unwrap().commit, Err(Unknown::Unreadable(_))));
    std::fs::remove_dir_all(path.join(".git")).unwrap();
    std::fs::write(path.join(".git"), "gitdir: /dev/zero\n").unwrap();
    assert!(matches!(find(&path).unwrap().commit, Err(Unknown::Elsewhere(_))));
    assert_eq!(find(Path::new("/no/such/directory")), None);
}

/// A workload started in this directory prints what it was told; with the lines of the start.
fn told(directory: &Path, variables: &[(&str, &str)], script: &str) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_trainit"))
        .args(["exec", "--", "sh", "-c", script])
        .current_dir(directory)
        .env_remove("TRAINIT_CODE_COMMIT")
        .envs([
            ("TRAINIT_CHECKS", "host=off gpu=off"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_SYSTEM", "/dev/null"),
        ])
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

const SAY: &str = "echo $TRAINIT_CODE_COMMIT";

#[test]
fn the_workload_and_the_line_about_the_code_have_the_commit() {
    let Some((_place, path)) = repository("") else { return };
    let hash = git(&path, "rev-parse HEAD");
    let (out, lines) = told(&path, &[], SAY);
    assert_eq!(out.trim_end(), hash, "{lines}");
    assert!(lines.contains(&format!(", commit {} (main)", &hash[..12])), "{lines}");
    assert_eq!(told(&path, &[("TRAINIT_CHECKS", "code.git=off host=off gpu=off")], SAY).0, "\n");
    let below = path.join("src");
    std::fs::create_dir(&below).unwrap();
    assert_eq!(told(&below, &[], SAY).0.trim_end(), hash);
}

#[test]
fn a_commit_that_is_given_wins_unless_it_was_an_outer_trainits() {
    let Some((_place, path)) = repository("") else { return };
    let hash = git(&path, "rev-parse HEAD");
    let (out, lines) = told(&path, &[("TRAINIT_CODE_COMMIT", "release-7")], SAY);
    assert_eq!(out, "release-7\n");
    let said = format!("commit release-7 (TRAINIT_CODE_COMMIT; git says {})", &hash[..12]);
    assert!(lines.contains(&said), "{lines}");
    let (out, _) = told(&path, &[("TRAINIT_CODE_COMMIT", "release-7"), ("TRAINIT", "1")], SAY);
    assert_eq!(out.trim_end(), hash);
    let elsewhere = path.with_file_name("plain");
    std::fs::create_dir(&elsewhere).unwrap();
    assert_eq!(told(&elsewhere, &[("TRAINIT_CODE_COMMIT", "release-7"), ("TRAINIT", "1")], SAY).0, "release-7\n");
}

#[test]
fn git_works_in_a_repository_of_somebody_else_and_only_there() {
    let Some((_place, path)) = repository("") else { return };
    if std::os::unix::fs::chown(path.join(".git"), Some(12345), None).is_err() {
        return println!("SKIPPED: only root can give files away");
    }
    let hash = git(path.parent().unwrap(), &format!("-c safe.directory=* -C {} rev-parse HEAD", path.display()));
    assert!(try_git(&path, "rev-parse HEAD").is_none(), "this git trusts everybody");
    let (out, lines) =
        told(&path, &[("GIT_CONFIG_COUNT", "0")], "git rev-parse HEAD; git config --get-all safe.directory");
    assert_eq!(out, format!("{hash}\n{}\n", path.display()), "{lines}");
    std::os::unix::fs::chown(path.join(".git"), Some(nix::unistd::geteuid().as_raw()), None).unwrap();
    assert_eq!(told(&path, &[], "echo $GIT_CONFIG_COUNT").0, "\n");
}

#[test]
fn files_that_differ_from_the_commit_are_told_where_somebody_asks() {
    let Some((_place, path)) = repository("") else { return };
    std::fs::write(path.join("train.py"), "1").unwrap();
    git(&path, "add train.py");
    commit(&path);
    std::fs::write(path.join("notes"), "git does not know this one").unwrap();
    let strict = [("TRAINIT_CHECKS", "code.dirty=fail host=off gpu=off")];
    assert!(told(&path, &strict, "echo ran").0.starts_with("ran"));
    std::fs::write(path.join("train.py"), "2 and more").unwrap();
    assert!(told(&path, &[], "echo ran").0.starts_with("ran"), "nobody asked");
    let (out, lines) = told(&path, &strict, "echo ran");
    assert!(out.is_empty() && lines.contains("differs from its commit: train.py"), "{lines}");
    let report = |checks: &str| {
        let mut check = Command::new(env!("CARGO_BIN_EXE_trainit"));
        let output =
            check.args(["check", "--json", "--only", "code"]).current_dir(&path).env("TRAINIT_CHECKS", checks).output();
        let report: serde_json::Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
        report["findings"][0]["facts"]["dirty"].clone()
    };
    assert_eq!((report("code.dirty=warn"), report("")), (true.into(), serde_json::Value::Null));
    // Without git nobody can say; what the repository tells git to run is not run.
    let (out, lines) = told(&path, &[strict[0], ("PATH", "/nonexistent")], "echo ran");
    assert!(out.is_empty() && lines.contains("is not known: there is no git here"), "{lines}");
    let script = path.with_file_name("monitor");
    std::fs::write(&script, format!("#!/bin/sh\ntouch {}\n", path.with_file_name("ran").display())).unwrap();
    git(&path, &format!("config core.fsmonitor {}", script.display()));
    told(&path, &strict, "true");
    assert!(!path.with_file_name("ran").exists());
}

#[test]
fn a_commit_can_be_demanded() {
    let Some((_place, path)) = repository("") else { return };
    git(&path, "switch -q --orphan nothing");
    let (out, lines) = told(&path, &[("TRAINIT_CHECKS", "code.git=fail host=off gpu=off")], SAY);
    assert!(
        out.is_empty() && lines.contains("the commit of") && lines.contains("nothing has been committed"),
        "{lines}"
    );
    let (out, lines) = told(&path, &[], SAY);
    assert!(out == "\n" && lines.contains("commit unknown: nothing has been committed yet"), "{lines}");
}
