//! The mirror of checkpoints in a start: which process uploads, and the newest checkpoint, fetched where the mirror has a newer one than
//! the directory. A mirror that does not answer is no reason for a fresh start, which would throw the work away.

use super::policy;
use super::preparation::Preparation;
use super::resume;
use crate::check::CheckContext;
use crate::config::Settings;
use crate::error::{Error, ErrorKind, Result};
use crate::mirror::{CarriedStore, read_mark, write_mark};
use crate::mode::Plan;
use crate::progress_bar::Amount;
use crate::ticker::{self, Ticker};
use checkpoint::{Checkpoint, FamilyChoice, Pattern};
use mirror::{FetchError, Found, Manifest, MirrorUrl};
use protocol::errno;
use protocol::exit_code::FailureFamily;
use protocol::handover::{MirrorPolicy, Phase, WorkloadKind};
use protocol::units;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use sys::mountinfo::Mounts;
use sys::{Root, reach};
use transfer_protocol::{Failure, FailureKind};
use world::World;

/// The time until a log tells how far a restore is.
const PATIENCE: Duration = Duration::from_secs(15);

/// How the lines about the mirror begin.
const MIRROR: &str = "mirror: ";

/// Most requests of an upload at a time: the program holds the bytes of each in memory, beside a training.
const UPLOADS: u32 = 4;

impl Preparation {
    /// Returns where this start uploads checkpoints to: of the processes of a job the first, and where each node has a disk of its own
    /// the first of each node.
    ///
    /// # Errors
    /// There is no `checkpoint.dir` (78).
    pub(super) fn uploads_to(&mut self, context: &CheckContext, plan: &Plan) -> Result<Option<MirrorPolicy>> {
        let mirror = policy::mirror(&context.settings, context.host_facts().starter())?;
        let part = self.part(context);
        let wanted = (part.is_some() || is_first(self.world.as_ref())) && plan.kind == WorkloadKind::Train;
        let few = |mirror: MirrorPolicy| {
            let parallel = mirror.parallel.map(|parallel| parallel.min(UPLOADS));
            MirrorPolicy { parallel, part, ..mirror }
        };
        Ok(mirror.filter(|_| wanted).map(few))
    }

    /// Returns which part of a checkpoint is this node's, and how many there are, where each node has a disk of its own.
    fn part(&self, context: &CheckContext) -> Option<(u32, u32)> {
        let world = self.world.as_ref()?;
        let dir = std::path::absolute(context.settings.checkpoint_dir.value.as_ref()?).ok()?;
        let (node, nodes) = (world.node.as_ref()?.value, world.nodes.as_ref()?.value);
        let is_first_here = world.local.as_ref().is_none_or(|local| local.value == 0);
        let is_alone = nodes < 2 || world.elastic.is_some() || reach::far(&context.mounts, &dir).is_some();
        (!is_alone && is_first_here && node < nodes).then_some((node + 1, nodes))
    }

    /// Fetches the newest checkpoint of the mirror, unless the directory has it or a newer one. A start that follows another one in the
    /// same container has what that one had.
    ///
    /// # Errors
    /// The mirror cannot be read, belongs to another run, or has only checkpoints that are not whole.
    pub(super) fn restore(&mut self, context: &CheckContext, plan: &Plan) -> Result<()> {
        let settings = &context.settings;
        let mirror = policy::mirror(settings, context.host_facts().starter())?;
        let (Some(mirror), Some(dir)) = (mirror, &settings.checkpoint_dir.value) else { return Ok(()) };
        if plan.kind != WorkloadKind::Train || self.attempt > 1 {
            return Ok(());
        }
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.clone());
        let is_shared = reach::far(&context.mounts, &dir).is_some();
        self.warn_of_mirror();
        if !fetches(self.world.as_ref(), is_shared) {
            return Ok(());
        }
        let alive =
            reach::look(&context.mounts, &dir, || fs::read_dir(&dir).is_ok_and(|mut names| names.next().is_some()));
        alive.map_err(|mount| silent(settings, &text::location(mount.kind(), mount.source())))?;
        self.phase(Phase::Restoring);
        let (family, pattern) = resume::watched(settings)?;
        present(settings, &context.mounts, &mirror.url)?;
        let together = self.part(context).is_some();
        let restore = Restore { settings, url: MirrorUrl::new(&mirror.url), dir, family, pattern, together };
        let mut store = CarriedStore::start(&mirror, std::iter::empty()).map_err(|failure| restore.failed(&failure))?;
        let (began, mut outcome) = (Instant::now(), String::new());
        restore.run(&mut store, &mut |line| {
            line.strip_prefix(MIRROR).unwrap_or(line).clone_into(&mut outcome);
            self.console.line(line);
        })?;
        self.mirror_row = Some((outcome, began.elapsed()));
        self.fetch_history(context, &mirror, &mut store);
        self.phase(Phase::Starting);
        Ok(())
    }

    /// Warns of what a mirror cannot do in this start.
    fn warn_of_mirror(&mut self) {
        if !self.handover.supervised() {
            let what = "nothing is uploaded to checkpoint.mirror: that takes a supervisor";
            self.console.warning(&Error::usage(what).hint("trainit run instead of trainit exec"));
        }
    }
}

