//! The built-in modes, as data. Adding one is adding one entry.

use crate::handover::Kind;

/// A mode that every image has.
pub struct Builtin {
    /// Its name: in `mode`, as a sub-command, in reports.
    pub name: &'static str,
    /// Train or build.
    pub kind: Kind,
    /// What it is for.
    pub about: &'static str,
    /// Commands that start it, the first one that exists: `$SHELL` stands for the variable. None: `command` of the configuration.
    pub commands: &'static [&'static str],
    /// Programs that mean this mode when they are the COMMAND and a person is at the terminal.
    pub meant_by: &'static [&'static str],
}

/// All of them.
pub const BUILTIN: &[Builtin] = &[
    Builtin {
        name: "train",
        kind: Kind::Train,
        about: "the training command, unattended",
        commands: &[],
        meant_by: &[],
    },
    Builtin {
        name: "shell",
        kind: Kind::Build,
        about: "a shell for a person at a terminal",
        commands: &["$SHELL", "bash", "sh"],
        meant_by: &["sh", "bash", "dash", "ash", "zsh", "fish", "ksh", "python", "python3", "ipython"],
    },
];
