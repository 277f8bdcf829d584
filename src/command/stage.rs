//! `trainit stage`: the data step alone, for an init container, a DaemonSet or a prolog; the start then finds what it needs.

use super::{CommandInput, CommandOutput};
use crate::check::{CheckContext, Status};
use crate::code::{self, BroughtCode};
use crate::error::{Error, Result};
use crate::report::Console;
use crate::stage::{self, RunningStage, StagingEvent};
use crate::ticker::{self, Ticker};
use ::stage::{Kept, StageRequest};
use protocol::exit_code::{Exit, FailureFamily};
use protocol::handover::HandoverWriter;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// How long an event is waited for.
const WAIT: Duration = Duration::from_millis(200);

/// The time after which a log says that data is still being brought.
const PATIENCE: Duration = Duration::from_secs(5);

/// Brings what the next start would bring, or says what that is.
///
/// # Errors
/// An invalid configuration (78), an unknown path (64), or code or data that cannot be brought (111, 112, 211, 212, 214).
pub(super) fn run(asked: &CommandInput, paths: &[PathBuf], dry: bool) -> Result<CommandOutput> {
    if dry {
        let context = context(asked)?;
        return planned(&context, &chosen(&context, paths)?);
    }
    let (context, code) = if paths.is_empty() { context_with_code(asked)? } else { (context(asked)?, None) };
    let mut console = Console::new(&context.settings, context.host_facts());
    if let Some(code) = code {
        code.judge(true)?.iter().for_each(|doubt| console.warning(doubt));
        console.row(Status::Ok, FailureFamily::Code.name(), &code.words(), code.took);
    }
    bring(&context, chosen(&context, paths)?, &mut console)?;
    Ok(CommandOutput::well(""))
}

/// Brings the code first: the project's configuration comes with it.
fn context_with_code(asked: &CommandInput) -> Result<(CheckContext, Option<BroughtCode>)> {
    let (loaded, entered, code) = asked.load_with_code(&mut |line| Console::early().line(line))?;
    let mut context = super::check::context_of(asked, loaded, entered);
    context.add_secrets(&BTreeMap::new())?;
    Ok((context, code))
}

fn bring(context: &CheckContext, requests: Vec<StageRequest>, console: &mut Console) -> Result<()> {
    let targets: Vec<String> = requests.iter().map(|request| text::path(&request.target)).collect();
    let mut ticker = Ticker::new(ticker::draws(&context.settings), PATIENCE);
    let (mut shown, mut amount) = (String::new(), None);
    let mut running = RunningStage::start(requests, &HandoverWriter::none()).map_err(stage::not_started)?;
    while !running.is_over() {
        match running.next(WAIT) {
            Some(StagingEvent::Line(line)) => {
                ticker.interrupt();
                console.line(&line);
            }
            Some(StagingEvent::Done(_, words, took, _)) => {
                ticker.interrupt();
                shown = String::new();
                console.row(Status::Ok, FailureFamily::Data.name(), &words, took);
            }
            Some(StagingEvent::Failed(_, failure)) => return Err(stage::error_of(failure)),
            Some(StagingEvent::Died) => return Err(stage::died()),
            Some(StagingEvent::Progress(number, progress)) => {
                shown = stage::progress_words(targets.get(number).map_or("", String::as_str));
                amount = stage::amount(progress);
            }
            Some(StagingEvent::Waits(host, doing)) => {
                (shown, amount) = (stage::wait_words(&targets.join(", "), &host, &doing), None);
            }
            None => {}
        }
        if !shown.is_empty() {
            ticker.tick(amount, || shown.clone(), &mut |line| console.line(line));
        }
    }
    Ok(())
}

/// Says what would be brought, path by path.
fn planned(context: &CheckContext, requests: &[StageRequest]) -> Result<CommandOutput> {
    let line = |request: &StageRequest| {
        let (target, source) = (text::path(&request.target), request.source.shown());
        if let Some(stamp) = ::stage::look(request) {
            return Ok(format!("{target}: {source} is there{}", stage::age_words(&stamp)));
        }
        let plan = ::stage::plan(request, &mut |_| true).map_err(|error| stage::error_of_crate(&error, request))?;
        let (files, bytes) = (text::count(plan.totals.files, "file"), text::size(plan.totals.bytes));
        Ok(format!("{target}: {source}, {files}, {bytes} would be brought; {} free", text::size(plan.free.bytes)))
    };
    let data = requests.iter().map(line).collect::<Result<Vec<_>>>()?;
    let lines: Vec<String> = code::outlook(&context.settings, &context.code).into_iter().chain(data).collect();
    Ok(CommandOutput::well(lines.join("\n")))
}

