//! The upload of a checkpoint: a marker, the files, the manifest, and then what is not kept any more.

use super::account::Account;
use super::manifest::{Manifest, MirroredFile, Part, VERSION, pieces};
use super::names::{self, MirrorUrl};
use super::parts::{self, Found};
use super::runs::{Attempt, Clash, Writers};
use super::snapshot::{Snapshot, SnapshotFile};
use super::store::{self, Store, one};
use super::unfinished::Marker;
use transfer_protocol::{Failure, FailureKind, Object, Task, part_length};

/// A longer file goes up in parts.
const WHOLE_MAX: u64 = 64 << 20;
/// How many files go up in one batch of tasks.
const BATCH: usize = 128;
/// The markers of other runs are left alone for a day: those runs may be alive.
const DAY: i64 = 86_400;

/// What is known of a checkpoint besides its files.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The training step, where it is known.
    pub step: Option<u64>,
    /// The trainer's family.
    pub family: String,
    /// Seconds since 1970 when the last file was written.
    pub saved: f64,
    /// Seconds since 1970 now.
    pub now: f64,
}

/// A checkpoint that is in the mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// Bytes that were moved; 0 if it was there already.
    pub bytes: u64,
    /// A failure of what follows an upload: to remove what is not kept. It costs room and nothing else.
    pub untidy: Option<Failure>,
}

/// What the node of the first part has told of a save: the other nodes upload their parts of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The checkpoint's path below `checkpoint.dir`.
    pub name: String,
    /// The training step, where it is known.
    pub step: Option<u64>,
    /// The run.
    pub run: String,
    /// The start.
    pub attempt: String,
    /// The save, as in `Part::save`.
    pub save: String,
}

/// Why a checkpoint is not in the mirror.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The store failed.
    #[error("{}", .0.text)]
    Store(Failure),
    /// Another writer is at work.
    #[error(transparent)]
    Clash(Clash),
    /// A file was written while it went up.
    #[error("{0} was changed while it was uploaded")]
    Changed(String),
}

impl From<Failure> for UploadError {
    fn from(failure: Failure) -> Self {
        UploadError::Store(failure)
    }
}

/// The uploads of one start.
#[derive(Debug)]
pub struct Uploader {
    url: MirrorUrl,
    me: Attempt,
    keep: u64,
    piece: fn(u64) -> u64,
    account: Account,
    writers: Writers,
    /// How many uploads have begun, which tells their names apart.
    count: u64,
}

impl Uploader {
    /// Begins with what the mirror holds; of its own run's checkpoints it is going to keep this many, and all for 0.
    ///
    /// # Errors
    /// The failure of the store.
    pub fn begin(store: &mut dyn Store, url: MirrorUrl, me: Attempt, keep: u64) -> Result<Self, Failure> {
        let listed = store.list(&url.own())?;
        let mut account = Account::default();
        account.learn(store, &url, &listed)?;
        let writers = Writers::begin(listed.iter().map(|object| object.key.as_str()));
        let piece = |size| if size <= WHOLE_MAX { WHOLE_MAX } else { part_length(size) };
        Ok(Uploader { url, me, keep, piece, account, writers, count: 0 })
    }

    /// Cuts files into other pieces than those that suit a store, for tests with short files.
    #[must_use]
    pub fn with_pieces(self, piece: fn(u64) -> u64) -> Self {
        Uploader { piece, ..self }
    }

    /// Uploads a checkpoint. `moved` hears how many more bytes are through.
    ///
    /// # Errors
    /// What is not in the mirror then, and why.
    pub fn upload(
        &mut self,
        store: &mut dyn Store,
        taken: &Snapshot,
        facts: &Facts,
        moved: &mut dyn FnMut(u64),
    ) -> Result<Uploaded, UploadError> {
        self.upload_as(store, taken, facts, None, moved)
    }

