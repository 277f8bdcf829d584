//! docs/first-steps-*.md: every line of their `console` blocks, typed as it stands and in its order. A `docker` in front of the real one on
//! PATH puts this run's names in place of the pages' own, and leads to wheels in place of an index. What a `text` block shows has to be in
//! what the block before it printed.

use crate::harness::{DEADLINE, docker, project, unique_name};
use crate::images::{Image, base_image, image, offline};
use std::fmt::Write;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// A block of a page: lines to type, and what they print.
struct Typed<'a> {
    lines: Vec<String>,
    shown: Vec<&'a str>,
}

/// The blocks of a page: language and text.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    let parts: Vec<&str> = page.split("```").collect();
    parts.iter().skip(1).step_by(2).map(|block| block.split_once('\n').expect("a language")).collect()
}

/// The lines to type; one that ends with a backslash goes on in the next.
fn lines(text: &str) -> Vec<String> {
    text.replace("\\\n", "").lines().map(str::to_owned).collect()
}

fn typed(page: &str) -> Vec<Typed<'_>> {
    let mut all: Vec<Typed<'_>> = Vec::new();
    for (language, text) in blocks(page) {
        match language {
            "console" => all.push(Typed { lines: lines(text), shown: Vec::new() }),
            "text" => all.last_mut().expect("a block to type").shown.extend(text.lines().map(str::trim)),
            _ => {}
        }
    }
    all
}

/// The place where a page is typed, and the names that stand for the page's own.
struct Desk {
    dir: tempfile::TempDir,
    at: PathBuf,
    name: String,
}

impl Desk {
    /// `names` are words of the page and what they are here.
    fn new(names: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let name = unique_name();
        let mut shim = "#!/bin/sh\nfor word; do\n    shift\n    case \"$word\" in\n".to_owned();
        let all = names.iter().copied().chain([("digits", name.as_str()), ("trainit-program", &name)]);
        all.for_each(|(word, here)| _ = writeln!(shim, "    {word}) word={here} ;;"));
        _ = writeln!(
            shim,
            "    trainit-program:*) word={name}:${{word#*:}} ;;\n    esac\n    set -- \"$@\" \"$word\"\ndone"
        );
        let (real, label) = (which("docker"), "--label trainit.test");
        _ = writeln!(shim, "case \"$1\" in\nrun) shift; exec {real} run {label} {} \"$@\" ;;", offline());
        _ = writeln!(shim, "build) shift; exec {real} build -q {label} \"$@\" ;;\nesac\nexec {real} \"$@\"");
        let file = dir.path().join("bin/docker");
        std::fs::create_dir(dir.path().join("bin")).expect("a temporary directory");
        std::fs::write(&file, shim).expect("a temporary file");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("a file of this test");
        let at = dir.path().join("here");
        std::fs::create_dir(&at).expect("a temporary directory");
        Desk { dir, at, name }
    }

    /// Types all lines of a block, and holds what they print against the page. A block that shows a failure may end with one.
    #[track_caller]
    fn types(&mut self, block: &Typed<'_>) {
        let mut said = String::new();
        for line in &block.lines {
            if let Some(directory) = line.strip_prefix("cd ") {
                self.at = self.at.join(directory);
                continue;
            }
            let (succeeded, text) = self.types_line(line, &block.shown);
            said += &text;
            let fails = block.shown.iter().any(|line| line.starts_with("fail"));
            assert!(succeeded || fails, "{line}\n{said}");
        }
        let missing = block.shown.iter().find(|line| !said.contains(**line));
        assert_eq!(missing, None, "not printed by {:?}:\n{said}", block.lines);
    }

