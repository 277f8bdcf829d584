//! The table of attempts with a bar for each, and the sum below it.

use crate::job_history::{duration, percent, sum_line};
use history::{AccountedAttempt, Accounts, Part, Parts, Reason};
use std::time::{Duration, UNIX_EPOCH};

/// How a table is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct TableStyle {
    /// Columns of the terminal.
    pub width: usize,
    /// Whether parts are coloured.
    pub colour: bool,
}

/// Fewer columns than this put the bar on a line of its own.
const NARROW: usize = 90;

/// The narrowest and the widest bar.
const BAR: (usize, usize) = (10, 60);

/// Each part's mark in a bar, and its colour (SGR, ECMA-48).
const MARKS: [(Part, char, &str); 10] = [
    (Part::Progress, '█', "32"),
    (Part::Running, '·', "36"),
    (Part::Lost, '░', "31"),
    (Part::Unknown, '?', "33"),
    (Part::Saving, '▓', "34"),
    (Part::Preparing, '▒', "2"),
    (Part::Staging, '↓', "2"),
    (Part::Waiting, '…', "2"),
    (Part::Backoff, ' ', "2"),
    (Part::Between, ' ', "2"),
];

/// The order of the parts in the time of an attempt.
const ORDER: [Part; 8] = [
    Part::Preparing,
    Part::Staging,
    Part::Waiting,
    Part::Progress,
    Part::Running,
    Part::Lost,
    Part::Unknown,
    Part::Saving,
];

/// What a line below a row begins with.
const INDENT: &str = "     ";

/// Formats the table, the legend and the sum.
pub(super) fn table(accounts: &Accounts, style: TableStyle) -> String {
    let longest = accounts.attempts.iter().map(|one| one.parts.total()).fold(0.0, f64::max);
    let first = accounts.summed;
    let rows = accounts.attempts.iter().enumerate().map(|(n, one)| row(first + n as u64 + 1, one, longest, style));
    let title = cells("", "STARTED (UTC)", "TIME", "STEPS", "END", style);
    let older = (first > 0).then(|| format!("{} before are summed up\n", text::count(first, "attempt")));
    let skipped = (accounts.skipped > 0)
        .then(|| format!("{} could not be read: torn, or not trainit's\n", text::count(accounts.skipped, "line")));
    let overlap = (accounts.sum.overlapping > 0).then(|| {
        let attempts = text::count(accounts.sum.overlapping, "attempt");
        format!("{attempts} began before the one before it had ended: the sum is of all attempts, not of the clock\n")
    });
    let head = format!("{}\n", title.trim_end());
    let notes = older.into_iter().chain(skipped).chain(overlap);
    std::iter::once(head).chain(rows).chain([legend(accounts, style)]).chain(notes).chain([sum(accounts)]).collect()
}

fn cells(number: &str, started: &str, time: &str, steps: &str, end: &str, style: TableStyle) -> String {
    // Narrow: the year goes, and the bar is below.
    let started = if style.width < NARROW {
        started.get(5..).filter(|_| started.starts_with('2')).unwrap_or(started)
    } else {
        started
    };
    let wide = if style.width < NARROW { 13 } else { 16 };
    format!("{number:>3}  {started:<wide$}  {time:>10}  {steps:<15}  {end:<8}")
}

fn row(number: u64, one: &AccountedAttempt, longest: f64, style: TableStyle) -> String {
    let end = one.reason.map_or("runs", Reason::word);
    let line =
        cells(&number.to_string(), &date(one.attempt.start.at), &duration(one.parts.total()), &steps(one), end, style);
    let used = line.chars().count() + 2;
    let why = why(one);
    if style.width < NARROW {
        let bar = bar(&one.parts, longest, style.width.saturating_sub(6).clamp(BAR.0, BAR.1), style);
        let why = why.map_or(String::new(), |why| format!("     {}\n", cut(&why, style.width.saturating_sub(5))));
        return format!("{}\n{why}     {}\n", line.trim_end(), bar.trim_end());
    }
    let bar = bar(&one.parts, longest, style.width.saturating_sub(used).clamp(BAR.0, BAR.1), style);
    let why = why.map_or(String::new(), |why| format!("     {}\n", cut(&why, style.width.saturating_sub(5))));
    format!("{}\n{why}", format!("{line}  {bar}").trim_end())
}

/// Returns more about an end than its word says.
fn why(one: &AccountedAttempt) -> Option<String> {
    let end = one.attempt.end.as_ref()?;
    let asked = end.asked_by.as_ref().map(|by| format!("stopped by {by}"));
    let how = Some(end.how.clone()).filter(|how| !how.is_empty());
    let parts: Vec<String> = how.into_iter().chain(asked).collect();
    let well = one.reason == Some(Reason::Done) && end.asked_by.is_none();
    (!well && !parts.is_empty()).then(|| text::line(&parts.join("; ")).into_owned())
}