    /// Uploads a part of a checkpoint: the first one of so many, or, where it is another one's number, that of a save which the first
    /// one's node has announced. Returns what was uploaded, and the save.
    ///
    /// # Errors
    /// What is not in the mirror then, and why.
    pub fn upload_part(
        &mut self,
        store: &mut dyn Store,
        taken: &Snapshot,
        facts: &Facts,
        (number, of): (u32, u32),
        announced: Option<&Announced>,
        moved: &mut dyn FnMut(u64),
    ) -> Result<(Uploaded, String), UploadError> {
        if let Some(announced) = announced {
            (self.me.run, self.me.id) = (announced.run.clone(), announced.attempt.clone());
        }
        let save = announced.map_or_else(|| format!("{}-{}", self.me.id, self.count + 1), |one| one.save.clone());
        let part = Part { number, of, save: save.clone() };
        let uploaded = self.upload_as(store, taken, facts, Some(&part), moved)?;
        Ok((uploaded, save))
    }

    /// Returns the saves that the node of the first part has announced since this start began, the latest last, and whether it is
    /// uploading one of them just now.
    ///
    /// # Errors
    /// The failure of the store.
    pub fn announced(&mut self, store: &mut dyn Store) -> Result<(Vec<Announced>, bool), Failure> {
        let listed = store.list(&self.url.own())?;
        self.account.learn(store, &self.url, &listed)?;
        let (mut found, mut uploads) = (Vec::new(), false);
        let mut new: Vec<&Object> = listed.iter().filter(|object| !self.writers.knows(&object.key)).collect();
        new.sort_by_key(|object| object.modified);
        for object in new {
            if let Some(manifest) = self.account.each().find(|one| one.key == object.key).map(|found| &found.manifest) {
                let part = manifest.part.as_ref().filter(|part| part.number == 1);
                found.extend(part.map(|part| Announced {
                    name: manifest.name.clone(),
                    step: manifest.step,
                    run: manifest.run.clone(),
                    attempt: manifest.attempt.clone(),
                    save: part.save.clone(),
                }));
            } else if names::is_marker(&object.key) {
                let marker = Marker::read(store, &self.url, &object.key)?;
                uploads |=
                    marker.as_ref().is_some_and(|marker| marker.part.as_ref().is_some_and(|part| part.number == 1));
                found.extend(marker.and_then(|marker| {
                    let part = marker.part.filter(|part| part.number == 1)?;
                    let (name, save) = (marker.directory?, part.save);
                    Some(Announced { name, step: marker.step, run: marker.run, attempt: marker.attempt, save })
                }));
            }
        }
        found.retain(|one: &Announced| names::is_safe(&one.name));
        // Seconds do not tell two short saves apart.
        found.sort_by_key(|one: &Announced| one.save.rsplit('-').next().and_then(|count| count.parse::<u64>().ok()));
        Ok((found, uploads))
    }

    /// Returns the numbers of the parts that are missing of a save, of which there are so many.
    ///
    /// # Errors
    /// The failure of the store.
    pub fn lacking(&mut self, store: &mut dyn Store, save: &str, of: u32) -> Result<Vec<u32>, Failure> {
        let listed = store.list(&self.url.own())?;
        self.account.learn(store, &self.url, &listed)?;
        let all: Vec<&Found> = self.account.each().collect();
        Ok(parts::saves(&all).remove(save).map_or_else(|| (1..=of).collect(), |found| parts::lacking(&found)))
    }

