//! Sources that are URLs, through trainit-transfer: it lists and moves, and knows nothing of the rest.

use super::error::{Failed, ObjectFailure, Result, StageError};
use super::item::Item;
use super::list::ListWriter;
use super::mover::{Moved, Mover, Piece};
use super::only::Only;
use super::request::StageRequest;
use std::collections::HashMap;
use std::time::Duration;
use transfer_protocol::{Answer, Carrier, CarrierError, CarrierOptions, Failure, FailureKind, Object, Reply, Task};

/// How long an answer of a listing is waited for before a sign of life.
const WAIT: Duration = Duration::from_millis(200);

/// How many names beside an empty prefix are told.
const NEAR: usize = 8;

/// One source, and the program that reads it.
pub(crate) struct ObjectSource {
    url: String,
    shown: String,
    carrier: Carrier,
    width: usize,
    /// The pieces that are under way: object, piece, length, and bytes told so far.
    open: HashMap<u64, (u64, u32, u64, u64)>,
    /// Answers that came while another one was waited for.
    waiting: Vec<Answer>,
    near: Vec<String>,
}

impl ObjectSource {
    /// Starts the program.
    ///
    /// # Errors
    /// A program that is missing or cannot be started.
    pub(crate) fn open(url: &str, request: &StageRequest) -> Result<Self> {
        let (choice, shown) = (&request.transfer, request.source.shown());
        let Some(program) = &choice.program else { return Err(StageError::NoTransfer(shown)) };
        let options = CarrierOptions {
            endpoint: choice.endpoint.clone(),
            ca: choice.ca.clone(),
            parallel: u32::try_from(request.parallel).ok(),
            limit: request.limit,
            retries: choice.retries,
        };
        let carrier = Carrier::start(program, &options, |command| {
            command.env_clear().envs(request.environment.iter().map(|(name, value)| (name, value)));
        })
        .map_err(no_use)?;
        let width = request.parallel.max(1);
        let (open, waiting, near) = (HashMap::new(), Vec::new(), Vec::new());
        Ok(ObjectSource { url: url.to_owned(), shown, carrier, width, open, waiting, near })
    }

    /// Lists everything below the URL; if that is nothing, the URL may be one object.
    ///
    /// # Errors
    /// Why there is no listing.
    pub(crate) fn list(&mut self, only: &Only, to: &mut ListWriter, tell: &mut dyn FnMut(u64) -> bool) -> Result<()> {
        let is_web = self.url.starts_with("http");
        if is_web && !self.url.ends_with('/') {
            return self.one(only, to);
        }
        let mut listed = 0u64;
        self.carrier.send(Task::List { url: self.url.clone(), flat: true }).map_err(no_use)?;
        while self.carrier.open() > 0 {
            match self.carrier.next(WAIT).map_err(no_use)?.map(|answer| answer.reply) {
                Some(Reply::Object(object)) => {
                    listed += 1;
                    push(object, only, to)?;
                }
                Some(Reply::Failed(failure)) => return Err(self.refused(failure)),
                _ => {}
            }
            if (listed.is_multiple_of(1000) || self.carrier.open() == 0) && !tell(listed) {
                return Err(StageError::Stopped);
            }
        }
        let is_one = listed == 0 && !self.url.ends_with('/') && self.one(only, to).is_ok();
        if listed == 0 && !is_one {
            self.look_beside();
        }
        Ok(())
    }

    /// Lists the URL as one object.
    fn one(&mut self, only: &Only, to: &mut ListWriter) -> Result<()> {
        let mut found = None;
        let hear = &mut |reply| {
            if let Reply::Object(object) = reply {
                found = Some(object);
            }
        };
        let answer = self.carrier.call(Task::Head { url: self.url.clone() }, hear).map_err(no_use)?;
        answer.map_err(|failure| self.refused(failure))?;
        match found {
            // The object lies beside its own name: its URL is that of the directory above.
            Some(object) => {
                self.url.truncate(self.url.rfind('/').map_or(self.url.len(), |at| at + 1));
                push(object, only, to)
            }
            None => Ok(()),
        }
    }

    /// Looks what there is instead of a prefix with nothing.
    fn look_beside(&mut self) {
        let whole = self.url.trim_end_matches('/');
        let Some((above, _)) = whole.rsplit_once('/').filter(|(above, _)| !above.ends_with('/')) else { return };
        let mut near = Vec::new();
        let task = Task::List { url: format!("{above}/"), flat: false };
        let hear = &mut |reply| match reply {
            Reply::Prefix(prefix) if near.len() < NEAR => near.push(text::line(&prefix).into_owned()),
            Reply::Object(object) if near.len() < NEAR => near.push(text::line(&object.key).into_owned()),
            _ => {}
        };
        let _ = self.carrier.call(task, hear);
        self.near = near;
    }

