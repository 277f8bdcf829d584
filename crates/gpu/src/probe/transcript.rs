//! The gpu-probe's report: a transcript of its calls, line by line. Whatever happens to the probe, the last line shows how far it came.
//! This file turns bytes into data; `read` interprets the values.
//!
//! ```text
//! probe  1
//! load   libnvidia-ml.so.1                 about to load a library
//! got    0  812  /usr/lib/…/libnvidia-ml.so.570.172.08
//! lacks  nvmlDeviceGetGpuFabricInfoV       a function that this library does not have
//! call   nvmlDeviceGetName  3              about to make a call about GPU 3 (`3.1`: its MIG slot 1; `0>1`: from 0 to 1)
//! got    0  4  NVIDIA H200                 its code, how many microseconds it took, its values
//! end                                      the report is complete
//! ```

use super::super::facts::{CallStep, ProbeOutcome, ProbeStop, ProbeWait};
use std::time::Duration;

/// The supported version of this format.
pub const VERSION: &str = "1";
/// Longest report that is parsed, in bytes.
pub const LONGEST: usize = 1 << 20;

/// The parsed report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    /// The calls in order.
    pub calls: Vec<Call>,
    /// Functions that the libraries do not have.
    pub lacks: Vec<String>,
    /// Whether the report has its last line.
    pub ended: bool,
}

/// One call, or one library that was loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// The function, or the library's file.
    pub name: String,
    /// The subject of the call.
    pub whom: Option<CallSubject>,
    /// The result; `None` if the call did not return.
    pub got: Option<CallOutcome>,
}

/// The subject of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallSubject {
    /// A GPU, by its number.
    Gpu(u32),
    /// A GPU's MIG slot.
    Slot(u32, u32),
    /// Two GPUs.
    Pair(u32, u32),
}

/// The result of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallOutcome {
    /// 0 is success.
    pub code: i32,
    /// How long it took.
    pub took: Duration,
    /// The returned values; for a refused call, the library's error text.
    pub values: Vec<String>,
}

/// Parses a report. Invalid lines, and lines after an incomplete one, are ignored.
pub fn parse(bytes: &[u8]) -> Transcript {
    let bytes = bytes.get(..LONGEST).unwrap_or(bytes);
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
    let mut transcript = Transcript::default();
    if lines.next().map(fields).as_deref() != Some(&["probe".to_owned(), VERSION.to_owned()]) {
        return transcript;
    }
    lines.for_each(|line| transcript.hear(&fields(line)));
    transcript
}

fn fields(line: &[u8]) -> Vec<String> {
    line.split(|byte| *byte == b'\t').map(|field| String::from_utf8_lossy(field).into_owned()).collect()
}

impl Transcript {
    fn hear(&mut self, fields: &[String]) {
        match fields {
            [word, name] if word == "load" => self.calls.push(Call { name: name.clone(), ..Call::default() }),
            [word, name, whom @ ..] if word == "call" => {
                let whom = whom.first().and_then(|whom| CallSubject::parse(whom));
                self.calls.push(Call { name: name.clone(), whom, got: None });
            }
            [word, code, took, values @ ..] if word == "got" => self.answer(code, took, values),
            [word, name] if word == "lacks" => self.lacks.push(name.clone()),
            [word] if word == "end" => self.ended = true,
            _ => {}
        }
    }

    /// Stores the result of the last call, once.
    fn answer(&mut self, code: &str, took: &str, values: &[String]) {
        let Some(call) = self.calls.last_mut().filter(|call| call.got.is_none()) else { return };
        if let (Ok(code), Ok(took)) = (code.parse(), took.parse()) {
            call.got = Some(CallOutcome { code, took: Duration::from_micros(took), values: values.to_vec() });
        }
    }

    /// Returns the call that did not return.
    pub fn open(&self) -> Option<CallStep> {
        let call = self.calls.last().filter(|call| call.got.is_none())?;
        Some(CallStep { call: call.name.clone(), gpu: call.whom.map(CallSubject::gpu) })
    }

    /// Returns how the process ended, and in which call. An exit without the last line is no success: the library may have called exit(3).
    pub fn outcome(&self, how: ProbeStop, waits: Option<ProbeWait>) -> ProbeOutcome {
        match how {
            ProbeStop::Exited(0) if self.ended => ProbeOutcome::Complete,
            how => ProbeOutcome::Stopped { at: self.open(), how, waits },
        }
    }
}

impl CallSubject {
    fn parse(text: &str) -> Option<Self> {
        let two = |at: char| text.split_once(at).and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        let slot = || two('.').map(|(gpu, slot)| CallSubject::Slot(gpu, slot));
        let pair = || two('>').map(|(from, to)| CallSubject::Pair(from, to));
        text.parse().ok().map(CallSubject::Gpu).or_else(slot).or_else(pair)
    }

    /// Returns both GPUs of a pair.
    pub fn pair(self) -> Option<(u32, u32)> {
        match self {
            CallSubject::Pair(from, to) => Some((from, to)),
            _ => None,
        }
    }