    fn upload_as(
        &mut self,
        store: &mut dyn Store,
        taken: &Snapshot,
        facts: &Facts,
        part: Option<&Part>,
        moved: &mut dyn FnMut(u64),
    ) -> Result<Uploaded, UploadError> {
        let listed = store.list(&self.url.own())?;
        self.account.learn(store, &self.url, &listed)?;
        if let Some(clash) = self.writers.judge(self.account.each(), &self.me) {
            return Err(UploadError::Clash(clash));
        }
        if self.has(taken, facts, part) {
            return Ok(Uploaded { bytes: 0, untidy: None });
        }
        self.count += 1;
        let by = match part {
            Some(part) => format!("{}-{}p{}", self.me.id, self.count, part.number),
            None => format!("{}-{}", self.me.id, self.count),
        };
        let again = (part.is_some() || self.is_taken(&taken.name, &listed)).then_some(by.as_str());
        let marker_name = names::marker(&taken.name, &by);
        let marker = self.marker(taken, again, facts.step, part);
        self.move_files(store, taken, marker, &marker_name, moved)?;
        let files = self.sums(taken)?;
        let key = match part {
            // The name of the first save of a part stays as it is read best; `again` stands before its files in any case.
            Some(part) => {
                let first = names::manifest(&taken.name, None, Some((part.number, part.of)));
                let is_taken = listed.iter().any(|object| object.key == first);
                names::manifest(&taken.name, is_taken.then_some(by.as_str()), Some((part.number, part.of)))
            }
            None => names::manifest(&taken.name, again, None),
        };
        self.publish(store, self.manifest(taken, facts, again, part, files), key)?;
        let untidy = self.tidy(store, &marker_name, &listed, part, facts.now as i64).err();
        Ok(Uploaded { bytes: taken.size(), untidy })
    }

    /// Returns whether the mirror has this very checkpoint.
    fn has(&self, taken: &Snapshot, facts: &Facts, part: Option<&Part>) -> bool {
        let same = |manifest: &Manifest| {
            let theirs = manifest.files.iter().map(|file| (&file.path, file.size));
            let ours = taken.files.iter().map(|file| (&file.path, file.size));
            manifest.name == taken.name
                && manifest.run == self.me.run
                && manifest.saved == facts.saved
                && manifest.part.as_ref() == part
                && theirs.eq(ours)
        };
        self.account.each().any(|found| same(&found.manifest))
    }

    /// Returns whether a checkpoint of this name is there, or may be on its way.
    fn is_taken(&self, name: &str, listed: &[Object]) -> bool {
        let first = names::manifest(name, None, None);
        listed.iter().any(|object| object.key == first || names::marks(&object.key, name))
    }

    fn marker(&self, taken: &Snapshot, again: Option<&str>, step: Option<u64>, part: Option<&Part>) -> Marker {
        let paths = || taken.files.iter().map(|file| file.path.clone()).collect();
        Marker {
            run: self.me.run.clone(),
            attempt: self.me.id.clone(),
            root: again.map_or_else(String::new, names::root_again),
            directory: taken.directory.then(|| taken.name.clone()),
            files: if taken.directory { Vec::new() } else { paths() },
            uploads: Vec::new(),
            step,
            part: part.cloned(),
        }
    }

    /// Moves all files, the short ones together.
    fn move_files(
        &self,
        store: &mut dyn Store,
        taken: &Snapshot,
        mut marker: Marker,
        marker_name: &str,
        moved: &mut dyn FnMut(u64),
    ) -> Result<(), Failure> {
        marker.write(store, &self.url, marker_name)?;
        let (long, short): (Vec<_>, Vec<_>) = taken.files.iter().partition(|file| file.size > (self.piece)(file.size));
        for batch in short.chunks(BATCH) {
            let put = |file: &&SnapshotFile| Task::Put {
                url: self.url.object(&format!("{}{}", marker.root, file.path)),
                path: file.source(),
                offset: 0,
                length: file.size,
                only_new: false,
            };
            store.run(batch.iter().map(put).collect(), moved)?;
        }
        long.into_iter().try_for_each(|file| self.move_parts(store, file, &mut marker, marker_name, moved))
    }

