//! The layout of text lines: status, family, text and duration in fixed columns.

use crate::check::Status;
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::time::Duration;

/// Column of a row's text.
const TEXT: usize = 16;
/// Column at which durations end, where the terminal has as many.
const RIGHT: usize = 98;
/// Longest row on one line; the second part of a longer one gets its own line.
const LONG: usize = 120;

/// Whether colours may be used, and how much room there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Style {
    /// Whether colours may be used ([`has_colour`]).
    pub colour: bool,
    /// The columns of the terminal; `None` in a log.
    pub columns: Option<usize>,
}

/// The tag at the start of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// A successful check or step.
    Ok,
    /// A problem that may hurt later.
    Warn,
    /// A problem that ends the start.
    Fail,
    /// The start of the workload.
    Start,
    /// A debug event.
    Debug,
}

impl Tag {
    /// Returns the word of the tag.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Tag::Ok => "ok",
            Tag::Warn => "warn",
            Tag::Fail => "fail",
            Tag::Start => "start",
            Tag::Debug => "debug",
        }
    }

    /// Returns the SGR number of the colour (ECMA-48).
    const fn colour(self) -> &'static str {
        match self {
            Tag::Ok => "32",
            Tag::Warn => "33",
            Tag::Fail => "31",
            Tag::Start => "1",
            Tag::Debug => "2",
        }
    }
}

impl From<Status> for Tag {
    fn from(status: Status) -> Self {
        match status {
            Status::Ok => Tag::Ok,
            Status::Warn => Tag::Warn,
            Status::Fail => Tag::Fail,
        }
    }
}

/// Returns whether colours may be used: on a terminal that supports them, unless NO_COLOR (no-color.org) or CLICOLOR=0 is set
/// (bixense.com/clicolors); with CLICOLOR_FORCE in a log, too.
pub(crate) fn has_colour(stream: &impl IsTerminal) -> bool {
    wants_colour(stream.is_terminal(), |name| std::env::var(name).ok())
}

fn wants_colour(is_terminal: bool, variable: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    let is_off = |name| set(name).is_some_and(|value| value == "0");
    if set("NO_COLOR").is_some() {
        return false;
    }
    if set("CLICOLOR_FORCE").is_some_and(|value| value != "0") {
        return true;
    }
    is_terminal && !is_off("CLICOLOR") && set("TERM").is_none_or(|term| term != "dumb")
}

/// Returns whether a line of stderr may be rewritten: it is a terminal, and TERM is not `dumb`, which screen readers and editors set.
pub(crate) fn can_redraw() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

impl Style {
    /// Chooses the style for stderr.
    pub(super) fn of_stderr() -> Self {
        let stderr = std::io::stderr();
        let size = sys::window::window_size(stderr.as_fd());
        Style { colour: has_colour(&stderr), columns: size.map(|size| usize::from(size.ws_col)) }
    }

    /// Formats `  ok    data    /data: nfs4, read-only            3 ms`, with the lines that belong to it.
    pub(super) fn row(self, tag: Tag, family: &str, what: &str, because: Option<&str>, took: Duration) -> String {
        let (what, because) = (text::line(what), because.map(text::line));
        let (text, more) = match because {
            Some(because) if TEXT + width(&what) + 2 + width(&because) <= self.at_most(LONG) => {
                (format!("{what}: {because}"), None)
            }
            because => (what.into_owned(), because),
        };
        let head = format!("  {}{:<8}", self.tag(tag), text::line(family));
        let mut row = with_time(&head, &text, took, self.at_most(RIGHT));
        row.extend(more.map(|more| format!("\n{:TEXT$}{more}", "")));
        row
    }

    /// Formats a remedy below a row.
    pub(super) fn remedy(self, text: &str) -> String {
        format!("{:TEXT$}{} {}", "", self.paint("36", "→"), text::line(text))
    }

    /// Formats a line without a status.
    pub(super) fn line(self, text: &str) -> String {
        format!("{:8}{}", "", text::line(text))
    }

    /// Formats `  start python train.py`.
    pub(super) fn start(self, text: &str) -> String {
        format!("  {}{}", self.tag(Tag::Start), text::line(text))
    }

