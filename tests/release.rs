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
    run("tar", ["-xzf", file(&release(), "-linux.tar.gz").to_str().unwrap(), "--strip-components=1"], place.path());
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

/// Installs an artefact in a clean container of Debian with Python, where the release is mounted at /release. Fedora's way is rpm's into
/// a root of its own, from where the tree is copied.
struct Channel {
    name: &'static str,
    installs: &'static str,
}

/// Every channel; the first ones are tried with each change, all of them by `scripts/nightly released`.
const CHANNELS: [Channel; 6] = [
    Channel { name: "deb", installs: "dpkg -i /release/*.deb >/dev/null" },
    Channel {
        name: "wheel, by pip",
        installs: "pip install -q --break-system-packages --root-user-action=ignore --no-index /release/*.whl",
    },
    Channel {
        name: "wheel, by uv",
        installs: "uv pip install -q --system --break-system-packages --no-index /release/*.whl",
    },
    Channel { name: "tarball", installs: "tar -xzf /release/*-linux.tar.gz -C /usr/local --strip-components=1" },
    Channel { name: "rpm", installs: "cp -a /rpm/usr /rpm/etc /" },
    Channel { name: "image", installs: "/image/trainit inject /usr/local/bin" },
];
const OF_EACH_CHANGE: usize = 2;

/// The answer of one of the scripts.
fn script(name: &str, words: &[&str]) -> String {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    run(project.join("scripts").join(name).to_str().unwrap(), words, project).trim().to_owned()
}

/// The rpm in an empty root.
fn rpm_tree(root: &Path) {
    let package = file(&release(), ".rpm");
    run("rpm", ["-i", "--root", root.to_str().unwrap(), "--nodeps", package.to_str().unwrap()], root);
}

/// The files of the image, as `docker load` brings it.
fn image_tree(root: &Path) {
    let loaded = run("docker", ["load", "-q", "-i", file(&release(), ".image.tar.gz").to_str().unwrap()], root);
    let image = loaded.trim().rsplit(' ').next().unwrap();
    let container = run("docker", ["create", "--label", "trainit.test", image], root);
    let all = format!("{}/.", root.display());
    run("docker", ["cp", &format!("{}:/trainit", container.trim()), &all], root);
    run("docker", ["cp", &format!("{}:/trainit-transfer", container.trim()), &all], root);
    run("docker", ["rm", container.trim()], root);
    run("docker", ["rmi", image], root);
}

