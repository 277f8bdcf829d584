//! Programs that a stop signal treats in a special way, by name. A new wrapper or helper program is one word here.
//!
//! Knows names only, no processes.

/// The meaning of a program for a stop signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProgramKind {
    /// A shell: it does not pass signals on, and it starts its next command when the present one has ended.
    Shell,
    /// A program that starts the trainer and has an idea of a stop of its own, so the signal goes past it. This many generations of
    /// processes, from this one on, belong to it.
    Wrapper(u32),
    /// A program that a trainer uses: it ends after the trainer.
    Helper,
    /// Any other program.
    #[default]
    Other,
}

/// Names of shell programs.
const SHELLS: [&str; 9] = ["sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "fish", "rbash"];

/// Programs that are a shell only when they are started by a shell's name.
const MANY_IN_ONE: [&str; 2] = ["busybox", "toybox"];

/// Wrappers that catch SIGTERM, the generations of processes that belong to them, and what they do at a stop.
const WRAPPERS: &[(&str, u32)] = &[
    // They pass the signal on to a whole process group or session, data loaders included.
    ("timeout", 1),
    ("dumb-init", 1),
    // They pass the signal on to their child alone, which may be a shell.
    ("tini", 1),
    ("tini-static", 1),
    ("docker-init", 1),
    ("catatonit", 1),
    // They kill what they started two seconds after the signal (util-linux, login-utils/su-common.c), or hang up its terminal.
    ("su", 1),
    ("runuser", 1),
    ("sudo", 1),
    ("doas", 1),
    ("script", 1),
    ("tmux: server", 1),
    ("screen", 1),
    // They end their children at once, and then themselves, or their children's groups, data loaders included.
    ("make", 1),
    ("strace", 1),
    ("parallel", 1),
    ("honcho", 1),
    ("watchmedo", 1),
    // They kill the ranks a second after the signal (Open MPI, odls_base_sigkill_timeout), or at once (MPICH).
    ("mpirun", 1),
    ("mpiexec", 1),
    ("orterun", 1),
    ("prterun", 1),
    ("orted", 1),
    ("prted", 1),
    ("mpiexec.hydra", 1),
    ("hydra_pmi_proxy", 1),
    // Its runner and its local launcher each end everything below them, data loaders included (deepspeed/launcher).
    ("deepspeed", 2),
];

/// Display servers, log followers and services beside a trainer.
const HELPERS: &[&str] = &[
    "Xvfb",
    "Xorg",
    "Xvnc",
    "Xtigervnc",
    "Xwayland",
    "x11vnc",
    "fluxbox",
    "dbus-daemon",
    "pulseaudio",
    "tail",
    "tee",
    "logger",
    "fluent-bit",
    "vector",
    "redis-server",
    "nginx",
    "sshd",
    "ssh-agent",
    "gpg-agent",
    "tensorboard",
    "nvidia-cuda-mps-control",
    "nvidia-cuda-mps-server",
    "dcgm-exporter",
];

/// Returns whether a program is one of several by the name that it is started with.
pub(crate) fn is_many_in_one(program: &str) -> bool {
    MANY_IN_ONE.contains(&program)
}

/// Returns the kind of a program. `names` are the file that a process runs and the process's own name, which for a script is the
/// script's.
pub(crate) fn kind<'a>(names: impl Iterator<Item = &'a str> + Clone) -> ProgramKind {
    let any = |list: &[&str]| names.clone().any(|name| list.contains(&name));
    let wrapper = names.clone().find_map(|name| WRAPPERS.iter().find(|(wrapper, _)| *wrapper == name));
    match wrapper {
        Some((_, layers)) => ProgramKind::Wrapper(*layers),
        None if any(&SHELLS) => ProgramKind::Shell,
        None if any(HELPERS) => ProgramKind::Helper,
        None => ProgramKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_known_by_its_file_or_its_own_name() {
        let of = |names: &[&'static str]| kind(names.iter().copied());
        assert_eq!(of(&["dash", "sh"]), ProgramKind::Shell);
        assert_eq!(of(&["bash", "xvfb-run"]), ProgramKind::Shell, "a script is its shell");
        assert_eq!(of(&["python3.11", "deepspeed"]), ProgramKind::Wrapper(2), "a Python script has its own name");
        assert_eq!(of(&["tmux", "tmux: server"]), ProgramKind::Wrapper(1));
        assert_eq!((of(&["Xvfb"]), of(&["python3.11", "python"])), (ProgramKind::Helper, ProgramKind::Other));
        assert_eq!(of(&[]), ProgramKind::Other);
    }
}
