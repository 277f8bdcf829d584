//! What a process says of itself, in the first message of a connection.

use crate::fields::{Fields, Writer, shortened};

/// Most checkpoints that are named; older ones do not matter.
pub const STEPS_MAX: usize = 16;

/// Most bytes of a short text, such as a name.
pub(crate) const WORD_MAX: usize = 128;

/// Most bytes of the line about a failure.
const LINE_MAX: usize = 768;

/// Most bytes of a checkpoint's name.
const NAME_MAX: usize = 160;

/// What the processes that meet stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// One process for each node.
    Node,
    /// One process for each rank.
    Rank,
}

impl Unit {
    /// Returns the word for one.
    pub fn word(self) -> &'static str {
        match self {
            Unit::Node => "node",
            Unit::Rank => "rank",
        }
    }
}

/// The result of a process's own checks and preparation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The process is ready.
    Ready,
    /// It cannot start.
    Failed {
        /// The exit code.
        code: u8,
        /// The reason, in one line.
        line: String,
    },
}

/// A complete checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Its step, where that is known.
    pub step: Option<u64>,
    /// Its path below the checkpoints' directory, as bytes.
    pub name: Vec<u8>,
}

impl Saved {
    /// Returns whether the two stand for the same moment of the training.
    pub fn is_like(&self, other: &Saved) -> bool {
        match (self.step, other.step) {
            (Some(step), Some(other)) => step == other,
            (None, None) => self.name == other.name,
            _ => false,
        }
    }
}

/// The complete checkpoints that a process sees, the newest first; at most `STEPS_MAX` are told.
pub type Checkpoints = Vec<Saved>;

/// What a process says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// What the processes stand for.
    pub unit: Unit,
    /// How many processes meet.
    pub of: u32,
    /// Which of them this is, from 0.
    pub index: u32,
    /// The name of its host.
    pub name: String,
    /// What tells the job from every other.
    pub job: Option<String>,
    /// The number of the job's start; 0 where the engine does not count.
    pub attempt: u32,
    /// A number that no other process has.
    pub instance: u64,
    /// trainit's version.
    pub version: String,
    /// The code's commit.
    pub commit: Option<String>,
    /// A digest of the requirements.
    pub requirements: Option<String>,
    /// The GPUs in words.
    pub gpus: Option<String>,
    /// Milliseconds since 1970 by its clock, when the message was written.
    pub clock: u64,
    /// The result of its own preparation.
    pub verdict: Verdict,
    /// Its checkpoints; `None` where the configuration does not resume.
    pub checkpoints: Option<Checkpoints>,
}

impl Hello {
    /// Writes it as a message.
    pub fn encode(&self) -> Vec<u8> {
        let unit = self.unit.word().as_bytes();
        let mut writer = Writer::new("hello").field("unit", unit).number("of", self.of).number("index", self.index);
        writer = writer.field("name", word(&self.name)).number("attempt", self.attempt);
        writer = writer.number("instance", self.instance).number("clock", self.clock);
        writer = writer.field("version", word(&self.version));
        let facts =
            [("job", &self.job), ("commit", &self.commit), ("requirements", &self.requirements), ("gpus", &self.gpus)];
        for (key, value) in facts {
            writer = value.iter().fold(writer, |writer, value| writer.field(key, word(value)));
        }
        if let Verdict::Failed { code, line } = &self.verdict {
            writer = writer.number("failed", *code).field("line", shortened(line, LINE_MAX).as_bytes());
        }
        for saved in self.checkpoints.iter().flatten().filter(|saved| saved.name.len() <= NAME_MAX).take(STEPS_MAX) {
            writer = writer.field("saved", &saved_value(saved));
        }
        if self.checkpoints.is_some() {
            writer = writer.field("resumes", b"yes");
        }
        writer.end()
    }

    /// Reads it; `None` where something necessary is missing.
    pub(crate) fn read(fields: &Fields<'_>) -> Option<Self> {
        let word = |key| fields.text(key, WORD_MAX);
        let unit = if fields.bytes("unit")? == b"node" { Unit::Node } else { Unit::Rank };
        let failed = fields.number("failed");
        let line = fields.line("line", LINE_MAX).unwrap_or_default();
        let saved = || fields.all("saved").filter_map(read_saved).take(STEPS_MAX).collect();
        Some(Hello {
            unit,
            of: fields.number("of")?,
            index: fields.number("index")?,
            name: word("name")?,
            job: word("job"),
            attempt: fields.number("attempt")?,
            instance: fields.number("instance")?,
            version: word("version")?,
            commit: word("commit"),
            requirements: word("requirements"),
            gpus: word("gpus"),
            clock: fields.number("clock")?,
            verdict: failed.map_or(Verdict::Ready, |code| Verdict::Failed { code, line }),
            checkpoints: fields.bytes("resumes").map(|_| saved()),
        })
    }

    /// Returns the words that name the process: `node 1 of 3 (n2)`.
    pub(crate) fn who(&self) -> String {
        format!("{} {} of {} ({})", self.unit.word(), self.index, self.of, text::line(&self.name))
    }

    /// Returns the short words: `node 1 (n2)`.
    pub(crate) fn short(&self) -> String {
        format!("{} {} ({})", self.unit.word(), self.index, text::line(&self.name))
    }
}

/// Returns a text's first bytes.
pub(crate) fn word(text: &str) -> &[u8] {
    let end = (0..=WORD_MAX.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.as_bytes().get(..end).unwrap_or_default()
}

/// Writes a step, or `-`, and a name.
pub(crate) fn saved_value(saved: &Saved) -> Vec<u8> {
    let step = saved.step.map_or("-".to_owned(), |step| step.to_string());
    [step.as_bytes(), b" ", &saved.name].concat()
}

/// Reads a step and a name.
pub(crate) fn read_saved(value: &[u8]) -> Option<Saved> {
    let at = value.iter().position(|byte| *byte == b' ')?;
    let (step, name) = (value.get(..at)?, value.get(at + 1..)?);
    let step = match step {
        b"-" => None,
        digits => Some(std::str::from_utf8(digits).ok()?.parse().ok()?),
    };
    (!name.is_empty() && name.len() <= NAME_MAX).then(|| Saved { step, name: name.to_vec() })
}
