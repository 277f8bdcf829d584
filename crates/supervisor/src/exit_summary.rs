//! The summary of an end, as data: for the last line, its JSON form, the termination log and the state file.

use super::clock::Clock;
use super::killed_preparation::KilledPreparation;
use super::log_words;
use super::memory_kills::MemoryKills;
use super::state::State;
use protocol::handover::{Level, MirrorState, SavedCheckpoint};
use protocol::units;
use serde::Serialize;
use sys::Signal;
use sys::process::Ended;

/// /dev/shm with less free space than this is full: a page could not be allocated.
const SHM_FULL: u64 = 1 << 20;

/// The summary of an end.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ExitSummary {
    /// The command that ran or was being prepared.
    pub command: String,
    /// How the main process ended, in words.
    pub how: String,
    /// The signal that asked for the stop, and who sent it.
    pub stopped_by: Option<String>,
    /// `stop.done_file` says that training was complete.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub complete: bool,
    /// Number of processes in this container that the kernel's out-of-memory killer ended.
    pub memory_kills: u64,
    /// /dev/shm was full when a process died of SIGBUS.
    pub shm_full: bool,
    /// Requirements that were not installed, where the workload ended as Python does without a module.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_alone: Option<String>,
    /// The newest complete checkpoint, and its age in seconds, which is negative where its time is ahead of the clock.
    pub checkpoint: Option<(SavedCheckpoint, f64)>,
    /// What of the checkpoints is in the mirror.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<MirrorState>,
    /// A checkpoint directory was watched, and no checkpoint in it is newer than the stop.
    pub nothing_saved: bool,
    /// Seconds of preparing.
    pub prepared_s: f64,
    /// Seconds that the workload ran before a stop.
    pub ran_s: f64,
    /// Seconds from the stop to the end.
    pub stopping_s: Option<f64>,
    /// The number of the start.
    pub attempt: u32,
    /// The exit code of the container.
    pub exit_code: u8,
    /// Level of a killed preparation; `None` if prepare was not killed.
    #[serde(skip)]
    prepare_killed: Option<Level>,
}

impl ExitSummary {
    /// Collects the summary.
    pub(crate) fn of(state: &State, code: u8, now: Clock, stopped_by: Option<String>, memory: &MemoryKills) -> Self {
        let times = state.times(now);
        // A process that ended with 0 did not run out of memory, so short commands do not pay for reading the counter.
        let well = state.ended() == Some(Ended::Exited(0));
        let kills = if well { 0 } else { memory.since(state.ended()) };
        let bus = state.ended() == Some(Ended::Killed(Signal::BUS)) || state.ended() == Some(Ended::Exited(135));
        ExitSummary {
            command: state.command().filter(|command| !command.is_empty()).unwrap_or("preparing").to_owned(),
            how: how(state),
            stopped_by,
            complete: state.is_complete(),
            memory_kills: kills,
            shm_full: bus && shm_is_full(),
            left_alone: state.perhaps_missed().map(str::to_owned),
            checkpoint: state.checkpoints().newest.clone().map(|saved| {
                let age = crate::state_dir::unix_now() - saved.modified;
                (saved, age)
            }),
            mirror: state.mirror().filter(|_| state.ran()).cloned(),
            nothing_saved: state.saved_nothing_since_stop(),
            prepared_s: times.prepared.as_secs_f64(),
            ran_s: times.ran.as_secs_f64(),
            stopping_s: times.stopping.map(|stopping| stopping.as_secs_f64()),
            attempt: state.attempt,
            exit_code: code,
            prepare_killed: state.prepare_killed().map(KilledPreparation::level),
        }
    }

    /// Returns the level of the last line: whether something was lost or ran short.
    pub(crate) fn level(&self) -> Level {
        let unmirrored = self.mirror.as_ref().is_some_and(|mirror| !mirror.complete);
        let failure = self.nothing_saved || unmirrored || self.memory_kills > 0 || self.shm_full;
        let level = if failure { Level::Warn } else { Level::Info };
        self.prepare_killed.map_or(level, |killed| killed.max(level))
    }

    /// Returns the summary as one line.
    pub(crate) fn words(&self) -> String {
        let mut parts = vec![self.how.clone()];
        parts.extend(self.stopped_by.as_ref().map(|by| format!("stopped by {by}")));
        if self.complete {
            parts.push("training was complete (stop.done_file)".into());
        }
        parts.extend(self.out_of_memory());
        if self.shm_full {
            parts.push("/dev/shm is full (start with a larger one, or with the host's)".into());
        }
        parts.extend(self.left_alone.iter().map(|what| format!("if a module was missing: {what}")));
        parts.extend(self.checkpoint_words());
        parts.extend(self.mirror_words());
        parts.push(self.times());
        if self.how != log_words::how(Ended::Exited(self.exit_code)) {
            parts.push(format!("ends with {}", self.exit_code));
        }
        format!("end   {}: {}", self.command, parts.join("; "))
    }

    fn out_of_memory(&self) -> Option<String> {
        match self.memory_kills {
            0 => None,
            1 => Some("out of memory: the kernel killed a process of this container".into()),
            many => Some(format!("out of memory: the kernel killed {many} processes of this container")),
        }
    }

