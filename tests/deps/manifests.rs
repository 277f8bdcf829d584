//! What a project's own files ask for: pyproject.toml and uv.lock where they are named, a hint for the others.

use crate::bench::Bench;
use crate::failing::with_each_installer;
use crate::possible;
use std::process::Command;

const PROJECT: &str = "[project]\nname = 'x'\nversion = '1'\nrequires-python = '>=3.8'\n";

#[test]
fn a_project_file_that_is_named_is_installed_from_by_both_installers() {
    if !possible(true) {
        return;
    }
    for installer in ["pip", "uv"] {
        let bench = Bench::with_venv();
        bench.code(
            "pyproject.toml",
            format!("{PROJECT}dependencies = [\n  'needy',  # a comment\n  \"tiny==1.0; python_version > '3'\",\n]\n"),
        );
        let start = bench.start().installer(installer);
        let left = start.run();
        assert!(
            left.outcome == "nothing" && left.text().contains("TRAINIT_DEPS_REQUIREMENTS=pyproject.toml"),
            "{}",
            left.text()
        );
        let start = start.set("deps.requirements", "pyproject.toml");
        let first = start.run();
        assert_eq!(first.outcome, "installed", "{}", first.text());
        assert_eq!(bench.say(&bench.python(), &["-c", "import tiny, needy; print(tiny.VERSION)"], &first), "1.0");
        let second = start.run();
        assert_eq!((second.outcome.as_str(), second.children), ("unchanged", 0), "{}", second.text());
        bench.code("pyproject.toml", format!("{PROJECT}dependencies = ['tiny==2.0']\n"));
        assert_eq!(start.run().outcome, "installed");
        for (text, why) in [
            ("[tool.x]\n", "no table [project]"),
            ("[project\n", "cannot be installed from"),
            ("[project]\nname='x'\ndynamic=['dependencies']\n", "dynamic"),
        ] {
            bench.code("pyproject.toml", text);
            let report = start.run();
            assert!(report.code == 116 && report.error.contains(why), "{}", report.text());
        }
    }
}

/// Has uv lock the project.
fn lock(bench: &Bench) {
    let lock = Command::new(crate::bench::uv().unwrap())
        .args(["lock", "-q", "--no-index", "--no-config", "--python"])
        .arg(bench.python())
        .arg("--find-links")
        .arg(bench.path("wheels"))
        .current_dir(bench.path("code"))
        .output()
        .unwrap();
    assert!(lock.status.success(), "{}", String::from_utf8_lossy(&lock.stderr));
}

#[test]
fn what_uv_has_locked_is_installed_and_what_the_image_keeps_stays() {
    if !possible(true) {
        return;
    }
    let bench = Bench::with_venv();
    bench.code("pyproject.toml", format!("{PROJECT}dependencies = ['needy', 'tiny<2']\n"));
    lock(&bench);
    let start = bench.start().installer("uv").set("deps.requirements", "uv.lock");
    let first = start.run();
    assert_eq!(first.outcome, "installed", "{}", first.text());
    assert!(bench.site().join("tiny-1.0.dist-info").exists() && !bench.site().join("x").exists());
    assert_eq!(start.run().outcome, "unchanged");
    // Another image, which has its own tiny.
    bench.take_away(&["tiny", "needy", ".trainit"]);
    let pip = ["-m", "pip", "install", "-q", "--no-index", "tiny==2.0", "--find-links"];
    assert!(Command::new(bench.python()).args(pip).arg(bench.path("wheels")).status().unwrap().success());
    let kept = start.set("deps.protect", "tiny").run();
    assert!(kept.outcome == "installed" && kept.text().contains("asks for tiny==1.0"), "{}", kept.text());
    assert!(bench.site().join("tiny-2.0.dist-info").exists() && bench.site().join("needy").exists());
    let pip = bench.start().installer("pip").set("deps.requirements", "uv.lock").set("deps.protect", "tiny");
    bench.take_away(&["needy", ".trainit"]);
    assert_eq!(pip.run().code, 116, "without uv nobody reads it");
}

#[test]
fn another_tools_file_is_left_alone_with_what_to_do() {
    if !possible(false) {
        return;
    }
    let bench = Bench::with_venv();
    bench.code("environment.yml", "dependencies: []\n");
    let report = bench.start().run();
    assert!(report.outcome == "nothing" && report.text().contains("conda env update"), "{}", report.text());
    let report = bench.start().set("deps.requirements", "environment.yml").run();
    assert!(report.code == 116 && report.error.contains("conda env update"), "{}", report.text());
}

#[test]
fn extras_and_groups_of_a_project_are_installed_as_named() {
    with_each_installer(|installer, bench| {
        bench.code(
            "pyproject.toml",
            format!(
                "{PROJECT}dependencies = ['tiny==1.0']\n[project.optional-dependencies]\nmore = ['needy']\nall = ['x[more]']\n\
                 [dependency-groups]\ngpu = [{{include-group = 'base'}}]\nbase = ['needy']\n"
            ),
        );
        let start = |names: &str| bench.start().installer(installer).set("deps.requirements", names);
        let has = |name: &str| bench.site().join(name).exists();
        assert_eq!(start("pyproject.toml").run().outcome, "installed");
        assert!(has("tiny") && !has("needy"));
        let extras = start("pyproject.toml[all]").run();
        assert!(extras.outcome == "installed" && has("needy"), "{}", extras.text());
        assert_eq!(start("pyproject.toml[all]").run().outcome, "unchanged");
        bench.take_away(&["tiny", "needy", ".trainit"]);
        let group = start("pyproject.toml:gpu").run();
        assert!(group.outcome == "installed" && has("needy"), "{}", group.text());
        for (name, why) in [("pyproject.toml[gone]", "no extra gone; it has all, more"), (".:gone", "no group gone")] {
            let report = start(name).run();
            assert!(report.code == 116 && report.error.contains(why), "{}", report.text());
        }
    });
}

#[test]
fn a_lock_that_is_behind_its_project_and_code_that_python_does_not_find_are_told() {
    if !possible(true) {
        return;
    }
    let bench = Bench::with_venv();
    bench.code("src/x/__init__.py", "");
    bench.code("pyproject.toml", format!("{PROJECT}dependencies = ['tiny<2']\n[dependency-groups]\ngpu = ['needy']\n"));
    lock(&bench);
    let start = bench.start().installer("uv").set("deps.requirements", "uv.lock:gpu");
    let first = start.run();
    assert!(first.outcome == "installed" && bench.site().join("needy").exists(), "{}", first.text());
    assert!(first.text().contains(&format!("PYTHONPATH={}", bench.path("code/src").display())), "{}", first.text());
    assert!(!first.text().contains("uv lock --check"), "{}", first.text());
    bench.code("pyproject.toml", format!("{PROJECT}dependencies = ['tiny<2', 'picky']\n"));
    let behind = bench.start().installer("uv").set("deps.requirements", "uv.lock").run();
    assert!(behind.outcome == "installed" && behind.text().contains("uv lock --check"), "{}", behind.text());
}
