//! Starts with real pip and real uv, without a network: what is installed when, for whom, and what is said when it fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

#[path = "deps/asked.rs"]
mod asked;
#[path = "deps/bench.rs"]
mod bench;
#[path = "deps/builds.rs"]
mod builds;
#[path = "deps/differ.rs"]
mod differ;
#[path = "deps/failing.rs"]
mod failing;
#[path = "deps/freeze.rs"]
mod freeze;
#[path = "deps/imports.rs"]
mod imports;
#[path = "deps/manifests.rs"]
mod manifests;
#[path = "deps/network.rs"]
mod network;
#[path = "deps/nodes.rs"]
mod nodes;
#[path = "deps/places.rs"]
mod places;
#[path = "deps/private.rs"]
mod private;
#[path = "deps/protect.rs"]
mod protect;
#[path = "deps/pythons.rs"]
mod pythons;
#[path = "deps/server.rs"]
mod server;
#[path = "deps/store.rs"]
mod store;
mod support;
#[path = "support/wheel.rs"]
mod wheel;

use bench::{Bench, START};
use std::path::Path;
use std::time::{Duration, Instant};
use wheel::Wheel;

/// Not a test of its own: the process of one start.
#[test]
fn one_start() {
    if let Some(file) = std::env::var_os(START) {
        bench::make_start(Path::new(&file));
    }
}

/// Whether a test can run here; if not, a line says why.
fn possible(needs_uv: bool) -> bool {
    if bench::base().is_none() {
        println!("SKIPPED: no Python with venv and ensurepip in /usr or /opt/conda");
        return false;
    }
    if needs_uv && bench::uv().is_none() {
        println!("SKIPPED: uv is not installed");
        return false;
    }
    true
}

fn first_and_second_start(installer: &str) {
    let bench = Bench::with_venv();
    bench.code("requirements.txt", "needy\ntiny==1.0\n");
    let start = bench.start().installer(installer);
    let first = start.run();
    assert_eq!(first.outcome, "installed", "{}", first.text());
    assert!(first.installer.starts_with(installer), "{}", first.installer);
    assert!(first.lines[0].contains("requirements.txt") && first.lines[0].contains("TRAINIT_DEPS_REQUIREMENTS=off"));
    assert_eq!(bench.say(&bench.python(), &["-c", "import tiny, needy; print(tiny.VERSION)"], &first), "1.0");
    let own = std::fs::read_dir(bench.site().join(".trainit")).unwrap().count();
    let second = start.run();
    assert_eq!((second.outcome.as_str(), second.children), ("unchanged", 0), "{}", second.text());
    assert!(second.lines.is_empty() && second.environment.is_empty());
    assert!(second.status.contains("current: true"), "{}", second.status);
    assert_eq!(std::fs::read_dir(bench.site().join(".trainit")).unwrap().count(), own);
    println!("unchanged after {} µs", second.micros);
}

#[test]
fn pip_installs_at_the_first_start_and_nothing_runs_at_the_second() {
    if possible(false) {
        first_and_second_start("pip");
    }
}

#[test]
fn uv_installs_at_the_first_start_and_nothing_runs_at_the_second() {
    if possible(true) {
        first_and_second_start("uv");
    }
}

#[test]
fn without_uv_on_path_pip_installs_by_itself() {
    if !possible(false) {
        return;
    }
    let bench = Bench::with_venv();
    bench.code("requirements.txt", "tiny\n");
    let report = bench.start().with("PATH", format!("{}/bin", bench.venv().display())).run();
    assert!(report.installer.starts_with("pip "), "{}", report.text());
}

#[test]
fn every_change_is_seen() {
    if !possible(true) {
        return;
    }
    let bench = Bench::with_venv();
    bench.code("requirements.txt", "tiny==1.0\n");
    let start = bench.start().installer("uv");
    let run = |what: &str, word: &str| {
        let report = start.run();
        assert_eq!(report.outcome, "installed", "{what}: {}", report.text());
        assert!(report.lines[0].contains(word), "{what}: {}", report.lines[0]);
        assert_eq!(start.run().outcome, "unchanged", "after {what}");
    };
    let looks = |what: &str| {
        assert_eq!(start.run().outcome, "satisfied", "{what}");
        let report = start.run();
        assert_eq!((report.outcome.as_str(), report.children), ("unchanged", 0), "after {what}");
    };
    run("first", "uv");
    bench.code("requirements.txt", "tiny==1.0\n-r more.txt\n");
    bench.code("more.txt", "# nothing\n");
    looks("new nested file");
    bench.code("more.txt", "needy\n");
    run("changed nested file", "requirements changed");
    std::fs::remove_dir_all(bench.site().join("needy")).unwrap();
    std::fs::remove_dir_all(bench.site().join("needy-1.0.dist-info")).unwrap();
    run("removed package", "installed packages changed");
    assert!(bench.site().join("needy").exists());
    std::fs::write(bench.site().join("pip.conf"), "").unwrap();
    looks("something else beside the packages");
    std::fs::write(bench.venv().join("pip.conf"), "[global]\npre = 1\n").unwrap();
    looks("a setting of pip");
    bench.code("requirements.txt", "tiny<2\n-r more.txt\n");
    looks("a requirement that is fulfilled");
}