/// Says what is there (exit code 0) or not (1).
///
/// # Errors
/// An invalid configuration (78).
pub(super) fn status(asked: &CommandInput) -> Result<CommandOutput> {
    let context = context(asked)?;
    let requests = chosen(&context, &[])?;
    let mut exit = Exit::Success;
    let mut lines: Vec<String> = Vec::new();
    for request in &requests {
        match ::stage::look(request) {
            Some(stamp) => lines.push(stage::row_words(request, &stamp, ::stage::How::Unchanged)),
            None => {
                exit = Exit::Failure;
                lines.push(format!("{}: {} is not there", text::path(&request.target), request.source.shown()));
            }
        }
    }
    let store = context.settings.stage_store.value.as_ref().map(|store| context.workdir.join(store));
    lines.extend(store.iter().flat_map(|store| ::stage::inventory(store)).map(|kept| described(&kept)));
    Ok(CommandOutput { text: lines.join("\n"), exit })
}

fn described(kept: &Kept) -> String {
    let (source, size) = (text::line(&kept.stamp.source), text::size(kept.stamp.totals.bytes));
    format!("stage.store: {source}, {size}, used {} ago", text::span(kept.unused))
}

/// Removes what is beyond `stage.store_size`, and what was not used for so long.
///
/// # Errors
/// An invalid configuration (78), or no store.
pub(super) fn prune(asked: &CommandInput, unused: Option<Duration>, dry: bool) -> Result<CommandOutput> {
    let context = context(asked)?;
    let Some(store) = context.settings.stage_store.value.as_ref().map(|store| context.workdir.join(store)) else {
        return Err(Error::config("stage.store is not set: there is nothing to prune"));
    };
    let kept = ::stage::inventory(&store);
    let whole = ::stage::look_at_room(&store).map_or(u64::MAX, |found| found.bytes / 10 * 9);
    let most = context.settings.stage_store_size.map_or(whole, |size| size.0);
    let mut goes = ::stage::chosen(&kept, most, 0);
    let old = kept.iter().filter(|kept| unused.is_some_and(|unused| kept.unused >= unused));
    let more: Vec<&Kept> = old.filter(|kept| !goes.contains(kept)).collect();
    goes.extend(more);
    let would = if dry { "would be removed" } else { "removed" };
    let mut lines: Vec<String> = goes.iter().map(|kept| format!("{would}: {}", described(kept))).collect();
    let bytes = goes.iter().map(|kept| kept.stamp.totals.bytes).sum();
    lines.push(format!("{}, {}", text::count(goes.len() as u64, "item"), text::size(bytes)));
    if !dry {
        goes.into_iter().for_each(::stage::remove);
        ::stage::sweep(&store);
    }
    Ok(CommandOutput::well(lines.join("\n")))
}

fn context(asked: &CommandInput) -> Result<CheckContext> {
    let mut context = super::check::context(asked)?;
    context.add_secrets(&BTreeMap::new())?;
    Ok(context)
}

/// Returns the requests for these paths, or for all.
fn chosen(context: &CheckContext, paths: &[PathBuf]) -> Result<Vec<StageRequest>> {
    let all = context.stage_requests();
    let is_known = |path: &PathBuf| all.iter().any(|request| request.target == context.workdir.join(path));
    if let Some(stranger) = paths.iter().find(|path| !is_known(path)) {
        let what = format!("{} is no path of `data` with from=", text::path(stranger));
        return Err(Error::usage(what).hint("TRAINIT_DATA=/data:from=s3://bucket/set/"));
    }
    if all.is_empty() && context.settings.code_from.is_none() {
        return Err(Error::config("no path of `data` has from=, and code.from is not set: there is nothing to bring")
            .hint("TRAINIT_DATA=/data:from=s3://bucket/set/"));
    }
    let wanted = |request: &StageRequest| {
        paths.is_empty() || paths.iter().any(|path| request.target == context.workdir.join(path))
    };
    Ok(all.into_iter().filter(wanted).collect())
}
