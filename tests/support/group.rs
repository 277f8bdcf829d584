//! A control group that is removed at the end of the test.

use super::LONG;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A control group of this test.
pub struct Group(pub PathBuf);

impl Group {
    /// Makes a group below this directory. The name must be unique among the tests of one process.
    pub fn below(base: &Path, name: &str) -> std::io::Result<Self> {
        let path = base.join(format!("trainit-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).map(|()| Group(path))
    }

    /// Writes one of the group's files.
    pub fn set(&self, file: &str, value: &str) -> std::io::Result<()> {
        std::fs::write(self.0.join(file), value)
    }

    /// Returns the file that takes processes in.
    pub fn members(&self) -> PathBuf {
        self.0.join("cgroup.procs")
    }
}

impl Drop for Group {
    /// Removes the group. Only an empty group can be removed, and its last process may still be ending.
    fn drop(&mut self) {
        let begun = Instant::now();
        while std::fs::remove_dir(&self.0).is_err() {
            if begun.elapsed() > LONG {
                // A test that failed has reported enough.
                assert!(std::thread::panicking(), "{} still has processes", self.0.display());
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
