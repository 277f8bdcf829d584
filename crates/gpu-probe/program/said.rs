//! What the helper says: a call is announced and written out before it is made; what came of it waits for the next announcement.

use crate::c;
use crate::report::Report;
use core::ffi::{CStr, c_char, c_int};

/// Whom a call is about.
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

/// A library's words for its codes.
pub type Words = unsafe extern "C" fn(c_int) -> *const c_char;

/// The report on its way out.
pub struct Said {
    report: Report,
    fd: c_int,
    began: u64,
    /// How codes are worded.
    pub words: Option<Words>,
}

impl Said {
    /// A report that goes to this descriptor.
    pub fn new(fd: c_int) -> Self {
        let mut report = Report::new();
        report.raw(b"probe\t1\n");
        Said { report, fd, began: 0, words: None }
    }

    fn flush(&mut self) {
        c::write_all(self.fd, self.report.pending());
        self.report.clear();
    }

    /// A library is about to be loaded.
    pub fn load(&mut self, file: &CStr) {
        self.announce(b"load", file.to_bytes(), Whom::Driver);
    }

    /// A function is about to be called.
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

    /// It came back with this code and these values; where it was refused, the library's words for that.
    pub fn got(&mut self, code: c_int, values: &[u64]) {
        self.answer(code, |report| values.iter().for_each(|value| report.number(*value as i64)));
    }

    /// It came back with this code and these words.
    pub fn got_text(&mut self, code: c_int, text: &[u8]) {
        self.answer(code, |report| report.field(text));
    }

    /// It came back with this code and this UUID.
    pub fn got_uuid(&mut self, code: c_int, prefix: &[u8], uuid: &[u8; 16]) {
        self.answer(code, |report| report.uuid(prefix, uuid));
    }

    /// It came back with this code, and gave these values whatever the code.
    pub fn got_anyhow(&mut self, code: c_int, value: u64) {
        self.begin_answer(code);
        self.report.number(value as i64);
        self.report.end();
    }

    /// It came back refused, for this reason.
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

    /// A library does not have this function.
    pub fn lacks(&mut self, name: &CStr) {
        if self.report.is_full() {
            self.flush();
        }
        self.report.raw(b"lacks");
        self.report.field(name.to_bytes());
        self.report.end();
    }

    /// All is said.
    pub fn end(&mut self) {
        self.report.raw(b"end\n");
        self.flush();
    }
}
