//! A container whose image pins the user to 1000, with code that belongs to that user: the smallest case.

use crate::harness::Run;
use crate::images::{Image, image};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use tempfile::TempDir;

/// The image's policy, and a code directory of the user's.
pub struct Case {
    directory: TempDir,
}

impl Case {
    /// With `user` locked to 1000:1000.
    pub fn new() -> Self {
        let case = Case { directory: tempfile::tempdir().expect("a temporary directory") };
        std::fs::set_permissions(case.directory.path(), PermissionsExt::from_mode(0o755)).expect("it is ours");
        case.write("policy.yaml", "user: '1000:1000'\nlock: [user]\n", 0, 0o644);
        std::fs::create_dir(case.path("code")).expect("a directory");
        chown(case.path("code"), Some(1000), Some(1000)).expect("the tests run as root");
        case
    }

    /// A path below the case's directory.
    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    /// Makes a file with an owner and a mode.
    pub fn write(&self, name: &str, text: &str, owner: u32, mode: u32) {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a file");
        give(&path, owner, mode);
    }

    /// A container with the policy and the code, in which words are trainit's.
    pub fn run(&self, options: &str, words: &[&str]) -> Option<Run> {
        let base = self.directory.path().display();
        let mounts = format!("--network none -w /code -v {base}/policy.yaml:/etc/trainit.yaml:ro -v {base}/code:/code");
        Some(Run::of(&image(Image::Python)?).with(&mounts).with(options).command(words))
    }
}

fn give(path: &Path, owner: u32, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("it is ours");
    chown(path, Some(owner), Some(owner)).expect("the tests run as root");
}

#[test]
fn the_workload_is_the_locked_user() {
    let Some(run) = Case::new().run("-e PUID=0", &["id", "-u"]) else { return };
    run.finish().expect_code(0).expect_text(&["1000\n"]);
}
