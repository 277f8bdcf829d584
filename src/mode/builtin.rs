//! The built-in modes, as data. Adding one is adding one entry; what a server needs beyond a command is one file beside this.

use super::server_setup::ServerMode;
use super::{jupyter, ssh, words};
use protocol::handover::WorkloadKind;
use std::ffi::OsString;

/// A mode that every image has.
pub struct Builtin {
    /// Its name: in `mode`, as a sub-command, in reports.
    pub name: &'static str,
    /// Train or build.
    pub kind: WorkloadKind,
    /// What it is for.
    pub about: &'static str,
    /// Commands that start it, the first one that exists: `$SHELL` is the user's own. None: `command` of the configuration.
    pub commands: &'static [&'static str],
    /// Which COMMANDs mean this mode without its name.
    pub meant_by: CommandMeaning,
    /// What it needs beyond a command; none: nothing.
    pub server: Option<ServerMode>,
}

/// Which COMMANDs mean a mode.
#[derive(Clone, Copy)]
pub enum CommandMeaning {
    /// None.
    Never,
    /// These programs, with nothing to do and a person at the terminal.
    ByAPerson(&'static [&'static str]),
    /// Command lines that this says yes to, whoever waits for them.
    By(fn(&[OsString]) -> bool),
}

impl CommandMeaning {
    /// Whether this command line does.
    pub fn by(self, line: &[OsString], attended: bool) -> bool {
        match self {
            CommandMeaning::Never => false,
            CommandMeaning::ByAPerson(programs) => attended && words::is_idle(line, programs),
            CommandMeaning::By(is_meant) => is_meant(line),
        }
    }
}

/// All of them.
pub const BUILTIN: &[Builtin] = &[
    Builtin {
        name: "train",
        kind: WorkloadKind::Train,
        about: "the training command, unattended",
        commands: &[],
        meant_by: CommandMeaning::Never,
        server: None,
    },
    Builtin {
        name: "shell",
        kind: WorkloadKind::Build,
        about: "a shell for a person at a terminal",
        commands: &["$SHELL", "bash", "sh"],
        meant_by: CommandMeaning::ByAPerson(&[
            "sh", "bash", "dash", "ash", "zsh", "fish", "ksh", "python", "python3", "ipython",
        ]),
        server: None,
    },
    Builtin {
        name: "jupyter",
        kind: WorkloadKind::Build,
        about: "JupyterLab, Notebook or Server; a hub's single-user server",
        commands: &jupyter::COMMANDS,
        meant_by: CommandMeaning::By(jupyter::is_server),
        server: Some(jupyter::SERVER),
    },
    Builtin {
        name: "ssh",
        kind: WorkloadKind::Build,
        about: "an SSH server, for PyCharm, VS Code and plain ssh",
        commands: &ssh::COMMANDS,
        meant_by: CommandMeaning::By(ssh::serves),
        server: Some(ssh::SERVER),
    },
];