    /// Moves a long file in parts. The marker names the upload before its first part.
    fn move_parts(
        &self,
        store: &mut dyn Store,
        file: &SnapshotFile,
        marker: &mut Marker,
        marker_name: &str,
        moved: &mut dyn FnMut(u64),
    ) -> Result<(), Failure> {
        let name = format!("{}{}", marker.root, file.path);
        let url = self.url.object(&name);
        let upload = one(store, Task::Begin { url: url.clone() })?.upload;
        let upload = upload.ok_or_else(|| Failure::new(FailureKind::Bad, "the store names no upload"))?;
        marker.uploads.push((name, upload.clone()));
        marker.write(store, &self.url, marker_name)?;
        let part = |(number, (offset, length)): (u32, (u64, u64))| Task::Part {
            url: url.clone(),
            upload: upload.clone(),
            number,
            path: file.source(),
            offset,
            length,
        };
        let parts = (1u32..).zip(pieces(file.size, (self.piece)(file.size))).map(part).collect();
        store.run(parts, moved)?;
        one(store, Task::Complete { url: url.clone(), upload: upload.clone(), parts: Vec::new() })?;
        marker.uploads.pop();
        Ok(())
    }

    /// Takes the sums of all files, which are the same as they were when the upload began.
    fn sums(&self, taken: &Snapshot) -> Result<Vec<MirroredFile>, UploadError> {
        let mirrored = |file: &SnapshotFile| -> Result<MirroredFile, UploadError> {
            let piece = (self.piece)(file.size);
            let sha256 = file.sums(piece).map_err(|_| UploadError::Changed(file.path.clone()))?;
            Ok(MirroredFile { path: file.path.clone(), size: file.size, piece, sha256, root: None })
        };
        let mut files = taken.files.iter().map(mirrored).collect::<Result<Vec<_>, UploadError>>()?;
        files.sort_by(|one, other| one.path.cmp(&other.path));
        match taken.changed() {
            Some(path) => Err(UploadError::Changed(path.to_owned())),
            None => Ok(files),
        }
    }

    fn manifest(
        &self,
        taken: &Snapshot,
        facts: &Facts,
        again: Option<&str>,
        part: Option<&Part>,
        files: Vec<MirroredFile>,
    ) -> Manifest {
        Manifest {
            version: VERSION,
            name: taken.name.clone(),
            root: again.map_or_else(String::new, names::root_again),
            step: facts.step,
            family: facts.family.clone(),
            run: self.me.run.clone(),
            attempt: self.me.id.clone(),
            host: self.me.host.clone(),
            saved: facts.saved,
            written: facts.now,
            part: part.cloned(),
            files,
        }
    }

    /// Writes the manifest, and only if there is none of that name.
    fn publish(&mut self, store: &mut dyn Store, manifest: Manifest, key: String) -> Result<(), UploadError> {
        let url = self.url.object(&names::in_own(&key));
        match put_new(store, url, &manifest) {
            Err(failure) if failure.kind == FailureKind::Changed => {
                let (name, host) = (manifest.name, "elsewhere".to_owned());
                return Err(UploadError::Clash(Clash { of_another_run: false, name, host }));
            }
            put => put?,
        }
        // Newer than anything that was listed, whatever the clocks say.
        let newest = self.account.each().map(|found| found.modified.saturating_add(1)).max().unwrap_or(0);
        let modified = newest.max(manifest.written as i64);
        self.account.add(Found { key, modified, manifest, parts: Vec::new() });
        Ok(())
    }

    /// Removes the marker, old checkpoints of this run, and what crashes have left. Of several nodes the first does the latter two.
    fn tidy(
        &mut self,
        store: &mut dyn Store,
        marker: &str,
        listed: &[Object],
        part: Option<&Part>,
        now: i64,
    ) -> Result<(), Failure> {
        one(store, Task::Delete { url: self.url.object(marker) })?;
        if part.is_none_or(|part| part.number == 1) {
            self.prune(store, part)?;
        }
        for object in listed.iter().filter(|object| names::is_marker(&object.key)) {
            let Some(left) = Marker::read(store, &self.url, &object.key)? else { continue };
            let is_old = object.modified < now - DAY;
            let is_ours = left.run == self.me.run && !self.is_under_way(&left, part);
            if is_ours || is_old {
                self.sweep(store, &left, &names::in_own(&object.key))?;
            }
        }
        Ok(())
    }