    /// Returns what is beside a prefix with nothing.
    pub(crate) fn near(&self) -> Vec<String> {
        self.near.clone()
    }

    fn url_of(&self, item: &Item) -> String {
        let key = String::from_utf8_lossy(&item.key);
        let slash = if self.url.ends_with('/') { "" } else { "/" };
        format!("{}{slash}{key}", self.url)
    }

    fn refused(&self, failure: Failure) -> StageError {
        StageError::Refused { source_name: self.shown.clone(), failure: Box::new(failure_of(failure)) }
    }
}

fn no_use(error: CarrierError) -> StageError {
    StageError::Transfer(error.to_string())
}

fn push(object: Object, only: &Only, to: &mut ListWriter) -> Result<()> {
    // A bucket's console marks directories by empty objects; `only` is about files.
    if !only.wants(object.key.as_bytes()) {
        return Ok(());
    }
    to.push(&item_of(object)).map_err(StageError::io("writing", "the listing"))
}

fn item_of(object: Object) -> Item {
    let sum = object.sha256.map(|sum| format!("sha256:{sum}").into_bytes()).unwrap_or_default();
    Item { sum, ..Item::file(object.key, object.size, object.tag) }
}

fn failure_of(failure: Failure) -> ObjectFailure {
    let kind = match failure.kind {
        FailureKind::Denied => Failed::Denied,
        FailureKind::Gone => Failed::Gone,
        FailureKind::Changed => Failed::Changed,
        FailureKind::Later => Failed::Later,
        FailureKind::Full => Failed::Full,
        FailureKind::Bad => Failed::Bad,
    };
    ObjectFailure { kind, text: failure.text, hints: failure.hints, skew: failure.skew }
}

impl Mover for ObjectSource {
    fn width(&self) -> usize {
        self.width
    }

    fn give(&mut self, piece: Piece) -> Result<()> {
        let task = Task::Get {
            url: self.url_of(&piece.item),
            tag: Some(piece.item.tag.clone()).filter(|tag| !tag.is_empty()),
            offset: piece.offset,
            length: piece.length,
            path: piece.path,
            at: piece.offset,
            // Only the sum of a whole object can be compared.
            sha256: !piece.item.sum.is_empty() && piece.length == piece.item.size,
        };
        let id = self.carrier.send(task).map_err(no_use)?;
        self.open.insert(id, (piece.object, piece.index, piece.length, 0));
        Ok(())
    }

    fn take(&mut self, wait: Duration) -> Result<Option<Moved>> {
        let answer = match self.waiting.pop() {
            Some(answer) => Some(answer),
            None => self.carrier.next(wait).map_err(no_use)?,
        };
        let Some(answer) = answer else { return Ok(None) };
        let Some((object, index, length, told)) = self.open.get(&answer.id).copied() else { return Ok(None) };
        match answer.reply {
            Reply::Progress(bytes) => {
                let more = bytes.min(length).saturating_sub(told);
                self.open.insert(answer.id, (object, index, length, told + more));
                Ok(Some(Moved::Some(more)))
            }
            Reply::Done(done) => {
                self.open.remove(&answer.id);
                if done.bytes == length {
                    return Ok(Some(Moved::Done(object, index, length - told, done.sha256)));
                }
                let text = format!("{} of {length} bytes came", done.bytes);
                let failure = ObjectFailure { kind: Failed::Later, text, hints: Vec::new(), skew: None };
                Ok(Some(Moved::Failed(object, failure)))
            }
            Reply::Failed(failure) => {
                self.open.remove(&answer.id);
                Ok(Some(Moved::Failed(object, failure_of(failure))))
            }
            Reply::Object(_) | Reply::Prefix(_) | Reply::End(_) => Ok(None),
        }
    }

    fn again(&mut self, item: &Item) -> Result<std::result::Result<Item, ObjectFailure>> {
        let id = self.carrier.send(Task::Head { url: self.url_of(item) }).map_err(no_use)?;
        loop {
            // Other pieces are under way: what is said of them waits.
            match self.carrier.next(Duration::from_secs(1)).map_err(no_use)? {
                Some(answer) if answer.id != id => self.waiting.push(answer),
                Some(Answer { reply: Reply::Object(object), .. }) => return Ok(Ok(item_of(object))),
                Some(Answer { reply: Reply::Failed(failure), .. }) => return Ok(Err(failure_of(failure))),
                _ => {}
            }
        }
    }
}
