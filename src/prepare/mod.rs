//! The preparation in the child of PID 1: user → settings → mode → checks → dependencies → environment → exec.
//!
//! It may be rich, slow or fail, because PID 1 goes on whatever happens here. The child becomes the workload under the same pid.

mod agreed_resume;
mod cluster;
mod code;
mod commit_teller;
mod dependencies;
mod early_failure;
mod enter;
mod failure_hold;
mod foresee;
mod history;
mod hooks;
mod host;
mod interruption;
mod kept_secrets;
mod launch;
mod login;
mod login_shells;
mod made_of;
mod meet;
mod outputs;
mod pinned_commit;
mod pipeline;
mod policy;
mod preparation;
mod preview;
mod previous_run;
mod restore;
mod resume;
mod resume_words;
mod run_dir;
mod server_files;
mod server_setup;
mod shared_mark;
mod sidecar;
mod staging;
mod start_history;
mod state_base;
mod stop_note;

pub(crate) use foresee::{Foreseen, foresee, planned};
pub(crate) use policy::StopGrace;
pub(crate) use preview::preview;
pub(crate) use resume::{resume, watched};
pub(crate) use sidecar::sidecar;

use crate::error::{Error, ErrorKind};
use crate::report;
use preparation::Preparation;
use protocol::handover::{HandoverWriter, Message};
use std::time::Instant;
use supervisor::PrepareArgs;
use sys::signal::{self, InheritedSignals};
use sys::{Args, fork_detached, heap, terminal};

/// Longest text of a refusal that PID 1 gets, so that it fits one frame of the handover.
const TOLD: usize = 900;

/// Prepares below a supervisor and becomes the workload; returns only with a failure's exit code.
pub(crate) fn supervised(args: Args, start: PrepareArgs) -> u8 {
    heap::expect_short_life();
    terminal::take_foreground();
    begin(&start.handover);
    live(Preparation::new(start.handover, start.since, start.attempt), args, &start.inherited)
}

/// Does the same without a supervisor: `trainit exec`.
pub(crate) fn in_place(args: Args, inherited: InheritedSignals) -> u8 {
    heap::expect_short_life();
    live(Preparation::new(HandoverWriter::none(), Instant::now(), 1), args, &inherited)
}

fn live(mut preparation: Preparation, args: Args, inherited: &InheritedSignals) -> u8 {
    let error = match preparation.run(&args.to_vec()) {
        Ok(ready) => launch::launch(&ready, &preparation.handover, inherited),
        Err(error) => error,
    };
    refuse(&mut preparation, &error)
}

/// Reports to the person and to PID 1 why there is no workload, and returns the exit code. Findings of checks are logged already.
#[inline(never)] // keeps its locals off the stack of a start that succeeds
fn refuse(preparation: &mut Preparation, error: &Error) -> u8 {
    match error.kind {
        ErrorKind::Answer => report::print(&error.what),
        _ if preparation.told => {}
        _ => preparation.console.error(error),
    }
    preparation.handover.send(&Message::Refused(text::masked(&format!("{error:#}")).chars().take(TOLD).collect()));
    error.exit().code()
}

/// Runs a sub-command as a container's first process, below a supervisor and without a workload.
pub(crate) fn only(start: PrepareArgs, body: impl FnOnce() -> u8) -> u8 {
    terminal::take_foreground();
    begin(&start.handover);
    body()
}

/// Allows a forwarded TERM to end the preparation: there is no workload yet that could lose anything.
fn begin(handover: &HandoverWriter) {
    if let Some(fd) = handover.fd() {
        fork_detached::keep_private(fd);
    }
    signal::set_mask(0);
}
