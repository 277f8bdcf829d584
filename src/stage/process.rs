//! Runs the requests in a process that can be killed, beside the other steps of a start: its parent is PID 1, so a stop ends it with all
//! others, and it ends by itself when nobody reads its answers any more.

use super::event::{StagingEvent, StagingFailure};
use super::words;
use ::stage::{Progress, StageEvent, StageRequest};
use protocol::handover::{HandoverWriter, Message, StagedBytes};
use signal_hook::flag;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use sys::killable_call::{self, AnswerPipe, KillableCall};
use sys::{Signal, signal};

/// The shortest time between two signs of progress.
const BEAT: Duration = Duration::from_millis(250);

/// How often PID 1 hears of the progress.
const TOLD: Duration = Duration::from_secs(1);

/// The process. Dropping this value ends it.
pub(crate) struct RunningStage {
    call: KillableCall,
    left: usize,
}

impl RunningStage {
    /// Starts the process for these requests. It tells a supervisor itself how far it is, because this process may have other things to
    /// do, such as running an installer.
    ///
    /// # Errors
    /// EAGAIN (a limit of processes), ENOMEM, EMFILE.
    pub(crate) fn start(requests: Vec<StageRequest>, handover: &HandoverWriter) -> nix::Result<Self> {
        let left = requests.len();
        let supervisor = match handover.fd() {
            Some(fd) => HandoverWriter::to(fd.try_clone_to_owned().map_err(errno_of)?),
            None => HandoverWriter::none(),
        };
        let call = KillableCall::start(move |pipe| {
            sys::process::name_self(c"trainit-stage");
            let mut ends = Ends { pipe, supervisor, told: None };
            let stop = StopFlags::register();
            requests.iter().enumerate().all(|(number, request)| {
                // PID 1 sees that the workload runs when every copy of the handover is closed.
                let is_last = number + 1 == left;
                one((number, request), is_last, &mut ends, &stop)
            })
        })?;
        Ok(RunningStage { call, left })
    }

    /// Returns whether every request has its answer.
    pub(crate) fn is_over(&self) -> bool {
        self.left == 0
    }

    /// Returns the next event; `None` if there was none in this time.
    pub(crate) fn next(&mut self, wait: Duration) -> Option<StagingEvent> {
        let until = Instant::now() + wait;
        loop {
            if let Some(body) = self.call.body() {
                let Ok(event) = serde_json::from_slice(&body) else { continue };
                match event {
                    StagingEvent::Done(..) => self.left -= 1,
                    StagingEvent::Failed(..) => self.left = 0,
                    _ => {}
                }
                return Some(event);
            }
            if self.is_over() || Instant::now() > until {
                return None;
            }
            let ready = killable_call::wait(&[self.call.fd()], until);
            if ready.contains(&true) && !self.call.receive() {
                self.left = 0;
                return Some(StagingEvent::Died);
            }
        }
    }
}

impl Drop for RunningStage {
    fn drop(&mut self) {
        if self.left > 0 {
            self.call.kill();
        }
    }
}

/// Who hears of the process.
struct Ends {
    /// To the start.
    pipe: AnswerPipe,
    /// To PID 1.
    supervisor: HandoverWriter,
    /// When PID 1 was told last.
    told: Option<Instant>,
}

impl Ends {
    /// Tells PID 1 how far it is, if it is time.
    fn tell_supervisor(&mut self, progress: Progress) {
        if self.told.is_none_or(|told| told.elapsed() >= TOLD) {
            self.told = Some(Instant::now());
            self.supervisor.send(&Message::Staged(StagedBytes { done: progress.done, all: progress.all }));
        }
    }
}

fn errno_of(error: std::io::Error) -> nix::errno::Errno {
    nix::errno::Errno::from_raw(error.raw_os_error().unwrap_or(libc::EMFILE))
}

/// What a signal does: a process that holds a lease gives it back first, so that the next start need not wait until it is stale.
struct StopFlags {
    /// Whether a signal ends the process at once.
    at_once: Arc<AtomicBool>,
    /// Whether a signal came.
    asked: Arc<AtomicBool>,
}

impl StopFlags {
    fn register() -> Self {
        let flags = StopFlags { at_once: Arc::new(AtomicBool::new(true)), asked: Arc::default() };
        for signal in [Signal::TERM, Signal::INT, Signal::HUP].into_iter().filter(|signal| !signal::is_ignored(*signal))
        {
            // Without a handler the signal ends the process, and the lease goes stale.
            let _ = flag::register_conditional_default(signal.number().into(), Arc::clone(&flags.at_once));
            let _ = flag::register(signal.number().into(), Arc::clone(&flags.asked));
        }
        flags
    }
}

/// Runs one request, and returns whether the next one follows.
fn one((number, request): (usize, &StageRequest), is_last: bool, ends: &mut Ends, stop: &StopFlags) -> bool {
    let (began, mut last) = (Instant::now(), None::<Instant>);
    let done = {
        let mut tell = |event: StageEvent| {
            // Who waits holds nothing.
            stop.at_once.store(matches!(event, StageEvent::Waits(..)), Ordering::Relaxed);
            if ends.pipe.is_unread() || stop.asked.load(Ordering::Relaxed) {
                return false;
            }
            if let StageEvent::Progress(progress) = event {
                ends.tell_supervisor(progress);
            }
            let is_due = last.is_none_or(|last| last.elapsed() >= BEAT);
            let event = match event {
                StageEvent::Line(line) => StagingEvent::Line(line),
                // A reader that is busy with other things need not know all of these.
                StageEvent::Waits(..) | StageEvent::Progress(_) if !is_due || !ends.pipe.has_room() => return true,
                StageEvent::Waits(host, doing) => StagingEvent::Waits(host, doing),
                StageEvent::Progress(progress) => StagingEvent::Progress(number, progress),
            };
            last = Some(Instant::now());
            say(&mut ends.pipe, &event)
        };
        ::stage::stage(request, &mut tell)
    };
    stop.at_once.store(true, Ordering::Relaxed);
    if is_last || done.is_err() {
        ends.supervisor = HandoverWriter::none();
    }
    match done {
        Ok(staged) => {
            let words = words::row_words(request, &staged.stamp, staged.how);
            say(&mut ends.pipe, &StagingEvent::Done(number, words, began.elapsed(), staged.used))
        }
        Err(error) => {
            say(&mut ends.pipe, &StagingEvent::Failed(number, StagingFailure::of(&error, request)));
            false
        }
    }
}

fn say(pipe: &mut AnswerPipe, event: &StagingEvent) -> bool {
    serde_json::to_vec(event).is_ok_and(|body| pipe.say(&body))
}
