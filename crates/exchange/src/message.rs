//! The messages of both sides, and where one ends in a stream of bytes. Reads bytes from strangers.

use crate::fields::{Fields, GREETING, VERSION, Writer};
use crate::hello::{Hello, WORD_MAX, read_saved, saved_value, word};
use crate::outcome::{Outcome, Resume, Stop};

/// Most bytes of a message.
pub const MESSAGE_MAX: usize = 20 << 10;

/// Most bytes of the line that ends a start.
const LINE_MAX: usize = 1024;

/// Where the first message of a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameEnd {
    /// The message has so many bytes.
    Whole(usize),
    /// More bytes are needed.
    Partial,
    /// This is no message, however many bytes follow.
    Never,
}

/// Finds the end of the first message.
pub fn frame(bytes: &[u8]) -> FrameEnd {
    if !bytes.iter().zip(GREETING).all(|(got, wanted)| got == wanted) {
        return FrameEnd::Never;
    }
    let end = bytes.windows(2).take(MESSAGE_MAX).position(|two| two == b"\n\n");
    match end {
        Some(at) if at + 2 <= MESSAGE_MAX => FrameEnd::Whole(at + 2),
        _ if bytes.len() >= MESSAGE_MAX => FrameEnd::Never,
        _ => FrameEnd::Partial,
    }
}

/// The reason why a message cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The other side speaks another version of the format.
    #[error("it speaks version {0} of the exchange, and this trainit version {VERSION}")]
    Version(u32),
    /// The bytes are no message.
    #[error("it does not speak as trainit does")]
    Foreign,
}

/// A message to the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// The first message of a connection.
    Hello(Box<Hello>),
    /// The answer to `Reply::Look`: whether the file is there; `None` where that cannot be told.
    Looked(Option<bool>),
    /// The answer to `Reply::Who`.
    Here,
    /// Which commit of the code does the host take? Asked long before the process is ready, in a connection of its own.
    Commit {
        /// What tells the job from every other.
        job: Option<String>,
        /// The number of the job's start; 0 where the engine does not count.
        attempt: u32,
    },
}

/// A message to a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Is a file of this name in the checkpoints' directory?
    Look(String),
    /// Are you still there? Another process says that it is you.
    Who,
    /// The host's commit; `None` where it has found none.
    Commit(Option<String>),
    /// The end of the exchange.
    End(Outcome),
    /// The host is none for this process, for this reason. `last`: trying again cannot help.
    Refused {
        /// The reason, in a few words.
        why: String,
        /// Whether trying again cannot help.
        last: bool,
    },
}

fn fields(message: &[u8]) -> Result<Fields<'_>, Unreadable> {
    let fields = Fields::read(message).ok_or(Unreadable::Foreign)?;
    if fields.version == VERSION { Ok(fields) } else { Err(Unreadable::Version(fields.version)) }
}

impl Request {
    /// Writes the message.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Request::Hello(hello) => hello.encode(),
            Request::Looked(seen) => {
                let word = seen.map_or("unknown", |seen| if seen { "yes" } else { "no" });
                Writer::new("looked").field("seen", word.as_bytes()).end()
            }
            Request::Here => Writer::new("here").end(),
            Request::Commit { job, attempt } => {
                let writer = Writer::new("commit?").number("attempt", *attempt);
                job.iter().fold(writer, |writer, job| writer.field("job", word(job))).end()
            }
        }
    }

    /// Reads a message.
    ///
    /// # Errors
    /// The reason why it cannot be read.
    pub fn read(message: &[u8]) -> Result<Self, Unreadable> {
        let fields = fields(message)?;
        let read = match fields.kind {
            "hello" => Hello::read(&fields).map(|hello| Request::Hello(Box::new(hello))),
            "looked" => fields.bytes("seen").map(|word| match word {
                b"yes" => Request::Looked(Some(true)),
                b"no" => Request::Looked(Some(false)),
                _ => Request::Looked(None),
            }),
            "here" => Some(Request::Here),
            "commit?" => {
                fields.number("attempt").map(|attempt| Request::Commit { job: fields.text("job", WORD_MAX), attempt })
            }
            _ => None,
        };
        read.ok_or(Unreadable::Foreign)
    }
}

