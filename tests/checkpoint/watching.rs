//! A watcher in one thread, a writer in another. The writer waits for what the watcher tells; nothing sleeps and hopes.

use crate::fixture::{Place, dcp_index, half, lightning, torch};
use checkpoint::{Checkpoint, FamilyChoice, Pattern, WatchEnd, watch};
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

/// Longer than any look takes on a busy machine.
const SOON: Duration = Duration::from_secs(20);

/// A watcher that ends when this is dropped.
struct Watching {
    told: Receiver<Checkpoint>,
    end: Option<std::io::PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl Watching {
    fn of(dir: &Path, how: &str, since: SystemTime) -> Self {
        let (word, pattern) = how.split_once(' ').map_or((how, None), |(word, pattern)| (word, Some(pattern)));
        let (family, pattern) = (FamilyChoice::parse(word).unwrap(), pattern.map(|text| Pattern::parse(text).unwrap()));
        let (tell, told) = channel();
        let (ended, end) = std::io::pipe().unwrap();
        let dir = dir.to_path_buf();
        let thread = std::thread::spawn(move || {
            let until = WatchEnd { told: Some(ended.as_fd()), deadline: None };
            watch(&dir, family, pattern.as_ref(), since, &until, &mut |found| tell.send(found.clone()).unwrap())
                .unwrap();
        });
        Watching { told, end: Some(end), thread: Some(thread) }
    }

    fn next(&self) -> String {
        name(&self.told.recv_timeout(SOON).expect("a checkpoint is told"))
    }

    /// All that was told when watching has ended; ending takes a last look.
    fn rest(mut self) -> Vec<String> {
        drop(self.end.take());
        self.thread.take().unwrap().join().unwrap();
        self.told.try_iter().map(|found| name(&found)).collect()
    }
}

fn name(found: &Checkpoint) -> String {
    found.path.file_name().unwrap().to_str().unwrap().to_string()
}

#[test]
fn a_rename_is_told_once_and_a_half_written_file_is_not() {
    let place = Place::new();
    place.put("a-1.pt", torch(b"old"));
    place.age("a-1.pt", 60);
    let watching = Watching::of(place.path(), "auto", SystemTime::now());
    place.put("a-3.pt", half(torch(b"half")));
    let tmp = place.put("a-2.pt.tmp", torch(b"new"));
    fs::rename(tmp, place.path().join("a-2.pt")).unwrap();
    assert_eq!(watching.next(), "a-2.pt");
    place.put("a-3.pt", torch(b"half"));
    assert_eq!(watching.next(), "a-3.pt");
    assert_eq!(watching.rest(), [""; 0]);
}

#[test]
fn inotify_wakes_before_the_second_is_over() {
    let place = Place::new();
    let watching = Watching::of(place.path(), "torch", SystemTime::now());
    place.put("first.pt", torch(b"w"));
    watching.next();
    // A busy machine may be late; without inotify every one of them is.
    let is_soon = |n| {
        let begun = Instant::now();
        place.put(&format!("a-{n}.pt"), torch(b"w"));
        watching.next();
        begun.elapsed() < Duration::from_millis(700)
    };
    assert!((0..20).any(is_soon), "each of twenty waited for the second to be over");
}

#[test]
fn a_file_that_is_written_again_under_its_name_is_told_again() {
    let place = Place::new();
    let watching = Watching::of(place.path(), "torch", SystemTime::now());
    for round in 0..3 {
        let tmp = place.put("last.pt.tmp", torch(&[round; 40]));
        fs::rename(tmp, place.path().join("last.pt")).unwrap();
        assert_eq!(watching.next(), "last.pt");
    }
    assert_eq!(watching.rest(), [""; 0]);
}

#[test]
fn a_directory_is_told_once_when_its_last_file_is_there() {
    let place = Place::new();
    let watching = Watching::of(place.path(), "dcp", SystemTime::now());
    place.put("step-1/__0_0.distcp", "data");
    assert_eq!(watching.told.recv_timeout(Duration::from_millis(1500)), Err(RecvTimeoutError::Timeout));
    place.put("step-1/.metadata", dcp_index(&["__0_0.distcp"]));
    assert_eq!(watching.next(), "step-1");
    place.put("step-1/rng_1.pt", torch(b"later"));
    place.put("step-2/__0_0.distcp", "data");
    place.put("step-2/.metadata", dcp_index(&["__0_0.distcp"]));
    assert_eq!(watching.next(), "step-2");
    assert_eq!(watching.rest(), [""; 0]);
}

#[test]
fn what_was_there_before_is_told_only_if_it_is_newer_than_since() {
    let place = Place::new();
    place.put("a-1.pt", torch(b"w"));
    place.put("a-2.pt", torch(b"w"));
    place.age("a-1.pt", 600);
    place.age("a-2.pt", 60);
    let since = SystemTime::now() - Duration::from_secs(300);
    assert_eq!(Watching::of(place.path(), "auto", since).rest(), ["a-2.pt"]);
}

#[test]
fn a_lower_step_after_going_back_is_news() {
    let place = Place::new();
    for step in 900..1000 {
        place.put(&format!("a-{step}.pt"), torch(b"w"));
        place.age(&format!("a-{step}.pt"), 60);
    }
    let watching = Watching::of(place.path(), "torch", SystemTime::now());
    place.put("a-100.pt", torch(b"w"));
    assert_eq!(watching.next(), "a-100.pt");
    (990..1000).for_each(|step| fs::remove_file(place.path().join(format!("a-{step}.pt"))).unwrap());
    assert_eq!(watching.rest(), [""; 0], "what comes into sight when others go is no news");
}

#[test]
fn a_set_is_told_when_its_last_part_is_whole() {
    let place = Place::new();
    ["model_1.pt", "optim_1.pt"].iter().for_each(|name| {
        place.put(name, torch(b"w"));
        place.age(name, 60);
    });
    let watching = Watching::of(place.path(), "auto", SystemTime::now());
    place.put("model_2.pt", torch(b"w"));
    place.put("optim_2.pt", half(torch(b"w")));
    assert_eq!(watching.told.recv_timeout(Duration::from_millis(1500)), Err(RecvTimeoutError::Timeout));
    place.put("optim_2.pt", torch(b"w"));
    let found = watching.told.recv_timeout(SOON).unwrap();
    assert_eq!((name(&found), found.others.len(), found.stands), ("model_2.pt".into(), 1, false));
    assert_eq!(watching.rest(), [""; 0]);
}

#[test]
fn a_new_runs_directory_is_watched_too() {
    let place = Place::new();
    place.put("lightning_logs/version_0/checkpoints/epoch=0-step=9.ckpt", lightning(9));
    place.age("lightning_logs/version_0/checkpoints/epoch=0-step=9.ckpt", 600);
    let watching = Watching::of(place.path(), "auto", SystemTime::now());
    place.put("lightning_logs/version_1/checkpoints/epoch=0-step=3.ckpt", lightning(3));
    assert_eq!(watching.next(), "epoch=0-step=3.ckpt");
    place.put("lightning_logs/version_1/checkpoints/epoch=0-step=6.ckpt", lightning(6));
    assert_eq!(watching.next(), "epoch=0-step=6.ckpt");
    assert_eq!(watching.rest(), [""; 0]);
}

#[test]
fn what_this_training_saves_is_told_whatever_its_name_is() {
    let place = Place::new();
    place.put("resnet50.pth", torch(b"w"));
    place.age("resnet50.pth", 600);
    let watching = Watching::of(place.path(), "auto", SystemTime::now());
    place.put("mynet.pt", torch(b"w"));
    assert_eq!(watching.next(), "mynet.pt");
    assert_eq!(watching.rest(), [""; 0]);
}

#[test]
fn the_directory_may_come_later_and_go() {
    let place = Place::new();
    let dir = place.path().join("later");
    let watching = Watching::of(&dir, "torch", SystemTime::now());
    place.put("later/a-1.pt", torch(b"w"));
    assert_eq!(watching.next(), "a-1.pt");
    fs::remove_dir_all(&dir).unwrap();
    place.put("later/a-2.pt", torch(b"w"));
    assert_eq!(watching.next(), "a-2.pt");
}

#[test]
fn a_plain_file_is_told_when_its_writer_closes_it() {
    let place = Place::new();
    let watching = Watching::of(place.path(), "plain a-{step}.raw", SystemTime::now());
    let mut file = File::create(place.path().join("a-1.raw")).unwrap();
    file.write_all(b"part").unwrap();
    assert_eq!(watching.told.recv_timeout(Duration::from_millis(1500)), Err(RecvTimeoutError::Timeout));
    drop(file);
    assert_eq!(watching.next(), "a-1.raw");
}

#[test]
fn watching_ends_at_its_deadline_after_a_last_look() {
    let place = Place::new();
    let begun = Instant::now();
    let until = WatchEnd { deadline: Some(begun + Duration::from_millis(300)), told: None };
    let torch = FamilyChoice::parse("torch").unwrap();
    watch(place.path(), torch, None, SystemTime::now(), &until, &mut |_| panic!("nothing is there")).unwrap();
    assert!((Duration::from_millis(300)..SOON).contains(&begun.elapsed()));
}