/// Returns whether this is the process that speaks for the job.
fn is_first(world: Option<&World>) -> bool {
    let is_0 = |number: &Option<world::Known<u32>>| number.as_ref().is_none_or(|known| known.value == 0);
    world.is_none_or(|world| is_0(&world.rank) && is_0(&world.node))
}

/// Returns whether this process fetches: the first of the job where all share the directory, else the first of each node.
fn fetches(world: Option<&World>, is_shared: bool) -> bool {
    let first_here = world.and_then(|world| world.local.as_ref()).is_none_or(|known| known.value == 0);
    first_here && (!is_shared || is_first(world))
}

/// A restore.
struct Restore<'a> {
    settings: &'a Settings,
    url: MirrorUrl,
    dir: PathBuf,
    family: FamilyChoice,
    pattern: Option<Pattern>,
    /// Whether other nodes fetch, too, each to a disk of its own: then each needs what all can have.
    together: bool,
}

impl Restore<'_> {
    fn run(&self, store: &mut CarriedStore, tell: &mut dyn FnMut(&str)) -> Result<()> {
        let (found, notes) = mirror::newest_first(store, &self.url).map_err(|failure| self.failed(&failure))?;
        notes.iter().for_each(|note| tell(&format!("mirror: {}", text::line(note))));
        let here = checkpoint::newest(&self.dir, self.family, self.pattern.as_ref())
            .map_err(|error| self.unreadable(error))?;
        let Some(newest) = found.first() else {
            let then = if here.is_some() { "the checkpoint here goes there" } else { "a fresh start" };
            tell(&format!("mirror: no checkpoint in {} yet: {then}", self.url.as_str()));
            return Ok(());
        };
        self.same_run(&newest.manifest)?;
        for found in &found {
            if let Some(here) = here.as_ref().filter(|here| !is_newer(&found.manifest, here)) {
                let (ours, theirs) = (named(here.step, &text::path(&here.path)), words(&found.manifest));
                tell(&format!("mirror: {ours} is here, and {} has {theirs}", self.url.as_str()));
                if !self.together || self.has(here, &found.manifest) {
                    return Ok(());
                }
            }
            match self.fetch(store, found, tell)? {
                Ok(()) => return Ok(()),
                Err(why) => tell(&format!("mirror: {} is not restored: {why}", words(&found.manifest))),
            }
        }
        Err(self.error(FailureKind::Bad, format!("no checkpoint in {} is whole", self.url.as_str())))
    }

    /// Returns whether the directory has this checkpoint, too, beside the newest.
    fn has(&self, newest: &Checkpoint, wanted: &Manifest) -> bool {
        let path = self.dir.canonicalize().unwrap_or_else(|_| self.dir.clone()).join(&wanted.name);
        let older = checkpoint::older(newest, self.family, self.pattern.as_ref(), exchange::STEPS_MAX);
        std::iter::once(newest).chain(&older).any(|here| here.path == path && here.step == wanted.step)
    }

    /// Refuses a directory and a mirror of two runs.
    fn same_run(&self, newest: &Manifest) -> Result<()> {
        let mark = read_mark(&self.dir).map_err(|error| self.unreadable(error))?;
        if mark.is_none_or(|run| run == newest.run) {
            return Ok(());
        }
        let what = format!("{} has checkpoints of another run than {}", self.url.as_str(), text::path(&self.dir));
        let because = format!("{} was saved on {}", words(newest), text::line(&newest.host));
        let error = Error::new(ErrorKind::Permanent(FailureFamily::Output), what).because(because);
        Err(error
            .hint("checkpoint.mirror: a place of its own for each run (s3://BUCKET/runs/NAME)")
            .hint("or, to go on with the run in the mirror, an empty checkpoint.dir"))
    }

    /// Fetches a checkpoint, has its family judge it once more, and gives it its name. The inner error is the reason why it is not
    /// whole, and the one before it may be.
    fn fetch(&self, store: &mut CarriedStore, found: &Found, tell: &mut dyn FnMut(&str)) -> Result<Result<(), String>> {
        let manifest = &found.manifest;
        let (size, begun) = (manifest.size(), Instant::now());
        let into = self.staging(&found.key).map_err(|error| self.unwritable(error))?;
        self.room(size)?;
        let (mut through, mut ticker) = (0u64, Ticker::new(ticker::draws(self.settings), PATIENCE));
        let mut moved = |bytes: u64| {
            through += bytes;
            let amount = Amount::bytes(through, size, through);
            ticker.tick(amount, || format!("mirror: fetching {}", words(manifest)), tell);
        };
        let fetched = mirror::fetch(store, &self.url, manifest, &into, &mut moved);
        drop(ticker);
        match fetched {
            Ok(()) => {}
            Err(FetchError::Store(failure)) if failure.kind == FailureKind::Gone => return Ok(Err(failure.text)),
            Err(error @ FetchError::Corrupt(_)) => return Ok(Err(error.to_string())),
            Err(FetchError::Store(failure)) => return Err(self.failed(&failure)),
            Err(FetchError::Local { source, .. }) => return Err(self.unwritable(source)),
        }
        if let Err(why) = self.judge(manifest, &into).map_err(|error| self.unwritable(error))? {
            return Ok(Err(why));
        }
        let stamp = format!("{:.0}", supervisor::state_dir::unix_now());
        let aside = mirror::publish(manifest, &into, &self.dir, &stamp).map_err(|error| self.unwritable(error))?;
        let _ = into.parent().map(fs::remove_dir); // empty now
        write_mark(&self.dir, &manifest.run).map_err(|error| self.unwritable(error))?;
        aside.iter().for_each(|name| tell(&format!("mirror: what was not whole here is now {}", text::line(name))));
        let took = units::time(begun.elapsed());
        tell(&format!(
            "mirror: fetched {} ({}) from {} in {took}",
            words(manifest),
            units::size(size),
            self.url.as_str()
        ));
        Ok(Ok(()))
    }

    /// Has the family judge a checkpoint where it lies now.
    fn judge(&self, manifest: &Manifest, into: &Path) -> io::Result<Result<(), String>> {
        mirror::point(manifest, into)?;
        let survey = checkpoint::survey(into, self.family, self.pattern.as_ref())?;
        if survey.newest.is_some() {
            return Ok(Ok(()));
        }
        let why = survey.passed_over.first().map_or("no family knows it", |over| over.why.as_str());
        Ok(Err(format!("fetched, it is not complete: {}", text::line(why))))
    }

    /// Makes the directory in which a checkpoint is fetched, under a name that no search takes for one. What an earlier start has
    /// fetched of this checkpoint is still there, and what it has of others is deleted.
    fn staging(&self, key: &str) -> io::Result<PathBuf> {
        let host = Root::real().text("/proc/sys/kernel/hostname").unwrap_or_default();
        let host: String = host.trim().chars().filter(|one| one.is_ascii_alphanumeric() || *one == '-').collect();
        let base = self.dir.join(format!(".trainit-fetch-{host}"));
        fs::create_dir_all(&self.dir)?;
        match fs::create_dir(&base) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && base.symlink_metadata()?.is_dir() => {}
            made => made?,
        }
        let own = base.join(key);
        for entry in fs::read_dir(&base)?.flatten().filter(|entry| entry.path() != own) {
            fs::remove_dir_all(entry.path())?;
        }
        fs::create_dir_all(&own)?;
        Ok(own)
    }

    /// Refuses a checkpoint that does not fit, before its first byte.
    fn room(&self, size: u64) -> Result<()> {
        let free = nix::sys::statvfs::statvfs(&self.dir).map(|disk| disk.blocks_available() * disk.fragment_size());
        match free {
            Ok(free) if free < size => {
                let place = text::path(&self.dir);
                let what = format!(
                    "the checkpoint in the mirror has {}, and {place} has room for {}",
                    units::size(size),
                    units::size(free)
                );
                Err(self.error(FailureKind::Full, what))
            }
            _ => Ok(()),
        }
    }

    fn failed(&self, failure: &Failure) -> Error {
        let what = format!("the mirror {} cannot be read: {}", self.url.as_str(), text::masked(&failure.text));
        failure.hints.iter().fold(self.error(failure.kind, what), |error, hint| error.hint(text::masked(hint)))
    }

    /// Makes the error of a mirror: what passes by itself is 213, all else 113.
    fn error(&self, kind: FailureKind, what: String) -> Error {
        let family = FailureFamily::Output;
        let kind = if kind.may_pass() { ErrorKind::Transient(family) } else { ErrorKind::Permanent(family) };
        Error::new(kind, what).because("to start anew could throw away what was trained").hint(format!(
            "without checkpoint.mirror ({}) a start does not ask for it",
            self.settings.checkpoint_mirror.origin
        ))
    }

    fn unreadable(&self, error: io::Error) -> Error {
        let what = format!("cannot look for a checkpoint in {} (checkpoint.dir)", text::path(&self.dir));
        Error::new(ErrorKind::Transient(FailureFamily::Output), what).caused_by(error)
    }

    fn unwritable(&self, error: io::Error) -> Error {
        let kind = if errno::cause_of(&error).is_some() { ErrorKind::Transient } else { ErrorKind::Permanent };
        let what =
            format!("the checkpoint of the mirror cannot be written to {} (checkpoint.dir)", text::path(&self.dir));
        Error::new(kind(FailureFamily::Output), what).caused_by(error)
    }
}

