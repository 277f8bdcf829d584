//! Text output: formats findings, errors and the start as text lines, JSON lines, the JSON report and a termination message. It formats
//! data and decides nothing.

mod console;
mod error_text;
mod inventory;
mod json;
mod json_line;
mod metrics;
mod remedy;
mod style;
mod termination;
pub(crate) mod trace;

pub(crate) use console::{Console, LogNode};
pub(crate) use error_text::{because, chain};
pub(crate) use inventory::inventory;
pub(crate) use json::{HookRow, NodesRow, Report};
pub(crate) use metrics::metrics;
pub(crate) use remedy::{Form, correction};
pub(crate) use style::{can_redraw, has_colour};
pub(crate) use termination::termination;

/// Prints a result to stdout as lines. A closed stdout is no failure.
pub(crate) fn print(text: &str) {
    use std::io::Write;
    if !text.is_empty() {
        let _ = writeln!(std::io::stdout(), "{}", text.trim_end_matches('\n'));
    }
}
