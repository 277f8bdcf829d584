//! Uploads and restores that are killed at every request, against a store in memory.

#![allow(clippy::unwrap_used, reason = "a test may")]

use super::*;
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use transfer_protocol::{Done, Failure, FailureKind, Object, Task};

const URL: &str = "mem://b/runs/42";

/// A store in memory, which refuses everything from some request on, as if its user had been killed.
#[derive(Default)]
struct Memory {
    objects: BTreeMap<String, (Vec<u8>, i64)>,
    /// Unfinished uploads: the object and its parts.
    uploads: BTreeMap<String, (String, BTreeMap<u32, Vec<u8>>)>,
    clock: i64,
    requests: u64,
    /// The request that is the last, and whether it is still carried out.
    last: Option<(u64, bool)>,
    fetched: u64,
}

fn no(kind: FailureKind) -> Failure {
    Failure::new(kind, "no")
}

fn range(path: &Path, offset: u64, length: u64) -> Result<Vec<u8>, Failure> {
    let bytes = fs::read(path).map_err(|_| no(FailureKind::Bad))?;
    bytes.get(offset as usize..(offset + length) as usize).map(<[u8]>::to_vec).ok_or_else(|| no(FailureKind::Bad))
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Memory {
    /// Dies with this request, or lives again.
    fn dies(&mut self, last: Option<(u64, bool)>) {
        (self.requests, self.last) = (0, last);
    }

    /// Counts a request; returns whether it is carried out, and whether it is answered.
    fn counts(&mut self) -> (bool, bool) {
        self.requests += 1;
        match self.last {
            Some((at, carried_out)) if self.requests >= at => (carried_out && self.requests == at, false),
            _ => (true, true),
        }
    }

    fn put(&mut self, url: String, bytes: Vec<u8>, only_new: bool) -> Result<Done, Failure> {
        if only_new && self.objects.contains_key(&url) {
            return Err(no(FailureKind::Changed));
        }
        self.clock += 1;
        let (sha256, moved) = (Some(hex(&bytes)), bytes.len() as u64);
        self.objects.insert(url, (bytes, self.clock));
        Ok(Done { bytes: moved, sha256, ..Done::default() })
    }

    fn carry_out(&mut self, task: Task) -> Result<Done, Failure> {
        match task {
            Task::Put { url, path, offset, length, only_new } => self.put(url, range(&path, offset, length)?, only_new),
            Task::PutText { url, text, only_new } => self.put(url, text.into_bytes(), only_new),
            Task::Read { url, .. } => {
                let (bytes, _) = self.objects.get(&url).ok_or_else(|| no(FailureKind::Gone))?;
                Ok(Done { text: Some(String::from_utf8_lossy(bytes).into_owned()), ..Done::default() })
            }
            Task::Get { url, offset, length, path, at, .. } => {
                let (bytes, _) = self.objects.get(&url).ok_or_else(|| no(FailureKind::Gone))?;
                let piece =
                    bytes.get(offset as usize..(offset + length) as usize).ok_or_else(|| no(FailureKind::Bad))?;
                let mut there = fs::read(&path).map_err(|_| no(FailureKind::Bad))?;
                there[at as usize..(at + length) as usize].copy_from_slice(piece);
                fs::write(&path, there).map_err(|_| no(FailureKind::Full))?;
                self.fetched += length;
                Ok(Done { bytes: length, sha256: Some(hex(piece)), ..Done::default() })
            }
            Task::Begin { url } => {
                self.clock += 1;
                let upload = format!("u{}", self.clock);
                self.uploads.insert(upload.clone(), (url, BTreeMap::new()));
                Ok(Done { upload: Some(upload), ..Done::default() })
            }
            Task::Part { upload, number, path, offset, length, .. } => {
                let bytes = range(&path, offset, length)?;
                let sha256 = Some(hex(&bytes));
                let (_, parts) = self.uploads.get_mut(&upload).ok_or_else(|| no(FailureKind::Gone))?;
                parts.insert(number, bytes);
                Ok(Done { sha256, ..Done::default() })
            }
            Task::Complete { upload, .. } => {
                let (url, parts) = self.uploads.remove(&upload).ok_or_else(|| no(FailureKind::Gone))?;
                self.put(url, parts.into_values().flatten().collect(), false)
            }
            Task::Abort { upload, .. } => {
                self.uploads.remove(&upload).map(|_| Done::default()).ok_or_else(|| no(FailureKind::Gone))
            }
            Task::Delete { url } => {
                self.objects.remove(&url);
                Ok(Done::default())
            }
            Task::Who { .. } | Task::List { .. } | Task::Head { .. } => Err(no(FailureKind::Bad)),
        }
    }

    /// The unfinished uploads that take room. One that was begun and never told to the uploader has no part.
    fn unfinished(&self) -> usize {
        self.uploads.values().filter(|(_, parts)| !parts.is_empty()).count()
    }

    /// The objects that no manifest refers to, without the manifests.
    fn unused(&self) -> Vec<&str> {
        let own = format!("{URL}/.trainit/");
        let manifests = self.objects.iter().filter(|(key, _)| key.strip_prefix(&own).is_some_and(names::is_manifest));
        let used: Vec<String> = manifests
            .filter_map(|(_, (bytes, _))| Manifest::read(bytes).ok())
            .flat_map(|whole| whole.files.into_iter().map(move |file| format!("{URL}/{}{}", whole.root, file.path)))
            .collect();
        let manifest = |key: &str| key.strip_prefix(&own).is_some_and(names::is_manifest);
        self.objects.keys().filter(|key| !used.contains(key) && !manifest(key)).map(String::as_str).collect()
    }
}

impl Store for Memory {
    fn run(&mut self, tasks: Vec<Task>, moved: &mut dyn FnMut(u64)) -> Result<Vec<Done>, Failure> {
        let one = |task| {
            let (carried_out, answered) = self.counts();
            let done = if carried_out { self.carry_out(task) } else { Err(no(FailureKind::Later)) };
            if answered { done } else { Err(no(FailureKind::Later)) }
        };
        let done: Vec<Done> = tasks.into_iter().map(one).collect::<Result<_, _>>()?;
        moved(done.iter().map(|done| done.bytes).sum());
        Ok(done)
    }

    fn list(&mut self, url: &str) -> Result<Vec<Object>, Failure> {
        if !self.counts().1 {
            return Err(no(FailureKind::Later));
        }
        let below = self.objects.iter().filter_map(|(key, (bytes, modified))| {
            let (key, size) = (key.strip_prefix(url)?.to_owned(), bytes.len() as u64);
            Some(Object { key, size, modified: *modified, ..Object::default() })
        });
        Ok(below.collect())
    }
}

/// A machine with a directory of checkpoints.
struct Node {
    dir: tempfile::TempDir,
    me: Attempt,
}

impl Node {
    fn new(id: &str) -> Self {
        let me = Attempt { run: "run".into(), id: id.into(), host: id.into() };
        // Each restore waits for its disk, so a disk in memory serves a thousand of them.
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let dir = tempfile::Builder::new().prefix("trainit-mirror-").tempdir_in(base).unwrap();
        Node { dir, me }
    }

    /// Saves a checkpoint with a long file, a short and an empty one.
    fn save(&self, step: u64) -> PathBuf {
        let path = self.dir.path().join(format!("ckpt-{step}"));
        fs::create_dir_all(path.join("sub")).unwrap();
        fs::write(path.join("model"), content(step, "model")).unwrap();
        fs::write(path.join("sub/meta"), content(step, "m")).unwrap();
        fs::write(path.join("empty"), "").unwrap();
        path
    }

    fn uploader(&self, store: &mut Memory, keep: u64) -> Result<Uploader, Failure> {
        let uploader = Uploader::begin(store, MirrorUrl::new(URL), self.me.clone(), keep)?;
        Ok(uploader.with_pieces(|size| if size <= 8 { 8 } else { 4 }))
    }

    fn upload(&self, store: &mut Memory, uploader: &mut Uploader, step: u64) -> Result<Uploaded, UploadError> {
        let taken = Snapshot::open(self.dir.path(), &self.save(step), &[]).unwrap();
        let facts = Facts { step: Some(step), saved: step as f64, ..Facts::default() };
        uploader.upload(store, &taken, &facts, &mut |_| {})
    }

    /// Saves and uploads a checkpoint as the only one of this start.
    fn mirror(&self, store: &mut Memory, step: u64, keep: u64) -> bool {
        self.uploader(store, keep).is_ok_and(|mut uploader| self.upload(store, &mut uploader, step).is_ok())
    }

    /// Restores the newest checkpoint, as the next start would, and returns its step.
    fn restore(&self, store: &mut Memory) -> Result<Option<u64>, String> {
        let url = MirrorUrl::new(URL);
        let (found, notes) = newest_first(store, &url).map_err(|failure| failure.text)?;
        assert!(notes.is_empty(), "{notes:?}");
        let Some(newest) = found.first() else { return Ok(None) };
        let into = self.dir.path().join(".fetched");
        fetch(store, &url, &newest.manifest, &into, &mut |_| {}).map_err(|error| error.to_string())?;
        publish(&newest.manifest, &into, self.dir.path(), "1").map_err(|error| error.to_string())?;
        let step = newest.manifest.step.unwrap();
        let path = self.dir.path().join(format!("ckpt-{step}"));
        assert_eq!(fs::read_to_string(path.join("model")).unwrap(), content(step, "model"));
        assert_eq!(fs::read_to_string(path.join("sub/meta")).unwrap(), content(step, "m"));
        assert_eq!(fs::read(path.join("empty")).unwrap(), b"");
        Ok(Some(step))
    }
}

/// The nodes of a start, each with its part of a checkpoint.
struct Pair {
    nodes: [Node; 2],
    uploaders: [Uploader; 2],
}

impl Pair {
    fn new(store: &mut Memory, id: &str) -> Result<Self, Failure> {
        let nodes = [Node::new(id), Node::new(&format!("{id}-other"))];
        let uploaders = [nodes[0].uploader(store, 2)?, nodes[1].uploader(store, 2)?];
        Ok(Pair { nodes, uploaders })
    }

    /// Has both nodes save and upload their parts.
    fn mirror(&mut self, store: &mut Memory, step: u64) -> Result<(), UploadError> {
        let facts = Facts { step: Some(step), saved: step as f64, ..Facts::default() };
        let save = |node: &Node, name: &str, what: &str| {
            let path = node.dir.path().join(format!("ckpt-{step}"));
            fs::create_dir_all(path.join("sub")).unwrap();
            // Both have a file of the same name, as with DeepSpeed.
            fs::write(path.join("empty"), "").unwrap();
            fs::write(path.join(name), content(step, what)).unwrap();
            Snapshot::open(node.dir.path(), &path, &[]).unwrap()
        };
        let [first, second] = [save(&self.nodes[0], "model", "model"), save(&self.nodes[1], "sub/meta", "m")];
        let [leads, follows] = &mut self.uploaders;
        let (_, saved) = leads.upload_part(store, &first, &facts, (1, 2), None, &mut |_| {})?;
        assert_eq!(leads.lacking(store, &saved, 2)?, [2]);
        let heard = follows.announced(store)?.0.pop();
        let heard = heard.filter(|heard| heard.save == saved && heard.name == format!("ckpt-{step}")).unwrap();
        follows.upload_part(store, &second, &facts, (2, 2), Some(&heard), &mut |_| {})?;
        assert_eq!(self.uploaders[0].lacking(store, &heard.save, 2)?, [0; 0]);
        Ok(())
    }
}

fn content(step: u64, what: &str) -> String {
    if what == "model" { format!("the model at step {step}") } else { format!("{what}{step}") }
}

fn alive(store: &mut Memory) -> &mut Memory {
    store.dies(None);
    store
}

#[test]
fn an_upload_that_is_killed_at_any_request_leaves_the_checkpoint_before_it_whole() {
    let mut at = 0;
    let mut survived = false;
    while !survived {
        at += 1;
        for carried_out in [false, true] {
            let (first, second, third) = (Node::new("a"), Node::new("b"), Node::new("c"));
            let mut store = Memory::default();
            assert!(first.mirror(&mut store, 100, 2));
            store.dies(Some((at, carried_out)));
            let done = second.mirror(&mut store, 200, 2);
            let requests = store.requests;
            let restored = Node::new("r").restore(alive(&mut store));
            assert!(
                restored == Ok(Some(200)) || !done && restored == Ok(Some(100)),
                "{at} {carried_out}: {restored:?}"
            );
            // The next start uploads it again, or a later one; nothing is left of the killed upload.
            for step in [200, 300] {
                assert!(third.mirror(&mut store, step, 2), "{at} {carried_out}");
            }
            assert_eq!(Node::new("r").restore(&mut store), Ok(Some(300)));
            assert_eq!(store.unfinished(), 0, "{at} {carried_out}");
            assert_eq!(store.unused(), [""; 0], "{at} {carried_out}");
            survived = requests < at;
        }
    }
    assert!(at > 15, "an upload has only {at} requests");
}

#[test]
fn parts_of_two_nodes_are_a_checkpoint_when_both_are_there_whenever_they_are_killed() {
    let mut at = 0;
    let mut survived = false;
    while !survived {
        at += 1;
        for carried_out in [false, true] {
            let mut store = Memory::default();
            assert!(Pair::new(&mut store, "a").unwrap().mirror(&mut store, 100).is_ok());
            store.dies(Some((at, carried_out)));
            let done = Pair::new(&mut store, "b").is_ok_and(|mut pair| pair.mirror(&mut store, 200).is_ok());
            let requests = store.requests;
            let restored = Node::new("r").restore(alive(&mut store));
            assert!(restored == Ok(Some(200)) || !done && restored == Ok(Some(100)), "{at}: {restored:?}");
            let mut third = Pair::new(&mut store, "c").unwrap();
            for step in [200, 300] {
                assert!(third.mirror(&mut store, step).is_ok(), "{at} {carried_out}");
                assert_eq!(Node::new("r").restore(&mut store), Ok(Some(step)));
            }
            // The first part's node tidies up before it knows that this save is whole.
            assert!(third.mirror(&mut store, 400).is_ok());
            assert_eq!(store.unfinished(), 0, "{at} {carried_out}");
            assert_eq!(store.unused(), [""; 0], "{at} {carried_out}");
            let (found, _) = newest_first(&mut store, &MirrorUrl::new(URL)).unwrap();
            assert!(found.len() <= 3, "{at} {carried_out}: {}", found.len());
            survived = requests < at;
        }
    }
    assert!(at > 25, "two uploads have only {at} requests");
}

#[test]
fn a_restore_that_is_killed_at_any_request_goes_on_where_it_was() {
    let mut store = Memory::default();
    assert!(Node::new("a").mirror(&mut store, 100, 3));
    let all = content(100, "model").len() as u64 + content(100, "m").len() as u64;
    for at in 1..12 {
        let node = Node::new("b");
        store.fetched = 0;
        store.dies(Some((at, true)));
        let first = node.restore(&mut store);
        let before = store.fetched;
        let second = if first.is_ok() { first } else { node.restore(alive(&mut store)) };
        assert_eq!(second, Ok(Some(100)), "{at}");
        assert_eq!(store.fetched, all, "{at}: {before} bytes were there");
        let left = fs::read_dir(node.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
        assert_eq!(left, ["ckpt-100"]);
        store.dies(None);
    }
}

#[test]
fn what_is_not_whole_in_the_directory_is_put_aside_and_not_deleted() {
    let mut store = Memory::default();
    assert!(Node::new("a").mirror(&mut store, 100, 3));
    let node = Node::new("b");
    fs::create_dir(node.dir.path().join("ckpt-100")).unwrap();
    fs::write(node.dir.path().join("ckpt-100/model"), "half").unwrap();
    assert_eq!(node.restore(&mut store), Ok(Some(100)));
    assert_eq!(fs::read(node.dir.path().join(".ckpt-100.before-1/model")).unwrap(), b"half");
}

#[test]
fn an_object_that_is_not_what_its_manifest_says_is_refused() {
    let mut store = Memory::default();
    assert!(Node::new("a").mirror(&mut store, 100, 3));
    store.objects.get_mut(&format!("{URL}/ckpt-100/model")).unwrap().0[3] ^= 1;
    assert_eq!(Node::new("b").restore(&mut store), Err("ckpt-100/model is not what its manifest says".into()));
}

#[test]
fn a_checkpoint_of_the_same_name_does_not_touch_the_one_that_is_there() {
    let mut store = Memory::default();
    let node = Node::new("a");
    let mut uploader = node.uploader(&mut store, 1).unwrap();
    assert!(node.upload(&mut store, &mut uploader, 100).is_ok());
    fs::write(node.dir.path().join("ckpt-100/model"), "another").unwrap();
    for (saved, is_new) in [(101.0, true), (101.0, false)] {
        let taken = Snapshot::open(node.dir.path(), &node.dir.path().join("ckpt-100"), &[]).unwrap();
        let facts = Facts { step: Some(100), saved, ..Facts::default() };
        let uploaded = uploader.upload(&mut store, &taken, &facts, &mut |_| {}).unwrap();
        assert_eq!(uploaded.bytes > 0, is_new, "{uploaded:?}");
    }
    let (found, _) = newest_first(&mut store, &MirrorUrl::new(URL)).unwrap();
    assert_eq!(found.len(), 1, "one is kept");
    assert!(found[0].manifest.root.starts_with(".trainit/again/"), "{found:?}");
    assert_eq!(store.unused(), [""; 0]);
}

#[test]
fn a_file_that_is_deleted_on_the_way_is_uploaded_whole_and_one_that_is_written_is_not() {
    let mut store = Memory::default();
    let node = Node::new("a");
    let mut uploader = node.uploader(&mut store, 3).unwrap();
    let path = node.save(100);
    let taken = Snapshot::open(node.dir.path(), &path, &[]).unwrap();
    fs::remove_dir_all(&path).unwrap();
    let facts = |step| Facts { step: Some(step), saved: step as f64, ..Facts::default() };
    assert!(uploader.upload(&mut store, &taken, &facts(100), &mut |_| {}).is_ok());
    let path = node.save(200);
    let taken = Snapshot::open(node.dir.path(), &path, &[]).unwrap();
    let mut write = |_| fs::write(path.join("sub/meta"), "written again").unwrap();
    let changed = uploader.upload(&mut store, &taken, &facts(200), &mut write);
    assert!(matches!(changed, Err(UploadError::Changed(path)) if path == "ckpt-200/sub/meta"));
    assert_eq!(Node::new("b").restore(&mut store), Ok(Some(100)));
}

#[test]
fn a_second_run_in_one_place_is_told_and_loses_nothing_of_the_first() {
    let mut store = Memory::default();
    let (first, other) = (Node::new("a"), Node::new("x"));
    let other = Node { me: Attempt { run: "other".into(), ..other.me.clone() }, ..other };
    let mut uploader = first.uploader(&mut store, 1).unwrap();
    assert!(first.upload(&mut store, &mut uploader, 100).is_ok());
    assert!(other.mirror(&mut store, 50, 1), "it begins after the first, and its start was not refused");
    let clash = first.upload(&mut store, &mut uploader, 200);
    assert!(matches!(clash, Err(UploadError::Clash(Clash { of_another_run: true, .. }))), "{clash:?}");
    let (found, _) = newest_first(&mut store, &MirrorUrl::new(URL)).unwrap();
    assert_eq!(found.len(), 2);
}

#[test]
fn only_as_many_as_are_kept_stay_and_nothing_of_the_others() {
    let mut store = Memory::default();
    let node = Node::new("a");
    let mut uploader = node.uploader(&mut store, 2).unwrap();
    for step in [100, 200, 300, 400] {
        let uploaded = node.upload(&mut store, &mut uploader, step).unwrap();
        assert_eq!(uploaded.untidy, None);
    }
    let (found, _) = newest_first(&mut store, &MirrorUrl::new(URL)).unwrap();
    assert_eq!(found.iter().map(|found| found.manifest.step).collect::<Vec<_>>(), [Some(400), Some(300)]);
    assert_eq!(store.unused(), [""; 0]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Starts follow each other, each restores, uploads some checkpoints and is killed at some request.
    #[test]
    fn no_order_of_starts_and_kills_loses_an_upload_that_was_told_complete(
        starts in proptest::collection::vec((1u64..4, 1u64..90, any::<bool>(), 1u64..4), 1..7),
    ) {
        let mut store = Memory::default();
        let mut safe = None;
        let mut step = 0;
        for (number, (count, at, carried_out, keep)) in starts.into_iter().enumerate() {
            let node = Node::new(&format!("n{number}"));
            let restored = node.restore(alive(&mut store));
            prop_assert!(matches!(restored, Ok(restored) if restored >= safe), "{restored:?} {safe:?}");
            store.dies(Some((at, carried_out)));
            if let Ok(mut uploader) = node.uploader(&mut store, keep) {
                for _ in 0..count {
                    step += 100;
                    if node.upload(&mut store, &mut uploader, step).is_ok() {
                        safe = Some(step);
                    }
                }
            }
        }
        let last = Node::new("last");
        prop_assert!(last.mirror(alive(&mut store), step + 100, 1));
        prop_assert_eq!(Node::new("r").restore(&mut store), Ok(Some(step + 100)));
        prop_assert_eq!(store.unfinished(), 0);
        prop_assert_eq!(store.unused(), [""; 0]);
    }
}
