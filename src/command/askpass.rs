//! Answers git, which started this process to ask for a user or a token. The answer goes to stdout, a pipe of git; nothing else is written.

use crate::report;
use sys::Args;

/// Answers the question in the first word; returns the exit code.
pub fn answer_git(args: Args) -> u8 {
    let question = args.after(1).first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    match checkout::answer(&question, |name| std::env::var(name).ok()) {
        Some(answer) => {
            report::print(&format!("{answer}\n"));
            0
        }
        None => 1,
    }
}
