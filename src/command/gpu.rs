//! `trainit gpu`: shows the GPUs as a table, and what a start would report about them.

pub(super) mod install;

use super::check::{self as checking, tell_end};
use super::{CommandInput, CommandOutput};
use crate::check::{self, inventory};
use crate::error::Result;
use crate::report::{self, Report};
use protocol::exit_code::Exit;
use std::time::SystemTime;

/// Shows the GPUs; the JSON form is the report of a check with one more field.
///
/// # Errors
/// An invalid configuration (78).
pub(super) fn run(asked: &CommandInput, json: bool) -> Result<CommandOutput> {
    let began = SystemTime::now();
    let (context, notes, mut console) = checking::prepared(asked)?;
    let findings = check::run(&context, Some(&checking::family("gpu")), &mut || {}, &mut |_| {});
    let exit = check::verdict(&findings).unwrap_or(Exit::Success);
    let gpus = inventory(&context, &findings);
    if json {
        let report = Report::new(&context, None, &findings, began).with_exit(exit).with_gpus(gpus);
        return Ok(CommandOutput { text: report.to_json(), exit });
    }
    report::print(&report::inventory(&gpus));
    notes.iter().for_each(|note| console.line(note));
    findings.iter().for_each(|finding| console.finding(finding));
    Ok(CommandOutput { text: tell_end(&context, &findings, 0, exit, None, &mut console), exit })
}
