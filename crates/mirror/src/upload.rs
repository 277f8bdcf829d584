//! The upload of a checkpoint: a marker, the files, the manifest, and then what is not kept any more.

use super::account::{Account, Found};
use super::manifest::{Manifest, MirroredFile, VERSION, pieces};
use super::names::{self, MirrorUrl};
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

    #[cfg(test)]
    pub(crate) fn with_pieces(self, piece: fn(u64) -> u64) -> Self {
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
        let listed = store.list(&self.url.own())?;
        self.account.learn(store, &self.url, &listed)?;
        if let Some(clash) = self.writers.judge(&self.account.newest_first(), &self.me) {
            return Err(UploadError::Clash(clash));
        }
        if self.has(taken, facts) {
            return Ok(Uploaded { bytes: 0, untidy: None });
        }
        self.count += 1;
        let by = format!("{}-{}", self.me.id, self.count);
        let again = self.is_taken(&taken.name, &listed).then_some(by.as_str());
        let marker_name = names::marker(&taken.name, &by);
        let marker = self.marker(taken, again);
        self.move_files(store, taken, marker, &marker_name, moved)?;
        let files = self.sums(taken)?;
        self.publish(store, taken, facts, again, files)?;
        let untidy = self.tidy(store, &marker_name, &listed, facts.now as i64).err();
        Ok(Uploaded { bytes: taken.size(), untidy })
    }

    /// Returns whether the mirror has this very checkpoint.
    fn has(&self, taken: &Snapshot, facts: &Facts) -> bool {
        let same = |manifest: &Manifest| {
            let theirs = manifest.files.iter().map(|file| (&file.path, file.size));
            let ours = taken.files.iter().map(|file| (&file.path, file.size));
            manifest.name == taken.name
                && manifest.run == self.me.run
                && manifest.saved == facts.saved
                && theirs.eq(ours)
        };
        self.account.newest_first().iter().any(|found| same(&found.manifest))
    }

    /// Returns whether a checkpoint of this name is there, or may be on its way.
    fn is_taken(&self, name: &str, listed: &[Object]) -> bool {
        let first = names::manifest(name, None);
        listed.iter().any(|object| object.key == first || names::marks(&object.key, name))
    }

    fn marker(&self, taken: &Snapshot, again: Option<&str>) -> Marker {
        let paths = || taken.files.iter().map(|file| file.path.clone()).collect();
        Marker {
            run: self.me.run.clone(),
            attempt: self.me.id.clone(),
            root: again.map_or_else(String::new, names::root_again),
            directory: taken.directory.then(|| taken.name.clone()),
            files: if taken.directory { Vec::new() } else { paths() },
            uploads: Vec::new(),
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
            Ok(MirroredFile { path: file.path.clone(), size: file.size, piece, sha256 })
        };
        let mut files = taken.files.iter().map(mirrored).collect::<Result<Vec<_>, UploadError>>()?;
        files.sort_by(|one, other| one.path.cmp(&other.path));
        match taken.changed() {
            Some(path) => Err(UploadError::Changed(path.to_owned())),
            None => Ok(files),
        }
    }

    /// Writes the manifest, and only if there is none of that name.
    fn publish(
        &mut self,
        store: &mut dyn Store,
        taken: &Snapshot,
        facts: &Facts,
        again: Option<&str>,
        files: Vec<MirroredFile>,
    ) -> Result<(), UploadError> {
        let manifest = Manifest {
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
            files,
        };
        let key = names::manifest(&taken.name, again);
        let url = self.url.object(&names::in_own(&key));
        match put_new(store, url, &manifest) {
            Err(failure) if failure.kind == FailureKind::Changed => {
                let (name, host) = (taken.name.clone(), "elsewhere".to_owned());
                return Err(UploadError::Clash(Clash { of_another_run: false, name, host }));
            }
            put => put?,
        }
        // Newer than anything that was listed, whatever the clocks say.
        let newest = self.account.newest_first().first().map_or(0, |found| found.modified.saturating_add(1));
        self.account.add(Found { key, modified: newest.max(facts.now as i64), manifest });
        Ok(())
    }

    /// Removes the marker, old checkpoints of this run, and what crashes have left.
    fn tidy(&mut self, store: &mut dyn Store, marker: &str, listed: &[Object], now: i64) -> Result<(), Failure> {
        one(store, Task::Delete { url: self.url.object(marker) })?;
        self.prune(store)?;
        for object in listed.iter().filter(|object| names::is_marker(&object.key)) {
            let Some(left) = Marker::read(store, &self.url, &object.key)? else { continue };
            let is_old = object.modified < now - DAY;
            if left.run == self.me.run || is_old {
                self.sweep(store, &left, &names::in_own(&object.key))?;
            }
        }
        Ok(())
    }

    fn sweep(&self, store: &mut dyn Store, marker: &Marker, name: &str) -> Result<(), Failure> {
        // A manifest that cannot be read may refer to what would be removed.
        if self.account.may_refer_to_more() {
            return Ok(());
        }
        marker.sweep(store, &self.url, &self.account, name)
    }

    /// Deletes the checkpoints of this run beyond those that are kept: the manifest first, so that none is ever half there.
    fn prune(&mut self, store: &mut dyn Store) -> Result<(), Failure> {
        let keep = usize::try_from(self.keep).ok().filter(|keep| *keep > 0).unwrap_or(usize::MAX);
        let all = self.account.newest_first();
        let ours = all.into_iter().filter(|found| found.manifest.run == self.me.run).cloned();
        let old: Vec<Found> = ours.skip(keep).collect();
        for Found { key, manifest, .. } in old {
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
            };
            marker.write(store, &self.url, &marker_name)?;
            one(store, Task::Delete { url: self.url.object(&names::in_own(&key)) })?;
            self.account.forget(&key);
            self.sweep(store, &marker, &marker_name)?;
        }
        Ok(())
    }
}

fn put_new(store: &mut dyn Store, url: String, manifest: &Manifest) -> Result<(), Failure> {
    let text = manifest.text().map_err(|error| Failure::new(FailureKind::Bad, error.to_string()))?;
    store::write(store, url, text, true)
}
