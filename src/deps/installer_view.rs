//! Shows an installer's output without secrets: on a terminal as it comes, elsewhere line by line. During silence a line reports the
//! progress. The end of the output is kept, to explain a failure.

use super::progress::InstallProgress;
use super::redact::Redactor;
use super::run::ProgramEvent;
use crate::progress_bar;
use crate::ticker::StatusLine;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use sys::proc;
use sys::stderr::{self, Urgency};

/// The bytes of the end that are kept.
const KEPT: usize = 256 << 10;

/// The longest line that is shown whole, in characters.
const LINE_MAX: usize = 2000;

/// The bytes of a line that are read: secrets are masked before the line is cut.
const READ_MAX: usize = 64 << 10;

/// The silence after which a line reports progress; it doubles after each report.
const SILENCE: Duration = Duration::from_secs(15);

/// The longest silence between two reports.
const SILENCE_MAX: Duration = Duration::from_secs(120);

/// The silence after which a terminal shows progress and a running time.
const IMPATIENCE: Duration = Duration::from_secs(2);

/// Lines that report nothing new: an installed package, the interpreter that was named.
const NOISE: [&str; 4] = ["Requirement already satisfied:", "Audited ", "Looking in links:", "Using Python "];

/// The view of one installer's output.
pub(super) struct InstallerView<'a> {
    redactor: Redactor,
    terminal: bool,
    line: Vec<u8>,
    held: HeldOutput,
    kept: VecDeque<u8>,
    progress: InstallProgress,
    /// The length of the next silence that is reported.
    patience: Duration,
    /// The bytes written at the last report.
    written: Option<u64>,
    begun: Instant,
    status: StatusLine,
    tell: &'a mut dyn FnMut(&str),
}

impl<'a> InstallerView<'a> {
    /// Creates a view that writes to standard error as output comes, or to `tell` line by line.
    pub(super) fn new(redactor: Redactor, terminal: bool, tell: &'a mut dyn FnMut(&str)) -> Self {
        InstallerView {
            redactor,
            terminal,
            line: Vec::new(),
            held: HeldOutput::default(),
            kept: VecDeque::new(),
            progress: InstallProgress::default(),
            patience: SILENCE,
            written: None,
            begun: Instant::now(),
            status: StatusLine::default(),
            tell,
        }
    }

    /// Handles an event of the running installer.
    pub(super) fn event(&mut self, event: ProgramEvent<'_>) {
        match event {
            ProgramEvent::Output(bytes) => {
                let bytes = self.redactor.push(bytes);
                self.pass(&bytes);
                self.patience = SILENCE;
            }
            ProgramEvent::Silence(silent, _) if self.terminal => self.count_on(silent),
            ProgramEvent::Silence(silent, pid) if silent >= self.patience => {
                self.patience += self.patience.min(SILENCE_MAX);
                let told = self.still(silent, proc::written(pid));
                (self.tell)(&told);
            }
            ProgramEvent::Silence(..) => {}
        }
    }

    /// Returns the progress in a few words.
    pub(super) fn progress(&self) -> String {
        self.progress.words()
    }

    /// Returns the line for a silence: that the installer runs, and how much it has written.
    fn still(&mut self, silent: Duration, written: Option<u64>) -> String {
        let before = std::mem::replace(&mut self.written, written);
        let does = match written {
            Some(bytes) if Some(bytes) == before => ", and nothing written since".to_owned(),
            Some(bytes) => format!(", {} written so far", text::size(bytes)),
            None => String::new(),
        };
        format!("still {}: silent for {}{does}", self.progress.words(), text::time(silent))
    }

    /// Shows progress and running time on a terminal while the installer draws nothing that moves.
    fn count_on(&mut self, silent: Duration) {
        if silent < IMPATIENCE || !self.line.is_empty() {
            return;
        }
        let (words, elapsed) = (self.progress.words(), self.begun.elapsed());
        self.status.show(|columns| progress_bar::drawn(&words, None, None, elapsed, columns));
    }

    /// Ends the view, and returns the kept output as plain text.
    pub(super) fn finish(mut self) -> String {
        let rest = self.redactor.finish();
        self.pass(&rest);
        self.end_line();
        if self.terminal {
            write_to_terminal(&self.held.rest());
        }
        text::masked(&plain(&String::from_utf8_lossy(self.kept.make_contiguous())))
    }

    fn pass(&mut self, bytes: &[u8]) {
        self.kept.extend(bytes);
        self.kept.drain(..self.kept.len().saturating_sub(KEPT));
        if self.terminal {
            self.status.clear();
            write_to_terminal(&self.held.take(bytes));
        }
        for byte in bytes {
            match byte {
                b'\n' | b'\r' => self.end_line(),
                byte if self.line.len() < READ_MAX => self.line.push(*byte),
                _ => {}
            }
        }
    }

