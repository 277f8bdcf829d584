//! The built-in modes, as data. A new mode is one entry here; a server with needs beyond its command has one more file in this directory.

use super::server_setup::ServerMode;
use super::{jupyter, ssh, words};
use protocol::handover::WorkloadKind;
use std::ffi::OsString;

/// A mode that every image has.
pub(super) struct Builtin {
    /// The mode's name: in `mode`, as a sub-command, in reports.
    pub name: &'static str,
    /// The kind of workload.
    pub kind: WorkloadKind,
    /// The purpose, in a few words.
    pub about: &'static str,
    /// Commands of the mode, of which the first one that exists is started: `$SHELL` is the user's own. Empty means the configuration's
    /// `command`.
    pub commands: &'static [&'static str],
    /// The COMMANDs that mean this mode without its name.
    pub meant_by: CommandMeaning,
    /// The set-up of the mode's server; `None` if its command is enough.
    pub server: Option<ServerMode>,
}

/// The COMMANDs that mean a mode.
#[derive(Clone, Copy)]
pub(super) enum CommandMeaning {
    /// No COMMAND does.
    Never,
    /// These programs do, without work to do and with a person at the terminal.
    ByAPerson(&'static [&'static str]),
    /// Command lines do for which this function returns true, with or without a person.
    By(fn(&[OsString]) -> bool),
}

impl CommandMeaning {
    /// Returns whether this command line means the mode.
    pub(super) fn by(self, line: &[OsString], attended: bool) -> bool {
        match self {
            CommandMeaning::Never => false,
            CommandMeaning::ByAPerson(programs) => attended && words::is_idle(line, programs),
            CommandMeaning::By(is_meant) => is_meant(line),
        }
    }
}

/// All built-in modes.
pub(super) const BUILTIN: &[Builtin] = &[
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
