//! Brings data as the start that was elected: list, compare, make room, fetch, check, publish.

use super::command;
use super::error::{Result, StageError};
use super::fetch::{Brought, Fetch};
use super::journal::Journal;
use super::list::{ListWriter, Listing, again, items};
use super::mover::Mover;
use super::objects::ObjectSource;
use super::path::{self, CopyMover};
use super::place::{Place, Present, check_writable, replace};
use super::publish;
use super::request::{How, Progress, StageEvent, StageRequest, Tell};
use super::reuse::{self, ListOrder};
use super::room;
use super::source::Source;
use super::space::Room;
use super::stamp::{Stamp, now};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Instant;
use store::lease::Lease;

/// One bringing.
pub(crate) struct Bringing<'a> {
    pub(crate) request: &'a StageRequest,
    pub(crate) place: &'a Place,
    pub(crate) key: &'a str,
    pub(crate) lease: Lease,
    pub(crate) tell: Tell<'a>,
    began: Instant,
    first: Option<u64>,
}

/// Where the objects of a source come from.
enum Origin {
    Path(PathBuf),
    Objects(Box<ObjectSource>),
}

impl<'a> Bringing<'a> {
    pub(crate) fn new(request: &'a StageRequest, place: &'a Place, key: &'a str, lease: Lease, tell: Tell<'a>) -> Self {
        Bringing { request, place, key, lease, tell, began: Instant::now(), first: None }
    }

    /// Brings everything; `old` is what was brought before.
    ///
    /// # Errors
    /// Any reason why the data is not there afterwards.
    pub(crate) fn run(mut self, old: Option<&Present>) -> Result<(Present, How)> {
        if !(self.tell)(StageEvent::Progress(Progress::default())) {
            return Err(StageError::Stopped);
        }
        check_writable(self.place)?;
        if publish::finish(self.place, self.request.read_only)?
            && let Some(present) = self.place.present(self.key)
        {
            return Ok((present, How::Brought));
        }
        let part = self.part()?;
        let done = match &self.request.source {
            Source::Other(from) => self.by_command(&part, from),
            _ => self.by_listing(&part, old),
        };
        done.map_err(|error| taken_over(error, &part)).inspect_err(|error| {
            // What another try cannot go on with is not kept.
            if !error.may_pass() && !matches!(error, StageError::Room { .. } | StageError::Objects { .. }) {
                publish::remove(&part);
            }
        })
    }

    /// Makes the unfinished directory, or takes over that of a start that is gone: it gets a new name, so that a start that lives after
    /// all finds it gone.
    fn part(&mut self) -> Result<PathBuf> {
        let part = self.place.file(&format!("part-{:x}-{}", now(), std::process::id()));
        let mut left = self.place.parts().into_iter();
        if let Some(newest) = left.next() {
            fs::rename(&newest, &part).map_err(StageError::io("taking over", &newest))?;
        }
        left.for_each(|other| publish::remove(&other));
        for directory in [part.clone(), part.join("tree")] {
            if !directory.is_dir() {
                let made = fs::DirBuilder::new().mode(0o755).create(&directory);
                made.map_err(StageError::io("making", &directory))?;
            }
        }
        Ok(part)
    }

    fn by_listing(&mut self, part: &Path, old: Option<&Present>) -> Result<(Present, How)> {
        let (mut origin, order) = self.origin()?;
        let mut listing = self.list(part, &mut origin)?;
        if let Some(present) = old.filter(|present| present.stamp.listing == listing.digest) {
            publish::remove(part);
            return self.seen_again(present);
        }
        let mut journal = self.journal(part, &listing)?;
        let tree = part.join("tree");
        if let Some(old) = old.filter(|_| self.request.read_only) {
            self.reuse(old, &listing, &tree, order, &mut journal)?;
        }
        self.make_room(&listing, &journal)?;
        let mut mover: Box<dyn Mover> = match origin {
            Origin::Path(root) => Box::new(CopyMover::start(&root, self.request.parallel, self.request.limit)),
            Origin::Objects(objects) => objects,
        };
        let all = listing.totals.bytes;
        let brought = {
            let mut tell = |done| self.progress(done, all);
            Fetch::new(&tree, &listing, &mut journal, mover.as_mut(), &mut tell).run()?
        };
        drop(mover);
        if !brought.changed.is_empty() {
            listing = rewritten(&listing, &brought)?;
        }
        self.publish(part, &listing, brought.summed)
    }

    fn origin(&self) -> Result<(Origin, ListOrder)> {
        match &self.request.source {
            Source::Path(root) => Ok((Origin::Path(root.clone()), ListOrder::Walk)),
            Source::Object(url) => {
                Ok((Origin::Objects(Box::new(ObjectSource::open(url, self.request)?)), ListOrder::Bytes))
            }
            Source::Other(from) => Err(StageError::NoMeans(from.clone())),
        }
    }

