//! Classifies a failed installation by what the installer wrote: its class, and the lines that explain it. The classes are rows of
//! `failure_class`.

use super::build_log;
use super::failure_class::{
    ANSWERS, COMPILED, FINAL, FailureClass, KILLED, NO_WHEEL, OTHER, OUT_OF_MEMORY, SIGNALLED, TIME_OUT,
};
use super::failure_in_builds::{GIT, IN_BUILDS};
use super::failure_on_the_way::NETWORK;
use super::installer::Tool;
use super::installer_view::plain;
use super::pip_answer;
use super::run::ProgramEnd;
use std::os::unix::process::ExitStatusExt;
use sys::Signal;

/// One failure with the lines that explain it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InstallFailure {
    /// The class of the failure.
    pub class: &'static FailureClass,
    /// The lines of the output that explain the failure, at most three.
    pub lines: Vec<String>,
    /// The end of a build's output that the tool did not show.
    pub hidden: Vec<String>,
}

/// The most lines of a build's output that are logged.
const HIDDEN: usize = 30;

/// Classifies a failure by the exit of the tool, its output, and pip's log. `starved` means that the kernel's OOM killer ended a process
/// of this cgroup meanwhile: the tool, or a compiler that it started.
pub(super) fn classify(tool: &Tool, end: ProgramEnd, starved: bool, said: &str, log: &str) -> InstallFailure {
    let (class, text) = match end {
        ProgramEnd::Exited(_) if starved => (&OUT_OF_MEMORY, said.to_owned()),
        ProgramEnd::TimedOut => (&TIME_OUT, said.to_owned()),
        ProgramEnd::Exited(status) => match status.signal().and_then(Signal::new) {
            Some(Signal::KILL) => (&KILLED, said.to_owned()),
            Some(_) => (&SIGNALLED, said.to_owned()),
            None => by_text(tool, said, log),
        },
    };
    let build = if *class == COMPILED { build_log::failed(log) } else { Vec::new() };
    let class = in_build(class, &text, &build.join("\n"), log);
    let is_shown = text.contains(NESTED) || build.last().is_some_and(|last| said.contains(last.trim()));
    let hidden = build.iter().skip(build.len().saturating_sub(HIDDEN)).filter(|_| !is_shown);
    let mut lines = lines(class, &format!("{text}\n{}", build.join("\n")));
    lines.extend(pip_answer::wheels(&text, log).filter(|_| *class == NO_WHEEL));
    InstallFailure { class, lines, hidden: hidden.map(|line| (*line).to_owned()).collect() }
}

/// pip's text when the requirements of a build cannot be installed; older pips write install before it, newer ones installing. That is the failure of a nested pip and not of a build.
const NESTED: &str = "build dependencies did not run successfully";

/// The steps of installers that run git.
const GIT_STEPS: [&str; 4] = ["Git operation failed", "git clone ", "git fetch ", "git checkout "];