impl Reply {
    /// Writes the message.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Reply::Look(name) => Writer::new("look").field("name", name.as_bytes()).end(),
            Reply::Who => Writer::new("who").end(),
            Reply::Commit(commit) => {
                let writer = Writer::new("commit");
                commit.iter().fold(writer, |writer, commit| writer.field("commit", word(commit))).end()
            }
            Reply::End(Outcome::Go(resume)) => match resume {
                Resume::Own => Writer::new("go").end(),
                Resume::Nothing => Writer::new("go").field("resume", b"nothing").end(),
                Resume::From(saved) => {
                    Writer::new("go").field("resume", b"from").field("saved", &saved_value(saved)).end()
                }
            },
            Reply::End(Outcome::Stop(stop)) => {
                Writer::new("stop").number("code", stop.code).field("line", stop.line.as_bytes()).end()
            }
            Reply::Refused { why, last } => {
                let writer = Writer::new("refused").field("why", why.as_bytes());
                if *last { writer.field("last", b"yes").end() } else { writer.end() }
            }
        }
    }

    /// Reads a message.
    ///
    /// # Errors
    /// The reason why it cannot be read.
    pub fn read(message: &[u8]) -> Result<Self, Unreadable> {
        let fields = fields(message)?;
        let line = |key| fields.line(key, LINE_MAX);
        let read = match fields.kind {
            "look" => fields.text("name", 64).filter(|name| is_plain(name)).map(Reply::Look),
            "who" => Some(Reply::Who),
            "commit" => Some(Reply::Commit(fields.text("commit", WORD_MAX))),
            "go" => resume(&fields).map(|resume| Reply::End(Outcome::Go(resume))),
            "stop" => line("line")
                .zip(fields.number("code"))
                .filter(|(_, code)| *code != 0)
                .map(|(line, code)| Reply::End(Outcome::Stop(Stop { code, line }))),
            "refused" => line("why").map(|why| Reply::Refused { why, last: fields.bytes("last").is_some() }),
            _ => None,
        };
        read.ok_or(Unreadable::Foreign)
    }
}

fn resume(fields: &Fields<'_>) -> Option<Resume> {
    match fields.bytes("resume") {
        None => Some(Resume::Own),
        Some(b"nothing") => Some(Resume::Nothing),
        Some(b"from") => read_saved(fields.bytes("saved")?).map(Resume::From),
        Some(_) => None,
    }
}

