//! Who writes to a mirror: one run, and of its starts one at a time.

use super::parts::Found;
use std::collections::{BTreeMap, BTreeSet};

/// How many checkpoints of an earlier start may still arrive: the one that it was uploading when it was stopped, and the newest.
const STILL_COMING: usize = 2;

/// The start that uploads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempt {
    /// The run, which stays the same from one start to the next.
    pub run: String,
    /// The start.
    pub id: String,
    /// The machine, for messages.
    pub host: String,
}

/// Two writers are at work in one place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("another {} uploads to the same place: {name}, from {host}", if *.of_another_run { "run" } else { "start of this run" })]
pub struct Clash {
    /// Whether it is of another run.
    pub of_another_run: bool,
    /// The checkpoint that shows it.
    pub name: String,
    /// The machine that it came from.
    pub host: String,
}

/// The manifests that were there when this start began, and those that others have written since.
#[derive(Clone, Debug, Default)]
pub(crate) struct Writers {
    known: BTreeSet<String>,
    others: BTreeMap<String, BTreeSet<String>>,
}

impl Writers {
    /// Returns whether an object was there at the begin.
    pub(crate) fn knows(&self, key: &str) -> bool {
        self.known.contains(key)
    }

    /// Begins with what is there.
    pub(crate) fn begin<'a>(listed: impl Iterator<Item = &'a str>) -> Self {
        Writers { known: listed.map(str::to_owned).collect(), others: BTreeMap::new() }
    }

    /// Looks at the manifests that are there now, and tells whether another writer is at work.
    pub(crate) fn judge<'a>(&mut self, found: impl Iterator<Item = &'a Found>, me: &Attempt) -> Option<Clash> {
        let new = found.filter(|found| !self.known.contains(&found.key) && found.manifest.attempt != me.id);
        let mut clash = None;
        for found in new {
            let manifest = &found.manifest;
            let theirs = self.others.entry(manifest.attempt.clone()).or_default();
            theirs.insert(found.key.clone());
            let of_another_run = manifest.run != me.run;
            if of_another_run || theirs.len() > STILL_COMING {
                let (name, host) = (manifest.name.clone(), manifest.host.clone());
                clash = Some(Clash { of_another_run, name, host });
            }
        }
        clash
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Manifest;

    fn found(name: &str, run: &str, attempt: &str) -> Found {
        let manifest = Manifest {
            name: name.into(),
            run: run.into(),
            attempt: attempt.into(),
            host: "n1".into(),
            ..Manifest::default()
        };
        Found { key: format!("{name}.json"), modified: 0, manifest, parts: Vec::new() }
    }

    #[test]
    fn what_an_earlier_start_still_uploads_is_no_other_writer_but_what_goes_on_is() {
        let me = Attempt { run: "r".into(), id: "b".into(), host: "n2".into() };
        let mut writers = Writers::begin(["ckpt-1.json"].into_iter());
        let all: Vec<Found> = (1..=4).map(|step| found(&format!("ckpt-{step}"), "r", "a")).collect();
        assert_eq!([1, 2, 3, 3].map(|count| writers.judge(all.iter().take(count), &me)), [None, None, None, None]);
        let clash = writers.judge(all.iter(), &me).map(|clash| clash.to_string());
        assert_eq!(clash.as_deref(), Some("another start of this run uploads to the same place: ckpt-4, from n1"));
    }

    #[test]
    fn one_checkpoint_of_another_run_is_enough_unless_it_was_there_before() {
        let me = Attempt { run: "r".into(), id: "b".into(), host: "n2".into() };
        let foreign = found("ckpt-9", "other", "x");
        assert_eq!(Writers::begin(["ckpt-9.json"].into_iter()).judge([&foreign].into_iter(), &me), None);
        let clash = Writers::default().judge([&foreign].into_iter(), &me);
        assert!(clash.is_some_and(|clash| clash.of_another_run));
        assert_eq!(Writers::default().judge([&found("ckpt-9", "r", "b")].into_iter(), &me), None);
    }
}