    fn checkpoint_words(&self) -> Option<String> {
        let missing = if self.nothing_saved { "NO checkpoint since the stop, " } else { "" };
        match &self.checkpoint {
            Some((saved, age)) => {
                let age = units::age(*age);
                Some(format!("{missing}newest checkpoint {}, {age}", log_words::checkpoint(saved)))
            }
            // A node's part of a checkpoint is none, but it was saved.
            None if self.mirror.as_ref().is_some_and(|mirror| mirror.newest.is_some() || mirror.going.is_some()) => {
                None
            }
            None => self.nothing_saved.then(|| "NO checkpoint was saved".into()),
        }
    }

    /// Returns what is where.
    fn mirror_words(&self) -> Option<String> {
        let mirror = self.mirror.as_ref()?;
        let name = |step: Option<u64>, path: &str| {
            step.map_or_else(|| path.escape_debug().to_string(), |step| format!("step {step}"))
        };
        let up_to = mirror.newest.as_ref().map(|there| name(there.step, &there.path));
        let there = up_to.map_or_else(|| "nothing is mirrored".into(), |what| format!("mirrored up to {what}"));
        let why = mirror.failed.as_ref().map_or(String::new(), |why| format!(" ({why})"));
        if mirror.complete {
            return Some(there);
        }
        let Some((newest, _)) = &self.checkpoint else {
            let part = mirror.going.as_ref().map(|going| {
                let what = name(going.checkpoint.step, &going.checkpoint.path);
                format!("; {what}: {} % of this node's part uploaded{why}", going.percent())
            });
            return Some(there + &part.unwrap_or_default());
        };
        let what = name(newest.step, &newest.path);
        let place = newest.path.rsplit_once('/').map_or("this node", |(place, _)| place);
        let how = match &mirror.going {
            Some(going) if going.checkpoint.path == newest.path => format!(": {} % uploaded", going.percent()),
            _ => String::new(),
        };
        Some(format!("{there}; {what} ({}) is only in {}{how}{why}", units::size(newest.size), place.escape_debug()))
    }

    fn times(&self) -> String {
        let words = |seconds: f64| log_words::seconds(std::time::Duration::from_secs_f64(seconds));
        let stopping = self.stopping_s.map_or(String::new(), |stopping| format!(", stopping took {}", words(stopping)));
        format!("prepared {}, ran {}{stopping}", words(self.prepared_s), words(self.ran_s))
    }
}

/// Returns how the main process ended, in words.
pub(crate) fn how(state: &State) -> String {
    match (state.prepare_killed(), state.ended()) {
        (Some(killed), _) => killed.words(),
        (None, Some(ended)) => log_words::how(ended),
        (None, None) => "lost".into(),
    }
}

fn shm_is_full() -> bool {
    nix::sys::statvfs::statvfs("/dev/shm").is_ok_and(|shm| shm.blocks_available() * shm.fragment_size() < SHM_FULL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::handover::{Mirrored, Upload};

    fn summary(how: &str, exit_code: u8) -> ExitSummary {
        ExitSummary {
            command: "python train.py".to_owned(),
            how: how.to_owned(),
            complete: false,
            stopped_by: None,
            memory_kills: 0,
            shm_full: false,
            left_alone: None,
            checkpoint: None,
            mirror: None,
            nothing_saved: false,
            prepared_s: 1.86,
            ran_s: 754.0,
            stopping_s: None,
            attempt: 1,
            exit_code,
            prepare_killed: None,
        }
    }

    #[test]
    fn the_last_line_says_how_it_ended_and_what_is_left() {
        let stopped = |how, code| ExitSummary {
            stopped_by: Some("SIGTERM from outside of the container".to_owned()),
            stopping_s: Some(1.2),
            ..summary(how, code)
        };
        let saved =
            SavedCheckpoint { path: "/out/step-276.pt".to_owned(), step: Some(276), ..SavedCheckpoint::default() };
        let mirrored = |step| Mirrored { path: format!("/out/step-{step}.pt"), step: Some(step) };
        let going = Upload { checkpoint: mirrored(276), size: 100, left: 38 };
        let lines = [
            summary("exit code 0", 0),
            ExitSummary { checkpoint: Some((saved.clone(), 3.4)), ..stopped("exit code 0", 143) },
            ExitSummary {
                checkpoint: Some((saved.clone(), 3600.0)),
                nothing_saved: true,
                ..stopped("killed by SIGKILL", 137)
            },
            ExitSummary { nothing_saved: true, ..stopped("exit code 1", 1) },
            ExitSummary { memory_kills: 2, ..summary("killed by SIGKILL", 137) },
            ExitSummary { shm_full: true, ..summary("killed by SIGBUS", 135) },
            ExitSummary {
                checkpoint: Some((saved.clone(), 3.4)),
                mirror: Some(MirrorState { newest: Some(mirrored(200)), going: Some(going), ..MirrorState::default() }),
                ..stopped("exit code 0", 143)
            },
            ExitSummary {
                checkpoint: Some((saved.clone(), 3.4)),
                mirror: Some(MirrorState { failed: Some("no answer".to_owned()), ..MirrorState::default() }),
                ..summary("exit code 0", 213)
            },
            ExitSummary {
                checkpoint: Some((saved.clone(), 3.4)),
                mirror: Some(MirrorState { newest: Some(mirrored(276)), complete: true, ..MirrorState::default() }),
                ..summary("exit code 0", 0)
            },
            ExitSummary {
                left_alone: Some("not installed was /code/src/requirements.txt".into()),
                ..summary("exit code 1", 1)
            },
        ];
        insta::assert_snapshot!(lines.map(|summary| summary.words()).join("\n"));
    }
}
