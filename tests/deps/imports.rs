//! What Python imports is what counts: packages of the user, of PYTHONPATH and beside the script that hide the image's own, and
//! installations that put nothing where Python looks.

use crate::bench::{self, Bench, Report, Start};
use crate::places::{is_root, system_site};
use crate::possible;
use crate::wheel::Wheel;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Unpacks packages into a directory, as `pip install --target` does.
fn unpack(into: &Path, packages: &[(&str, &str)]) {
    let made = into.with_extension("made");
    let wheels = packages.iter().map(|(name, version)| Wheel::new(name, version).write(&made));
    for wheel in wheels {
        let unzip = ["-m", "zipfile", "-e"];
        assert!(Command::new(bench::base().unwrap()).args(unzip).arg(wheel).arg(into).status().unwrap().success());
    }
}

fn hides(report: &Report) -> usize {
    report.lines.iter().filter(|line| line.contains("hides the image's torch 2.6.0")).count()
}

/// Each requirement, with the outcome where torch 2.5.1 hides the image's 2.6.0.
const HIDDEN: [(&str, &str); 5] =
    [("torch", "satisfied"), ("torch<2.6", "satisfied"), ("torch>=2.6", ""), ("torch==2.6.0", ""), ("torch==2.7", "")];

fn refuses(report: &Report, remedy: &str) {
    assert_eq!(report.code, 116, "{}", report.text());
    for word in ["needs another torch than 2.5.1", "hides the image's torch 2.6.0", remedy] {
        assert!(report.error.contains(word), "{word}: {}", report.text());
    }
}

#[test]
fn a_package_in_pythonpath_that_hides_the_images_is_told_and_refused_where_the_image_is_asked_for() {
    if !possible(true) {
        return;
    }
    let bench = Bench::with_venv();
    unpack(&bench.site(), &[("torch", "2.6.0")]);
    let other = bench.path("code/vendored");
    unpack(&other, &[("torch", "2.5.1")]);
    for (text, outcome) in HIDDEN {
        bench.code("requirements.txt", text);
        // A relative path is one in the working directory.
        for path in [other.to_str().unwrap(), "/none:vendored"] {
            bench.take_away(&[".trainit"]);
            let report = bench.start().with_uv().with("PYTHONPATH", path).run();
            if outcome.is_empty() {
                refuses(&report, "out of PYTHONPATH");
                continue;
            }
            assert_eq!((report.outcome.as_str(), hides(&report)), (outcome, 1), "{text}: {}", report.text());
            let again = bench.start().with_uv().with("PYTHONPATH", path).run();
            assert_eq!((again.outcome.as_str(), hides(&again)), ("unchanged", 1), "{text}: {}", again.text());
        }
        let mut isolated = bench.start().with_uv().with("PYTHONPATH", other.to_str().unwrap());
        isolated.command.insert(1, "-E".into());
        assert_eq!(hides(&isolated.run()), 0);
        // A script's own first line says the same.
        bench.code("isolated.py", format!("#!{} -E\n", bench.python().display()));
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(bench.path("code/isolated.py"), mode).unwrap();
        assert_eq!(hides(&isolated.starting(&["./isolated.py"]).run()), 0);
    }
}

/// The system's Python with a torch of its own, and a home directory with another one.
fn with_home(bench: &Bench) -> Option<(Start, String, PathBuf)> {
    let site = system_site()?;
    let library = site.parent().unwrap().file_name().unwrap();
    let user = bench.path("home/.local/lib").join(library).join("site-packages");
    unpack(&bench.path("image"), &[("torch", "2.6.0")]);
    unpack(&user, &[("torch", "2.5.1")]);
    let start =
        Start { command: vec![bench::base().unwrap().display().to_string(), "train.py".into()], ..bench.start() };
    let mounts = format!(
        "mount --bind {} {}; mount -t tmpfs none /usr/local/bin",
        bench.path("image").display(),
        site.display()
    );
    Some((start.with_uv(), mounts, user))
}

#[test]
fn what_a_kept_home_hides_of_the_image_is_told_and_refused_where_the_image_is_asked_for() {
    if !possible(true) || !is_root() {
        return;
    }
    let bench = Bench::new();
    let Some((start, mounts, user)) = with_home(&bench) else { return };
    for (text, outcome) in HIDDEN {
        bench.code("requirements.txt", text);
        let Some(report) = start.run_behind(&mounts) else { return };
        match outcome {
            "" => refuses(&report, "PYTHONNOUSERSITE=1"),
            outcome => assert_eq!((report.outcome.as_str(), hides(&report)), (outcome, 1), "{}", report.text()),
        }
    }
    bench.code("requirements.txt", "torch>=2.6\n");
    let without = start.clone().with("PYTHONNOUSERSITE", "1").run_behind(&mounts).unwrap();
    assert_eq!((without.code, hides(&without)), (0, 0), "{}", without.text());
    let mut isolated = start.clone();
    isolated.command.insert(1, "-s".into());
    assert_eq!(isolated.run_behind(&mounts).unwrap().code, 0);
    // A directory that a `.pth` file there names is as good.
    std::fs::create_dir(bench.path("lib")).unwrap();
    for entry in std::fs::read_dir(&user).unwrap().flatten() {
        std::fs::rename(entry.path(), bench.path("lib").join(entry.file_name())).unwrap();
    }
    std::fs::write(user.join("more.pth"), format!("import os\n{}\n", bench.path("lib").display())).unwrap();
    refuses(&start.run_behind(&mounts).unwrap(), "PYTHONNOUSERSITE=1");
}

