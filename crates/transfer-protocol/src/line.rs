//! Lines of JSON with a limit, in both directions.

use crate::{Answer, Request};
use serde::{Deserialize, Serialize};

/// Longest line, with its end, in bytes.
pub const LINE_MAX: usize = 64 << 10;

/// Why a line cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It is longer than `LINE_MAX`.
    #[error("a line is longer than {LINE_MAX} bytes")]
    TooLong,
    /// It is no message of this protocol; the number is there if the line has one, so that it can be answered.
    #[error("{why}")]
    Unknown {
        /// The request's number.
        id: Option<u64>,
        /// What the reader found.
        why: String,
    },
}

/// Writes a message as one line, with its end.
///
/// # Errors
/// `TooLong`, or a path that is no UTF-8.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, Fault> {
    let mut line = serde_json::to_vec(message).map_err(|error| Fault::Unknown { id: None, why: error.to_string() })?;
    line.push(b'\n');
    if line.len() > LINE_MAX { Err(Fault::TooLong) } else { Ok(line) }
}

/// Reads a line from trainit.
///
/// # Errors
/// What is no request.
pub fn decode_request(line: &[u8]) -> Result<Request, Fault> {
    decode(line)
}

/// Reads a line from trainit-transfer.
///
/// # Errors
/// What is no answer.
pub fn decode_answer(line: &[u8]) -> Result<Answer, Fault> {
    decode(line)
}

/// The part of a message that every version has.
#[derive(Deserialize)]
struct Numbered {
    id: u64,
}

fn decode<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, Fault> {
    if line.len() > LINE_MAX {
        return Err(Fault::TooLong);
    }
    serde_json::from_slice(line).map_err(|error| Fault::Unknown {
        id: serde_json::from_slice(line).ok().map(|numbered: Numbered| numbered.id),
        why: error.to_string(),
    })
}

/// Cuts a stream into lines. A line that is too long is dropped to its end, and told once.
#[derive(Debug, Default)]
pub struct LineReader {
    bytes: Vec<u8>,
    /// How many bytes at the front were given out.
    taken: usize,
    /// How many bytes behind them have no line's end.
    searched: usize,
    skipping: bool,
}

impl LineReader {
    /// Adds what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes the next whole line, without its end.
    pub fn next_line(&mut self) -> Option<Result<Vec<u8>, Fault>> {
        loop {
            let rest = self.bytes.get(self.taken..).unwrap_or_default();
            let end = rest.iter().skip(self.searched).position(|byte| *byte == b'\n').map(|at| at + self.searched);
            let Some(end) = end else { return self.without_end(rest.len()) };
            let line = rest.get(..end).unwrap_or_default().to_vec();
            self.taken += end + 1;
            self.searched = 0;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            return Some(if line.len() < LINE_MAX { Ok(line) } else { Err(Fault::TooLong) });
        }
    }

    fn without_end(&mut self, length: usize) -> Option<Result<Vec<u8>, Fault>> {
        self.searched = length;
        if length < LINE_MAX {
            return None;
        }
        self.bytes.clear();
        (self.taken, self.searched) = (0, 0);
        (!std::mem::replace(&mut self.skipping, true)).then_some(Err(Fault::TooLong))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Done, Failure, FailureKind, Object, Reply, Task};
    use proptest::prelude::*;

    fn lines(pieces: &[&[u8]]) -> Vec<Result<Vec<u8>, String>> {
        let mut reader = LineReader::default();
        let mut lines = Vec::new();
        for piece in pieces {
            reader.push(piece);
            lines.extend(std::iter::from_fn(|| reader.next_line()).map(|line| line.map_err(|fault| fault.to_string())));
        }
        lines
    }

    #[test]
    fn requests_are_written_as_the_protocol_says() {
        for line in [
            r#"{"id":1,"do":"who","url":"s3://b/k"}"#,
            r#"{"id":2,"do":"list","url":"s3://b/k/","flat":true}"#,
            r#"{"id":3,"do":"get","url":"s3://b/k","tag":"\"5\"","offset":0,"length":7,"path":"a/b","at":16,"sha256":true}"#,
            r#"{"id":4,"do":"put_text","url":"gs://b/k","text":"x\n","only_new":true}"#,
            r#"{"id":5,"do":"part","url":"s3://b/k","upload":"u","number":1,"path":"p","offset":0,"length":9}"#,
            r#"{"id":6,"do":"complete","url":"s3://b/k","upload":"u","parts":["a","b"]}"#,
        ] {
            let request = decode_request(line.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(encode(&request).unwrap()).unwrap(), format!("{line}\n"));
        }
    }

