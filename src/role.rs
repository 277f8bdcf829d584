//! The role of this process. It follows from the first words alone, before any expensive code runs: PID 1 must not pay for code that it
//! does not use.

use crate::command::table::{self, SubcommandKind, asks_about_itself};
use crate::{command, helper, prepare};
use std::ffi::CStr;
use supervisor::state::State;
use supervisor::{ChildMains, PrepareArgs};
use sys::process::is_first;
use sys::signal::InheritedSignals;
use sys::{Args, process};

/// Names under which trainit is a plain init.
const INITS: [&[u8]; 3] = [b"tini", b"tini-static", b"docker-init"];

enum ProcessRole {
    /// Answer git, which asks for a user or a token.
    Answer,
    /// PID 1 and nothing else; its words start at this index.
    Init(usize),
    /// Prepare, then become the command without a supervisor.
    Exec,
    /// A sub-command that starts nothing.
    Command,
    /// Supervise a child that prepares and becomes the workload.
    Run,
}

/// Runs the whole program: from the kernel's arguments to the exit code.
pub fn run(args: Args) -> u8 {
    if process::is_set_uid() {
        return command::refuse_set_uid();
    }
    match role(args, is_first()) {
        ProcessRole::Answer => command::answer_git(args),
        ProcessRole::Init(at) => supervisor::init::main(args.after(at)),
        ProcessRole::Exec => prepare::in_place(args.after(2), InheritedSignals::for_command()),
        // As PID 1, too, a long check must end at once when the container is stopped, so it gets a supervisor.
        ProcessRole::Command if is_first() => {
            supervise(args, &|start| prepare::only(start, || command::main(args.after(1))))
        }
        ProcessRole::Command => {
            InheritedSignals::for_command();
            command::main(args.after(1))
        }
        ProcessRole::Run => supervise(args.after(1), &|start| prepare::supervised(args.after(1), start)),
    }
}

fn supervise(args: Args, main: &dyn Fn(PrepareArgs) -> u8) -> u8 {
    let inherited = InheritedSignals::take_over();
    let child_mains =
        ChildMains { main, helper: &helper::run, sidecar: &|beside| prepare::sidecar(args, &beside), prepares: true };
    supervisor::run(&child_mains, State::preparing, inherited)
}

fn role(args: Args, first: bool) -> ProcessRole {
    let name = args.first().map_or(&b""[..], CStr::to_bytes);
    let name = name.rsplit(|b| *b == b'/').next().unwrap_or_default();
    if INITS.contains(&name) {
        return ProcessRole::Init(1);
    }
    match args.after(1).first().map(CStr::to_bytes) {
        Some(word) if asks_about_itself(word) => ProcessRole::Command,
        Some(word) if checkout::is_question(word) && args.after(2).first().is_none() => ProcessRole::Answer,
        // A RUN line of a Dockerfile runs as the first process, too.
        Some(b"env") if args.after(2).first().map(CStr::to_bytes) == Some(b"--install") => ProcessRole::Command,
        Some(word) => table::find(word).map_or(ProcessRole::Run, |row| of_kind(row.kind, first)),
        None => ProcessRole::Run,
    }
}

const fn of_kind(kind: SubcommandKind, first: bool) -> ProcessRole {
    match kind {
        SubcommandKind::Init => ProcessRole::Init(2),
        SubcommandKind::Becomes => ProcessRole::Exec,
        SubcommandKind::StartsNothing => ProcessRole::Command,
        SubcommandKind::AsksContainer if !first => ProcessRole::Command,
        SubcommandKind::AsksContainer | SubcommandKind::Supervises => ProcessRole::Run,
    }
}