#[test]
fn what_hides_the_image_from_a_package_that_needs_it_is_found_after_the_installation() {
    if !possible(true) || !is_root() {
        return;
    }
    for installer in ["pip", "uv"] {
        let bench = Bench::new();
        let Some((start, mounts, _)) = with_home(&bench) else { return };
        Wheel::new("accel", "1.0").requires("torch>=2.6").write(&bench.path("wheels"));
        bench.code("requirements.txt", "accel\n");
        let Some(report) = start.installer(installer).run_behind(&mounts) else { return };
        assert!(report.text().contains("installing "), "{installer}: {}", report.text());
        refuses(&report, "PYTHONNOUSERSITE=1");
    }
}

#[test]
fn a_module_beside_the_script_is_told_and_a_directory_without_code_is_not() {
    if !possible(true) {
        return;
    }
    let bench = Bench::with_venv();
    unpack(&bench.site(), &[("tiny", "1.0"), ("torch", "2.6.0")]);
    bench.code("requirements.txt", "tiny\n");
    bench.code("train.py", "");
    let told = || bench.start().run().lines.into_iter().filter(|line| line.contains("in place of")).collect::<Vec<_>>();
    std::fs::create_dir(bench.path("code/tiny")).unwrap();
    assert_eq!(told(), [""; 0]);
    std::fs::remove_dir_all(bench.site().join(".trainit")).unwrap();
    bench.code("tiny/__init__.py", "");
    bench.code("torch.py", "");
    let told = told();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("/code/tiny is imported in place of the tiny 1.0") && told[1].contains("/code/torch.py"));
}

/// Settings of pip that put packages elsewhere or nowhere.
const ELSEWHERE: [(&str, &str); 4] =
    [("PIP_TARGET", "elsewhere"), ("PIP_PREFIX", "elsewhere"), ("PIP_ROOT", "elsewhere"), ("PIP_DRY_RUN", "")];

#[test]
fn what_a_setting_puts_where_python_does_not_look_is_a_failure_that_names_it() {
    if !possible(false) {
        return;
    }
    for (name, path) in ELSEWHERE {
        let bench = Bench::with_venv();
        let value = if path.is_empty() { "1".to_owned() } else { bench.path(path).display().to_string() };
        bench.code("requirements.txt", "needy\n");
        let start = bench.start().installer("pip").with(name, &value);
        // There is no stamp, so that the second start sees the same.
        for _ in 0..2 {
            let report = start.run();
            assert_eq!(report.code, 116, "{name}: {}", report.text());
            for word in ["does not find needy", &format!("{name}={value}"), &format!("{name}= (empty)")] {
                assert!(report.error.contains(word), "{name} {word}: {}", report.text());
            }
        }
        assert_eq!(start.without(name).run().outcome, "installed");
        let file = bench.path("code/pip.conf");
        let key = name.trim_start_matches("PIP_").to_lowercase().replace('_', "-");
        std::fs::write(&file, format!("[install]\n{key} = {value}\n")).unwrap();
        bench.take_away(&["needy", "tiny", ".trainit"]);
        let report = bench.start().installer("pip").with("PIP_CONFIG_FILE", file.display().to_string()).run();
        assert_eq!(report.code, 116, "{key}: {}", report.text());
        assert!(report.error.contains(&format!("{key} = {value} in {}", file.display())), "{}", report.text());
    }
}

#[test]
fn a_package_without_a_name_has_to_be_there_too() {
    if !possible(false) {
        return;
    }
    let bench = Bench::with_venv();
    Wheel::new("own", "1.0").write(&bench.path("code"));
    bench.code("requirements.txt", "./own-1.0-py3-none-any.whl\n");
    let start = bench.start().installer("pip");
    let report = start.clone().with("PIP_DRY_RUN", "1").run();
    assert!(report.code == 116 && report.error.contains("./own-1.0-py3-none-any.whl"), "{}", report.text());
    assert_eq!(start.run().outcome, "installed");
}

#[test]
fn a_directory_that_python_looks_into_may_be_the_target() {
    if !possible(false) {
        return;
    }
    let bench = Bench::with_venv();
    let place = bench.path("elsewhere").display().to_string();
    bench.code("requirements.txt", "needy\n");
    let start = bench.start().installer("pip").with("PIP_TARGET", &place).with("PYTHONPATH", &place);
    let report = start.run();
    assert_eq!(report.outcome, "installed", "{}", report.text());
    assert_eq!(start.run().outcome, "unchanged");
}

#[test]
fn an_overlay_that_an_option_of_python_hides_is_named_and_found_by_the_bare_name() {
    if !possible(false) {
        return;
    }
    let bench = Bench::with_venv();
    bench.code("requirements.txt", "tiny\n");
    let mut start = bench.start().installer("pip").set("deps.target", "layer");
    start.command = vec![bench.python().display().to_string(), "-I".into(), "train.py".into()];
    let report = start.run();
    assert_eq!(report.code, 116, "{}", report.text());
    assert!(report.error.contains("keep this Python from the overlay in"), "{}", report.text());
    start.command[0] = "python3".into();
    assert_eq!(start.run().outcome, "installed");
}
