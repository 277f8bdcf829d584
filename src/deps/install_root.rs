//! Describes where an environment is installed on this machine, and derives the key of its store entry.

use super::stamp::StateDigests;
use std::path::{Path, PathBuf};
use store::digest::{Digest, short};

/// The version of an environment's contents, raised with each change of them.
const SCHEMA: &str = "1";

/// The directories of an installation. Programs among the packages name the interpreter by its path, so all of these belong to the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InstallRoot {
    /// The directory that contains all files of the packages.
    pub root: PathBuf,
    /// The directories of packages.
    pub sites: Vec<PathBuf>,
    /// The interpreter that the programs name.
    pub executable: PathBuf,
    /// The kind of processor, by Python's name for it.
    pub machine: String,
}

impl InstallRoot {
    /// Returns a file's path relative to the root; `None` if it lies elsewhere.
    pub(super) fn below(&self, file: &Path) -> Option<PathBuf> {
        file.strip_prefix(&self.root).ok().map(Path::to_owned)
    }

    /// Returns the key of the required environment.
    pub(super) fn key(&self, parts: &StateDigests) -> String {
        let mut digest = Digest::default();
        digest.add("schema", SCHEMA);
        digest.add("machine", &self.machine);
        for path in [&self.root, &self.executable].into_iter().chain(&self.sites) {
            digest.add("path", path.as_os_str().as_encoded_bytes());
        }
        parts.iter().for_each(|(name, part)| digest.add(name, part));
        short(&digest.hex()).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_matters_changes_the_key() {
        let place = InstallRoot {
            root: "/venv".into(),
            sites: vec!["/venv/lib/python3.12/site-packages".into()],
            executable: "/venv/bin/python".into(),
            machine: "x86_64".into(),
        };
        let parts = |text: &str| [("requirements".to_owned(), text.to_owned())].into_iter().collect::<StateDigests>();
        let others = [
            InstallRoot { root: "/other".into(), ..place.clone() },
            InstallRoot { sites: vec![], ..place.clone() },
            InstallRoot { executable: "/usr/bin/python".into(), ..place.clone() },
            InstallRoot { machine: "aarch64".into(), ..place.clone() },
        ];
        let key = place.key(&parts("a"));
        assert!(key.len() == 16 && key == place.clone().key(&parts("a")) && key != place.key(&parts("b")));
        assert!(others.iter().all(|other| other.key(&parts("a")) != key));
        assert_eq!(place.below(Path::new("/venv/bin/x")), Some("bin/x".into()));
        assert_eq!(place.below(Path::new("/venv2/bin/x")), None);
    }
}
