//! The image's own packages stay: every row of what a requirement can ask for, with real pip and real uv.

use crate::bench::{self, Bench, Report, Start};
use crate::possible;
use crate::wheel::Wheel;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The image's own build; its local version is not written as PEP 440 would.
const TORCH: &str = "2.6.0a0+ecf3bae40a.nv25.01";

/// An index with other versions of all that the image has.
fn fill_index(wheels: &Path) {
    for version in ["2.5.1", "2.6.0", "2.7.0"] {
        Wheel::new("torch", version).requires("numpy").requires("nvidia-cublas-cu12==12.6").write(wheels);
    }
    Wheel::new("nvidia_cublas_cu12", "12.6").write(wheels);
    for version in ["1.26.4", "2.1.0"] {
        Wheel::new("numpy", version).write(wheels);
    }
    Wheel::new("accel", "0.9").requires("torch>=2.0").write(wheels);
    Wheel::new("accel", "1.0").requires("torch>=2.6").write(wheels);
    Wheel::new("flash_thing", "1.0").requires("torch==2.7.0").requires("numpy>=2").write(wheels);
}

/// An image with a torch that no index has, the numpy that it was built against, and a library of CUDA.
pub fn image(bench: &Bench) {
    fill_index(&bench.path("wheels"));
    let own = bench.path("own");
    let wheels = [("torch", TORCH), ("numpy", "1.26.4"), ("nvidia_cublas_cu12", "12.5"), ("pandas", "2.0")];
    let wheels = wheels.map(|(name, version)| Wheel::new(name, version).write(&own));
    install(&bench.python(), &wheels);
}

/// As an image's author does it.
fn install(python: &Path, wheels: &[PathBuf]) {
    let words = ["-m", "pip", "install", "-q", "--no-deps", "--no-index", "--disable-pip-version-check"];
    assert!(Command::new(python).args(words).args(wheels).status().unwrap().success());
}

/// Name and version of what is there, without what makes packages.
pub fn there(site: &Path) -> String {
    let entries = std::fs::read_dir(site).unwrap().flatten().map(|entry| entry.file_name());
    let names = entries.filter_map(|name| Some(name.to_str()?.strip_suffix(".dist-info")?.to_owned()));
    let is_tool = |name: &String| ["pip-", "setuptools-", "wheel-"].iter().any(|tool| name.starts_with(tool));
    let mut names: Vec<_> = names.filter(|name| !is_tool(name)).collect();
    names.sort();
    names.join(" ")
}

pub fn with_image(more: &str) -> String {
    let mut all = vec!["numpy-1.26.4", "nvidia_cublas_cu12-12.5", "pandas-2.0", "torch-2.6.0a0+ecf3bae40a.nv25.01"];
    all.extend(more.split_whitespace());
    all.sort_unstable();
    all.join(" ")
}

/// A requirement, what is there besides the image's own afterwards, and who is told not to get what.
const ROWS: [(&str, &str, &[&str]); 7] = [
    ("torch", "", &[]),
    ("torch>=2.6", "", &["requirements.txt:1 asks for torch>=2.6"]),
    ("torch==2.6.0", "", &["requirements.txt:1 asks for torch==2.6.0"]),
    ("accel", "accel-1.0", &["accel 1.0 asks for torch>=2.6"]),
    ("flash-thing", "flash_thing-1.0", &["flash-thing 1.0 asks for numpy>=2", "flash-thing 1.0 asks for torch==2.7.0"]),
    ("Torch==2.7.0\nneedy", "needy-1.0 tiny-2.0", &["requirements.txt:1 asks for Torch==2.7.0"]),
    ("numpy<2\nNVIDIA_cublas.cu12>=12.6", "", &["requirements.txt:2 asks for NVIDIA_cublas.cu12>=12.6"]),
];

/// The same with a requirement that is not there, so that an installer has to hold the row.
#[test]
fn with_both_installers_what_is_satisfied_stays_beside_what_is_new() {
    if !possible(true) {
        return;
    }
    for installer in ["pip", "uv"] {
        let bench = Bench::with_venv();
        image(&bench);
        let start = bench.start().installer(installer);
        for (requirements, _, told) in ROWS.iter().filter(|(_, more, _)| more.is_empty()) {
            bench.code("requirements.txt", format!("{requirements}\ntiny\n"));
            let report = start.run();
            assert_eq!(report.outcome, "installed", "{requirements}: {}", report.text());
            assert_eq!(there(&bench.site()), with_image("tiny-2.0"), "{requirements}: {}", report.text());
            assert_eq!(
                report.lines.iter().filter(|line| line.contains("stays")).count(),
                told.len(),
                "{}",
                report.text()
            );
            bench.take_away(&["tiny"]);
        }
    }
}

