//! Packages whose builds import what they do not declare, as those for a GPU do with torch.

use crate::bench::{Bench, Report};
use crate::possible;
use crate::protect::there;
use crate::wheel::Wheel;
use std::path::Path;
use std::process::Command;

/// A package in source form in a directory: its build imports modules, and needs nothing else.
fn source(directory: &Path, name: &str, imports: &str) {
    std::fs::create_dir_all(directory).unwrap();
    let project = format!(
        "[project]\nname = \"{name}\"\nversion = \"1.0\"\n[build-system]\nrequires = []\nbuild-backend = \"own\"\nbackend-path = [\".\"]\n"
    );
    std::fs::write(directory.join("pyproject.toml"), project).unwrap();
    let backend = format!(
        "import zipfile, os\n\ndef build_wheel(directory, settings=None, metadata=None):\n    import {imports}\n    \
         file = \"{name}-1.0-py3-none-any.whl\"\n    info = \"{name}-1.0.dist-info/\"\n    \
         with zipfile.ZipFile(os.path.join(directory, file), \"w\") as z:\n        \
         z.writestr(\"{name}.py\", \"\")\n        \
         z.writestr(info + \"METADATA\", \"Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n\")\n        \
         z.writestr(info + \"WHEEL\", \"Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n\")\n        \
         z.writestr(info + \"RECORD\", \"{name}.py,,\\n\" + info + \"METADATA,,\\n\" + info + \"WHEEL,,\\n\" + info + \"RECORD,,\\n\")\n    \
         return file\n"
    );
    std::fs::write(directory.join("own.py"), backend).unwrap();
    std::fs::write(directory.join("PKG-INFO"), format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")).unwrap();
}

/// The same as an archive among the wheels.
fn archive(bench: &Bench, name: &str, imports: &str) {
    let inside = format!("{name}-1.0");
    source(&bench.path("tmp").join(&inside), name, imports);
    let archive = bench.path("wheels").join(format!("{inside}.tar.gz"));
    let done =
        Command::new("tar").arg("czf").arg(archive).arg("-C").arg(bench.path("tmp")).arg(inside).status().unwrap();
    assert!(done.success());
}

fn image(bench: &Bench, name: &str) {
    let wheel = Wheel::new(name, "2.6.0+cu124").write(&bench.path("own"));
    let words = ["-m", "pip", "install", "-q", "--no-deps", "--no-index", "--disable-pip-version-check"];
    assert!(Command::new(bench.python()).args(words).arg(wheel).status().unwrap().success());
}

fn says_nothing_of_protection(report: &Report) {
    for word in ["PROTECT", "install it first", "stays"] {
        assert!(!report.text().contains(word), "{word}: {}", report.text());
    }
}

fn with_each(test: impl Fn(&str, &Bench)) {
    for installer in ["pip", "uv"] {
        if possible(installer == "uv") {
            test(installer, &Bench::with_venv());
        }
    }
}

#[test]
fn a_build_that_needs_the_images_torch_gets_to_see_it() {
    with_each(builds_see_torch);
}

/// Builds that import the image's torch.
pub fn builds_see_torch(installer: &str, bench: &Bench) {
    image(bench, "torch");
    archive(bench, "flash", "torch");
    archive(bench, "apex", "torch");
    source(&bench.path("code/native"), "native", "torch");
    bench.code("requirements.txt", "flash\napex\n./native\ntiny==1.0\n");
    let report = bench.start().installer(installer).run();
    assert_eq!(report.outcome, "installed", "{installer}: {}", report.text());
    assert_eq!(there(&bench.site()), "apex-1.0 flash-1.0 native-1.0 tiny-1.0 torch-2.6.0+cu124");
    let told = report.lines.iter().filter(|line| line.contains("built again without isolation")).count();
    assert!((1..=3).contains(&told), "{}", report.text());
    says_nothing_of_protection(&report);
}

#[test]
fn a_build_that_needs_what_is_not_there_says_what_to_add() {
    with_each(|installer, bench| {
        archive(bench, "flash", "torch");
        bench.code("requirements.txt", "flash\n");
        let report = bench.start().installer(installer).run();
        assert_eq!(report.code, 116, "{installer}: {}", report.text());
        for word in
            ["the build of flash needs the module torch", "does not have it either", "add torch to the requirements"]
        {
            assert!(report.error.contains(word), "{installer} {word}: {}", report.text());
        }
        says_nothing_of_protection(&report);
        // Which helps.
        Wheel::new("torch", "2.6.0").write(&bench.path("wheels"));
        bench.code("requirements.txt", "flash\ntorch\n");
        let report = bench.start().installer(installer).run();
        assert_eq!(report.outcome, "installed", "{installer}: {}", report.text());
        assert_eq!(there(&bench.site()), "flash-1.0 torch-2.6.0");
        assert!(report.text().contains("all others are installed first"), "{}", report.text());
    });
}

#[test]
fn a_package_that_builds_in_isolation_still_does_beside_one_that_cannot() {
    with_each(|installer, bench| {
        image(bench, "torch");
        archive(bench, "flash", "torch");
        archive(
            bench,
            "alone",
            "sys, os; sys.exit(1) if any(os.path.isdir(os.path.join(p, 'torch')) for p in sys.path) else None",
        );
        bench.code("requirements.txt", "flash\nalone\n");
        let report = bench.start().installer(installer).run();
        assert_eq!(report.outcome, "installed", "{installer}: {}", report.text());
    });
}
