//! The uploader: takes checkpoints from the queue, tries again what may pass, and tells PID 1 what is where.

use super::queue::{Next, Queue, Waiting};
use crate::mirror::{CarriedStore, MirroredHistory, new_id, read_mark, write_mark};
use checkpoint::Checkpoint;
use mirror::{Announced, Attempt, Facts, MirrorUrl, Rate, Snapshot, UploadError, Uploaded, Uploader, wanted_grace};
use protocol::handover::{HandoverWriter, Message, MirrorPolicy, MirrorState, Mirrored, Upload};
use protocol::units;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};
use supervisor::state_dir::unix_now;
use sys::Root;
use transfer_protocol::{Failure, FailureKind};

/// The pause before a failed upload is tried again, unless a newer checkpoint comes first.
const PAUSE: Duration = Duration::from_secs(30);
/// The pauses between the tries of the last upload, when no newer checkpoint can come any more.
const LAST_PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(9)];
/// A grace that is not known is taken for this one, which Kubernetes and Slurm give if they are told nothing.
const USUAL_GRACE: Duration = Duration::from_secs(30);
/// Longest reason in characters.
const MOST_WORDS: usize = 300;
/// How often the parts of other nodes are looked for.
pub(super) const LOOK: Duration = Duration::from_secs(2);
/// How long, at the end, the parts of other nodes are waited for: those nodes end at about the same time.
const OTHERS: Duration = Duration::from_secs(600);
/// How often PID 1 hears of an upload that goes on.
const TELL: Duration = Duration::from_secs(1);

/// The uploader.
pub(super) struct Desk<'a> {
    pub(super) policy: &'a MirrorPolicy,
    pub(super) dir: PathBuf,
    grace: Option<Duration>,
    handover: HandoverWriter,
    uploader: Option<Uploader>,
    history: Option<MirroredHistory>,
    state: MirrorState,
    rate: Rate,
    /// The last trouble that was told, so that each is told once.
    told: String,
    /// The longest grace that was asked for.
    advised: Duration,
    /// The checkpoint of which this node's part is there, and the save that it belongs to, until those of the others are there, too.
    pub(super) awaited: Option<(Checkpoint, String)>,
}

/// A time that begins with the first look at it.
pub(super) struct WaitLimit {
    time: Duration,
    since: Option<Instant>,
}

impl WaitLimit {
    /// Returns a time that has not begun.
    pub(super) fn new(time: Duration) -> Self {
        WaitLimit { time, since: None }
    }

    /// Returns whether it lasts.
    pub(super) fn lasts(&mut self) -> bool {
        self.since.get_or_insert_with(Instant::now).elapsed() < self.time
    }
}

/// What became of a checkpoint.
pub(super) enum Outcome {
    /// It is in the mirror, or nothing of it can be.
    Done,
    /// It may be uploaded later.
    Again,
    /// Trying again is of no use before something is changed.
    Hopeless,
    /// Another writer is at work: nothing is uploaded any more.
    Refused,
}

impl<'a> Desk<'a> {
    /// Returns the uploader of a directory's checkpoints, which tells PID 1 through a pipe of its own.
    pub(super) fn new(policy: &'a MirrorPolicy, dir: &Path, grace: Option<Duration>, handover: HandoverWriter) -> Self {
        // The paths of checkpoints are real ones.
        let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
        Desk {
            policy,
            dir,
            grace,
            handover,
            uploader: None,
            history: None,
            state: MirrorState::default(),
            rate: Rate::default(),
            told: String::new(),
            advised: Duration::ZERO,
            awaited: None,
        }
    }

    /// Also keeps a copy of this history in the mirror.
    pub(super) fn with_history(self, history: Option<MirroredHistory>) -> Self {
        Desk { history, ..self }
    }