/// Classifies a failed build, or a repository that was not fetched, by its output. uv shows it among its own lines, pip in the log.
fn in_build(class: &'static FailureClass, text: &str, build: &str, log: &str) -> &'static FailureClass {
    let shown = format!("{text}\n{build}");
    let is_git = GIT_STEPS.iter().any(|step| shown.contains(step));
    let order = match () {
        () if is_git && [&COMPILED, &OTHER].contains(&class) => vec![(GIT, shown)],
        () if *class != COMPILED => Vec::new(),
        () if text.contains(NESTED) => {
            vec![(NETWORK, given_up(log)), (NETWORK, build.to_owned()), (ANSWERS, build.to_owned())]
        }
        () => vec![(IN_BUILDS, shown)],
    };
    order.into_iter().find_map(|(classes, text)| find(classes, &text)).unwrap_or(class)
}

fn by_text(tool: &Tool, said: &str, log: &str) -> (&'static FailureClass, String) {
    let said = without_retries(said);
    // pip warns of every network error, also of those that a retry solved, so final classes come first. uv reports the network only when
    // it gives up, as the reason for "no solution".
    let mut order = [(FINAL, said.clone()), (NETWORK, said.clone()), (NETWORK, given_up(log)), (ANSWERS, said.clone())];
    if matches!(tool, Tool::Uv { .. }) {
        order.swap(0, 1);
    }
    let found = order.into_iter().find_map(|(classes, text)| Some((find(classes, &one_line(&text))?, text)));
    let found =
        found.map(|(class, text)| (pip_answer::class(&text, log).filter(|_| is_answer(class)).unwrap_or(class), text));
    found.unwrap_or((&OTHER, said))
}

/// Checks whether a class is an answer of an index.
fn is_answer(class: &FailureClass) -> bool {
    ANSWERS.contains(class)
}

/// Removes pip's "Retrying" lines: pip writes one before each retry, and reports the last failure in other words.
fn without_retries(said: &str) -> String {
    said.lines().filter(|line| !line.trim_start().starts_with("WARNING: Retrying")).collect::<Vec<_>>().join("\n")
}

/// Returns the lines of pip's log that name the skipped pages of an index. pip does not show them.
fn given_up(log: &str) -> String {
    const MARK: &str = "Could not fetch URL";
    log.lines().filter_map(|line| line.get(line.find(MARK)?..)).collect::<Vec<_>>().join("\n")
}

fn find(classes: &'static [FailureClass], text: &str) -> Option<&'static FailureClass> {
    classes.iter().find(|class| class.signs.iter().any(|sign| text.contains(sign)))
}

/// Joins the lines of a text: uv wraps long lines with frames of its own.
fn one_line(text: &str) -> String {
    let plain = plain(text).replace(['│', '╰', '─', '▶', '├', '×'], " ");
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns the lines with a sign of the class and their explanation, else the lines marked as errors, else the last lines.
fn lines(class: &FailureClass, text: &str) -> Vec<String> {
    const EXPLAIN: [&str; 4] = ["cause:", "hint:", "Hint:", "╰"];
    const ERRORS: [&str; 4] = ["error", "ERROR", "×", "cause:"];
    // Texts without information: pip's references to hidden output, and uv's general advice for builds.
    const EMPTY: [&str; 3] = ["See above for", "No available output", "Build failures usually indicate"];
    let text = plain(text);
    let says = |line: &&str| !line.is_empty() && !EMPTY.iter().any(|empty| line.contains(empty));
    let all: Vec<&str> = text.lines().map(str::trim).filter(says).collect();
    let begins = |line: &str, marks: &[&str]| marks.iter().any(|mark| line.starts_with(mark));
    let in_build = |line: &str| *class == COMPILED && (line.contains("Error: ") || line.contains(" error: "));
    let has_sign = |line: &str| class.signs.iter().any(|sign| line.contains(sign)) || in_build(line);
    if all.iter().any(|line| has_sign(line)) {
        return pick(&all, |line| has_sign(line) || begins(line, &EXPLAIN));
    }
    match pick(&all, |line| begins(line, &ERRORS) || begins(line, &EXPLAIN)) {
        marked if marked.is_empty() => all.iter().rev().take(3).rev().map(|line| shorten(line)).collect(),
        marked => marked,
    }
}

/// Picks at most three of the matching lines, the first and the last two: the failed step and the root cause.
fn pick(all: &[&str], wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let mut picked: Vec<String> = all.iter().filter(|line| wanted(line)).map(|line| shorten(bare(line))).collect();
    picked.dedup();
    if picked.len() > 3 {
        picked.drain(1..picked.len() - 2);
    }
    picked
}

/// Strips the word for the kind of a line, such as `error:`.
fn bare(line: &str) -> &str {
    let marks = ["error: ", "ERROR: ", "cause: ", "× ", "╰─▶ "];
    marks.iter().find_map(|mark| line.strip_prefix(mark)).unwrap_or(line)
}

fn shorten(line: &str) -> String {
    match line.char_indices().nth(400) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line.to_owned(),
    }
}

#[cfg(test)]
#[path = "failure/tests.rs"]
mod tests;