fn silent(settings: &Settings, place: &str) -> Error {
    let what = format!("checkpoint.dir ({}) does not answer: {place}", settings.checkpoint_dir.origin);
    Error::new(ErrorKind::Transient(FailureFamily::Output), what)
}

/// Refuses a directory as mirror that is not there: a share that is not mounted would look like one without checkpoints.
fn present(settings: &Settings, mounts: &Mounts, url: &str) -> Result<()> {
    let Some(place) = url.strip_prefix("file://").map(Path::new) else { return Ok(()) };
    let family = FailureFamily::Output;
    let what = |what: &str| format!("the mirror {url} ({}) {what}", settings.checkpoint_mirror.origin);
    match reach::look(mounts, place, || place.is_dir()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::new(ErrorKind::Permanent(family), what("is not there"))
            .because("a share that is not mounted looks like an empty one")
            .hint(format!("mount it; for a new run: mkdir -p {}", text::quoted(place.as_os_str())))),
        Err(_) => Err(Error::new(ErrorKind::Transient(family), what("does not answer"))),
    }
}

/// Returns whether the mirror has a later step; where a step is not known, whether it was saved later.
fn is_newer(manifest: &Manifest, here: &Checkpoint) -> bool {
    match (manifest.step, here.step) {
        (Some(there), Some(here)) => there > here,
        _ => manifest.saved_at() > here.modified,
    }
}

fn words(manifest: &Manifest) -> String {
    named(manifest.step, &text::line(&manifest.name))
}

fn named(step: Option<u64>, name: &str) -> String {
    step.map_or_else(|| name.to_owned(), |step| format!("step {step}"))
}