    /// Lists the source into a file.
    fn list(&mut self, part: &Path, origin: &mut Origin) -> Result<Listing> {
        let (new, request) = (part.join("list.new"), self.request);
        let mut writer = ListWriter::make(&new).map_err(StageError::io("making", &new))?.of_part(request.part);
        match origin {
            Origin::Path(root) => {
                self.not_itself(root)?;
                let mut lines = Vec::new();
                let (real, skipped) = {
                    let mut tell = |count| self.listed(count);
                    path::list(root, &request.only, &mut writer, &mut tell)?
                };
                let special = || format!("not copied: {} of pipes, sockets and devices", skipped.special);
                lines.extend((skipped.special > 0).then(special));
                lines.extend(
                    (skipped.dangling > 0)
                        .then(|| format!("{} nowhere, and so will the copies", leads(skipped.dangling))),
                );
                lines.into_iter().for_each(|line| _ = (self.tell)(StageEvent::Line(line)));
                *root = real;
            }
            Origin::Objects(objects) => {
                let mut tell = |count| self.listed(count);
                objects.list(&request.only, &mut writer, &mut tell)?;
            }
        }
        let files = writer.listed();
        let mut listing = writer.finish().map_err(StageError::io("writing", &new))?;
        if let Some(part) = self.request.part.filter(|_| files > 0 && listing.totals.files == 0) {
            return Err(StageError::NoPart { source_name: self.request.source.shown(), files, nodes: part.of });
        }
        if listing.totals.files + listing.totals.others == 0 {
            let near = if let Origin::Objects(objects) = origin { objects.near() } else { Vec::new() };
            let unwanted = !self.request.only.is_empty() && near.is_empty();
            return Err(StageError::Empty { source_name: self.request.source.shown(), unwanted, near });
        }
        let path = part.join("list");
        fs::rename(&new, &path).map_err(StageError::io("making", &path))?;
        listing.path = path;
        Ok(listing)
    }

    /// Refuses a source in its own target, which would be copied into itself.
    fn not_itself(&self, root: &Path) -> Result<()> {
        let Ok(real) = fs::canonicalize(root) else { return Ok(()) };
        let is_in = |a: &Path, b: &Path| a.starts_with(b);
        let base = &self.place.base;
        if is_in(base, &real) || (!self.place.in_store && is_in(&real, base)) {
            Err(StageError::Itself)
        } else {
            Ok(())
        }
    }

    fn listed(&mut self, count: u64) -> bool {
        self.lease.beat(|| format!("listing, {}", text::count(count, "object")));
        let in_time = self.request.deadline().is_none_or(|deadline| Instant::now() < deadline);
        in_time && (self.tell)(StageEvent::Progress(Progress::default()))
    }

    /// Notes that the source still holds the same.
    fn seen_again(&mut self, present: &Present) -> Result<(Present, How)> {
        let stamp = Stamp { seen: now(), ..present.stamp.clone() };
        if self.place.in_store {
            replace(&self.place.about(&stamp.listing, "json"), &stamp)?;
        }
        replace(&self.place.stamp(), &stamp)?;
        Ok((Present { stamp, ..present.clone() }, How::Same))
    }

    /// Opens the journal; files of another listing are of no use.
    fn journal(&mut self, part: &Path, listing: &Listing) -> Result<Journal> {
        let (path, tree) = (part.join("journal"), part.join("tree"));
        let journal = Journal::begin(&path, &listing.digest, listing.totals.files + listing.totals.others)
            .map_err(StageError::io("writing", &path))?;
        if journal.written.is_empty() {
            publish::remove(&tree);
            fs::create_dir(&tree).map_err(StageError::io("making", &tree))?;
        }
        Ok(journal)
    }

    fn reuse(
        &mut self,
        old: &Present,
        new: &Listing,
        tree: &Path,
        order: ListOrder,
        journal: &mut Journal,
    ) -> Result<()> {
        let list = self.place.about(&old.stamp.listing, "list");
        if !list.exists() || !journal.written.is_empty() {
            return Ok(());
        }
        let mut tell = || self.listed(0);
        let linked = reuse::reuse((&list, &old.tree), (new, tree), order, journal, &mut tell);
        let linked = linked.map_err(StageError::io("reading", &list))?;
        let line = format!("{} of {} unchanged", linked, text::count(new.totals.files, "file"));
        (self.tell)(StageEvent::Line(line));
        Ok(())
    }

