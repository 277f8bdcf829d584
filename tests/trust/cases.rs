//! A container whose image pins the user to 1000, with code that belongs to that user: what all cases begin with.

use crate::harness::{Container, Ended, Run, docker};
use crate::images::{Image, image};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::PathBuf;
use tempfile::TempDir;

/// What stands in a file that only root may read, as a key, so that a reader of configurations would quote it.
pub const SECRET: &str = "hunter2hunter2";

/// The image's policy, a code directory of the user's, and a file that only root may read.
pub struct Case {
    directory: TempDir,
    image: Image,
}

impl Case {
    /// With `user` locked to 1000:1000.
    pub fn new() -> Self {
        let case = Case { directory: tempfile::tempdir().expect("a temporary directory"), image: Image::Python };
        std::fs::set_permissions(case.directory.path(), PermissionsExt::from_mode(0o755)).expect("it is ours");
        std::fs::create_dir(case.path("code")).expect("a directory");
        chown(case.path("code"), Some(1000), Some(1000)).expect("the tests run as root");
        case.write("only-root", &format!("{SECRET}: 1\n"), 0, 0o600);
        case.policy("user: '1000:1000'\nlock: [user]\n")
    }

    /// With another policy.
    pub fn policy(self, text: &str) -> Self {
        self.write("policy.yaml", text, 0, 0o644);
        self
    }

    /// With another image.
    pub fn of(mut self, image: Image) -> Self {
        self.image = image;
        self
    }

    /// A path below the case's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Makes a file with an owner and a mode.
    pub fn write(&self, name: &str, text: &str, owner: u32, mode: u32) {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("it is ours");
        chown(&path, Some(owner), Some(owner)).expect("the tests run as root");
    }

    /// A file of the user's in the code directory.
    pub fn code(self, name: &str, text: &str) -> Self {
        self.write(&format!("code/{name}"), text, 1000, 0o755);
        self
    }

    /// A link of the user's in the code directory.
    pub fn link(self, name: &str, target: &str) -> Self {
        let path = self.path("code").join(name);
        symlink(target, &path).expect("a link");
        std::os::unix::fs::lchown(&path, Some(1000), Some(1000)).expect("the tests run as root");
        self
    }

    /// What a file of the code directory holds; nothing, if it is not there.
    pub fn proof(&self) -> String {
        std::fs::read_to_string(self.path("code/proof")).unwrap_or_default()
    }

    /// Makes a directory with a mode.
    pub fn directory(&self, name: &str, mode: u32) {
        let path = self.path(name);
        std::fs::create_dir(&path).expect("a directory");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("it is ours");
    }

    /// A file's text and its mode.
    pub fn read(&self, name: &str) -> (String, u32) {
        let path = self.path(name);
        let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
        (std::fs::read_to_string(&path).expect("it is ours"), mode & 0o7777)
    }

    /// A container with the policy, the code at /code and the root-only file at /run/secrets/only-root; the words are trainit's.
    pub fn run(&self, options: &str, words: &[&str]) -> Option<Run> {
        let base = self.directory.path().display();
        let mounts = format!(
            "--network none -w /code -v {base}/policy.yaml:/etc/trainit.yaml:ro -v {base}/code:/code \
             -v {base}/only-root:/run/secrets/only-root:ro"
        );
        Some(Run::of(&image(self.image)?).with(&mounts).with(options).command(words))
    }

    /// The same, to its end.
    pub fn ended(&self, options: &str, words: &[&str]) -> Option<Ended> {
        Some(self.run(options, words)?.finish())
    }

    /// The same, for sessions beside it: it runs until the test lets go of it.
    pub fn started(&self, options: &str) -> Option<Container> {
        let container = self.run(options, &["sleep", "600"])?.start();
        container.wait_for_text("start sleep");
        Some(container)
    }
}

/// A program that notes who runs it, and then is the image's Python.
pub const PROOF: &str = "#!/bin/sh\necho \"uid $(id -u)\" >>/code/proof\nexec /usr/bin/python3 \"$@\"\n";

/// Runs words by bash in a container as root, and gives all that they print.
pub fn roots_bash(container: &Container, options: &[&str], script: &str) -> String {
    let words: Vec<&str> = [&["exec"], options, &[container.name.as_str(), "bash", "-ic", script]].concat();
    let output = docker(words);
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn the_workload_is_the_locked_user_whatever_variables_say() {
    let Some(ended) = Case::new().ended("-e PUID=0", &["id", "-u"]) else { return };
    ended.expect_code(0).expect_text(&["1000\n"]);
}