/// Returns whether a name leads to no other directory.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.')
        && !name.starts_with("..")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hello::{Saved, Unit, Verdict};
    use proptest::option;
    use proptest::prelude::*;

    fn saved() -> impl Strategy<Value = Saved> {
        (option::of(any::<u64>()), proptest::collection::vec(any::<u8>(), 1..100))
            .prop_map(|(step, name)| Saved { step, name })
    }

    fn verdict() -> impl Strategy<Value = Verdict> {
        prop_oneof![
            Just(Verdict::Ready),
            (any::<u8>(), "[ -~]{0,200}").prop_map(|(code, line)| Verdict::Failed { code, line })
        ]
    }

    fn hello() -> impl Strategy<Value = Hello> {
        let word = || "[ -~]{0,64}";
        let facts = [(); 4].map(|()| option::of(word()));
        let numbers = (any::<u32>(), any::<u32>(), any::<u32>(), any::<u64>(), any::<u64>());
        let saved = option::of(proptest::collection::vec(saved(), 0..STEPS_MAX));
        (numbers, word(), word(), facts, verdict(), saved, any::<bool>()).prop_map(
            |(
                (of, index, attempt, instance, clock),
                name,
                version,
                [job, commit, requirements, gpus],
                verdict,
                checkpoints,
                node,
            )| Hello {
                unit: if node { Unit::Node } else { Unit::Rank },
                of,
                index,
                attempt,
                instance,
                clock,
                name,
                version,
                job,
                commit,
                requirements,
                gpus,
                verdict,
                checkpoints,
            },
        )
    }

    use crate::hello::STEPS_MAX;

    fn reply() -> impl Strategy<Value = Reply> {
        prop_oneof![
            "[a-z.-]{0,20}".prop_map(|name| Reply::Look(format!("t{name}"))),
            Just(Reply::Who),
            option::of("[0-9a-f]{40}").prop_map(Reply::Commit),
            Just(Reply::End(Outcome::Go(Resume::Own))),
            Just(Reply::End(Outcome::Go(Resume::Nothing))),
            saved().prop_map(|saved| Reply::End(Outcome::Go(Resume::From(saved)))),
            (1..=255_u8, "[ -~]{0,300}").prop_map(|(code, line)| Reply::End(Outcome::Stop(Stop { code, line }))),
            ("[ -~]{0,99}", any::<bool>()).prop_map(|(why, last)| Reply::Refused { why, last }),
        ]
    }

    proptest! {
        #[test]
        fn a_request_comes_back_as_it_was(hello in hello(), seen: Option<bool>) {
            let ask = Request::Commit { job: hello.job.clone(), attempt: hello.attempt };
            for request in [Request::Hello(Box::new(hello.clone())), Request::Looked(seen), Request::Here, ask] {
                let bytes = request.encode();
                prop_assert_eq!(frame(&bytes), FrameEnd::Whole(bytes.len()));
                prop_assert_eq!(Request::read(&bytes), Ok(request));
            }
        }

        #[test]
        fn a_reply_comes_back_as_it_was(reply in reply()) {
            let bytes = reply.encode();
            prop_assert_eq!(frame(&bytes), FrameEnd::Whole(bytes.len()));
            prop_assert_eq!(Reply::read(&bytes), Ok(reply));
        }

        #[test]
        fn a_cut_message_is_partial(hello in hello(), at in any::<proptest::sample::Index>()) {
            let bytes = hello.encode();
            let cut = &bytes[..at.index(bytes.len())];
            prop_assert_eq!(frame(cut), FrameEnd::Partial);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, tail: Vec<u8>) {
            for bytes in [bytes, [GREETING, b"1 hello\n", &tail, b"\n\n"].concat()] {
                let _ = (frame(&bytes), Request::read(&bytes), Reply::read(&bytes));
            }
        }
    }

    #[test]
    fn the_longest_hello_fits_a_message() {
        let long = "\u{1}".repeat(4000);
        let saved = |number: usize| Saved { step: Some(u64::MAX), name: vec![number as u8; 160] };
        let hello = Hello {
            unit: Unit::Rank,
            of: u32::MAX,
            index: u32::MAX,
            attempt: u32::MAX,
            instance: u64::MAX,
            clock: u64::MAX,
            name: long.clone(),
            version: long.clone(),
            job: Some(long.clone()),
            commit: Some(long.clone()),
            requirements: Some(long.clone()),
            gpus: Some(long.clone()),
            verdict: Verdict::Failed { code: 255, line: long.clone() },
            checkpoints: Some((0..40).map(|_| saved(0)).collect()),
        };
        let bytes = hello.encode();
        assert_eq!(frame(&bytes), FrameEnd::Whole(bytes.len()));
        let stop = Reply::End(Outcome::Stop(Stop { code: 111, line: Stop::cut(&"é".repeat(4000)) })).encode();
        assert_eq!(frame(&stop), FrameEnd::Whole(stop.len()));
    }

    #[test]
    fn what_is_no_message_is_known_by_its_first_bytes() {
        assert_eq!(frame(b"GET / HTTP/1.1\r\n"), FrameEnd::Never);
        assert_eq!(frame(b"t"), FrameEnd::Partial);
        assert_eq!(frame(b""), FrameEnd::Partial);
        assert_eq!(frame(&[b"trainit ".to_vec(), vec![b'x'; MESSAGE_MAX]].concat()), FrameEnd::Never);
        assert_eq!(Request::read(b"trainit 2 hello\n\n"), Err(Unreadable::Version(2)));
        assert_eq!(Reply::read(b"trainit 1 stop\ncode 0\nline x\n\n"), Err(Unreadable::Foreign));
        assert_eq!(Reply::read(b"trainit 1 look\nname ../x\n\n"), Err(Unreadable::Foreign));
    }
}
