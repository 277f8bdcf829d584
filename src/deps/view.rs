//! What of an installer's output is shown, and how: on a terminal as it comes, elsewhere line by line, never with a secret in
//! it. The end of it is kept, for telling why it failed.

use super::redact::Redactor;
use super::run::Event;
use std::collections::VecDeque;
use std::io::Write;
use std::time::Duration;

/// So much of the end is kept.
const KEPT: usize = 256 << 10;

/// Longest line that is shown whole.
const LINE_MAX: usize = 2000;

/// After so much silence a line says that it goes on; then after twice as much, and so on.
const SILENCE: Duration = Duration::from_secs(30);

/// Lines that say nothing new: a package is there already, the interpreter is the one that was named.
const NOISE: [&str; 4] = ["Requirement already satisfied:", "Audited ", "Looking in links:", "Using Python "];

/// The view of one installer.
pub struct View<'a> {
    redactor: Redactor,
    terminal: bool,
    line: Vec<u8>,
    kept: VecDeque<u8>,
    patience: Duration,
    tell: &'a mut dyn FnMut(&str),
}

impl<'a> View<'a> {
    /// To standard error as it comes, or to `tell` line by line.
    pub fn new(redactor: Redactor, terminal: bool, tell: &'a mut dyn FnMut(&str)) -> Self {
        View { redactor, terminal, line: Vec::new(), kept: VecDeque::new(), patience: SILENCE, tell }
    }

    /// Takes what happens while it runs.
    pub fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Output(bytes) => {
                let bytes = self.redactor.push(bytes);
                self.pass(&bytes);
                self.patience = SILENCE;
            }
            Event::Silence(silent) if silent >= self.patience && !self.terminal => {
                self.patience *= 2;
                (self.tell)(&format!("still installing, nothing was said for {} s", silent.as_secs()));
            }
            Event::Silence(_) => {}
        }
    }

    /// The end: everything that was kept, as plain text.
    pub fn finish(mut self) -> String {
        let rest = self.redactor.finish();
        self.pass(&rest);
        self.end_line();
        plain(&String::from_utf8_lossy(self.kept.make_contiguous()))
    }

    fn pass(&mut self, bytes: &[u8]) {
        self.kept.extend(bytes);
        self.kept.drain(..self.kept.len().saturating_sub(KEPT));
        if self.terminal {
            // A terminal that is gone must not end the installation.
            let _ = std::io::stderr().write_all(bytes);
            return;
        }
        for byte in bytes {
            match byte {
                b'\n' | b'\r' => self.end_line(),
                byte if self.line.len() < LINE_MAX => self.line.push(*byte),
                _ => {}
            }
        }
    }

    fn end_line(&mut self) {
        let line = plain(&String::from_utf8_lossy(&std::mem::take(&mut self.line)));
        let line = line.trim_end();
        if !line.trim_start().is_empty() && !NOISE.iter().any(|noise| line.starts_with(noise)) {
            (self.tell)(line);
        }
    }
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

    fn lines(pieces: &[&str]) -> Vec<String> {
        let mut told = Vec::new();
        let mut tell = |line: &str| told.push(line.to_owned());
        let mut view = View::new(Redactor::new([]), false, &mut tell);
        pieces.iter().for_each(|piece| view.event(Event::Output(piece.as_bytes())));
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
    fn a_silent_installer_is_told_of_less_and_less_often() {
        let mut told = 0;
        let mut tell = |_: &str| told += 1;
        let mut view = View::new(Redactor::new([]), false, &mut tell);
        (0..130).for_each(|second| view.event(Event::Silence(Duration::from_secs(second))));
        view.finish();
        assert_eq!(told, 3); // at 30, 60 and 120 seconds
    }

    #[test]
    fn sequences_of_a_terminal_leave_no_trace() {
        assert_eq!(plain("\x1b]8;;http://x\x07link\x1b]8;;\x07 \x1b[31;1mred\x1b[0m\x07\ta\x1b"), "link red\ta");
    }
}
