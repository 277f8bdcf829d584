//! Text output: formats findings, errors and the start as text lines, JSON lines, the JSON report and a termination message. It formats
//! data and decides nothing.

mod console;
mod inventory;
mod json;
mod json_line;
mod remedy;
mod style;
mod termination;
pub mod trace;

pub use console::Console;
pub use inventory::inventory;
pub use json::{Dependencies, HookRow, Report};
pub use remedy::{Correction, correction};
pub use termination::termination;
pub use text::masked as mask;

/// Prints a result to stdout as lines. A closed stdout is no failure.
pub fn print(text: &str) {
    use std::io::Write;
    if !text.is_empty() {
        let _ = writeln!(std::io::stdout(), "{}", text.trim_end_matches('\n'));
    }
}
