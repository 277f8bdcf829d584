//! What `scripts/release` makes, made from the binary under test and installed as people do it: an archive, packages, a wheel.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test may")]

#[path = "support/mod.rs"]
mod support;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use support::{has, skip};
use tempfile::TempDir;

/// Runs a command to its end and returns what it printed on stdout.
#[track_caller]
fn run<S: AsRef<OsStr>>(program: &str, words: impl IntoIterator<Item = S>, directory: &Path) -> String {
    let output = Command::new(program).args(words).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn is_possible() -> bool {
    ["python3", "dpkg-deb", "rpmbuild"].into_iter().all(has)
}

fn make() -> TempDir {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let static_binary = project.join("scripts/static-binary.sh");
    let built = || run(static_binary.to_str().unwrap(), ["--dev"], project).trim().to_owned();
    let binary = std::env::var("STATIC_BINARY").unwrap_or_else(|_| built());
    let directory = tempfile::tempdir().unwrap();
    let with = format!("{}={binary}", std::env::consts::ARCH);
    // Without the program itself it is another one that is packed in its place.
    let stand_in = directory.path().join("stand-in");
    std::fs::write(&stand_in, "#!/bin/sh\necho trainit-transfer 0\n").unwrap();
    let transfer = std::env::var_os("STATIC_TRANSFER").map_or(stand_in, PathBuf::from);
    let transfer = format!("{}={}", std::env::consts::ARCH, transfer.display());
    let out = directory.path().join("out");
    let words = ["--out", out.to_str().unwrap(), "--with", &with, "--transfer", &transfer];
    run(project.join("scripts/release").to_str().unwrap(), words, project);
    directory
}

/// The files of a release, made once for all tests.
fn release() -> PathBuf {
    static MADE: OnceLock<TempDir> = OnceLock::new();
    MADE.get_or_init(make).path().join("out")
}

/// The file with this end of its name.
fn file(directory: &Path, end: &str) -> PathBuf {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.into_iter().find(|path| path.to_str().unwrap().ends_with(end)).unwrap_or_else(|| panic!("no {end}"))
}

/// Asserts that an installed tree below a root is whole, and that its program runs.
#[track_caller]
fn is_whole(root: &Path, zsh: &str) {
    for program in ["trainit", "trainit-transfer"] {
        let said = run(root.join("usr/bin").join(program).to_str().unwrap(), ["--version"], root);
        assert!(said.starts_with(&format!("{program} ")), "{said}");
    }
    for path in ["usr/share/man/man1/trainit.1", "usr/share/bash-completion/completions/trainit", zsh] {
        assert!(root.join(path).is_file(), "{path}");
    }
    // A policy with nothing but comments leaves every default.
    let policy = std::fs::read_to_string(root.join("etc/trainit.yaml")).unwrap();
    assert!(policy.lines().all(|line| line.is_empty() || line.starts_with('#')), "{policy}");
}

#[test]
fn the_same_commit_gives_the_same_bytes_and_the_sums_hold() {
    if !is_possible() {
        return;
    }
    let made = make();
    let again = made.path().join("out");
    let sums = |directory: &Path| std::fs::read_to_string(directory.join("SHA256SUMS")).unwrap();
    assert_eq!(sums(&release()), sums(&again));
    run("sha256sum", ["--quiet", "-c", "SHA256SUMS"], &again);
    assert_eq!(sums(&release()).lines().count(), std::fs::read_dir(release()).unwrap().count() - 1);
}

#[test]
fn the_archive_holds_the_program_its_page_and_its_completions() {
    if !is_possible() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    run("tar", ["-xzf", file(&release(), ".tar.gz").to_str().unwrap(), "--strip-components=1"], place.path());
    assert!(
        run(place.path().join("bin/trainit").to_str().unwrap(), ["--version"], place.path()).starts_with("trainit ")
    );
    assert!(place.path().join("share/man/man1/trainit.1").is_file());
    assert!(place.path().join("bin/trainit-transfer").is_file());
}

#[test]
fn debians_package_is_whole_where_it_is_installed() {
    if !is_possible() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let (package, root) = (file(&release(), ".deb"), root.path());
    std::fs::create_dir_all(root.join("var/lib/dpkg/info")).unwrap();
    std::fs::create_dir_all(root.join("var/lib/dpkg/updates")).unwrap();
    for name in ["status", "available"] {
        std::fs::write(root.join("var/lib/dpkg").join(name), "").unwrap();
    }
    let admin = format!("--root={}", root.display());
    if nix::unistd::geteuid().is_root() {
        run("dpkg", [&admin, "--force-script-chrootless", "-i", package.to_str().unwrap()], root);
    } else {
        run("dpkg-deb", ["-x", package.to_str().unwrap(), root.to_str().unwrap()], root);
    }
    is_whole(root, "usr/share/zsh/vendor-completions/_trainit");
}

#[test]
fn the_rpm_is_whole_where_it_is_installed() {
    if !is_possible() {
        return;
    }
    if !nix::unistd::geteuid().is_root() {
        return skip("rpm installs for root only");
    }
    let root = tempfile::tempdir().unwrap();
    let package = file(&release(), ".rpm");
    let words = ["-i", "--root", root.path().to_str().unwrap(), "--nodeps", package.to_str().unwrap()];
    run("rpm", words, root.path());
    is_whole(root.path(), "usr/share/zsh/site-functions/_trainit");
}

#[test]
fn the_wheel_puts_the_program_on_path() {
    if !is_possible() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let (wheel, environment) = (file(&release(), ".whl"), place.path().join("venv"));
    run("python3", ["-m", "venv", environment.to_str().unwrap()], place.path());
    let pip = environment.join("bin/pip");
    run(pip.to_str().unwrap(), ["install", "-q", "--no-index", wheel.to_str().unwrap()], place.path());
    let installed = environment.join("bin/trainit");
    assert!(run(installed.to_str().unwrap(), ["--version"], place.path()).starts_with("trainit "));
    assert!(environment.join("bin/trainit-transfer").is_file());
    // The bytes are those of the archive: nothing has put a line in front of them.
    assert!(std::fs::metadata(installed).unwrap().len() > 1 << 20);
    let listed = run(pip.to_str().unwrap(), ["check"], place.path());
    assert!(listed.contains("No broken requirements"), "{listed}");
}

#[test]
fn the_bill_of_materials_names_every_crate_once() {
    if !is_possible() {
        return;
    }
    let bill: serde_json::Value =
        serde_json::from_slice(&std::fs::read(file(&release(), ".cdx.json")).unwrap()).unwrap();
    let parts = bill["components"].as_array().unwrap();
    let mut names: Vec<String> = parts.iter().map(|part| format!("{} {}", part["name"], part["version"])).collect();
    let all = names.len();
    names.dedup();
    assert!(all > 30 && names.len() == all, "{names:?}");
    assert!(parts.iter().all(|part| part["licenses"].is_array()), "{parts:?}");
}