    /// Checks that there is room before the first byte; in a store, what was not used for longest makes room.
    fn make_room(&mut self, listing: &Listing, journal: &Journal) -> Result<()> {
        let mut there = Room::default();
        for (number, item) in (0..).zip(items(&listing.path).map_err(StageError::io("reading", &listing.path))?) {
            if !journal.written.is_empty()
                && let Ok(item) = item
            {
                there.bytes += journal.written.bytes_of(number, item.size);
                there.inodes += u64::from(journal.written.is_whole(number));
            } else if journal.written.is_empty() {
                break;
            }
        }
        let totals = listing.totals;
        let needs = Room {
            bytes: totals.bytes.saturating_sub(there.bytes),
            inodes: (totals.files + totals.others).saturating_sub(there.inodes),
        };
        room::make(self.place, self.request, needs, self.tell)
    }

    fn progress(&mut self, done: u64, all: u64) -> Result<()> {
        let brought = done.saturating_sub(*self.first.get_or_insert(done));
        self.lease.beat(|| format!("{} of {}", text::size(done), text::size(all)));
        if let Some(limit) =
            self.request.timeout.filter(|_| self.request.deadline().is_some_and(|end| Instant::now() >= end))
        {
            return Err(StageError::Late { limit, bytes: [done, all], brought, worked: self.began.elapsed() });
        }
        if (self.tell)(StageEvent::Progress(Progress { done, all, brought })) {
            Ok(())
        } else {
            Err(StageError::Stopped)
        }
    }

    fn publish(&mut self, part: &Path, listing: &Listing, summed: u64) -> Result<(Present, How)> {
        let (tree, read_only) = (part.join("tree"), self.request.read_only);
        let files = publish::seal(&tree, read_only, !self.place.in_store)?;
        if files != listing.totals.files {
            let found = format!("{} are listed, {files} are there", text::count(listing.totals.files, "file"));
            publish::remove(part);
            return Err(StageError::Damaged { key: self.request.source.shown(), found });
        }
        let stamp = Stamp {
            key: self.key.to_owned(),
            source: self.request.source.shown(),
            listing: listing.digest.clone(),
            totals: listing.totals,
            summed,
            at: now(),
            seen: now(),
            host: self.lease.owner().host.clone(),
        };
        let tree = match self.place.in_store {
            true => publish::into_store(self.place, part, listing, &stamp, read_only)?,
            false => publish::into_volume(self.place, part, &stamp, read_only)?,
        };
        Ok((Present { stamp, tree }, How::Brought))
    }

    /// Has a program bring everything, and publishes what it left.
    fn by_command(&mut self, part: &Path, from: &str) -> Result<(Present, How)> {
        let tree = part.join("tree");
        {
            let mut beat = || {
                self.lease.beat(|| "stage.command runs".to_owned());
                (self.tell)(StageEvent::Progress(Progress::default()))
            };
            command::run(self.request, from, &tree, &mut beat)?;
        }
        let list = part.join("list");
        let mut writer = ListWriter::make(&list).map_err(StageError::io("making", &list))?;
        path::list(&tree, &super::only::Only::default(), &mut writer, &mut |_| true)?;
        let listing = writer.finish().map_err(StageError::io("writing", &list))?;
        if listing.totals.files + listing.totals.others == 0 {
            let source_name = self.request.source.shown();
            return Err(StageError::Empty { source_name, unwanted: false, near: Vec::new() });
        }
        self.publish(part, &listing, 0)
    }
}

fn leads(count: u64) -> String {
    if count == 1 { "1 link leads".to_owned() } else { format!("{count} links lead") }
}

/// Writes the listing anew, with the objects that changed.
fn rewritten(listing: &Listing, brought: &Brought) -> Result<Listing> {
    let new = listing.path.with_extension("again");
    let io = |doing| StageError::io(doing, new.clone());
    let mut writer = ListWriter::make(&new).map_err(io("making"))?;
    for (number, item) in (0..).zip(items(&listing.path).map_err(io("reading"))?) {
        let item = item.map_err(io("reading"))?;
        writer.push(brought.changed.get(&number).unwrap_or(&item)).map_err(io("writing"))?;
    }
    writer.finish().map_err(io("writing"))?;
    fs::rename(&new, &listing.path).map_err(io("publishing"))?;
    again(&listing.path).map_err(io("reading"))
}

/// Returns the error of a start whose directory another one has moved away: files that are gone are its only sign.
fn taken_over(error: StageError, part: &Path) -> StageError {
    match &error {
        StageError::Io { error: cause, .. } if cause.kind() == ErrorKind::NotFound && !part.is_dir() => {
            StageError::TakenOver
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_gone_means_another_start_only_where_its_directory_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let (here, gone) = (dir.path(), dir.path().join("part-1"));
        let error = |kind: ErrorKind| StageError::io("making", "/x")(kind.into());
        assert!(matches!(taken_over(error(ErrorKind::NotFound), &gone), StageError::TakenOver));
        assert!(matches!(taken_over(error(ErrorKind::NotFound), here), StageError::Io { .. }));
        assert!(matches!(taken_over(error(ErrorKind::StorageFull), &gone), StageError::Io { .. }));
    }
}
