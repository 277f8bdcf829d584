//! Every exit code that trainit itself ends with. The workload's codes pass through unchanged and are not listed here. A test
//! compares `TABLE` with docs/exit-codes.md.

use crate::errno::{cause, is_shortage};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};

/// The meaning of an exit code for the engine: the kind of failure, and whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Exit {
    /// No failure.
    Success,
    /// A check of a running container failed (`health`), or no better code exists.
    Failure,
    /// The command line cannot be understood.
    Usage,
    /// A fault of trainit itself.
    Internal,
    /// The configuration cannot be understood, or asks for something impossible.
    Config,
    /// The preparation took longer than `prepare.timeout`.
    PrepareTimeout,
    /// A failure of this family that trying again does not mend.
    Permanent(FailureFamily),
    /// A failure of this family that may pass, on this node later or on another node.
    Transient(FailureFamily),
    /// The command exists but cannot be run (as in sh).
    NotExecutable,
    /// The command does not exist (as in sh).
    NotFound,
    /// The process ended by the signal of this number, before or after the workload ran.
    Signal(u8),
}

/// The subject of a failure, which gives the last digit of the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailureFamily {
    /// GPUs and their driver.
    Gpu,
    /// Paths to read.
    Data,
    /// The code directory and the entry file.
    Code,
    /// Paths to write.
    Output,
    /// Limits and facilities of the host.
    Host,
    /// The user that the workload runs as.
    User,
    /// Python dependencies.
    Deps,
    /// Hooks of the image's author.
    Hook,
    /// The other nodes of the job. Its digit is 9, because 118 is taken.
    Cluster = 9,
}

impl FailureFamily {
    /// All families, in the order of their codes.
    pub const ALL: [FailureFamily; 9] = [
        FailureFamily::Gpu,
        FailureFamily::Data,
        FailureFamily::Code,
        FailureFamily::Output,
        FailureFamily::Host,
        FailureFamily::User,
        FailureFamily::Deps,
        FailureFamily::Hook,
        FailureFamily::Cluster,
    ];

    /// Returns the word for reports and check ids.
    pub const fn name(self) -> &'static str {
        match self {
            FailureFamily::Gpu => "gpu",
            FailureFamily::Data => "data",
            FailureFamily::Code => "code",
            FailureFamily::Output => "output",
            FailureFamily::Host => "host",
            FailureFamily::User => "user",
            FailureFamily::Deps => "deps",
            FailureFamily::Hook => "hook",
            FailureFamily::Cluster => "cluster",
        }
    }
}

impl Exit {
    /// Returns the exit code for a failed execve(2): as in sh where the file is to blame. A cause that may pass (a dead file
    /// system, no memory, a file that is being written) gives a transient code. So does ELOOP, which an automount answers as well
    /// as a circle of links.
    pub fn of_exec(errno: i32) -> Self {
        match Errno::from_raw(errno) {
            Errno::ENOENT | Errno::ENOTDIR => Exit::NotFound,
            short if is_shortage(short) => Exit::Transient(FailureFamily::Host),
            sick if sick == Errno::ELOOP || cause(sick).is_some() => Exit::Transient(FailureFamily::Code),
            _ => Exit::NotExecutable,
        }
    }

    /// Returns the exit of which another process has told the number.
    pub fn of_code(code: u8) -> Self {
        let known = TABLE.iter().map(|(exit, _)| *exit).find(|exit| exit.code() == code);
        known.unwrap_or(if code > 128 { Exit::Signal(code - 128) } else { Exit::Failure })
    }

    /// Returns the number that the process ends with.
    pub const fn code(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::Failure => 1,
            Exit::Usage => 64,
            Exit::Internal => 70,
            Exit::Config => 78,
            Exit::PrepareTimeout => 118,
            Exit::Permanent(family) => 110 + family as u8,
            Exit::Transient(family) => 210 + family as u8,
            Exit::NotExecutable => 126,
            Exit::NotFound => 127,
            Exit::Signal(number) => number.wrapping_add(128),
        }
    }
}

/// The documented codes, each with its meaning in a few words.
pub const TABLE: &[(Exit, &str)] = &[
    (Exit::Usage, "usage: the command line cannot be understood"),
    (Exit::Internal, "internal: a fault of trainit's own"),
    (Exit::Config, "configuration: a file, variable or option cannot be understood"),
    (Exit::Permanent(FailureFamily::Gpu), "gpu: not the GPUs that were asked for"),
    (Exit::Permanent(FailureFamily::Data), "data: not mounted, empty, not readable, or not to be brought"),
    (Exit::Permanent(FailureFamily::Code), "code: directory or entry file missing or not usable, or not to be fetched"),
    (Exit::Permanent(FailureFamily::Output), "output: not writable"),
    (Exit::Permanent(FailureFamily::Host), "host: a limit is too low"),
    (Exit::Permanent(FailureFamily::User), "user: cannot run as the user that was asked for"),
    (Exit::Permanent(FailureFamily::Deps), "dependencies: cannot be installed as written"),
    (Exit::Permanent(FailureFamily::Hook), "hook: a hook failed"),
    (Exit::Permanent(FailureFamily::Cluster), "cluster: the nodes of the job differ"),
    (Exit::PrepareTimeout, "preparing took longer than prepare.timeout"),
    (Exit::NotExecutable, "the command exists but cannot be executed"),
    (Exit::NotFound, "the command was not found"),
    (Exit::Transient(FailureFamily::Gpu), "gpu: sick or busy; another node or a later try may do"),
    (Exit::Transient(FailureFamily::Data), "data: the file system does not answer, or what brings it failed"),
    (Exit::Transient(FailureFamily::Code), "code: the file system, or the server of the repository, does not answer"),
    (Exit::Transient(FailureFamily::Output), "output: the file system does not answer or is full"),
    (Exit::Transient(FailureFamily::Host), "host: a passing shortage"),
    (Exit::Transient(FailureFamily::User), "user: a passing failure"),
    (Exit::Transient(FailureFamily::Deps), "dependencies: the index or the network is down"),
    (Exit::Transient(FailureFamily::Hook), "hook: a hook asked to be tried again"),
    (Exit::Transient(FailureFamily::Cluster), "cluster: a node did not come"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_used_once() {
        let mut codes: Vec<u8> = TABLE.iter().map(|(exit, _)| exit.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), TABLE.len());
    }

    #[test]
    fn a_command_that_cannot_be_executed_at_this_moment_is_not_called_unfit() {
        let code = |errno: Errno| Exit::of_exec(errno as i32).code();
        assert_eq!([Errno::ENOENT, Errno::ENOTDIR, Errno::EACCES, Errno::ENOEXEC].map(code), [127, 127, 126, 126]);
        assert_eq!([Errno::EIO, Errno::ESTALE, Errno::ETXTBSY, Errno::ELOOP].map(code), [212; 4]);
        assert_eq!([Errno::ENOMEM, Errno::EAGAIN, Errno::EINTR, Errno::ENFILE].map(code), [214; 4]);
    }

    #[test]
    fn families_follow_their_order() {
        for (digit, family) in (0..8).chain([9]).zip(FailureFamily::ALL) {
            assert_eq!((Exit::Permanent(family).code(), Exit::Transient(family).code()), (110 + digit, 210 + digit));
        }
    }

    #[test]
    fn a_number_is_the_exit_that_has_it() {
        for (exit, _) in TABLE {
            assert_eq!(Exit::of_code(exit.code()), *exit);
        }
        assert_eq!([137, 3].map(Exit::of_code), [Exit::Signal(9), Exit::Failure]);
    }
}
