//! The program that started this container or process: remedies are written in its words, and never with another one's options.

use super::Platform;
use sys::Root;
use sys::environment::Environment;
use sys::mountinfo::{self, Mount};

/// The program that started this container or process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Starter {
    /// Docker, and what takes its options.
    #[default]
    Docker,
    /// Podman.
    Podman,
    /// Kubernetes, by a manifest.
    Kubernetes,
    /// Apptainer, or Singularity before it.
    Apptainer,
    /// `enroot start`.
    Enroot,
    /// A step of Slurm in a container of the plug-in pyxis.
    Pyxis,
    /// A step or batch script of Slurm on the node itself.
    Slurm,
    /// Another engine, such as systemd-nspawn or LXC.
    Other,
    /// None: a machine.
    Machine,
}

impl Starter {
    /// Says how little time a stop gives by default, and the option that gives more; `None` where no default is known.
    pub fn stop_grace(self) -> Option<&'static str> {
        match self {
            Starter::Docker => Some("docker stop kills after 10 s by default (docker run --stop-timeout 600)"),
            Starter::Podman => Some("podman stop kills after 10 s by default (podman run --stop-timeout 600)"),
            Starter::Kubernetes => Some("Kubernetes kills after 30 s by default (terminationGracePeriodSeconds: 600)"),
            Starter::Pyxis | Starter::Slurm => {
                Some("Slurm kills KillWait (30 s by default) after a time limit (sbatch --signal=TERM@600)")
            }
            Starter::Apptainer | Starter::Enroot | Starter::Other | Starter::Machine => None,
        }
    }

    /// Says what gives a stop more time, with `{}` for the seconds; empty where no option is known.
    pub fn more_time(self) -> &'static str {
        match self {
            Starter::Docker => "docker run --stop-timeout {}",
            Starter::Podman => "podman run --stop-timeout {}",
            Starter::Kubernetes => "terminationGracePeriodSeconds: {}",
            Starter::Pyxis | Starter::Slurm => "sbatch --signal=TERM@{}",
            Starter::Apptainer | Starter::Enroot | Starter::Other | Starter::Machine => "",
        }
    }

    /// Says how to start with a terminal; `None` where a call from one is enough.
    pub fn with_terminal(self) -> Option<&'static str> {
        match self {
            Starter::Docker => Some("docker run -it"),
            Starter::Podman => Some("podman run -it"),
            Starter::Kubernetes => Some("kubectl run -it; in a manifest stdin: true, tty: true"),
            Starter::Pyxis | Starter::Slurm => Some("srun --pty"),
            Starter::Apptainer | Starter::Enroot | Starter::Other | Starter::Machine => None,
        }
    }
}

/// The starters that variables name, as far as they do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct NamedStarter {
    engine: Option<Starter>,
    slurm: bool,
}

impl NamedStarter {
    /// Looks at the variables that engines set in their containers.
    pub(super) fn of(environment: &Environment) -> Self {
        let set = |name: &str| environment.get(name).is_some();
        let engine = match environment.text("container") {
            _ if set("APPTAINER_CONTAINER") || set("SINGULARITY_CONTAINER") => Some(Starter::Apptainer),
            Some("podman") => Some(Starter::Podman),
            Some("docker") => Some(Starter::Docker),
            Some("systemd-nspawn" | "lxc" | "lxc-libvirt") => Some(Starter::Other),
            // `oci` stands in images of Red Hat, whoever starts them.
            _ => None,
        };
        NamedStarter { engine, slurm: set("SLURM_JOB_ID") }
    }
}

/// Files that engines leave in their containers, with the engine.
const MARKS: [(&str, Starter); 2] = [("/run/.containerenv", Starter::Podman), ("/.dockerenv", Starter::Docker)];
/// Parts of the names of control groups, with the engine.
const CGROUPS: [(&str, Starter); 3] =
    [("/libpod", Starter::Podman), ("/docker", Starter::Docker), ("/lxc", Starter::Other)];

/// Returns the starter: by variables, by files, by control groups, by the root mount.
pub(super) fn starter(root: &Root, named: NamedStarter, place: Platform, mounts: &[Mount]) -> Starter {
    match place {
        Platform::Pod => return Starter::Kubernetes,
        Platform::Host if named.slurm => return Starter::Slurm,
        Platform::Host => return Starter::Machine,
        Platform::Container => {}
    }
    let cgroup = root.text("/proc/self/cgroup").unwrap_or_default();
    let marked = || MARKS.iter().find(|(path, _)| root.path(path).exists());
    let grouped = || CGROUPS.iter().find(|(part, _)| cgroup.contains(part));
    let found = named.engine.or_else(|| marked().or_else(grouped).map(|(_, starter)| *starter));
    found.unwrap_or_else(|| match (is_enroots(mounts), named.slurm) {
        (_, true) => Starter::Pyxis,
        (true, false) => Starter::Enroot,
        (false, false) => Starter::Other,
    })
}

/// Returns whether the root is an overlay in a directory of enroot's, or /etc/rc is mounted, as enroot does it.
fn is_enroots(mounts: &[Mount]) -> bool {
    let below = mountinfo::covering(mounts, std::path::Path::new("/"));
    let named = |mount: &Mount| mount.super_options().windows(6).any(|part| part == b"enroot");
    below.is_some_and(named) || mounts.iter().any(|mount| mount.point() == b"/etc/rc")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(place: Platform, variables: &[(&str, &str)], file: Option<&str>, mounts: &str) -> Starter {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        if let Some(path) = file {
            std::fs::create_dir_all(root.path(path).parent().unwrap()).unwrap();
            std::fs::write(root.path(path), "").unwrap();
        }
        let environment = variables.iter().copied().collect();
        starter(&root, NamedStarter::of(&environment), place, &mountinfo::parse(mounts.as_bytes()))
    }

    #[test]
    fn each_starter_is_known_by_what_it_leaves() {
        use Platform::{Container, Host, Pod};
        let is = |starter, place, variables: &[(&str, &str)], file| {
            assert_eq!(told(place, variables, file, ""), starter, "{variables:?} {file:?}");
        };
        is(Starter::Kubernetes, Pod, &[("container", "podman")], None);
        is(Starter::Podman, Container, &[], Some("/run/.containerenv"));
        is(Starter::Docker, Container, &[("container", "oci")], Some("/.dockerenv"));
        is(Starter::Docker, Container, &[("SLURM_JOB_ID", "7")], Some("/.dockerenv"));
        is(Starter::Apptainer, Container, &[("APPTAINER_CONTAINER", "/x.sif"), ("SLURM_JOB_ID", "7")], None);
        is(Starter::Pyxis, Container, &[("SLURM_JOB_ID", "7")], None);
        is(Starter::Other, Container, &[("container", "systemd-nspawn")], None);
        is(Starter::Other, Container, &[], None);
        is(Starter::Slurm, Host, &[("SLURM_JOB_ID", "7")], None);
        is(Starter::Machine, Host, &[], None);
        let enroot = "1 0 0:1 / / rw - overlay none rw,upperdir=/var/lib/enroot/data/x\n";
        assert_eq!(told(Container, &[], None, enroot), Starter::Enroot);
    }
}
