//! The output of the report: a call is announced and written out before it is made; its result is buffered until the next announcement.

use crate::c;
use crate::report::Report;
use core::ffi::{CStr, c_char, c_int};

/// The subject of a call.
#[derive(Clone, Copy)]
pub enum Whom {
    /// The driver.
    Driver,
    /// A GPU.
    Gpu(u32),
    /// A GPU's MIG slot.
    Slot(u32, u32),
    /// Two GPUs.
    Pair(u32, u32),
}

/// A function that returns the text of an error code.
pub type Words = unsafe extern "C" fn(c_int) -> *const c_char;

/// The report and its descriptor.
pub struct Said {
    report: Report,
    fd: c_int,
    began: u64,
    /// The library's function for error texts.
    pub words: Option<Words>,
}

impl Said {
    /// Makes a report for this descriptor.
    pub fn new(fd: c_int) -> Self {
        let mut report = Report::new();
        report.raw(b"probe\t1\n");
        Said { report, fd, began: 0, words: None }
    }

    fn flush(&mut self) {
        c::write_all(self.fd, self.report.pending());
        self.report.clear();
    }

    /// Announces that a library will be loaded.
    pub fn load(&mut self, file: &CStr) {
        self.announce(b"load", file.to_bytes(), Whom::Driver);
    }

    /// Announces that a function will be called.
    pub fn call(&mut self, name: &[u8], whom: Whom) {
        self.announce(b"call", name, whom);
    }

    fn announce(&mut self, word: &[u8], name: &[u8], whom: Whom) {
        self.report.raw(word);
        self.report.field(name);
        self.whom(whom);
        self.report.end();
        self.flush();
        self.began = c::microseconds();
    }

    fn whom(&mut self, whom: Whom) {
        let (first, second) = match whom {
            Whom::Driver => return,
            Whom::Gpu(gpu) => (gpu, None),
            Whom::Slot(gpu, slot) => (gpu, Some((b".", slot))),
            Whom::Pair(from, to) => (from, Some((b">", to))),
        };
        self.report.number(i64::from(first));
        if let Some((sign, second)) = second {
            self.report.raw(sign);
            self.report.digits(u64::from(second));
        }
    }

    /// Reports a code and values; for a refused call, the library's error text instead.
    pub fn got(&mut self, code: c_int, values: &[u64]) {
        self.answer(code, |report| values.iter().for_each(|value| report.number(*value as i64)));
    }

    /// Reports a code and a text.
    pub fn got_text(&mut self, code: c_int, text: &[u8]) {
        self.answer(code, |report| report.field(text));
    }

    /// Reports a code and a UUID.
    pub fn got_uuid(&mut self, code: c_int, prefix: &[u8], uuid: &[u8; 16]) {
        self.answer(code, |report| report.uuid(prefix, uuid));
    }

    /// Reports a code and a value that is valid whatever the code.
    pub fn got_anyhow(&mut self, code: c_int, value: u64) {
        self.begin_answer(code);
        self.report.number(value as i64);
        self.report.end();
    }

    /// Reports a refused call with its reason.
    pub fn refused(&mut self, code: c_int, why: &[u8]) {
        self.begin_answer(code);
        self.report.field(why);
        self.report.end();
    }

    fn answer(&mut self, code: c_int, values: impl FnOnce(&mut Report)) {
        self.begin_answer(code);
        match self.words.filter(|_| code != 0) {
            None if code != 0 => {}
            None => values(&mut self.report),
            Some(words) => {
                // SAFETY: a function that takes a number and gives NULL or a constant string.
                let words = unsafe { c::text(words(code)) };
                self.report.field(words);
            }
        }
        self.report.end();
    }

    fn begin_answer(&mut self, code: c_int) {
        let took = c::microseconds().saturating_sub(self.began);
        self.report.raw(b"got");
        self.report.number(i64::from(code));
        self.report.number(took as i64);
    }

    /// Reports a function that the library lacks.
    pub fn lacks(&mut self, name: &CStr) {
        if self.report.is_full() {
            self.flush();
        }
        self.report.raw(b"lacks");
        self.report.field(name.to_bytes());
        self.report.end();
    }

    /// Reports the end of the transcript.
    pub fn end(&mut self) {
        self.report.raw(b"end\n");
        self.flush();
    }
}