    /// Uploads what the queue has, until it is over.
    pub(super) fn work(mut self, queue: &Queue) {
        self.begin_history();
        let mut pending: Option<Box<Waiting>> = None;
        let mut last_pauses = LAST_PAUSES.into_iter();
        let mut patience = WaitLimit::new(OTHERS);
        loop {
            let over = queue.is_over();
            let pause = match (&pending, over) {
                (None, _) => self.awaited.as_ref().map(|_| LOOK),
                (Some(_), false) => Some(PAUSE),
                (Some(_), true) => last_pauses.next().inspect(|pause| std::thread::sleep(*pause)),
            };
            match queue.next(pause) {
                Next::Upload(found) => pending = Some(found),
                Next::Nothing => {}
                // The last one is tried some more times.
                Next::Over if pending.is_some() && pause.is_some() => {}
                Next::Over if pending.is_none() && self.awaited.is_some() && patience.lasts() => {
                    std::thread::sleep(LOOK)
                }
                Next::Over => break,
            }
            self.look_for_others();
            let Some(found) = pending.take() else { continue };
            match self.upload(&found) {
                Outcome::Done => {}
                Outcome::Again => pending = Some(found),
                Outcome::Hopeless if queue.is_over() => {
                    pending = Some(found);
                    break;
                }
                Outcome::Hopeless => pending = Some(found),
                Outcome::Refused => return,
            }
        }
        let is_there = pending.is_none() && self.awaited.is_none();
        self.end(is_there && !queue.is_blind());
    }

    /// Tells the last of this helper: whether everything that was complete is in the mirror.
    pub(super) fn end(&mut self, is_all_there: bool) {
        self.state.complete = is_all_there && !self.state.refused;
        self.tell();
    }

    /// Uploads one checkpoint, or this node's part of one.
    fn upload(&mut self, waiting: &Waiting) -> Outcome {
        let part = self.policy.part.filter(|_| waiting.is_part);
        self.carry_up(&waiting.found, part, None)
    }

    /// Uploads a checkpoint, or a part of one: that of a save which another node has announced, or else the first.
    pub(super) fn carry_up(
        &mut self,
        found: &Checkpoint,
        part: Option<(u32, u32)>,
        announced: Option<&Announced>,
    ) -> Outcome {
        match self.try_upload(found, part, announced) {
            Ok((uploaded, save)) => {
                match save {
                    Some(save) => {
                        self.awaited = Some((found.clone(), save));
                        self.look_for_others();
                    }
                    None => self.is_there(found),
                }
                uploaded
                    .untidy
                    .iter()
                    .for_each(|failure| self.note_once(&format!("what is old stays: {}", failure.text)));
                Outcome::Done
            }
            Err(Trouble::Unread(error)) if error.kind() == io::ErrorKind::NotFound => {
                self.drop_it(found, "it was deleted before its upload")
            }
            Err(Trouble::Unread(error)) => self.drop_it(found, &error.to_string()),
            Err(Trouble::Upload(UploadError::Changed(path))) => {
                self.drop_it(found, &format!("{} was written while it was uploaded", text::line(&path)))
            }
            Err(Trouble::Upload(UploadError::Clash(clash))) => self.refuse(&clash.to_string()),
            Err(Trouble::Upload(UploadError::Store(failure))) => self.fail(found, &failure),
        }
    }

    /// Notes that a checkpoint is whole in the mirror.
    fn is_there(&mut self, found: &Checkpoint) {
        self.state.newest = Some(mirrored(found));
        (self.state.going, self.state.failed) = (None, None);
        self.told.clear();
        self.tell();
    }

    /// Looks whether the parts of the other nodes are there.
    pub(super) fn look_for_others(&mut self) {
        let Some((found, save)) = self.awaited.clone() else { return };
        let of = self.policy.part.map_or(1, |(_, of)| of);
        let lacking = CarriedStore::start(self.policy, std::iter::empty()).and_then(|mut store| {
            let uploader = self.uploader.as_mut();
            uploader.map_or(Ok(Vec::new()), |uploader| uploader.lacking(&mut store, &save, of))
        });
        match lacking {
            Ok(lacking) if lacking.is_empty() => {
                self.awaited = None;
                self.is_there(&found);
            }
            Ok(lacking) => {
                let some: Vec<String> = lacking.iter().take(4).map(|number| (number - 1).to_string()).collect();
                let more = if lacking.len() > 4 { " …" } else { "" };
                let why =
                    format!("not all nodes have uploaded their parts: {}{more} of {of} are missing", some.join(", "));
                if self.state.failed.as_ref() != Some(&why) {
                    self.state.failed = Some(why);
                    self.tell();
                }
            }
            Err(failure) => self.note_once(&failure.text),
        }
    }

