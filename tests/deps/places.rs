//! Where packages go: for other users, on read-only file systems, and with a Python that belongs to the system.

use crate::bench::{self, Bench, Report, Start};
use crate::possible;
use std::path::{Path, PathBuf};
use std::process::Command;

const UID: u32 = 12345;

/// A start as a user without a name or home directory.
fn as_nobody(bench: &Bench) -> Start {
    bench.start().with_uv().with("HOME", "/").user(UID)
}

pub fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        println!("SKIPPED: only root can start as another user or make mounts");
    }
    root
}

/// A program of the virtual environment, as a launcher like torchrun is: its first line names the interpreter below the layer.
fn launcher(bench: &Bench, name: &str, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = bench.venv().join("bin").join(name);
    std::fs::write(&path, format!("#!{}\n{text}\n", bench.python().display())).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// The packages are there for the layer's Python, for the image's own, and for launchers; the image's are seen as well.
fn is_usable(bench: &Bench, report: &Report) {
    let show = "import tiny, needy, below; print(tiny.VERSION, below.VERSION)";
    let python = Path::new(&report.environment["VIRTUAL_ENV"]).join("bin/python");
    assert_eq!(bench.say(&python, &["-c", show], report), "2.0 1.0");
    assert_eq!(bench.say(&bench.python(), &["-c", show], report), "2.0 1.0");
    let launcher =
        launcher(bench, "launch", &format!("import subprocess, sys; subprocess.run([sys.executable, '-c', {show:?}])"));
    assert_eq!(bench.say(&launcher, &[], report), "2.0 1.0");
    let first = report.environment["PATH"].split(':').next().unwrap().to_owned();
    assert_eq!(bench.say(&Path::new(&first).join("tiny-tool"), &[], report), "tiny 2.0");
    // Another Python is not meant.
    let other = bench.say(bench::base().unwrap(), &["-c", "import tiny"], report);
    assert!(other.contains("No module named"), "{other}");
}

/// An image's environment that has `below` and an old `tiny` already.
fn image(bench: &Bench) {
    crate::wheel::Wheel::new("below", "1.0").write(&bench.path("wheels"));
    let words = ["-m", "pip", "install", "-q", "--no-index", "tiny==1.0", "below", "--find-links"];
    let done = Command::new(bench.python()).args(words).arg(bench.path("wheels")).status().unwrap();
    assert!(done.success());
    bench.code("requirements.txt", "below\nneedy\ntiny==2.0\n");
}

#[test]
fn a_user_without_rights_gets_a_layer_over_the_image() {
    if !possible(true) || !is_root() {
        return;
    }
    let bench = Bench::with_venv();
    image(&bench);
    let start = as_nobody(&bench);
    let first = start.run();
    assert_eq!(first.outcome, "installed", "{}", first.text());
    assert!(first.installer.starts_with("pip "), "uv does not see below a layer: {}", first.text());
    is_usable(&bench, &first);
    let layer = PathBuf::from(&first.environment["VIRTUAL_ENV"]);
    assert!(layer.starts_with(bench.path("tmp")), "{}", layer.display());
    assert!(
        !layer.join("lib").read_dir().unwrap().next().unwrap().unwrap().path().join("site-packages/below").exists()
    );
    let second = start.run();
    assert_eq!((second.outcome.as_str(), second.children), ("unchanged", 0), "{}", second.text());
    assert_eq!(second.environment, first.environment);
    bench.code("requirements.txt", "below\nneedy\n");
    assert_eq!(start.run().outcome, "installed");
}

#[test]
fn over_an_image_without_packages_uv_can_make_the_layer() {
    if !possible(true) || !is_root() {
        return;
    }
    let bench = Bench::with_venv();
    bench.code("requirements.txt", "needy\n");
    let report = as_nobody(&bench).run();
    assert!(report.installer.starts_with("uv "), "{}", report.text());
    assert_eq!(bench.say(&bench.python(), &["-c", "import needy; print(needy.VERSION)"], &report), "1.0");
}

#[test]
fn what_root_baked_into_the_image_is_enough_for_any_user() {
    if !possible(true) || !is_root() {
        return;
    }
    let bench = Bench::with_venv();
    bench.code("requirements.txt", "tiny\n");
    assert_eq!(bench.start().with_uv().run().outcome, "installed");
    let report = as_nobody(&bench).run();
    assert_eq!((report.outcome.as_str(), report.children), ("unchanged", 0), "{}", report.text());
    assert!(report.environment.is_empty());
}

/// Only the bench's own temporary directory can be written, and what is mounted by `more`.
fn nothing_else(bench: &Bench, more: &str) -> String {
    let tmp = bench.path("tmp");
    let own = format!("mount --bind {0} {0}", tmp.display());
    format!("mount --bind /tmp /tmp; {own}; {more}mount -o remount,ro,bind /tmp; mount -t tmpfs -o ro none /var/tmp")
}

#[test]
fn with_no_place_at_all_the_error_says_what_to_mount() {
    if !possible(true) || !is_root() {
        return;
    }
    let bench = Bench::with_venv();
    bench.code("requirements.txt", "tiny\n");
    let start = as_nobody(&bench).with("TMPDIR", "/proc");
    let Some(report) = start.run_behind(&nothing_else(&bench, "")) else { return };
    assert_eq!(report.code, 116);
    assert!(report.error.contains("writable /tmp that allows programs"), "{}", report.text());
}

#[test]
fn libraries_on_a_file_system_without_exec_are_refused_with_the_flag_to_set() {
    if !possible(true) || !is_root() {
        return;
    }
    let bench = Bench::with_venv();
    crate::wheel::Wheel::new("compiled", "1.0").file("compiled/_c.so", b"\x7fELF").write(&bench.path("wheels"));
    let place = bench.path("code");
    let start = as_nobody(&bench).with("TMPDIR", place.display().to_string());
    let start = Start { code: bench.path("home"), ..start };
    let mounts = nothing_else(&bench, &format!("mount -t tmpfs -o noexec,mode=1777 none {}; ", place.display()));
    for (name, code) in [("tiny", 0), ("compiled", 116)] {
        std::fs::write(bench.path("home/requirements.txt"), name).unwrap();
        let Some(report) = start.run_behind(&mounts) else { return };
        assert_eq!(report.code, code, "{}", report.text());
        assert!(code == 0 || report.error.contains("writable /tmp that allows programs"), "{}", report.text());
    }
}

#[test]
fn a_read_only_image_gets_a_layer_in_what_can_be_written() {
    if !possible(true) || !is_root() {
        return;
    }
    let bench = Bench::with_venv();
    image(&bench);
    let start = bench.start().with_uv().with("HOME", "/proc");
    let venv = bench.venv();
    let mounts = format!("mount --bind {0} {0}; mount -o remount,ro,bind {0}", venv.display());
    let Some(first) = start.run_behind(&mounts) else { return };
    assert_eq!(first.outcome, "installed", "{}", first.text());
    is_usable(&bench, &first);
    let second = start.run_behind(&mounts).unwrap();
    assert_eq!((second.outcome.as_str(), second.children), ("unchanged", 0), "{}", second.text());
}

/// The directory that the system's pip installs into, and where it would lie.
pub fn system_site() -> Option<PathBuf> {
    let code = "import sysconfig, os; p = sysconfig.get_paths(); print(p['purelib']); os.stat(os.path.join(p['stdlib'], 'EXTERNALLY-MANAGED'))";
    let output = Command::new(bench::base()?).args(["-c", code]).output().ok()?;
    if !output.status.success() {
        println!("SKIPPED: the system's Python is not marked EXTERNALLY-MANAGED");
        return None;
    }
    Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
}

/// A start of the system's Python that has something to install.
fn with_system_python(bench: &Bench, installer: &'static str) -> Start {
    bench.code("requirements.txt", "tiny\n");
    let start = bench.start().installer(installer);
    Start { command: vec![bench::base().unwrap().display().to_string(), "train.py".into()], ..start }
}

#[test]
fn the_systems_python_is_installed_into_in_a_container_and_left_alone_outside() {
    if !possible(true) || !is_root() {
        return;
    }
    let Some(site) = system_site() else { return };
    for installer in ["pip", "uv"] {
        let bench = Bench::new();
        let mut start = with_system_python(&bench, installer);
        let listing = bench.path("tmp").join("listing");
        let mounts = format!("mount -t tmpfs none {}; mount -t tmpfs none /usr/local/bin", site.display());
        let after = format!("{mounts}; trap 'ls -A {} > {}' EXIT", site.display(), listing.display());
        let Some(report) = start.run_behind(&after) else { return };
        assert_eq!(report.outcome, "installed", "{}", report.text());
        assert!(report.text().contains("EXTERNALLY-MANAGED"), "{}", report.text());
        assert!(std::fs::read_to_string(&listing).unwrap().contains("tiny"));
        // The same on somebody's machine.
        std::fs::remove_file(bench.path("container/.dockerenv")).unwrap();
        start.installer = None;
        let report = start.run_behind(&after).unwrap();
        assert_eq!(report.outcome, "installed", "{}", report.text());
        assert_eq!(std::fs::read_to_string(&listing).unwrap(), "");
        assert!(report.environment["VIRTUAL_ENV"].starts_with(&bench.path("home").display().to_string()));
    }
}

#[test]
fn a_conda_environment_is_installed_into_also_outside_a_container() {
    if !possible(true) || !is_root() {
        return;
    }
    let Some(site) = system_site() else { return };
    for installer in ["pip", "uv"] {
        let bench = Bench::new();
        std::fs::remove_file(bench.path("container/.dockerenv")).unwrap();
        let start = with_system_python(&bench, installer);
        let (over, listing) = (bench.path("over").display().to_string(), bench.path("tmp").join("listing"));
        // What makes a Python conda's: its own record of packages, and no mark of a distribution.
        let mounts = format!(
            "mkdir {over}; mount -t tmpfs none {over}; mkdir {over}/up {over}/work; \
             mount -t overlay none -o lowerdir=/usr,upperdir={over}/up,workdir={over}/work /usr; \
             mkdir /usr/conda-meta; rm /usr/lib/python3*/EXTERNALLY-MANAGED; trap 'ls -A {} > {}' EXIT",
            site.display(),
            listing.display()
        );
        let Some(report) = start.run_behind(&mounts) else { return };
        assert!(report.outcome == "installed" && report.environment.is_empty(), "{}", report.text());
        assert!(!report.text().contains("EXTERNALLY-MANAGED"), "{}", report.text());
        assert!(std::fs::read_to_string(&listing).unwrap().contains("tiny"));
    }
}

#[test]
fn where_everybody_may_write_each_user_may_install() {
    use std::os::unix::fs::PermissionsExt;
    if !possible(true) || !is_root() {
        return;
    }
    let bench = Bench::with_venv();
    for dir in [bench.site(), bench.venv().join("bin")] {
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
    bench.code("requirements.txt", "tiny\n");
    assert_eq!(bench.start().with_uv().run().outcome, "installed");
    bench.code("requirements.txt", "needy\n");
    let report = as_nobody(&bench).run();
    assert_eq!(report.outcome, "installed", "{}", report.text());
    assert!(bench.site().join("needy").exists() && report.environment.is_empty());
}

#[test]
fn a_layer_that_nobody_used_for_weeks_goes_with_prune_and_one_in_use_stays() {
    if !possible(true) {
        return;
    }
    let bench = Bench::with_venv();
    bench.code("requirements.txt", "tiny==2.0\n");
    let start = bench.start().set("deps.target", "layer");
    let first = start.run();
    let layer = PathBuf::from(&first.environment["VIRTUAL_ENV"]);
    let shelf = layer.parent().unwrap();
    assert!(layer.starts_with(bench.path("home")) && first.status.contains("layers: Some(\"1 layer, "), "{first:?}");
    // Without --dry-run it would look into the machine's own /var/tmp as well.
    let would_go = || {
        let mut prune = Command::new(env!("CARGO_BIN_EXE_trainit"));
        prune.args(["deps", "prune", "--dry-run", "--unused", "30d"]).current_dir(bench.path("code"));
        let output = prune.env("HOME", bench.path("home")).env_remove("XDG_CACHE_HOME").output().unwrap();
        String::from_utf8(output.stdout).unwrap().contains(shelf.to_str().unwrap())
    };
    let age = || {
        let time = std::time::SystemTime::now() - std::time::Duration::from_secs(40 * 86_400);
        let files = [shelf.to_owned(), shelf.join("used")];
        files.iter().for_each(|path| std::fs::File::open(path).unwrap().set_modified(time).unwrap());
    };
    assert_eq!(start.run().outcome, "unchanged");
    assert!(!would_go(), "it was used just now");
    age();
    assert!(would_go());
    assert_eq!(start.run().outcome, "unchanged");
    assert!(!would_go(), "the start wrote down that it uses it");
}
