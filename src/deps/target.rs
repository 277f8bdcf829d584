//! Chooses the target of an installation: the interpreter's own directory where that is allowed and possible, else an overlay.

use super::cache_dirs;
use super::python::Python;
use super::refusal::permanent;
use crate::config::{self, OriginValue};
use crate::engine::HostFacts;
use crate::error::{Error, Result};
use std::path::Path;
use sys::Root;
use sys::environment::Environment;

/// The target of an installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum InstallTarget {
    /// The interpreter's own directory of packages.
    Here {
        /// Whether the distribution marks it as externally managed (PEP 668), a rule meant for machines and not for containers.
        managed: bool,
    },
    /// An overlay, for this reason.
    Layer(&'static str),
}

/// Checks whether packages belong into the interpreter's own directory if that is writable.
pub(super) fn is_for_us(
    wanted: &OriginValue<config::Target>,
    python: &Python,
    root: &Root,
    environment: &Environment,
) -> bool {
    match wanted.value {
        config::Target::Auto => is_private(python) || in_container(root, environment),
        config::Target::Layer => false,
        config::Target::Venv => is_private(python),
        config::Target::System => true,
    }
}

/// Chooses the target by configuration and rights.
///
/// # Errors
/// Fails if the target is missing or cannot be written (116).
pub(super) fn choose(
    wanted: &OriginValue<config::Target>,
    python: &Python,
    root: &Root,
    environment: &Environment,
) -> Result<InstallTarget> {
    let here = || match is_writable(python) {
        true => Ok(InstallTarget::Here { managed: python.managed }),
        false => Err(refused(wanted, python, "its own directory cannot be written")),
    };
    match wanted.value {
        config::Target::Auto => Ok(automatic(python, root, environment)),
        config::Target::Layer => Ok(InstallTarget::Layer("deps.target is layer")),
        config::Target::Venv if !is_private(python) => {
            Err(refused(wanted, python, "it is in no virtual or conda environment"))
        }
        config::Target::Venv | config::Target::System => here(),
    }
}

fn refused(wanted: &OriginValue<config::Target>, python: &Python, why: &str) -> Error {
    let (target, python) = (wanted.value.name(), python.executable.display());
    permanent(format!("deps.target is {target}, but for {python} that cannot be"))
        .because(format!("{why}; deps.target is from {}", wanted.origin))
        .hint("deps.target: auto or layer puts packages where they can be; deps.python names another interpreter")
}

/// Checks for an environment that was made for one purpose.
fn is_private(python: &Python) -> bool {
    python.is_virtual() || (python.conda && !python.managed)
}

fn automatic(python: &Python, root: &Root, environment: &Environment) -> InstallTarget {
    if !is_private(python) && !in_container(root, environment) {
        return InstallTarget::Layer("outside a container the system's Python stays as it is");
    }
    match is_writable(python) {
        true => InstallTarget::Here { managed: python.managed },
        false => InstallTarget::Layer("its own directory cannot be written"),
    }
}

fn is_writable(python: &Python) -> bool {
    // trainit's directory may be another user's, in a directory that every user can write.
    let own = Some(python.own_directory()).filter(|dir| dir.exists());
    [&python.purelib, &python.platlib, &python.scripts].into_iter().chain(&own).all(|dir| takes_packages(dir))
}

fn takes_packages(directory: &Path) -> bool {
    let _ = std::fs::create_dir_all(directory);
    cache_dirs::takes_files(directory)
}

/// Checks whether this is a container, which is disposable, and not a user's machine.
fn in_container(root: &Root, environment: &Environment) -> bool {
    HostFacts::of(root, environment).platform().is_container()
}

#[cfg(test)]
mod tests {
    use super::super::python::tests::example;
    use super::*;
    use crate::config::ValueOrigin;

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
        let choose = |python: &Python, root: &Path| automatic(python, &Root::at(root), &Environment::default());
        assert!(matches!(choose(&system, host.path()), InstallTarget::Layer(_)));
        assert!(!system.purelib.exists());
        assert_eq!(choose(&system, container.path()), InstallTarget::Here { managed: true });
        assert!(matches!(choose(&python(prefix.path(), "/usr"), host.path()), InstallTarget::Here { .. }));
        let conda = Python { conda: true, managed: false, ..system };
        assert!(matches!(choose(&conda, host.path()), InstallTarget::Here { .. }));
    }

    #[test]
    fn what_is_asked_for_by_name_is_done_or_refused() {
        let (prefix, host) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let choose = |target, python: &Python| {
            let wanted = OriginValue { value: target, origin: ValueOrigin::Environment("TRAINIT_DEPS_TARGET".into()) };
            choose(&wanted, python, &Root::at(host.path()), &Environment::default())
        };
        let system = python(prefix.path(), prefix.path().to_str().unwrap());
        let virtual_one = python(prefix.path(), "/usr");
        assert_eq!(choose(config::Target::System, &system).unwrap(), InstallTarget::Here { managed: true });
        assert!(matches!(choose(config::Target::Venv, &virtual_one).unwrap(), InstallTarget::Here { .. }));
        assert!(matches!(choose(config::Target::Layer, &virtual_one).unwrap(), InstallTarget::Layer(_)));
        let error = choose(config::Target::Venv, &system).unwrap_err();
        assert!(
            format!("{error:#}").contains("no virtual or conda environment; deps.target is from TRAINIT_DEPS_TARGET"),
            "{error}"
        );
        let error = choose(config::Target::System, &python(Path::new("/proc/none"), "/usr")).unwrap_err();
        assert_eq!(error.exit().code(), 116);
    }
}
