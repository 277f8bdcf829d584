//! The answers, a line each. A closed stdout ends the program: nobody wants the rest.

use std::cell::RefCell;
use std::io::{self, BufWriter, Stdout, Write};
use transfer_protocol::{Answer, Failure, FailureKind, Reply, encode};

/// The writer of answers.
#[derive(Debug)]
pub(crate) struct Output(RefCell<BufWriter<Stdout>>);

impl Output {
    /// Makes the only one.
    pub(crate) fn new() -> Self {
        Output(RefCell::new(BufWriter::with_capacity(64 << 10, io::stdout())))
    }

    /// Writes an answer. Those of a listing leave with the next `flush`, or with the next answer of another kind.
    pub(crate) fn say(&self, id: u64, reply: Reply) {
        let listed = matches!(reply, Reply::Object(_) | Reply::Prefix(_));
        let line = encode(&Answer { id, reply }).or_else(|_| {
            let failure = Failure::new(FailureKind::Bad, "the answer is too long for a line");
            encode(&Answer { id, reply: Reply::Failed(failure) })
        });
        let written = line.map(|line| self.0.borrow_mut().write_all(&line));
        if !matches!(written, Ok(Ok(()))) {
            end();
        }
        if !listed {
            self.flush();
        }
    }

    /// Sends what is still here.
    pub(crate) fn flush(&self) {
        if self.0.borrow_mut().flush().is_err() {
            end();
        }
    }
}

#[expect(clippy::exit, reason = "the reader is gone, and nothing has to be cleaned up")]
fn end() -> ! {
    std::process::exit(1)
}
