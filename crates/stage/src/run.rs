//! One path from its source to the workload: found in milliseconds, awaited, or brought by this start.

use super::bring::Bringing;
use super::error::{Result, StageError};
use super::place::{self, Place, Present, key_of};
use super::request::{How, Refresh, StageEvent, StageRequest, Tell};
use super::stamp::{Stamp, now};
use std::fs;
use std::time::{Duration, SystemTime};
use store::{FileError, SharedWork, StoreError, WaitEvent, WorkAnswer};

/// The shortest interval between two records of a use.
const TOUCH: Duration = Duration::from_secs(600);

/// Data that is there for the workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staged {
    /// Its stamp.
    pub stamp: Stamp,
    /// What this start did.
    pub how: How,
    /// The file whose time tells that it is used, in a store.
    pub used: Option<std::path::PathBuf>,
}

/// Returns the key of what is wanted.
pub(crate) fn key(request: &StageRequest) -> String {
    let server = request.transfer.endpoint.as_deref().unwrap_or_default();
    let part = request.part.map_or_else(String::new, |part| format!(" part {} of {}", part.index, part.of));
    let more = if request.read_only { "" } else { " rw" };
    key_of(&request.source.identity(), &format!("{}{part}{more}", request.only.identity()), server)
}

/// Makes sure that the data is there.
///
/// # Errors
/// Any reason why it is not.
pub fn stage(request: &StageRequest, tell: Tell<'_>) -> Result<Staged> {
    let key = key(request);
    match stage_as(request, key.clone(), tell) {
        Err(StageError::Store(StoreError::File(
            _,
            FileError::Foreign(owner) | FileError::ForeignCode { owner, .. },
        ))) if request.store.is_some() => {
            let target = text::path(&request.target);
            let line = format!(
                "{target}: user {owner} keeps this data in stage.store, and is not trusted: this user gets its own"
            );
            tell(StageEvent::Line(line));
            stage_as(request, own_key(&key), tell)
        }
        done => done,
    }
}

/// Returns the key for data that this user keeps beside that of another one.
fn own_key(key: &str) -> String {
    format!("{key}-{}", nix::unistd::geteuid())
}

fn stage_as(request: &StageRequest, key: String, tell: Tell<'_>) -> Result<Staged> {
    let place = Place::find(&request.target, request.store.as_deref(), &key)?;
    if request.store.is_some() && !place.in_store {
        let line = "stage.store is not used: a volume is mounted at the path, or data is there already";
        tell(StageEvent::Line(format!("{}: {line}", text::path(&request.target))));
    }
    let work = SharedWork::of(&place.base, &place.stem);
    let (began, mut awaited) = (now(), false);
    let mut done =
        || present(&place, &work, &key).map(|found| found.filter(|found| is_fresh(request, &found.stamp, began)));
    let mut waits = |event: WaitEvent<'_>| {
        awaited = true;
        wait(event, tell)
    };
    let (present, how) = match work.get(request.deadline(), &mut done, &mut waits) {
        WorkAnswer::Done(present) => (present, if awaited { How::Awaited } else { How::Unchanged }),
        WorkAnswer::Do(lease) => {
            let old = self::present(&place, &work, &key)?;
            let brought = Bringing::new(request, &place, &key, lease, tell).run(old.as_ref());
            brought.inspect(|_| work.succeed()).inspect_err(|error| leave_failure(request, &place, &work, error))?
        }
        WorkAnswer::Failed(failed) | WorkAnswer::Alone(failed) => {
            return Err(StageError::Elsewhere(Box::new(failed), work.failed));
        }
        WorkAnswer::Late(owner) => return Err(StageError::Waited(Box::new(owner))),
        WorkAnswer::Unusable(error) => return Err(unusable(&place, error)),
    };
    let used = place.in_store.then(|| place.about(&present.stamp.listing, "used"));
    if let Some(used) = &used {
        touch(used);
        place::link(&place, &present.tree)?;
    }
    Ok(Staged { stamp: present.stamp, how, used })
}

/// Returns what is there, if a trusted user put it there: in a store others may write.
fn present(place: &Place, work: &SharedWork, key: &str) -> Result<Option<Present>, StoreError> {
    let Some(present) = place.present(key) else { return Ok(None) };
    if place.in_store {
        let stamp = place.stamp();
        let found = fs::symlink_metadata(&stamp).map_err(StoreError::Directory)?;
        work.believes(&stamp, &found)?;
    }
    Ok(Some(present))
}

fn is_fresh(request: &StageRequest, stamp: &Stamp, began: u64) -> bool {
    match request.refresh {
        Refresh::Never => true,
        Refresh::After(age) => stamp.age() < age,
        Refresh::Always => stamp.seen > began,
    }
}

fn wait(event: WaitEvent<'_>, tell: Tell<'_>) {
    let shown = |text: &str| text::line(text).into_owned();
    match event {
        WaitEvent::Waits(owner) => _ = tell(StageEvent::Waits(shown(&owner.host), shown(&owner.doing))),
        WaitEvent::TakesOver(owner) => {
            let line = format!("{}, which was staging, is gone: this start goes on", shown(&owner.host));
            tell(StageEvent::Line(line));
        }
    }
}

/// Lets other starts know why it failed. In a volume of its own there is nobody to tell, and a corrected start must not be held up.
fn leave_failure(request: &StageRequest, place: &Place, work: &SharedWork, error: &StageError) {
    let is_own = matches!(
        error,
        StageError::Stopped | StageError::TakenOver | StageError::Late { .. } | StageError::NoTransfer(_)
    );
    if place.in_store && !is_own {
        work.fail(!error.may_pass(), error.message(&request.target));
    }
}

fn unusable(place: &Place, error: StoreError) -> StageError {
    match error {
        StoreError::Closed(errno) => {
            StageError::NoPlace { path: place.base.clone(), store: place.in_store, error: errno.into() }
        }
        error => error.into(),
    }
}

/// Records a use.
pub fn touch(used: &std::path::Path) {
    let is_recent = |found: fs::Metadata| {
        let time = found.modified().ok().and_then(|time| SystemTime::now().duration_since(time).ok());
        found.is_file() && time.is_some_and(|age| age < TOUCH)
    };
    if !fs::symlink_metadata(used).is_ok_and(is_recent) {
        let directory = used.parent().unwrap_or(std::path::Path::new("/"));
        let new = temporary::make(directory, ".trainit-new-");
        let _: std::io::Result<()> = new.and_then(|new| temporary::publish(new, used, 0o644, false));
    }
}

/// Returns what is there for a path, without bringing anything.
pub fn look(request: &StageRequest) -> Option<Stamp> {
    let key = key(request);
    let in_store = |key: String| {
        let (target, base) = (request.target.clone(), request.store.clone()?);
        Some((Place { target, base, stem: key.clone(), in_store: true }, key))
    };
    let in_volume = Place {
        target: request.target.clone(),
        base: request.target.clone(),
        stem: ".trainit-stage".to_owned(),
        in_store: false,
    };
    let places = [in_store(own_key(&key)), in_store(key.clone()), Some((in_volume, key))];
    places.into_iter().flatten().filter_map(|(place, key)| place.present(&key)).map(|present| present.stamp).next()
}
