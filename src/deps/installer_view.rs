//! What of an installer's output is shown, and how: on a terminal as it comes, elsewhere line by line, never with a secret in
//! it. Where it is silent, a line says how far it is. The end of it is kept, for telling why it failed.

use super::progress::InstallProgress;
use super::redact::Redactor;
use super::run::ProgramEvent;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use sys::proc;
use sys::stderr::{self, Urgency};

/// So much of the end is kept.
const KEPT: usize = 256 << 10;

/// Longest line that is shown whole, in characters.
const LINE_MAX: usize = 2000;

/// So much of a line is looked at: it is masked before it is cut.
const READ_MAX: usize = 64 << 10;

/// After so much silence a line says that it goes on; then after twice as much, and so on,
const SILENCE: Duration = Duration::from_secs(15);

/// but at least so often.
const SILENCE_MAX: Duration = Duration::from_secs(120);

/// On a terminal somebody looks: after so much silence a line there says how far it is, and goes on counting.
const IMPATIENCE: Duration = Duration::from_secs(2);

/// Lines that say nothing new: a package is there already, the interpreter is the one that was named.
const NOISE: [&str; 4] = ["Requirement already satisfied:", "Audited ", "Looking in links:", "Using Python "];

/// The view of one installer.
pub struct InstallerView<'a> {
    redactor: Redactor,
    terminal: bool,
    line: Vec<u8>,
    held: HeldOutput,
    kept: VecDeque<u8>,
    progress: InstallProgress,
    /// The next silence that is told.
    patience: Duration,
    /// What it had written when that was last told.
    written: Option<u64>,
    begun: Instant,
    /// What stands in the terminal's line until something else is shown.
    status: String,
    tell: &'a mut dyn FnMut(&str),
}

impl<'a> InstallerView<'a> {
    /// To standard error as it comes, or to `tell` line by line.
    pub fn new(redactor: Redactor, terminal: bool, tell: &'a mut dyn FnMut(&str)) -> Self {
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
            status: String::new(),
            tell,
        }
    }

    /// Takes what happens while it runs.
    pub fn event(&mut self, event: ProgramEvent<'_>) {
        match event {
            ProgramEvent::Output(bytes) => {
                let bytes = self.redactor.push(bytes);
                self.pass(&bytes);
                self.patience = SILENCE;
            }
            ProgramEvent::Silence(silent, _) if self.terminal => self.count_on(silent),
            ProgramEvent::Silence(silent, pid) if silent >= self.patience => {
                self.patience += self.patience.min(SILENCE_MAX);
                let told = self.still(silent, proc::written(pid.as_raw()));
                (self.tell)(&told);
            }
            ProgramEvent::Silence(..) => {}
        }
    }

    /// How far it is, in a few words.
    pub fn progress(&self) -> String {
        self.progress.words()
    }

    /// That it goes on, and whether it does anything.
    fn still(&mut self, silent: Duration, written: Option<u64>) -> String {
        let before = std::mem::replace(&mut self.written, written);
        let does = match written {
            Some(bytes) if Some(bytes) == before => ", and nothing written since".to_owned(),
            Some(bytes) => format!(", {} written so far", text::size(bytes)),
            None => String::new(),
        };
        format!("still {}: silent for {}{does}", self.progress.words(), text::time(silent))
    }

    /// Shows how far it is and for how long, where the installer shows nothing that moves.
    fn count_on(&mut self, silent: Duration) {
        if silent < IMPATIENCE || !self.line.is_empty() {
            return;
        }
        let seconds = self.begun.elapsed().as_secs();
        let status = format!("{}, {}:{:02}", self.progress.words(), seconds / 60, seconds % 60);
        if status != self.status {
            write_to_terminal(format!("{ERASE}{status}").as_bytes());
            self.status = status;
        }
    }

    /// The end: everything that was kept, as plain text.
    pub fn finish(mut self) -> String {
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
            if !std::mem::take(&mut self.status).is_empty() {
                write_to_terminal(ERASE.as_bytes());
            }
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

/// What goes to a terminal is masked by lines: a word alone does not tell whether it is a secret.
#[derive(Default)]
struct HeldOutput(Vec<u8>);

impl HeldOutput {
    /// What can be shown now: up to the end of a line, or of a picture that ends with a terminal's sequence.
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

/// Back to the start of the line, which is made empty.
const ERASE: &str = "\r\x1b[2K";

/// A terminal that is gone, or that a person has stopped, must not end the installation.
fn write_to_terminal(bytes: &[u8]) {
    stderr::write(bytes, Urgency::News);
}

/// Text without the sequences that colour and move (ECMA-48), and without other control characters.
pub fn plain(text: &str) -> String {
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
    use nix::unistd::Pid;

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
        (0..500).for_each(|second| view.event(ProgramEvent::Silence(Duration::from_secs(second), Pid::from_raw(-1))));
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