    /// Returns the GPU, or the first one of a pair.
    pub fn gpu(self) -> u32 {
        match self {
            CallSubject::Gpu(gpu) | CallSubject::Slot(gpu, _) | CallSubject::Pair(gpu, _) => gpu,
        }
    }
}

impl Call {
    /// Returns the values of a successful call.
    pub fn values(&self) -> Option<&[String]> {
        self.got.as_ref().filter(|got| got.code == 0).map(|got| got.values.as_slice())
    }

    /// Returns one value of a successful call as a number.
    pub fn number<T: std::str::FromStr>(&self, at: usize) -> Option<T> {
        self.values()?.get(at)?.parse().ok()
    }

    /// Returns the first value of a successful call, unless it is empty.
    pub fn text(&self) -> Option<String> {
        self.values()?.first().filter(|text| !text.is_empty()).cloned()
    }

    /// Returns the code of a call that returned.
    pub fn code(&self) -> Option<i32> {
        self.got.as_ref().map(|got| got.code)
    }

    /// Returns the library's error text for a refused call.
    pub fn words(&self) -> Option<String> {
        let got = self.got.as_ref().filter(|got| got.code != 0)?;
        got.values.first().filter(|words| !words.is_empty()).cloned()
    }

    /// Returns how long the call took.
    pub fn took(&self) -> Duration {
        self.got.as_ref().map(|got| got.took).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_call_and_its_answer_belong_together() {
        let text = b"probe\t1\nload\tlibx.so.1\ngot\t0\t812\t/lib/libx.so.5\nlacks\tf\ncall\tg\t3.1\ngot\t15\t4\tGPU is lost\nend\n";
        let transcript = parse(text);
        let [library, call] = &transcript.calls[..] else { panic!("{transcript:?}") };
        assert_eq!((library.text(), library.took()), (Some("/lib/libx.so.5".to_owned()), Duration::from_micros(812)));
        assert_eq!((call.whom, call.code(), call.text()), (Some(CallSubject::Slot(3, 1)), Some(15), None));
        assert_eq!(call.words().as_deref(), Some("GPU is lost"));
        assert_eq!((transcript.lacks.as_slice(), transcript.ended), (&["f".to_owned()][..], true));
        assert_eq!(transcript.outcome(ProbeStop::Exited(0), None), ProbeOutcome::Complete);
    }

    #[test]
    fn the_call_that_does_not_come_back_is_named_with_its_gpu() {
        let transcript =
            parse(b"probe\t1\ncall\tnvmlDeviceGetName\t3\ngot\t0\t1\tx\ncall\tnvmlDeviceGetMemoryInfo\t3\ngo");
        let at = CallStep { call: "nvmlDeviceGetMemoryInfo".to_owned(), gpu: Some(3) };
        let stopped = |how| ProbeOutcome::Stopped { at: Some(at.clone()), how, waits: None };
        assert_eq!(transcript.outcome(ProbeStop::Killed(11), None), stopped(ProbeStop::Killed(11)));
        assert_eq!(transcript.outcome(ProbeStop::Overdue, None), stopped(ProbeStop::Overdue));
    }

    #[test]
    fn exiting_without_the_last_word_is_no_success() {
        let exited = ProbeOutcome::Stopped { at: None, how: ProbeStop::Exited(0), waits: None };
        assert_eq!(parse(b"probe\t1\ncall\tf\ngot\t0\t1\n").outcome(ProbeStop::Exited(0), None), exited);
        assert_eq!(parse(b"").outcome(ProbeStop::Exited(0), None), exited);
        assert_eq!(parse(b"probe\t2\nend\n").outcome(ProbeStop::Exited(0), None), exited);
        let late = ProbeOutcome::Stopped { at: None, how: ProbeStop::Killed(11), waits: None };
        assert_eq!(parse(b"probe\t1\nend\n").outcome(ProbeStop::Killed(11), None), late);
    }

    #[test]
    fn an_answer_without_a_call_and_a_second_answer_say_nothing() {
        let transcript = parse(b"probe\t1\ngot\t0\t1\ncall\tf\ngot\tx\t1\ngot\t7\t1\ngot\t0\t1\n");
        assert_eq!(transcript.calls.iter().map(Call::code).collect::<Vec<_>>(), [Some(7)]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..400), cut in 0usize..400) {
            let text = [b"probe\t1\n".as_slice(), &bytes].concat();
            let (whole, part) = (parse(&text), parse(&text[..cut.min(text.len())]));
            prop_assert!(part.calls.len() <= whole.calls.len());
            let _ = (whole.open(), whole.outcome(ProbeStop::Exited(0), None));
        }

        #[test]
        fn a_longer_report_only_adds(lines in proptest::collection::vec("(load|call|got|lacks|end)(\t[0-9a-z.>]{1,3}){0,3}\n", 0..20), cut in 0usize..20) {
            let text = |lines: &[String]| ["probe\t1\n", &lines.concat()].concat();
            let (part, whole) = (parse(text(&lines[..cut.min(lines.len())]).as_bytes()), parse(text(&lines).as_bytes()));
            prop_assert!(whole.calls.iter().zip(&part.calls).all(|(whole, part)| whole.name == part.name && (part.got.is_none() || whole.got == part.got)));
        }
    }
}