    /// Returns whether another node of this start may be uploading, or removing, what is marked.
    fn is_under_way(&self, left: &Marker, part: Option<&Part>) -> bool {
        let number = |part: &Part| part.number;
        let of_another_node = left.part.as_ref().map_or(1, number) != part.map_or(1, number);
        // Another node that has not heard of this start's first part yet cannot tell it from an earlier one.
        let may_be_of_this_start = left.attempt == self.me.id || part.is_some_and(|part| part.number > 1);
        of_another_node && may_be_of_this_start
    }

    fn sweep(&self, store: &mut dyn Store, marker: &Marker, name: &str) -> Result<(), Failure> {
        // A manifest that cannot be read may refer to what would be removed.
        if self.account.may_refer_to_more() {
            return Ok(());
        }
        marker.sweep(store, &self.url, &self.account, name)
    }

    /// Deletes the checkpoints of this run beyond those that are kept: the manifest first, so that none is ever half there. Saves of
    /// which parts are missing go, too, once a later one is whole.
    fn prune(&mut self, store: &mut dyn Store, part: Option<&Part>) -> Result<(), Failure> {
        let keep = usize::try_from(self.keep).ok().filter(|keep| *keep > 0).unwrap_or(usize::MAX);
        let mut whole = self.account.newest_first();
        whole.retain(|found| found.manifest.run == self.me.run);
        let newest = whole.first().map_or(i64::MIN, |found| found.modified);
        let kept: Vec<String> = whole.iter().take(keep).flat_map(keys).collect();
        let is_old = |found: &&Found| {
            let save = found.manifest.part.as_ref().map(|part| &part.save);
            let is_current = save.is_some() && save == part.map(|part| &part.save);
            let is_whole = save.is_none() || whole.iter().any(|one| keys(one).contains(&found.key));
            let is_overtaken = is_whole || self.first_of(found).modified < newest;
            found.manifest.run == self.me.run && !kept.contains(&found.key) && !is_current && is_overtaken
        };
        let mut old: Vec<Found> = self.account.each().filter(is_old).cloned().collect();
        old.sort_by_key(|found| (found.modified, found.manifest.part.as_ref().map(|part| part.number)));
        for Found { key, manifest, .. } in old {
            self.remove(store, &key, &manifest)?;
        }
        Ok(())
    }

    /// Returns the first part of the same save, or the part itself where that is not there.
    fn first_of<'a>(&'a self, found: &'a Found) -> &'a Found {
        let save = |one: &Found| one.manifest.part.as_ref().map(|part| (part.number, part.save.clone()));
        let first = save(found).map(|(_, save)| (1, save));
        self.account.each().find(|one| first.is_some() && save(one) == first).unwrap_or(found)
    }

    fn remove(&mut self, store: &mut dyn Store, key: &str, manifest: &Manifest) -> Result<(), Failure> {
        self.count += 1;
        let marker_name = names::marker(&manifest.name, &format!("{}-{}", self.me.id, self.count));
        let directory = manifest.is_directory().then(|| manifest.name.clone());
        let files = manifest.files.iter().map(|file| file.path.clone());
        let marker = Marker {
            run: self.me.run.clone(),
            attempt: self.me.id.clone(),
            root: manifest.root.clone(),
            files: if directory.is_some() { Vec::new() } else { files.collect() },
            directory,
            uploads: Vec::new(),
            step: manifest.step,
            part: None,
        };
        marker.write(store, &self.url, &marker_name)?;
        one(store, Task::Delete { url: self.url.object(&names::in_own(key)) })?;
        self.account.forget(key);
        self.sweep(store, &marker, &marker_name)
    }
}

/// Returns the names of all manifests of a checkpoint.
fn keys(found: &Found) -> Vec<String> {
    std::iter::once(&found.key).chain(found.parts.iter().map(|part| &part.key)).cloned().collect()
}

fn put_new(store: &mut dyn Store, url: String, manifest: &Manifest) -> Result<(), Failure> {
    let text = manifest.text().map_err(|error| Failure::new(FailureKind::Bad, error.to_string()))?;
    store::write(store, url, text, true)
}