    #[test]
    fn answers_are_written_as_the_protocol_says() {
        let object = Object { key: "a".into(), size: 1, tag: "t".into(), modified: 2, ..Object::default() };
        let failure = Failure::new(FailureKind::Denied, "no").hint("yes");
        for (reply, line) in [
            (Reply::Object(object), r#"{"id":1,"object":{"key":"a","size":1,"tag":"t","modified":2}}"#),
            (Reply::Prefix("imagenet/".into()), r#"{"id":1,"prefix":"imagenet/"}"#),
            (Reply::End(3), r#"{"id":1,"end":3}"#),
            (Reply::Done(Done { bytes: 4, ..Done::default() }), r#"{"id":1,"done":{"bytes":4}}"#),
            (Reply::Progress(5), r#"{"id":1,"progress":5}"#),
            (Reply::Failed(failure), r#"{"id":1,"failed":{"kind":"denied","text":"no","hints":["yes"]}}"#),
        ] {
            let answer = Answer { id: 1, reply };
            assert_eq!(String::from_utf8(encode(&answer).unwrap()).unwrap(), format!("{line}\n"));
            assert_eq!(decode_answer(line.as_bytes()).unwrap(), answer);
        }
    }

    #[test]
    fn what_another_version_adds_is_passed_over() {
        let line = br#"{"new":[1],"id":1,"done":{"bytes":4,"new":{}},"newer":null}"#;
        assert_eq!(decode_answer(line).unwrap().reply, Reply::Done(Done { bytes: 4, ..Done::default() }));
        let line = br#"{"id":1,"do":"list","url":"s3://b/","flat":false,"new":1}"#;
        assert_eq!(decode_request(line).unwrap().task, Task::List { url: "s3://b/".into(), flat: false });
        let line = br#"{"id":1,"failed":{"kind":"melted","text":"x"}}"#;
        assert_eq!(decode_answer(line).unwrap().reply, Reply::Failed(Failure::new(FailureKind::Bad, "x")));
    }

    #[test]
    fn what_is_not_known_keeps_its_number_so_that_it_can_be_answered() {
        let number = |line: &[u8]| match decode_request(line) {
            Err(Fault::Unknown { id, .. }) => id,
            other => panic!("{other:?}"),
        };
        assert_eq!(number(br#"{"id":7,"do":"juggle","url":"s3://b/"}"#), Some(7));
        assert_eq!(number(br#"{"do":"juggle"}"#), None);
        assert_eq!(number(b"\xff"), None);
    }

    #[test]
    fn a_line_that_is_too_long_is_dropped_to_its_end_and_told_once() {
        let long = vec![b'x'; LINE_MAX];
        let found = lines(&[b"a\nb", b"\n", &long, &long, b"tail\nnext\n"]);
        let words: Vec<&str> = found.iter().map(|line| if line.is_ok() { "line" } else { "fault" }).collect();
        assert_eq!(words, ["line", "line", "fault", "line"]);
        assert_eq!(found.last().unwrap().as_deref(), Ok(&b"next"[..]));
        let text = Task::PutText { url: "s3://b/k".into(), text: "x".repeat(LINE_MAX), only_new: false };
        assert!(matches!(encode(&Request { id: 1, task: text }), Err(Fault::TooLong)));
    }

    fn object() -> impl Strategy<Value = Object> {
        let sum = proptest::option::of("[0-9a-f]{32}");
        (any::<String>(), any::<u64>(), any::<String>(), any::<i64>(), sum.clone(), sum).prop_map(
            |(key, size, tag, modified, md5, sha256)| Object { key, size, tag, modified, md5, crc32c: None, sha256 },
        )
    }

    fn reply() -> impl Strategy<Value = Reply> {
        let done = (any::<u64>(), proptest::option::of(any::<String>()), proptest::option::of(any::<String>()));
        prop_oneof![
            object().prop_map(Reply::Object),
            any::<String>().prop_map(Reply::Prefix),
            any::<u64>().prop_map(Reply::End),
            done.prop_map(|(bytes, tag, text)| Reply::Done(Done { bytes, tag, text, ..Done::default() })),
            any::<u64>().prop_map(Reply::Progress),
            any::<String>().prop_map(|text| Reply::Failed(Failure::new(FailureKind::Later, text).hint("x"))),
        ]
    }

    fn task() -> impl Strategy<Value = Task> {
        let range = (any::<String>(), any::<u64>(), any::<u64>(), any::<u64>(), any::<bool>());
        prop_oneof![
            any::<String>().prop_map(|url| Task::Who { url }),
            (any::<String>(), any::<bool>()).prop_map(|(url, flat)| Task::List { url, flat }),
            (any::<String>(), proptest::option::of(any::<String>()), range).prop_map(
                |(url, tag, (path, offset, length, at, sha256))| {
                    Task::Get { url, tag, offset, length, path: path.into(), at, sha256 }
                }
            ),
            (any::<String>(), any::<String>(), any::<bool>()).prop_map(|(url, text, only_new)| Task::PutText {
                url,
                text,
                only_new
            }),
            (any::<String>(), proptest::collection::vec(any::<String>(), 0..4))
                .prop_map(|(url, parts)| { Task::Complete { url, upload: "u".into(), parts } }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(id in any::<u64>(), task in task(), reply in reply()) {
            let request = Request { id, task };
            let line = encode(&request).unwrap();
            prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            prop_assert_eq!(decode_request(&line).unwrap(), request);
            let answer = Answer { id, reply };
            prop_assert_eq!(decode_answer(&encode(&answer).unwrap()).unwrap(), answer);
        }

        #[test]
        fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = (decode_request(&bytes), decode_answer(&bytes));
        }

        #[test]
        fn pieces_do_not_change_the_lines(bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..256), cut in 1..9_usize) {
            let pieces: Vec<&[u8]> = bytes.chunks(cut).collect();
            prop_assert_eq!(lines(&pieces), lines(&[&bytes]));
        }
    }
}