#[test]
fn the_digits_job_runs_where_each_artefact_was_installed() {
    if !is_possible() || !nix::unistd::geteuid().is_root() {
        return;
    }
    if !Command::new("docker").arg("info").output().is_ok_and(|output| output.status.success()) {
        return skip("there is no Docker daemon");
    }
    let all = std::env::var_os("RELEASE").is_some();
    let trees = tempfile::tempdir().unwrap();
    let (rpm, image) = (trees.path().join("rpm"), trees.path().join("image"));
    for (directory, fill) in [(&rpm, rpm_tree as fn(&Path)), (&image, image_tree)] {
        std::fs::create_dir(directory).unwrap();
        if all {
            fill(directory);
        }
    }
    let base = script("base-image.sh", &[]);
    let wheels = script("wheelhouse.sh", &[&base]);
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits");
    let mounts = [
        (release(), "/release"),
        (rpm, "/rpm"),
        (image, "/image"),
        (wheels.into(), "/wheels"),
        (example.join("code"), "/code"),
        (example.join("data"), "/data"),
    ];
    let mounts = mounts.iter().flat_map(|(from, to)| ["-v".to_owned(), format!("{}:{to}:ro", from.display())]);
    let mounts: Vec<String> = mounts.collect();
    for channel in &CHANNELS[..if all { CHANNELS.len() } else { OF_EACH_CHANGE }] {
        let starts = format!("set -e; {}; cd /code; exec trainit python train.py --epochs 2", channel.installs);
        let mut docker = Command::new("timeout");
        docker.args("300 docker run --rm --label trainit.test --shm-size 1g --entrypoint sh".split(' ')).args(&mounts);
        for variable in ["PIP_NO_INDEX=1", "UV_NO_INDEX=1", "PIP_FIND_LINKS=/wheels", "UV_FIND_LINKS=/wheels"] {
            docker.args(["-e", variable]);
        }
        let ended = docker.args(["--tmpfs", "/checkpoints", &base, "-c", &starts]).output().unwrap();
        let said = [ended.stdout, ended.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(ended.status.success() && said.contains("done: 2 epochs"), "{}:\n{said}", channel.name);
        assert!(said.contains("installing /code/requirements.txt"), "{}:\n{said}", channel.name);
    }
}

#[test]
fn provenance_names_every_file_the_commit_and_the_toolchain() {
    if !is_possible() {
        return;
    }
    let directory = release();
    let told: serde_json::Value =
        serde_json::from_slice(&std::fs::read(file(&directory, ".intoto.json")).unwrap()).unwrap();
    let named: Vec<String> = told["subject"]
        .as_array()
        .unwrap()
        .iter()
        .map(|subject| subject["name"].as_str().unwrap().to_owned())
        .collect();
    let sums = std::fs::read_to_string(directory.join("SHA256SUMS")).unwrap();
    for subject in told["subject"].as_array().unwrap() {
        let line = format!("{}  {}", subject["digest"]["sha256"].as_str().unwrap(), subject["name"].as_str().unwrap());
        assert!(sums.lines().any(|sum| sum == line), "{line}\n{sums}");
    }
    assert_eq!(named.len() + 1, sums.lines().count(), "{named:?}");
    let build = &told["predicate"]["buildDefinition"];
    assert!(build["internalParameters"]["rustc"].as_str().unwrap().starts_with("rustc "), "{build:#}");
    assert!(build["resolvedDependencies"].to_string().contains("Cargo.lock"), "{build:#}");
}

#[test]
fn a_version_is_cut_from_what_is_unreleased_and_its_notes_are_printed() {
    if !has("python3") {
        return;
    }
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let copy = tempfile::tempdir().unwrap();
    // The least that cargo takes for a workspace, so that nothing here changes.
    std::fs::create_dir_all(copy.path().join("scripts")).unwrap();
    std::fs::create_dir_all(copy.path().join("src")).unwrap();
    std::fs::copy(project.join("scripts/release"), copy.path().join("scripts/release")).unwrap();
    std::fs::write(copy.path().join("src/lib.rs"), "").unwrap();
    let manifest = "[workspace]\n\n[workspace.package]\nversion = \"0.1.0\"\n\n[package]\nname = \"trainit\"\nversion.workspace = true\nedition = \"2024\"\n";
    std::fs::write(copy.path().join("Cargo.toml"), manifest).unwrap();
    let page = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- A thing.\n\n## [0.1.0] - 2026-01-01\n\n- Old.\n";
    std::fs::write(copy.path().join("CHANGELOG.md"), page).unwrap();
    run("cargo", ["generate-lockfile", "--offline"], copy.path());
    let release = copy.path().join("scripts/release");
    let release = release.to_str().unwrap();
    run(release, ["--cut", "0.2.0"], copy.path());
    let read = |name: &str| std::fs::read_to_string(copy.path().join(name)).unwrap();
    assert!(read("Cargo.toml").contains("version = \"0.2.0\""), "{}", read("Cargo.toml"));
    assert!(read("Cargo.lock").contains("version = \"0.2.0\""), "{}", read("Cargo.lock"));
    assert!(read("CHANGELOG.md").contains("## [Unreleased]\n\n## [0.2.0] - 20"), "{}", read("CHANGELOG.md"));
    assert_eq!(run(release, ["--notes"], copy.path()), "### Added\n\n- A thing.\n");
    // There is nothing to cut a second time, and a word is no version.
    for wrong in ["0.3.0", "next"] {
        assert!(!Command::new(release).args(["--cut", wrong]).output().unwrap().status.success(), "{wrong}");
    }
}

/// The rows of a table in docs/packages.md whose first cell is code: that, and the whole row.
fn rows(heading: &str) -> Vec<(String, String)> {
    let page = include_str!("../docs/packages.md");
    let (_, part) = page.split_once(heading).expect("the page has this table");
    let table = part.trim_start().lines().take_while(|line| line.starts_with('|'));
    let cell = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
    table.filter_map(|line| Some((cell(line)?, line.to_owned()))).collect()
}

#[test]
fn the_table_of_channels_has_each_file_of_a_release_and_tests_that_exist() {
    if !is_possible() {
        return;
    }
    let machine = std::env::consts::ARCH;
    let debian = if machine == "aarch64" { "arm64" } else { "amd64" };
    let plain = |name: &str| {
        let name = name.replace(env!("CARGO_PKG_VERSION"), "VERSION").replace(debian, "ARCH");
        let tags = name.split_once("-py3-none-").map(|(start, _)| format!("{start}-py3-none-….whl"));
        tags.unwrap_or(name.replace(machine, "MACHINE"))
    };
    let listed = std::fs::read_dir(release()).unwrap().map(|entry| plain(entry.unwrap().file_name().to_str().unwrap()));
    let (mut made, rows) = (listed.collect::<Vec<_>>(), rows("| artefact | size | installs | tested by |"));
    let mut told: Vec<String> = rows.iter().map(|(artefact, _)| artefact.clone()).collect();
    made.sort();
    told.sort();
    assert_eq!(made, told);
    let source = include_str!("release.rs");
    for (_, row) in rows {
        let tests: Vec<&str> =
            row.split('`').filter(|word| word.contains('_') && source.contains(&format!("fn {word}()"))).collect();
        assert!(!tests.is_empty(), "no test of tests/release.rs in {row}");
    }
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
