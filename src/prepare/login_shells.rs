//! Keeps the workload's PATH in the login shells of a build session: Jupyter's terminals, tmux's windows, `bash -l`.
//!
//! /etc/profile of Debian and others sets PATH anew. As root of the container trainit adds a file to /etc/profile.d. Where that cannot be
//! done, variables lead interactive shells to the same file: ENV those of POSIX (sh, 2.5.3), PROMPT_COMMAND bash.

use super::server_files::{share, write};
use crate::check::CheckContext;
use crate::mode::ssh::environment::{self, FILE_VARIABLE};
use crate::mode::ssh::profile;
use crate::mode::{Plan, PrivateFile};
use protocol::handover::WorkloadKind;
use std::path::Path;
use supervisor::state_dir;
use sys::Pid;
use sys::environment::Environment;

/// Returns whether a plan's login shells are this module's: those of a person, unless the mode's own set-up sees to them.
pub(super) fn are_kept(plan: &Plan) -> bool {
    plan.kind == WorkloadKind::Build && !(plan.setup && plan.mode == "ssh")
}

/// Returns whether login shells lose PATH, and this process can do nothing in /etc about it.
pub(super) fn lose_path(context: &CheckContext) -> bool {
    let profile = profile::look(may_write(context));
    !profile.restores && profile.line.is_some()
}

/// Writes the file that restores PATH, and leads login shells to it. What cannot be written changes nothing else of the start.
pub(super) fn keep_path(context: &CheckContext, plan: &Plan, run_dir: Option<&Path>, environment: &mut Environment) {
    let profile = profile::look(may_write(context));
    if !are_kept(plan) || !profile.restores && profile.line.is_none() {
        return;
    }
    let Ok(private) = state_dir::private(run_dir, &plan.mode) else { return };
    let (session, prompt) = (private.join("session.sh"), private.join("prompt.sh"));
    let file = |path: &Path, content: Vec<u8>| write(&PrivateFile { path: path.to_owned(), content, keep: false });
    if file(&session, environment::script(environment.get("PATH"), &[])).is_err() {
        return;
    }
    environment.set(FILE_VARIABLE, &session);
    let restores = profile.restores && profile.write.is_none_or(|hook| share(&hook).is_ok());
    if !restores && file(&prompt, environment::prompt_script(session.as_os_str())).is_ok() {
        environment::for_interactive(&session, &prompt, environment);
        // `bash -lc` reads it after /etc/profile; other scripts go on without a look at it.
        environment.set_default("BASH_ENV", &prompt);
    }
}

/// Returns whether this process may add a file to /etc: as root, below the container's first process.
fn may_write(context: &CheckContext) -> bool {
    context.platform().is_container() && nix::unistd::geteuid().is_root() && Pid::parent() == Some(Pid::FIRST)
}
