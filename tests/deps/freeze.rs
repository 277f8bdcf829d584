//! The list of packages against `pip freeze --all` and `uv pip freeze`: on generated sets, on what was really installed, and where an
//! overlay, the user's directory and PYTHONPATH come together.

use crate::bench::{Bench, Report, Start, uv};
use crate::differ::cases::{self, Dice};
use crate::possible;
use crate::wheel::Wheel;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Instant;
use sys::Root;
use sys::environment::Environment;
use trainit::config::Settings;
use trainit::deps::{self, DepsRequest, FrozenPackages};

const TRAINIT: &str = env!("CARGO_BIN_EXE_trainit");

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// pip's list, with all that it leaves out of its own accord.
fn by_pip(bench: &Bench, more: &BTreeMap<String, String>) -> String {
    let home = bench.path("home");
    let mut pip = Command::new(bench.python());
    pip.args(["-m", "pip", "freeze", "--all"]).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", home);
    output(pip.envs(more).env("PIP_CONFIG_FILE", "/dev/null").current_dir(bench.path("tmp")))
}

fn by_uv(bench: &Bench) -> String {
    let mut uv = Command::new(uv().unwrap());
    let uv = uv.args(["pip", "freeze", "--no-config", "--quiet", "--python"]).arg(bench.python());
    output(uv.env("UV_CACHE_DIR", bench.path("home")))
}

fn own(bench: &Bench, start: &Start) -> FrozenPackages {
    let environment: Environment = start.environment.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let (root, code, settings) = (Root::at(bench.path("container")), bench.path("code"), Settings::default());
    let command: Vec<_> = start.command.iter().map(Into::into).collect();
    let request = DepsRequest {
        root: &root,
        settings: &settings,
        environment: &environment,
        workdir: code.clone(),
        code,
        command: &command,
        by_mode: false,
        kind: Default::default(),
    };
    deps::freeze(&request).unwrap()
}

/// The lines by name, spelled as installers compare names; an editable project has its URL as its name.
fn lines(text: &str) -> BTreeMap<String, String> {
    let normal = |name: &str| name.trim().to_lowercase().replace(['_', '.'], "-").replace("--", "-");
    let line = |line: &str| match (line.strip_prefix("-e "), line.split_once(" @ "), line.split_once("==")) {
        (Some(url), ..) => (url.trim_start_matches("file://").to_owned(), String::new()),
        (_, Some((name, url)), _) => (normal(name), url.to_owned()),
        (_, _, Some((name, version))) => (normal(name), version.to_owned()),
        _ => panic!("{line}"),
    };
    text.lines().filter(|text| !text.starts_with('#')).map(line).collect()
}

