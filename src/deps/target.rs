//! Where packages go: into the interpreter's own directory where that is allowed and possible, else into a layer over it.

use super::places;
use super::python::Python;
use crate::engine;
use crate::environment::Environment;
use crate::sys::{Root, mountinfo};
use std::path::Path;

/// Where packages go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Where the interpreter keeps its own.
    Here {
        /// Against the wish of its distribution (PEP 668), which is meant for machines and not for containers.
        managed: bool,
    },
    /// Into a directory of our own that is laid over it, for this reason.
    Layer(&'static str),
}

/// Chooses.
pub fn choose(python: &Python, root: &Root, environment: &Environment) -> Target {
    let private = python.is_virtual() || (python.conda && !python.managed);
    if !private && !in_container(root, environment) {
        return Target::Layer("outside a container the system's Python stays as it is");
    }
    let directories = [&python.purelib, &python.platlib, &python.scripts];
    // Ours may be another user's, in a directory that everybody can write.
    let own = Some(python.own_directory()).filter(|dir| dir.exists());
    match directories.into_iter().chain(&own).all(|dir| takes_packages(dir)) {
        true => Target::Here { managed: python.managed },
        false => Target::Layer("its own directory cannot be written"),
    }
}

fn takes_packages(directory: &Path) -> bool {
    let _ = std::fs::create_dir_all(directory);
    places::takes_files(directory)
}

/// Whether this is a container, which is thrown away, and not somebody's machine.
fn in_container(root: &Root, environment: &Environment) -> bool {
    let mounts = mountinfo::parse(&root.read("/proc/self/mountinfo").unwrap_or_default());
    engine::place(root, environment, &mounts).is_container()
}

#[cfg(test)]
mod tests {
    use super::super::python::tests::example;
    use super::*;

    fn python(prefix: &Path, base: &str) -> Python {
        let site = prefix.join("lib/python3.12/site-packages");
        Python {
            prefix: prefix.to_owned(),
            base_prefix: base.into(),
            purelib: site.clone(),
            platlib: site,
            scripts: prefix.join("bin"),
            managed: true,
            ..example()
        }
    }

    #[test]
    fn the_systems_python_is_left_alone_outside_a_container() {
        let (prefix, host, container) =
            (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(container.path().join(".dockerenv"), "").unwrap();
        let system = python(prefix.path(), prefix.path().to_str().unwrap());
        let choose = |python: &Python, root: &Path| choose(python, &Root::at(root), &Environment::default());
        assert!(matches!(choose(&system, host.path()), Target::Layer(_)));
        assert!(!system.purelib.exists());
        assert_eq!(choose(&system, container.path()), Target::Here { managed: true });
        assert!(matches!(choose(&python(prefix.path(), "/usr"), host.path()), Target::Here { .. }));
    }
}