#[test]
fn a_stamp_that_cannot_be_read_counts_as_none() {
    if !possible(true) {
        return;
    }
    let bench = Bench::with_venv();
    bench.code("requirements.txt", "tiny==1.0\n");
    let start = bench.start().installer("uv");
    start.run();
    let own = bench.site().join(".trainit");
    let stamps = std::fs::read_dir(&own).unwrap().flatten().map(|entry| entry.path());
    let stamp = stamps.into_iter().find(|path| path.to_string_lossy().contains("stamp-")).unwrap();
    let whole = std::fs::read(&stamp).unwrap();
    for bytes in [&b"garbage \xff"[..], b"", &whole[..whole.len() / 2]] {
        std::fs::write(&stamp, bytes).unwrap();
        assert_eq!(start.run().outcome, "satisfied");
        assert_eq!(start.run().outcome, "unchanged");
    }
    std::fs::write(own.join("python.json"), "garbage").unwrap();
    assert_eq!(start.run().outcome, "unchanged");
}

#[test]
fn files_of_every_editor_are_installed() {
    if !possible(true) {
        return;
    }
    for installer in ["pip", "uv"] {
        let bench = Bench::with_venv();
        bench.code("requirements.txt", "\u{feff}# made on Windows\r\ntiny==2.0\r\n");
        let report = bench.start().installer(installer).run();
        assert_eq!(report.outcome, "installed", "{}", report.text());
        assert!(bench.site().join("tiny-2.0.dist-info").exists());
    }
}

#[test]
fn listed_files_are_installed_for_any_command() {
    if !possible(true) {
        return;
    }
    let bench = Bench::with_venv();
    bench.code("other.txt", "tiny==2.0\n");
    let mut start = bench.start().installer("uv");
    start.command = vec!["bash".into(), "run.sh".into()];
    assert_eq!(start.run().outcome, "nothing");
    start.files = vec!["other.txt".into()];
    assert_eq!(start.run().outcome, "installed");
    start.files = vec!["gone.txt".into()];
    let report = start.run();
    assert_eq!(report.code, 116);
    assert!(
        report.error.contains("gone.txt") && report.error.contains("TRAINIT_DEPS_REQUIREMENTS"),
        "{}",
        report.error
    );
}

/// Kills the installer without a warning while it works, then the start.
fn killed_in_the_middle(installer: &str) {
    let bench = Bench::with_venv();
    let many = (0..1000).fold(Wheel::new("large", "1.0"), |w, n| w.file(&format!("large/m{n}.py"), b"X = 1\n"));
    many.write(&bench.path("wheels"));
    bench.code("requirements.txt", "large\n");
    let start = bench.start().installer(installer);
    for at in [5, 300, 900] {
        let mut child = start.spawn();
        let deadline = Instant::now() + Duration::from_secs(60);
        let written = || std::fs::read_dir(bench.site().join("large")).map_or(0, Iterator::count);
        while written() < at && child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "nothing was installed");
        }
        kill_tree(child.id());
        child.wait().unwrap();
        let again = start.run();
        assert!(["installed", "unchanged"].contains(&again.outcome.as_str()), "{}", again.text());
        assert_eq!(start.run().outcome, "unchanged");
        let modules = std::fs::read_dir(bench.site().join("large")).unwrap().flatten();
        let modules = modules.filter(|entry| entry.path().extension().is_some_and(|end| end == "py")).count();
        assert_eq!(modules, 1001, "killed after {at} files");
        assert!(bench.site().join("large-1.0.dist-info/RECORD").exists());
        std::fs::remove_dir_all(bench.site().join("large-1.0.dist-info")).unwrap();
        std::fs::remove_dir_all(bench.site().join("large")).unwrap();
    }
}

fn kill_tree(pid: u32) {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().filter_map(|child| child.parse().ok()).for_each(kill_tree);
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid as i32), nix::sys::signal::Signal::SIGKILL);
}

#[test]
fn after_a_killed_pip_the_next_start_makes_it_whole() {
    if possible(false) {
        killed_in_the_middle("pip");
    }
}

#[test]
fn after_a_killed_uv_the_next_start_makes_it_whole() {
    if possible(true) {
        killed_in_the_middle("uv");
    }
}

#[test]
fn a_package_that_only_looks_installed_is_installed_again() {
    if !possible(true) {
        return;
    }
    for installer in ["pip", "uv"] {
        let bench = Bench::with_venv();
        bench.code("requirements.txt", "tiny==1.0\n");
        let start = bench.start().installer(installer);
        start.run();
        std::fs::write(bench.site().join(".trainit/installing"), "").unwrap();
        let later = std::time::SystemTime::now() + Duration::from_secs(1);
        std::fs::File::open(bench.site().join("tiny-1.0.dist-info")).unwrap().set_modified(later).unwrap();
        std::fs::remove_file(bench.site().join("tiny/__init__.py")).unwrap();
        let report = start.run();
        assert!(report.text().contains("left half installed"), "{}", report.text());
        assert!(bench.site().join("tiny/__init__.py").exists());
        assert_eq!(start.run().outcome, "unchanged");
    }
}

#[test]
fn of_two_starts_at_once_one_installs() {
    if !possible(true) {
        return;
    }
    let bench = Bench::with_venv();
    bench.code("requirements.txt", "needy\n");
    let starts = ["a.json", "b.json", "c.json", "d.json"].map(|name| bench.start().installer("uv").beside(name));
    let threads = starts.map(|start| std::thread::spawn(move || start.run().outcome));
    let mut outcomes = threads.map(|thread| thread.join().unwrap());
    outcomes.sort();
    assert_eq!(outcomes, ["installed", "unchanged", "unchanged", "unchanged"]);
}