fn every_row(bench: &Bench, start: &Start) {
    for (requirements, more, told) in ROWS {
        bench.code("requirements.txt", requirements);
        let report = start.run();
        let expected = if more.is_empty() { "satisfied" } else { "installed" };
        assert_eq!(report.outcome, expected, "{requirements}: {}", report.text());
        assert_eq!(there(&bench.site()), with_image(more), "{requirements}: {}", report.text());
        let asks: Vec<_> = report.lines.iter().filter(|line| line.contains(" asks for ")).collect();
        assert_eq!(asks.len(), told.len(), "{requirements}: {asks:?}");
        for (line, words) in asks.iter().zip(told) {
            assert!(line.contains(words) && line.contains("stays; TRAINIT_DEPS_PROTECT=off"), "{line}");
        }
        assert_eq!(start.run().outcome, "unchanged", "{requirements}");
        bench.take_away(&more.split_whitespace().filter_map(|name| name.split('-').next()).collect::<Vec<_>>());
    }
}

#[test]
fn with_pip_the_images_own_stays_whoever_asks_for_another() {
    if possible(false) {
        let bench = Bench::with_venv();
        image(&bench);
        every_row(&bench, &bench.start().installer("pip"));
    }
}

#[test]
fn with_uv_the_images_own_stays_whoever_asks_for_another() {
    if possible(true) {
        let bench = Bench::with_venv();
        image(&bench);
        every_row(&bench, &bench.start().installer("uv"));
    }
}

#[test]
fn when_it_is_off_or_a_list_says_so_requirements_get_what_they_ask_for() {
    if !possible(true) {
        return;
    }
    let cases = [
        ("off", "flash-thing", "flash_thing-1.0 numpy-2.1.0 nvidia_cublas_cu12-12.6 pandas-2.0 torch-2.7.0"),
        ("numpy", "torch==2.7.0\nnumpy==2.1.0", "numpy-1.26.4 nvidia_cublas_cu12-12.6 pandas-2.0 torch-2.7.0"),
        (
            "auto -numpy",
            "torch==2.7.0\nnumpy>=2",
            "numpy-2.1.0 nvidia_cublas_cu12-12.5 pandas-2.0 torch-2.6.0a0+ecf3bae40a.nv25.01",
        ),
    ];
    for installer in ["pip", "uv"] {
        for (protect, requirements, expected) in cases {
            let bench = Bench::with_venv();
            image(&bench);
            bench.code("requirements.txt", requirements);
            let report = bench.start().installer(installer).set("deps.protect", protect).run();
            assert_eq!(there(&bench.site()), expected, "{installer} {protect}: {}", report.text());
        }
    }
}

#[test]
fn what_trainit_installed_itself_follows_the_requirements() {
    if !possible(true) {
        return;
    }
    for installer in ["pip", "uv"] {
        let bench = Bench::with_venv();
        fill_index(&bench.path("wheels"));
        let start = bench.start().installer(installer);
        for (asked, expected) in [("2.6.0", "torch-2.6.0"), ("2.7.0", "torch-2.7.0"), ("2.5.1", "torch-2.5.1")] {
            bench.code("requirements.txt", format!("torch=={asked}\n"));
            let report = start.run();
            assert!(there(&bench.site()).contains(expected), "{}", report.text());
        }
        // What came with an installation that was killed is trainit's as well.
        std::fs::remove_file(bench.site().join(".trainit/installed.json")).unwrap();
        std::fs::write(bench.site().join(".trainit/installing"), "{}").unwrap();
        bench.code("requirements.txt", "torch==2.7.0\n");
        start.run();
        assert!(there(&bench.site()).contains("torch-2.7.0"));
        // What a derived image or a person puts in its place is not.
        install(&bench.python(), &[bench.path("wheels").join("torch-2.6.0-py3-none-any.whl")]);
        let report = start.run();
        assert!(there(&bench.site()).contains("torch-2.6.0"), "{}", report.text());
        assert!(report.text().contains("asks for torch==2.7.0"), "{}", report.text());
    }
}