    /// Returns the uploader, which is made with the first store.
    pub(super) fn uploader(&mut self, store: &mut CarriedStore) -> Result<&mut Uploader, Trouble> {
        let made = match self.uploader.take() {
            Some(uploader) => uploader,
            None => self.begin(store)?,
        };
        Ok(self.uploader.insert(made))
    }

    fn try_upload(
        &mut self,
        found: &Checkpoint,
        part: Option<(u32, u32)>,
        announced: Option<&Announced>,
    ) -> Result<(Uploaded, Option<String>), Trouble> {
        let taken = Snapshot::open(&self.dir, &found.path, &found.others).map_err(Trouble::Unread)?;
        let mut store = CarriedStore::start(self.policy, taken.descriptors())?;
        self.uploader(&mut store)?;
        let size = taken.size();
        self.state.going = Some(Upload { checkpoint: mirrored(found), size, left: size });
        self.tell();
        let begun = Instant::now();
        let (mut through, mut next) = (0, begun + TELL);
        let facts = facts(found);
        let (state, handover) = (&mut self.state, &self.handover);
        let mut moved = |bytes: u64| {
            through += bytes;
            if let Some(going) = &mut state.going {
                going.left = size.saturating_sub(through);
            }
            if Instant::now() >= next {
                next = Instant::now() + TELL;
                handover.send(&Message::Mirror(state.clone()));
            }
        };
        let Some(uploader) = &mut self.uploader else { return Ok((Uploaded { bytes: 0, untidy: None }, None)) };
        let done = match part {
            None => uploader.upload(&mut store, &taken, &facts, &mut moved).map(|uploaded| (uploaded, None)),
            Some(part) => uploader
                .upload_part(&mut store, &taken, &facts, part, announced, &mut moved)
                .map(|(uploaded, save)| (uploaded, Some(save))),
        };
        let (uploaded, save) = done.map_err(Trouble::Upload)?;
        self.measure(found, uploaded.bytes, begun.elapsed());
        self.keep_history(&mut store);
        Ok((uploaded, save))
    }

    /// Keeps a copy of the history before the first upload, so that an attempt is known that is lost before it.
    fn begin_history(&mut self) {
        if self.history.is_some()
            && let Ok(mut store) = CarriedStore::start(self.policy, std::iter::empty())
        {
            self.keep_history(&mut store);
        }
    }

    /// Keeps a copy of the history as it is now. A failure costs no checkpoint, and the end of the attempt tries again.
    fn keep_history(&mut self, store: &mut CarriedStore) {
        if let Some(Err(why)) = self.history.as_mut().map(|history| history.keep(store)) {
            self.note_once(&format!("the history is not in it yet: {why}"));
        }
    }

    /// Finds out which run this is: that of the directory, else that of the mirror, else a new one.
    fn begin(&self, store: &mut CarriedStore) -> Result<Uploader, Trouble> {
        let url = MirrorUrl::new(&self.policy.url);
        let run = match read_mark(&self.dir).map_err(Trouble::Unread)? {
            Some(run) => run,
            None => {
                let (found, _) = mirror::newest_first(store, &url)?;
                let newest = found.first().map(|found| found.manifest.run.clone());
                newest.map_or_else(new_id, Ok).map_err(Trouble::Unread)?
            }
        };
        // Of the nodes that save parts, only the first may make up a run.
        if self.policy.part.is_none_or(|(number, _)| number == 1) {
            write_mark(&self.dir, &run).map_err(Trouble::Unread)?;
        }
        let host = Root::real().text("/proc/sys/kernel/hostname").unwrap_or_default();
        let me = Attempt { run, id: new_id().map_err(Trouble::Unread)?, host: host.trim().to_owned() };
        Ok(Uploader::begin(store, url, me, self.policy.keep)?)
    }

