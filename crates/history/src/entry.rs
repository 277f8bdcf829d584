//! The entries of a history, one for each line, and how a line is written: JSON of at most `LINE_MAX` bytes, with its version.

use crate::parts::Parts;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the lines. Fields are only added; the version changes when a field changes its meaning.
pub const VERSION: u32 = 1;

/// The longest line with its newline, in bytes. One write(2) of this size to a file that is opened for appending stays whole on a local
/// disk.
pub const LINE_MAX: usize = 4096;

/// Lengths of a text to which the texts of a line are cut until the line fits, in bytes.
const CUTS: [usize; 4] = [1024, 256, 64, 0];

/// A line of the history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Entry {
    /// An attempt began to prepare.
    Start(StartEntry),
    /// The preparation is done, and the workload begins.
    Ready(ReadyEntry),
    /// An attempt ended.
    End(EndEntry),
    /// The sum of the oldest attempts, whose lines are gone.
    Sum(SumEntry),
}

/// The start of an attempt. All times are seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StartEntry {
    /// The attempt's identity, which its later lines repeat.
    pub id: String,
    /// When the attempt began.
    pub at: f64,
    /// The identity of the supervisor: attempts that share it ran in one life of a container.
    #[serde(default)]
    pub life: String,
    /// The number of the start in that life, from 1.
    #[serde(default)]
    pub attempt: u32,
    /// The job, as the engine calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// The name of the machine or container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The least number of nodes of the job, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<u64>,
    /// The version of trainit.
    #[serde(default)]
    pub trainit: String,
    /// The mode's name.
    #[serde(default)]
    pub mode: String,
    /// The command line without what resuming adds, secrets masked.
    #[serde(default)]
    pub command: String,
}

/// The end of a preparation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReadyEntry {
    /// The attempt's identity.
    pub id: String,
    /// When the workload began.
    pub at: f64,
    /// Seconds of each phase of the preparation, by the words of the state file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub phases: BTreeMap<String, f64>,
    /// The checkpoint to go on from; `None` if trainit did not look for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed: Option<ResumedFrom>,
    /// What the workload is made of.
    #[serde(default)]
    pub versions: Versions,
}

/// The result of looking for a checkpoint to go on from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ResumedFrom {
    /// The path of the checkpoint; `None` if there was none, so that the workload begins anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The training step of the checkpoint, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
}

/// What a workload is made of. What is not known is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Versions {
    /// The commit of the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// A digest of the requirement files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requirements: Option<String>,
    /// The hash of the list of packages that Python could import.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The name of the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The GPUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpus: Option<String>,
    /// The version of the GPU driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
}

/// The end of an attempt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EndEntry {
    /// The attempt's identity.
    pub id: String,
    /// When the attempt's last process was gone; where the next start closes the attempt, when that began.
    pub at: f64,
    /// Who wrote the line.
    #[serde(default)]
    pub by: ClosedBy,
    /// Why the attempt ended.
    pub reason: Reason,
    /// How the attempt ended, in words.
    #[serde(default)]
    pub how: String,
    /// The exit code of the container, or the workload's own where another attempt follows in the same container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u8>,
    /// The signal that asked for the stop, and who sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_by: Option<String>,
    /// When the work ended: at the stop signal, or at the end of the main process. `None` if the workload never ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worked_until: Option<f64>,
    /// The last time at which the attempt is known to have lived, for an attempt without an end of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<f64>,
    /// The newest checkpoint that this attempt completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved: Option<SavedAt>,
}

/// A checkpoint that an attempt completed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedAt {
    /// When the checkpoint was complete.
    pub at: f64,
    /// The training step, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
    /// The path.
    #[serde(default)]
    pub path: String,
}

/// Who wrote the end of an attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClosedBy {
    /// The attempt's own supervisor.
    #[default]
    Itself,
    /// The next start, which found no end.
    NextStart,
}

/// Why an attempt ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// The training is complete: exit code 0 without a stop, or `stop.done_file`.
    Done,
    /// A stop was asked for.
    Stopped,
    /// The workload ended by itself with another code than 0, or by a fault of its own.
    Failed,
    /// Another process sent SIGKILL or another signal.
    Killed,
    /// The kernel killed it for want of memory.
    Memory,
    /// The watchdog ended it.
    Hung,
    /// The preparation failed, so the workload never ran.
    Refused,
    /// The attempt has no end of its own: its container was killed, or its machine was lost.
    Silent,
    /// A reason that this version does not know.
    #[default]
    #[serde(other)]
    Unknown,
}

impl Reason {
    /// Returns the reason as a word.
    pub const fn word(self) -> &'static str {
        match self {
            Reason::Done => "done",
            Reason::Stopped => "stopped",
            Reason::Failed => "failed",
            Reason::Killed => "killed",
            Reason::Memory => "memory",
            Reason::Hung => "hung",
            Reason::Refused => "refused",
            Reason::Silent => "silent",
            Reason::Unknown => "unknown",
        }
    }
}

