//! A control group that is gone when the test is over.

use super::LONG;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// One of this test run's own.
pub struct Group(pub PathBuf);

impl Group {
    /// Makes one below this directory. The name has to be unique among the tests of one process.
    pub fn below(base: &Path, name: &str) -> std::io::Result<Self> {
        let path = base.join(format!("trainit-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).map(|()| Group(path))
    }

    /// Writes one of its files.
    pub fn set(&self, file: &str, value: &str) -> std::io::Result<()> {
        std::fs::write(self.0.join(file), value)
    }

    /// The file that takes processes in.
    pub fn members(&self) -> PathBuf {
        self.0.join("cgroup.procs")
    }
}

impl Drop for Group {
    /// Only an empty one can be removed; its last process may still be on its way out.
    fn drop(&mut self) {
        let begun = Instant::now();
        while std::fs::remove_dir(&self.0).is_err() {
            if begun.elapsed() > LONG {
                // A test that failed has said enough.
                assert!(std::thread::panicking(), "{} still has processes", self.0.display());
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