    /// Returns whether the directory belongs to this run, or to none by now; then it does from now on.
    pub(super) fn belongs_to(&self, run: &str) -> io::Result<bool> {
        write_mark(&self.dir, run)?;
        Ok(read_mark(&self.dir)?.is_some_and(|own| own == run))
    }

    /// Says while there is time that a stop is too short for an upload.
    fn measure(&mut self, found: &Checkpoint, bytes: u64, took: Duration) {
        self.rate.measured(bytes, took);
        let (Some(upload), Some(rate)) = (self.rate.time_for(bytes), self.rate.bytes_per_second()) else { return };
        let Some(wanted) = wanted_grace(upload, Some(self.grace.unwrap_or(USUAL_GRACE)))
            .filter(|wanted| *wanted > self.advised * 3 / 2)
        else {
            return;
        };
        self.advised = wanted;
        let has = self.grace.map_or("and stop.grace is not set".to_owned(), |grace| {
            format!("and a stop has {}", units::seconds(grace))
        });
        let engine = match self.policy.more_time.as_str() {
            "" => String::new(),
            more => format!("{}, ", more.replace("{}", &wanted.as_secs().to_string())),
        };
        let line = format!(
            "mirror: {} ({}) takes up to {} at {}/s, {has}: what is saved in a stop may stay on this node; {engine}stop.grace: {}s",
            named(found),
            units::size(bytes),
            units::seconds(upload),
            units::size(rate),
            wanted.as_secs().saturating_sub(5),
        );
        self.handover.send(&Message::Note(line));
    }

    /// Gives up a checkpoint that cannot be uploaded as it is.
    fn drop_it(&mut self, found: &Checkpoint, why: &str) -> Outcome {
        self.state.going = None;
        self.handover.send(&Message::Note(format!("mirror: {} is not uploaded: {why}", named(found))));
        Outcome::Done
    }

    pub(super) fn refuse(&mut self, why: &str) -> Outcome {
        (self.state.going, self.state.refused, self.state.failed) = (None, true, Some(short(why)));
        self.note_once(&format!(
            "{why}; nothing is uploaded any more: give each run a place of its own (checkpoint.mirror)"
        ));
        self.tell();
        Outcome::Refused
    }

    pub(super) fn fail(&mut self, found: &Checkpoint, failure: &Failure) -> Outcome {
        self.state.failed = Some(short(&failure.text));
        let hints: String = failure.hints.iter().map(|hint| format!("; {hint}")).collect();
        self.note_once(&format!("{} is not uploaded yet: {}{hints}", named(found), failure.text));
        self.tell();
        match failure.kind {
            FailureKind::Denied | FailureKind::Bad | FailureKind::Gone => Outcome::Hopeless,
            FailureKind::Later | FailureKind::Changed | FailureKind::Full => Outcome::Again,
        }
    }

    pub(super) fn note_once(&mut self, trouble: &str) {
        if self.told != trouble {
            trouble.clone_into(&mut self.told);
            self.handover.send(&Message::Note(format!("mirror: {}", text::line(&short(trouble)))));
        }
    }

    fn tell(&self) {
        self.handover.send(&Message::Mirror(self.state.clone()));
    }
}

/// Cuts a reason that others have worded, so that a message for PID 1 holds it.
fn short(why: &str) -> String {
    why.chars().take(MOST_WORDS).collect()
}

/// Why a checkpoint is not in the mirror.
pub(super) enum Trouble {
    /// It cannot be read, or what tells the run.
    Unread(io::Error),
    /// The upload failed.
    Upload(UploadError),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Trouble::Upload(UploadError::Store(failure))
    }
}

fn mirrored(found: &Checkpoint) -> Mirrored {
    Mirrored { path: found.path.to_string_lossy().into_owned(), step: found.step }
}

fn named(found: &Checkpoint) -> String {
    found.step.map_or_else(|| text::path(&found.path), |step| format!("step {step}"))
}

fn facts(found: &Checkpoint) -> Facts {
    let saved = found.modified.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    Facts { step: found.step, family: found.family.to_owned(), saved, now: unix_now() }
}