fn steps(one: &AccountedAttempt) -> String {
    let from = one.attempt.ready.as_ref().and_then(|ready| ready.resumed.as_ref()?.step);
    let to = one.attempt.end.as_ref().and_then(|end| end.saved.as_ref()?.step);
    match (from, to) {
        (None, None) => String::new(),
        (from, None) => format!("{} →", from.unwrap_or_default()),
        (from, Some(to)) => format!("{} → {to}", from.unwrap_or_default()),
    }
}

/// Draws the parts of an attempt; the longest attempt has the whole width.
fn bar(parts: &Parts, longest: f64, width: usize, style: TableStyle) -> String {
    let rows = parts.rows();
    let time = |part: Part| rows.iter().find(|(one, _)| *one == part).map_or(0.0, |(_, time)| *time);
    let scale = if longest > 0.0 { width as f64 / longest } else { 0.0 };
    let (mut drawn, mut until, mut bar) = (0, 0.0, String::new());
    for part in ORDER {
        until += time(part) * scale;
        let to = until.round() as usize;
        bar.push_str(&marks(part, to.saturating_sub(drawn), style));
        drawn = drawn.max(to);
    }
    bar
}

fn marks(part: Part, count: usize, style: TableStyle) -> String {
    let (mark, colour) =
        MARKS.iter().find(|(one, ..)| *one == part).map_or((' ', "0"), |(_, mark, colour)| (*mark, *colour));
    let marks: String = std::iter::repeat_n(mark, count).collect();
    if style.colour && count > 0 { format!("\u{1b}[{colour}m{marks}\u{1b}[0m") } else { marks }
}

/// Names the marks of the parts that there are.
fn legend(accounts: &Accounts, style: TableStyle) -> String {
    let rows = accounts.sum.parts.rows();
    let there = ORDER.iter().filter(|part| rows.iter().any(|(one, time)| one == *part && *time > 0.0));
    let named: Vec<(Part, usize)> = there.map(|part| (*part, part.words().chars().count() + 4)).collect();
    let (mut text, mut used) = (String::new(), 0);
    for (part, length) in named {
        let breaks = used > 0 && used + length > style.width.saturating_sub(INDENT.len());
        text.push_str(if breaks { "\n" } else { "" });
        used = if breaks { 0 } else { used };
        text.push_str(if used == 0 { INDENT } else { "  " });
        text.push_str(&format!("{} {}", marks(part, 1, style), part.words()));
        used += length;
    }
    if text.is_empty() { text } else { format!("{text}\n\n") }
}

/// Formats the sum: a line, and a row for each part.
fn sum(accounts: &Accounts) -> String {
    let sum = &accounts.sum;
    let row = |(part, time): (Part, f64)| {
        let share = percent(time / sum.total_s.max(f64::MIN_POSITIVE));
        format!("     {:<18}{:>12}  {share:>5}\n", part.words(), duration(time))
    };
    let rows = sum.parts.rows().into_iter().filter(|(_, time)| *time > 0.0).map(row);
    let line = sum_line(&accounts.sum);
    let head = line.strip_prefix("history: ").unwrap_or(&line).split(';').next().unwrap_or_default().to_owned();
    std::iter::once(format!("{head}\n")).chain(rows).collect()
}

/// Formats a time of day as `2026-12-01 04:03`.
fn date(at: f64) -> String {
    let time = UNIX_EPOCH + Duration::from_secs_f64(at.clamp(0.0, 2e11));
    humantime::format_rfc3339_seconds(time).to_string().get(..16).unwrap_or_default().replace('T', " ")
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use history::Attempts;

    const HISTORY: &str = include_str!("../../../docs/history/example.jsonl");

    fn shown(width: usize, colour: bool) -> String {
        table(&history::accounts(&Attempts::read(HISTORY.as_bytes()), 1_796_130_000.0), TableStyle { width, colour })
    }

    #[test]
    fn attempts_have_a_row_and_a_bar_on_wide_and_narrow_terminals() {
        insta::assert_snapshot!(format!("{}\n{}", shown(100, false), shown(60, false)));
        for width in [60, 80, 89, 90, 100, 200] {
            let wide = shown(width, false).lines().map(|line| line.chars().count()).max();
            assert!(wide <= Some(width), "{wide:?} of {width}:\n{}", shown(width, false));
        }
    }

    #[test]
    fn colours_are_all_that_a_colourful_table_has_more() {
        let colourful = shown(100, true);
        let plain = colourful.split('\u{1b}').enumerate().map(|(n, part)| match n {
            0 => part.to_owned(),
            _ => part.split_once('m').map_or(String::new(), |(_, rest)| rest.to_owned()),
        });
        assert_eq!(plain.collect::<String>(), shown(100, false));
    }
}