/// The sum of attempts whose lines are gone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SumEntry {
    /// When the first of the attempts began.
    pub since: f64,
    /// When the last of the attempts ended.
    pub until: f64,
    /// The number of attempts.
    pub attempts: u64,
    /// How often each reason ended an attempt.
    pub reasons: BTreeMap<Reason, u64>,
    /// The time of the attempts and between them.
    pub parts: Parts,
}

/// A line as it stands in the file.
#[derive(Serialize, Deserialize)]
pub(crate) struct Line<E> {
    pub(crate) v: u32,
    #[serde(flatten)]
    pub(crate) entry: E,
}

impl Entry {
    /// Returns the line with its newline, of at most `LINE_MAX` bytes: longer texts are cut.
    pub fn line(&self) -> String {
        let whole = written(self);
        let cut = || CUTS.iter().map(|most| written(&self.cut(*most))).find(|line| line.len() <= LINE_MAX);
        if whole.len() <= LINE_MAX { whole } else { cut().unwrap_or_default() }
    }

    /// Returns the entry with texts of at most this many bytes.
    fn cut(&self, most: usize) -> Entry {
        let mut entry = self.clone();
        let texts: Vec<&mut String> = match &mut entry {
            Entry::Start(start) => {
                let more = start.job.iter_mut().chain(&mut start.host);
                more.chain([&mut start.command, &mut start.mode, &mut start.life]).collect()
            }
            Entry::Ready(ready) => {
                ready.phases.retain(|name, _| name.len() <= most);
                let path = ready.resumed.iter_mut().flat_map(|from| &mut from.path);
                path.chain(ready.versions.texts()).collect()
            }
            Entry::End(end) => {
                let more = end.asked_by.iter_mut().chain(end.saved.iter_mut().map(|saved| &mut saved.path));
                more.chain([&mut end.how]).collect()
            }
            Entry::Sum(_) => Vec::new(),
        };
        texts.into_iter().for_each(|text| shorten(text, most));
        entry
    }
}

impl Versions {
    /// Iterates over each thing's name and what is known of it.
    pub fn rows(&self) -> [(&'static str, Option<&str>); 6] {
        [
            ("commit", self.commit.as_deref()),
            ("requirements", self.requirements.as_deref()),
            ("environment", self.environment.as_deref()),
            ("image", self.image.as_deref()),
            ("gpus", self.gpus.as_deref()),
            ("driver", self.driver.as_deref()),
        ]
    }

    /// Returns the rows that are known of both and differ: name, before, now.
    pub fn changed<'a>(&'a self, before: &'a Versions) -> Vec<(&'static str, &'a str, &'a str)> {
        let both = before.rows().into_iter().zip(self.rows());
        both.filter_map(|((name, before), (_, now))| Some((name, before?, now?)))
            .filter(|(_, before, now)| before != now)
            .collect()
    }

    fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        let digests = [&mut self.commit, &mut self.requirements, &mut self.environment];
        let texts = digests.into_iter().chain([&mut self.image, &mut self.gpus, &mut self.driver]);
        texts.flatten()
    }
}

fn written(entry: &Entry) -> String {
    let mut line = serde_json::to_string(&Line { v: VERSION, entry }).unwrap_or_default();
    line.push('\n');
    line
}

/// Rounds a time to milliseconds, as lines have it.
pub fn rounded(seconds: f64) -> f64 {
    (seconds * 1e3).round() / 1e3
}

fn shorten(text: &mut String, most: usize) {
    if text.len() > most {
        let end = (0..=most).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_fits_however_long_its_texts_are() {
        let long = "\u{1}é".repeat(4000);
        let versions = Versions { commit: Some(long.clone()), driver: Some(long.clone()), ..Versions::default() };
        let entries = [
            Entry::Start(StartEntry {
                id: "a".into(),
                command: long.clone(),
                host: Some(long.clone()),
                life: long.clone(),
                ..StartEntry::default()
            }),
            Entry::Ready(ReadyEntry { id: "a".into(), versions, ..ReadyEntry::default() }),
            Entry::End(EndEntry { id: "a".into(), how: long.clone(), asked_by: Some(long), ..EndEntry::default() }),
        ];
        for entry in entries {
            let line = entry.line();
            assert!(line.len() <= LINE_MAX && line.ends_with("}\n"), "{} bytes", line.len());
            assert_eq!(crate::read(line.as_bytes()).entries.len(), 1);
        }
    }

    #[test]
    fn what_changed_is_only_what_is_known_of_both() {
        let of = |commit: &str, driver: Option<&str>| Versions {
            commit: Some(commit.into()),
            driver: driver.map(str::to_owned),
            ..Versions::default()
        };
        assert_eq!(of("b", Some("x")).changed(&of("a", None)), [("commit", "a", "b")]);
    }
}