#[test]
fn what_the_image_pins_itself_stays_and_is_no_conflict() {
    if !possible(true) {
        return;
    }
    for installer in ["pip", "uv"] {
        let bench = Bench::with_venv();
        image(&bench);
        Wheel::new("pandas", "2.2").write(&bench.path("wheels"));
        let pins = bench.path("constraint.txt");
        std::fs::write(&pins, format!("torch=={TORCH}\npandas==2.0\n")).unwrap();
        bench.code("requirements.txt", "pandas==2.2\nflash-thing\n");
        let report = bench.start().installer(installer).with("PIP_CONSTRAINT", pins.display().to_string()).run();
        assert_eq!(report.outcome, "installed", "{}", report.text());
        assert_eq!(there(&bench.site()), with_image("flash_thing-1.0"), "{}", report.text());
        assert!(report.text().contains("requirements.txt:1 asks for pandas==2.2"), "{}", report.text());
    }
}

/// The same requirement as a path: pip cannot keep the image's then, and says so before anything is changed.
#[test]
fn what_contradicts_the_images_own_fails_before_anything_is_changed() {
    if !possible(false) {
        return;
    }
    let bench = Bench::with_venv();
    image(&bench);
    bench.code("requirements.txt", format!("tiny\n{}/torch-2.7.0-py3-none-any.whl\n", bench.path("wheels").display()));
    let report = bench.start().installer("pip").run();
    assert_eq!(report.code, 116, "{}", report.text());
    assert!(report.error.contains("torch 2.6.0a0+ecf3bae40a.nv25.1 stays (deps.protect)"), "{}", report.error);
    assert!(report.error.contains("TRAINIT_DEPS_PROTECT=off"), "{}", report.error);
    assert_eq!(there(&bench.site()), with_image(""));
}

#[test]
fn a_users_own_overrides_of_uv_still_count() {
    if !possible(true) {
        return;
    }
    let bench = Bench::with_venv();
    image(&bench);
    bench.code("requirements.txt", "torch==2.7.0\nneedy\n");
    std::fs::write(bench.path("overrides.txt"), "tiny==1.0\n").unwrap();
    let file = bench.path("overrides.txt").display().to_string();
    let report = bench.start().installer("uv").with("UV_OVERRIDE", file).run();
    assert_eq!(there(&bench.site()), with_image("needy-1.0 tiny-1.0"), "{}", report.text());
}

/// A virtual environment that shows the packages of the one below, as images with a system-wide torch have it.
fn above(bench: &Bench, with_pip: bool) -> PathBuf {
    let venv = bench.path("above");
    let words = ["-m", "venv", "--without-pip"];
    assert!(Command::new(bench::base().unwrap()).args(words).arg(&venv).status().unwrap().success());
    let site = std::fs::read_dir(venv.join("lib")).unwrap().next().unwrap().unwrap().path().join("site-packages");
    let below = if with_pip { bench.site() } else { without_pip(bench) };
    std::fs::write(site.join("below.pth"), format!("import site; site.addsitedir({:?})\n", below.display())).unwrap();
    site
}

fn without_pip(bench: &Bench) -> PathBuf {
    let words = ["-m", "pip", "uninstall", "-q", "-y", "pip"];
    assert!(Command::new(bench.python()).args(words).status().unwrap().success());
    bench.site()
}

#[test]
fn what_uv_does_not_see_stays_as_well() {
    if !possible(true) {
        return;
    }
    for (with_pip, expected) in [(true, "pip "), (false, "uv ")] {
        let bench = Bench::with_venv();
        image(&bench);
        let site = above(&bench, with_pip);
        bench.code("requirements.txt", "torch==2.7.0\nflash-thing\n");
        let mut start = bench.start().with_uv();
        start.command = vec![bench.path("above/bin/python").display().to_string(), "train.py".into()];
        let report = start.run();
        assert!(report.installer.starts_with(expected), "{}", report.text());
        assert_eq!(there(&site), "flash_thing-1.0", "{}", report.text());
        let versions = "import torch, flash_thing; print(torch.VERSION)";
        assert_eq!(bench.say(&bench.path("above/bin/python"), &["-c", versions], &Report::default()), TORCH);
    }
}
