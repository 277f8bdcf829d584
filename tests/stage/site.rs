//! A source, a place for its data, and trainit with both.

use crate::support::{Finished, Launch, Place, Role, TRAINIT};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A directory with a source in it.
pub struct Site(tempfile::TempDir);

impl Site {
    /// Makes a source: small files, one of several pieces, a link and a program.
    pub fn new() -> Self {
        let site = Site(tempfile::Builder::new().prefix("trainit-stage-").tempdir().unwrap());
        fs::set_permissions(site.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let source = site.source();
        fs::create_dir_all(source.join("train")).unwrap();
        (0..30).for_each(|n| fs::write(source.join(format!("train/{n}")), vec![n as u8; 5000 + n]).unwrap());
        let big: Vec<u8> = (0..50u32 << 20).map(|n| (n ^ (n >> 9)) as u8).collect();
        fs::write(source.join("big"), big).unwrap();
        std::os::unix::fs::symlink("train/1", source.join("link")).unwrap();
        site
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn source(&self) -> PathBuf {
        self.path().join("source")
    }

    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// The value of TRAINIT_DATA.
    pub fn wanted(&self) -> String {
        format!("{}:from={}", self.data().display(), self.source().display())
    }

    /// A start with this data and these words.
    pub fn launch(&self, place: Place, words: &[&str]) -> Launch {
        Launch::of(Role::Run, place, words).env("TRAINIT_DATA", &self.wanted()).env("TRAINIT_GPU_COUNT", "none")
    }

    /// A start to its end.
    pub fn start(&self, words: &[&str]) -> Finished {
        self.launch(Place::Aside, words).finish()
    }

    /// A sub-command with this data.
    pub fn command(&self, words: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut command = Command::new(TRAINIT);
        command.args(words).env("TRAINIT_DATA", self.wanted()).envs(variables.iter().copied()).current_dir("/");
        command.output().unwrap()
    }

    /// Asserts that a directory holds the source, by diff(1).
    pub fn assert_whole(&self, directory: &Path) {
        let own = ["--exclude=.trainit-stage.*", "--no-dereference", "-r"];
        let compared = Command::new("diff").args(own).arg(self.source()).arg(directory).output().unwrap();
        assert!(compared.status.success(), "{}", String::from_utf8_lossy(&compared.stdout));
    }

    /// Lists trainit's unfinished directories below a directory.
    pub fn parts(&self, directory: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.display().to_string().contains(".part-")).collect()
    }
}

/// The text that a sub-command wrote.
pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