/// Where both installers say the same, so does the list; where they do not, it says what one of them does.
fn compare(own: &str, pip: &str, uv: &str) -> Result<(), String> {
    let (own, pip, uv) = (lines(own), lines(pip), lines(uv));
    let names: BTreeSet<&String> = own.keys().chain(pip.keys()).chain(uv.keys()).collect();
    let differs = |name: &&&String| own.get(**name) != pip.get(**name) && own.get(**name) != uv.get(**name);
    let wrong: Vec<String> = names
        .iter()
        .filter(differs)
        .map(|name| format!("{name}: {:?}, pip {:?}, uv {:?}", own.get(*name), pip.get(*name), uv.get(*name)))
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

#[test]
fn generated_sets_are_listed_as_pip_and_uv_list_them() {
    if !possible(true) {
        return;
    }
    let (bench, mut dice) = (Bench::with_venv(), Dice(11));
    let start = bench.start();
    for number in 0..6 {
        cases::lay_out(&mut dice, &bench.site(), &bench.path("code"));
        let own = own(&bench, &start);
        let compared = compare(&own.text, &by_pip(&bench, &BTreeMap::new()), &by_uv(&bench));
        assert_eq!(compared, Ok(()), "set {number}:\n{}", cases::told(&bench.site(), &bench.path("code")));
        assert!(lines(&own.text).len() > 3);
    }
}

/// A project with a backend of its own, which needs no index.
fn project(at: &Path) {
    let backend = r#"
import zipfile
def build(directory, files):
    name = "local-1.0-py3-none-any.whl"
    with zipfile.ZipFile(directory + "/" + name, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
        archive.writestr("local-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: local\nVersion: 1.0\n")
        archive.writestr("local-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("local-1.0.dist-info/RECORD", "".join(f"{path},,\n" for path in files))
    return name
def build_wheel(directory, *rest):
    return build(directory, {"local.py": ""})
def build_editable(directory, *rest):
    return build(directory, {"_local.pth": "/nowhere\n"})
"#;
    std::fs::create_dir_all(at).unwrap();
    std::fs::write(at.join("own.py"), backend).unwrap();
    let project = "[project]\nname = \"local\"\nversion = \"1.0\"\n\
                   [build-system]\nrequires = []\nbuild-backend = \"own\"\nbackend-path = [\".\"]\n";
    std::fs::write(at.join("pyproject.toml"), project).unwrap();
}

#[test]
fn what_came_from_an_archive_a_directory_or_a_repository_is_listed_with_its_url() {
    if !possible(true) || !crate::support::has("git") {
        return;
    }
    let bench = Bench::with_venv();
    let source = bench.path("code/source");
    project(&source);
    let archive = Wheel::new("boxed", "3.0").write(&bench.path("wheels"));
    let install = |words: &[&str]| {
        let mut pip = Command::new(bench.python());
        pip.args(["-m", "pip", "install", "--quiet", "--no-index", "--no-build-isolation"]).args(words);
        output(pip.env("PIP_CONFIG_FILE", "/dev/null").env("HOME", bench.path("home")));
    };
    install(&[archive.to_str().unwrap()]);
    let git = |words: &[&str]| {
        let settings = ["-c", "user.name=me", "-c", "user.email=me@example.com"];
        output(Command::new("git").arg("-C").arg(&source).args(settings).args(words))
    };
    for words in [&["init", "-q"][..], &["add", "."], &["commit", "-q", "-m", "one"]] {
        git(words);
    }
    let (path, url) = (source.to_str().unwrap().to_owned(), format!("git+file://{}", source.display()));
    for words in [&[path.as_str()][..], &["--editable", path.as_str()], &[url.as_str()]] {
        install(&[&["--force-reinstall"], words].concat());
        let own = own(&bench, &bench.start());
        let pip = by_pip(&bench, &BTreeMap::new());
        assert_eq!(compare(&own.text, &pip, &by_uv(&bench)), Ok(()), "{words:?}:\n{}\n{pip}", own.text);
        assert!(
            own.text.contains("boxed @ file://") && own.text.contains("/boxed-3.0-py3-none-any.whl"),
            "{}",
            own.text
        );
        // An installer takes the list as it is; a repository in a directory is what older versions of pip cannot read of their own list.
        if !own.text.contains("git+file:") {
            bench.code("frozen.txt", &own.text);
            install(&["-r", bench.path("code/frozen.txt").to_str().unwrap()]);
        }
    }
    let commit = git(&["rev-parse", "HEAD"]);
    let list = own(&bench, &bench.start()).text;
    assert!(list.contains(&format!("local @ {url}@{}\n", commit.trim())), "{list}");
}

#[test]
fn the_command_prints_what_a_start_has_installed_and_its_hash_is_that_of_the_line() {
    if !possible(false) {
        return;
    }
    let bench = Bench::with_venv();
    bench.code("requirements.txt", "needy\ntiny==1.0\n");
    let start = bench.start().installer("pip");
    let first = start.run();
    assert_eq!(first.outcome, "installed", "{}", first.text());
    let freeze = || {
        let mut freeze = Command::new(TRAINIT);
        freeze.args(["deps", "freeze"]).env_clear().envs(&start.environment).current_dir(bench.path("code"));
        output(freeze.env("TRAINIT_USER", "keep").env("TRAINIT_COMMAND", "python train.py"))
    };
    let (list, began) = (freeze(), Instant::now());
    assert_eq!(list, freeze());
    println!("listed by a process of its own after {} ms", began.elapsed().as_millis());
    assert!(list.contains("needy==1.0\n") && list.contains("tiny==1.0\n") && list.contains("pip=="), "{list}");
    let own = own(&bench, &start);
    assert_eq!(own.text, list);
    let mut sum = Command::new("sh");
    let sum = sum.args(["-c", "printf %s \"$1\" | sha256sum", "sh", &list]);
    let sum = output(sum);
    assert!(list.ends_with('\n') && sum.starts_with(&own.hash), "{sum} {own:?}");
}

#[test]
fn an_overlay_the_users_directory_and_pythonpath_are_part_of_the_list_as_pip_sees_them() {
    if !possible(true) {
        return;
    }
    if !nix::unistd::geteuid().is_root() {
        return println!("SKIPPED: only root can start as another user");
    }
    let bench = Bench::with_venv();
    bench.code("requirements.txt", "needy\n");
    let start = bench.start().user(12345).installer("pip");
    let report: Report = start.run();
    assert_eq!(report.outcome, "installed", "{}", report.text());
    assert!(report.environment["PYTHONPATH"].contains("trainit-hook"), "{report:?}");
    let mut inside = start.clone();
    inside.environment.extend(report.environment.clone());
    inside = inside.starting(&[bench.python().to_str().unwrap(), "train.py"]);
    let mut more = report.environment.clone();
    more.remove("VIRTUAL_ENV");
    let pip = by_pip(&bench, &more);
    assert!(pip.contains("needy==1.0"), "{pip}");
    assert_eq!(lines(&own(&bench, &inside).text), lines(&pip));
}
