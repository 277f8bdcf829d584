//! The job's history in the mirror. Each attempt keeps a copy of the whole there, under a name of its own, so that no writer replaces
//! what another one has written; a start on any node joins the copies to what its directory has.

use crate::job_history::{HistoryFile, WriteOutcome};
use history::{Attempts, ClosedBy};
use mirror::{Records, Store};
use protocol::errno;
use protocol::handover::Policy;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use transfer_protocol::{Failure, Object};

/// The directory of the copies below `.trainit/` in the mirror, and the end of a copy's name.
const DIRECTORY: &str = "history";
const ENDS: &str = ".jsonl";

/// A copy whose attempt did not write its end is kept this long after its last change, in seconds: its writer may be alive.
const DAY: i64 = 86_400;

/// The history of an attempt, and its copies in the mirror.
#[derive(Debug)]
pub(crate) struct MirroredHistory {
    records: Records,
    file: HistoryFile,
    id: String,
    /// The copies that are joined: when each was written, and whether nothing will be added to it any more.
    joined: BTreeMap<String, (i64, bool)>,
}

impl MirroredHistory {
    /// Returns the history of an attempt in this mirror.
    pub(crate) fn new(url: &str, file: HistoryFile, id: &str) -> Self {
        MirroredHistory { records: Records::new(url, DIRECTORY), file, id: id.to_owned(), joined: BTreeMap::new() }
    }

    /// Returns the history of an attempt under supervision; `None` if it has none, or no mirror.
    pub(crate) fn of(policy: &Policy) -> Option<Self> {
        let (mirror, kept) = (policy.mirror.as_ref()?, policy.history.as_ref()?);
        let file = HistoryFile { path: PathBuf::from(&kept.file), waits: kept.waits };
        Some(Self::new(&mirror.url, file, &kept.id))
    }

    /// Adds to the file what the copies in the mirror have more, and brings lists of packages; returns how many copies were read.
    ///
    /// # Errors
    /// Why not, in words.
    pub(crate) fn fetch(&mut self, store: &mut dyn Store) -> Result<usize, String> {
        let listed = self.records.list(store).map_err(in_words)?;
        self.join(store, &listed)
    }

    /// Writes this attempt's copy, after it has taken what other copies have more, and removes those that it replaces.
    ///
    /// # Errors
    /// Why not, in words.
    pub(crate) fn keep(&mut self, store: &mut dyn Store) -> Result<(), String> {
        let listed = self.records.list(store).map_err(in_words)?;
        self.join(store, &listed)?;
        let text = self.file.sound_lines().map_err(|error| errno::words_of(&error))?;
        if text.is_empty() {
            return Ok(());
        }
        self.records.write(store, &self.own_name(), text).map_err(in_words)?;
        for name in self.file.lists().iter().filter(|name| !listed.iter().any(|object| object.key == **name)) {
            let list = self.file.list(name).map(|list| String::from_utf8_lossy(&list).into_owned());
            let list = list.map_err(|error| errno::words_of(&error))?;
            self.records.write(store, name, list).map_err(in_words)?;
        }
        for object in listed.iter().filter(|object| self.is_final(object)) {
            self.records.delete(store, &object.key).map_err(in_words)?;
        }
        Ok(())
    }

    /// Joins the listed copies of other attempts, and takes lists that are not here.
    fn join(&mut self, store: &mut dyn Store, listed: &[Object]) -> Result<usize, String> {
        let (own, mut read) = (self.own_name(), 0);
        let others = listed.iter().filter(|object| object.key.ends_with(ENDS) && object.key != own);
        for object in others.filter(|object| self.is_new(object)).collect::<Vec<_>>() {
            let Some(bytes) = self.records.read(store, object).map_err(in_words)? else { continue };
            if self.file.join(&self.id, &bytes).map_err(|error| errno::words_of(&error))? == WriteOutcome::Waits {
                return Ok(read);
            }
            self.joined.insert(object.key.clone(), (object.modified, has_ended(object, &bytes)));
            read += 1;
        }
        let here = self.file.lists();
        for object in listed.iter().filter(|object| !object.key.ends_with(ENDS) && !here.contains(&object.key)) {
            let Some(list) = self.records.read(store, object).map_err(in_words)? else { continue };
            // A history without its lists is whole.
            let _ = self.file.keep_named_list(&object.key, &String::from_utf8_lossy(&list));
        }
        Ok(read)
    }

    fn own_name(&self) -> String {
        format!("{}{ENDS}", self.id)
    }

    fn is_new(&self, object: &Object) -> bool {
        self.joined.get(&object.key).is_none_or(|(modified, _)| *modified != object.modified)
    }

    /// Returns whether a copy is joined, and nothing will be added to it.
    fn is_final(&self, object: &Object) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
        let joined = self.joined.get(&object.key).filter(|(modified, _)| *modified == object.modified);
        joined.is_some_and(|(modified, ended)| *ended || *modified < now - DAY)
    }
}

/// Returns whether the attempt that wrote a copy has written its own end there.
fn has_ended(object: &Object, bytes: &[u8]) -> bool {
    let id = object.key.strip_suffix(ENDS).unwrap_or_default();
    let writer = Attempts::read(bytes).all.into_iter().find(|attempt| attempt.start.id == id);
    writer.and_then(|attempt| attempt.end).is_some_and(|end| end.by == ClosedBy::Itself)
}

fn in_words(failure: Failure) -> String {
    text::masked(&failure.text)
}
