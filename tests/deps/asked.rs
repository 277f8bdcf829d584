//! What the configuration asks of an installation: from which index, to which place, how new; and what lies in the mounted
//! code and asks for something else.

use crate::failing::with_each_installer;
use std::path::Path;

#[test]
fn a_configured_index_wins_over_the_images() {
    with_each_installer(|installer, bench| {
        bench.code("requirements.txt", "needy\n");
        let start = bench.start().installer(installer).without("PIP_FIND_LINKS").without("PIP_NO_INDEX");
        let start = start.with("PIP_INDEX_URL", "http://127.0.0.1:9/simple").with("PIP_RETRIES", "0");
        let start = start.with("UV_INDEX_URL", "http://127.0.0.1:9/simple").with("UV_HTTP_RETRIES", "0");
        assert_eq!(start.run().code, 216);
        let offline = start.set("deps.index", "off").set("deps.find_links", bench.path("wheels").display());
        let report = offline.run();
        assert_eq!(report.outcome, "installed", "{}", report.text());
        assert_eq!(offline.run().outcome, "unchanged");
        let directory = bench.path("simple/large");
        std::fs::create_dir_all(&directory).unwrap();
        let wheel = crate::wheel::Wheel::new("large", "1.0").write(&directory);
        let link = format!("<a href=\"{0}\">{0}</a>", wheel.file_name().unwrap().display());
        std::fs::write(directory.join("index.html"), link).unwrap();
        bench.code("requirements.txt", "large\n");
        let report = start.set("deps.index", format!("file://{}", bench.path("simple").display())).run();
        assert!(bench.site().join("large").exists(), "{}", report.text());
    });
}

#[test]
fn newer_versions_come_only_when_they_are_wanted() {
    with_each_installer(|installer, bench| {
        let newest = || bench.site().join("tiny-3.0.dist-info").exists();
        bench.code("requirements.txt", "tiny\n");
        let start = bench.start().installer(installer);
        start.run();
        crate::wheel::Wheel::new("tiny", "3.0").write(&bench.path("wheels"));
        assert_eq!(start.run().outcome, "unchanged");
        assert_eq!(start.set("deps.refresh", "1h").run().outcome, "unchanged");
        assert!(!newest());
        let always = start.set("deps.refresh", "always");
        let report = always.run();
        assert!(newest() && report.text().contains("deps.refresh"), "{}", report.text());
        assert_eq!(always.run().outcome, "installed");
    });
}

#[test]
fn packages_go_where_they_are_asked_to_go() {
    with_each_installer(|installer, bench| {
        bench.code("requirements.txt", "tiny\n");
        let start = bench.start().installer(installer);
        let report = start.set("deps.target", "layer").run();
        assert_eq!(report.outcome, "installed", "{}", report.text());
        assert!(!bench.site().join("tiny").exists());
        let python = Path::new(&report.environment["VIRTUAL_ENV"]).join("bin/python");
        assert_eq!(bench.say(&python, &["-c", "import tiny; print(tiny.VERSION)"], &report), "2.0");
        let mut start = start.set("deps.target", "venv");
        assert_eq!(start.run().outcome, "installed");
        assert!(bench.site().join("tiny").exists());
        start.command = vec![crate::bench::base().unwrap().display().to_string(), "train.py".into()];
        let report = start.run();
        assert_eq!(report.code, 116, "{}", report.text());
        assert!(report.error.contains("deps.target"), "{}", report.error);
    });
}

#[test]
fn what_lies_in_the_mounted_code_does_not_configure_the_installer() {
    with_each_installer(|installer, bench| {
        let dead = "http://127.0.0.1:9/simple";
        bench.code("requirements.txt", "tiny\n");
        bench.code(
            "uv.toml",
            format!("index-url = \"{dead}\"\nno-index = false\n[pip]\nno-index = false\nindex-url = \"{dead}\"\n"),
        );
        bench.code(
            "pyproject.toml",
            format!("[tool.uv]\nindex-url = \"{dead}\"\noverride-dependencies = [\"tiny==9\"]\n"),
        );
        bench.code("pip.conf", format!("[global]\nindex-url = {dead}\nconstraint = /none\n"));
        bench.code("setup.cfg", "[install]\nprefix = /none\n[easy_install]\nindex_url = /none\n");
        bench.code(".python-version", "2.7\n");
        for name in ["logging.py", "pip.py", "sitecustomize.py", "json.py", "packaging.py"] {
            bench.code(name, "raise SystemExit('the code of ' + __file__)\n");
        }
        std::fs::create_dir_all(bench.path("code/.venv/bin")).unwrap();
        std::fs::write(bench.path("code/.venv/pyvenv.cfg"), "home = /none\n").unwrap();
        let report = bench.start().installer(installer).run();
        assert_eq!(report.outcome, "installed", "{}", report.text());
        assert!(bench.site().join("tiny-2.0.dist-info").exists());
    });
}