    /// Returns a column, or the terminal's last one where that is nearer.
    fn at_most(self, column: usize) -> usize {
        self.columns.map_or(column, |columns| column.min(columns))
    }

    /// Formats the tag with its blanks, whose width does not depend on the colour.
    fn tag(self, tag: Tag) -> String {
        format!("{}{:2$}", self.paint(tag.colour(), tag.word()), "", 6 - tag.word().len())
    }

    /// Colours a text, if colours are on.
    fn paint(self, colour: &str, text: &str) -> String {
        if self.colour && !text.is_empty() { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Appends the duration so that it ends in a column, if the text leaves room.
fn with_time(head: &str, text: &str, took: Duration, right: usize) -> String {
    let took = text::time(took);
    if took.is_empty() {
        return format!("{head}{text}");
    }
    let gap = right.saturating_sub(TEXT + width(text) + took.len()).max(2);
    format!("{head}{text}{:gap$}{took}", "")
}

/// Returns the width of a text; each character counts as one column.
fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Style = Style { colour: false, columns: None };

    fn row(what: &str, because: Option<&str>, ms: u64) -> String {
        PLAIN.row(Tag::Ok, "data", what, because, Duration::from_millis(ms))
    }

    #[test]
    fn times_end_in_one_column() {
        let short = row("/data: nfs4, read-only, ≥ 1000 files", None, 3);
        let long = row("2 × NVIDIA H200, 139 GiB each, driver 580.159, CUDA 13.0", None, 41);
        assert!(short.starts_with("  ok    data    /data: nfs4") && short.ends_with(" 3 ms"), "{short}");
        assert_eq!((short.chars().count(), long.chars().count()), (RIGHT, RIGHT));
        assert!(row(&"x".repeat(100), None, 3).ends_with("x  3 ms"));
        assert!(row("quick", None, 0).ends_with("quick"));
    }

    #[test]
    fn a_long_reason_gets_its_own_line() {
        assert_eq!(row("short", Some("reason"), 0), "  ok    data    short: reason");
        let text = row(&"x".repeat(80), Some(&"y".repeat(40)), 0);
        assert_eq!(text.lines().nth(1), Some(format!("{:16}{}", "", "y".repeat(40)).as_str()));
    }

    #[test]
    fn a_narrow_terminal_has_its_times_at_its_edge() {
        let narrow = Style { colour: false, columns: Some(60) };
        let row = |what: &str, because| narrow.row(Tag::Ok, "data", what, because, Duration::from_millis(3));
        assert_eq!(row("/data: nfs4, read-only", None).chars().count(), 60);
        assert_eq!(row("x", Some(&*"y".repeat(50))).lines().count(), 2);
    }

    #[test]
    fn colours_are_where_they_are_wanted() {
        let colour = |is_terminal, set: &[(&str, &str)]| {
            wants_colour(is_terminal, |name| {
                set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(colour(true, &[]) && colour(true, &[("CLICOLOR", "1"), ("NO_COLOR", "")]));
        assert!(!colour(false, &[]) && !colour(false, &[("CLICOLOR", "1")]));
        assert!(colour(false, &[("CLICOLOR_FORCE", "1")]) && !colour(false, &[("CLICOLOR_FORCE", "0")]));
        for off in [("NO_COLOR", "1"), ("CLICOLOR", "0"), ("TERM", "dumb")] {
            assert!(!colour(true, &[off]), "{off:?}");
        }
        assert!(!colour(true, &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")]));
    }

    #[test]
    fn a_name_cannot_forge_a_row() {
        assert_eq!(row("a\n  ok    gpu", None, 0).lines().count(), 1);
        assert!(!PLAIN.remedy("x\x1b[2J").contains('\x1b'));
    }

    #[test]
    fn colours_do_not_move_columns() {
        let bare = |text: &str| text.replace("\x1b[32m", "").replace("\x1b[0m", "");
        let coloured = Style { colour: true, columns: None }.row(Tag::Ok, "gpu", "x", None, Duration::from_millis(5));
        assert_eq!(bare(&coloured), PLAIN.row(Tag::Ok, "gpu", "x", None, Duration::from_millis(5)));
    }
}