    fn end_line(&mut self) {
        let line = plain(&String::from_utf8_lossy(&std::mem::take(&mut self.line)));
        let line: String = text::masked(line.trim_end()).chars().take(LINE_MAX).collect();
        let line = line.trim_end();
        self.progress.hear(line);
        if !self.terminal && !line.trim_start().is_empty() && !NOISE.iter().any(|noise| line.starts_with(noise)) {
            (self.tell)(line);
        }
    }
}

/// Output for a terminal that is held back until its line is complete: a word alone does not show whether it is a secret.
#[derive(Default)]
struct HeldOutput(Vec<u8>);

impl HeldOutput {
    /// Returns the output that can be shown now: up to the end of a line, or of a terminal sequence.
    fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.0.extend(bytes);
        let is_drawn = self.0.len() > READ_MAX || ends_with_sequence(&self.0);
        let end = self.0.iter().rposition(|byte| matches!(byte, b'\n' | b'\r')).map_or(0, |at| at + 1);
        let rest = if is_drawn { Vec::new() } else { self.0.split_off(end) };
        text::masked_bytes(&std::mem::replace(&mut self.0, rest))
    }

    fn rest(&mut self) -> Vec<u8> {
        text::masked_bytes(&std::mem::take(&mut self.0))
    }
}

fn ends_with_sequence(text: &[u8]) -> bool {
    let start = text.windows(2).rposition(|pair| pair == b"\x1b[").map(|at| at + 2);
    let sequence = start.and_then(|at| text.get(at..)).and_then(<[u8]>::split_last);
    sequence.is_some_and(|(last, middle)| {
        last.is_ascii_alphabetic() && middle.iter().all(|byte| b"0123456789;?".contains(byte))
    })
}

/// Writes to the terminal, and ignores errors: a closed or stopped terminal must not end the installation.
fn write_to_terminal(bytes: &[u8]) {
    stderr::write(bytes, Urgency::News);
}

/// Removes the sequences for colour and cursor (ECMA-48) and other control characters.
pub(super) fn plain(text: &str) -> String {
    let mut rest = text.chars();
    let mut plain = String::with_capacity(text.len());
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => skip_sequence(&mut rest),
            '\r' => plain.push('\n'),
            c if c.is_control() && c != '\n' && c != '\t' => {}
            c => plain.push(c),
        }
    }
    plain
}

fn skip_sequence(rest: &mut std::str::Chars<'_>) {
    match rest.next() {
        Some('[') => drop(rest.find(|c| ('@'..='~').contains(c))),
        Some(']') => drop(rest.find(|c| *c == '\u{7}' || *c == '\\')),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sys::Pid;

    fn lines(pieces: &[&str]) -> Vec<String> {
        let mut told = Vec::new();
        let mut tell = |line: &str| told.push(line.to_owned());
        let mut view = InstallerView::new(Redactor::new([]), false, &mut tell);
        pieces.iter().for_each(|piece| view.event(ProgramEvent::Output(piece.as_bytes())));
        view.finish();
        told
    }

    #[test]
    fn whole_lines_are_told_without_colour_secrets_and_noise() {
        let said =
            ["Requirement already satisfied: a\n\x1b[1mInst", "alling\x1b[0m https://me:p", "w@host/x\r\n\n", "last"];
        assert_eq!(lines(&said), ["Installing https://***@host/x", "last"]);
    }

    #[test]
    fn a_silent_installer_is_told_of_less_and_less_often_with_what_it_does() {
        let mut told = Vec::new();
        let mut tell = |line: &str| told.push(line.to_owned());
        let mut view = InstallerView::new(Redactor::new([]), false, &mut tell);
        view.event(ProgramEvent::Output(b"Installing collected packages: a, b\n"));
        let ended = Pid::new(4_000_000).unwrap(); // hardly any machine gets there
        (0..500).for_each(|second| view.event(ProgramEvent::Silence(Duration::from_secs(second), ended)));
        view.finish();
        assert_eq!(told.len(), 1 + 7); // at 15, 30, 60, 120, 240, 360 and 480 seconds
        assert_eq!(told[1], "still installing (2 packages): silent for 15.0 s");
    }

    #[test]
    fn an_installer_that_writes_nothing_any_more_is_told_as_such() {
        let mut tell = |_: &str| {};
        let mut view = InstallerView::new(Redactor::new([]), false, &mut tell);
        let mut still = |written| view.still(Duration::from_secs(20), written);
        assert_eq!(still(Some(2048)), "still resolving: silent for 20.0 s, 2 KiB written so far");
        assert_eq!(still(Some(2048)), "still resolving: silent for 20.0 s, and nothing written since");
        assert_eq!(still(None), "still resolving: silent for 20.0 s");
    }

    #[test]
    fn sequences_of_a_terminal_leave_no_trace() {
        assert_eq!(plain("\x1b]8;;http://x\x07link\x1b]8;;\x07 \x1b[31;1mred\x1b[0m\x07\ta\x1b"), "link red\ta");
    }
}