    /// Types a line until it ends; one that follows a log is left when all is shown, as by Ctrl-C.
    fn types_line(&self, line: &str, shown: &[&str]) -> (bool, String) {
        let path = format!("{}:{}", self.dir.path().join("bin").display(), std::env::var("PATH").unwrap_or_default());
        let mut shell = Command::new("timeout");
        shell.args(["300", "sh", "-c", &format!("exec 2>&1; {line}")]).env("PATH", path).current_dir(&self.at);
        let mut child = shell.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("coreutils' timeout is here");
        let said = Arc::new(Mutex::new(String::new()));
        let (mut output, told) = (child.stdout.take().expect("a pipe"), said.clone());
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                told.lock().expect("no panic").push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        let begun = Instant::now();
        let text = || said.lock().expect("no panic").clone();
        let is_left = || line.contains(" -f ") && shown.iter().all(|line| text().contains(line));
        loop {
            if let Some(status) = child.try_wait().expect("a child") {
                reader.join().expect("no panic");
                return (status.success(), text());
            }
            if is_left() {
                let _ =
                    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id() as i32), nix::sys::signal::SIGTERM);
                let _ = child.wait();
                return (true, text());
            }
            assert!(begun.elapsed() < 3 * DEADLINE, "{line} does not end:\n{}", text());
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        docker(["rm", "-f", "-v", &self.name]);
        docker(["volume", "rm", "-f", &self.name]);
        docker(["rmi", "-f", &format!("{}-mine", self.name)]);
        // The containers' files are root's.
        if let (Some(python), true) = (image(Image::Python), std::fs::remove_dir_all(&self.at).is_err()) {
            let mount = format!("{}:/here", self.dir.path().display());
            docker(["run", "--rm", "--entrypoint", "rm", "-v", &mount, &python, "-rf", "/here/here"]);
        }
    }
}

fn which(program: &str) -> String {
    let output = Command::new("sh").args(["-c", &format!("command -v {program}")]).output().expect("sh is here");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn page(name: &str) -> String {
    std::fs::read_to_string(project().join("docs").join(name)).expect("the page is here")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a temporary directory");
    let copied = Command::new("cp").arg("-r").arg(from.join(".")).arg(to).status();
    assert!(copied.expect("cp is here").success());
}

#[test]
fn the_first_steps_of_who_builds_images_can_be_typed() {
    let Some(scratch) = image(Image::Scratch) else { return };
    let page = page("first-steps-image.md");
    let mine = format!("{}-mine", unique_name());
    let mut desk = Desk::new(&[("trainit", &scratch), ("my-image", &mine)]);
    for (language, text) in blocks(&page) {
        let (file, text) = match language {
            "dockerfile" => {
                let text = text.replace("FROM python:3.12-slim", &format!("FROM {}", base_image()));
                ("Dockerfile", text.replace("--from=trainit ", &format!("--from={scratch} ")))
            }
            "yaml" => ("trainit.yaml", text.to_owned()),
            _ => continue,
        };
        std::fs::write(desk.at.join(file), text).expect("a temporary file");
    }
    let blocks = typed(&page);
    let (makes, rest) = blocks.split_first().expect("blocks to type");
    // This line is typed by scripts/readme-image.sh, from the README.
    let readme = std::fs::read_to_string(project().join("README.md")).expect("it is here");
    assert!(readme.contains(&makes.lines[0]), "{:?}", makes.lines);
    rest.iter().for_each(|block| desk.types(block));
    docker(["rmi", "-f", &mine]);
}

#[test]
fn the_first_steps_of_who_trains_can_be_typed() {
    let Some(python) = image(Image::Python) else { return };
    let mut desk = Desk::new(&[("my-image", &python)]);
    copy(&project().join("examples/digits"), &desk.at.join("examples/digits"));
    typed(&page("first-steps-research.md")).iter().for_each(|block| desk.types(block));
}

#[test]
fn the_first_steps_of_who_runs_a_cluster_can_be_typed() {
    let (Some(scratch), Some(foreign)) = (image(Image::Scratch), image(Image::Foreign)) else { return };
    let mut desk = Desk::new(&[("trainit", &scratch), ("IMAGE", &foreign)]);
    typed(&page("first-steps-platform.md")).iter().for_each(|block| desk.types(block));
}
