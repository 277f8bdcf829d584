//! The policy for PID 1, made from the settings.

use crate::check;
use crate::config::{LogLevel, Settings, Severity, ValueOrigin};
use crate::engine::{self, Starter};
use crate::error::{Error, Result};
use crate::identity::WorkloadIdentity;
use crate::mode::Plan;
use protocol::handover::{
    CheckpointPolicy, Checkpoints, ExitPolicy, HoldPolicy, Idle, IdlePolicy, Level, MirrorPolicy, Policy, ReportPolicy,
    Restart, SignalMeaning, SignalPolicy, StopPolicy, TargetUser, Watchdog, WorkloadKind,
};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;
use sys::environment::Environment;
use sys::{Root, Signal};

/// Launchers and the exit code with which each ends after an orderly stop.
///
/// Most of them are torchrun inside, which raises an exception for the signal once its ranks have ended. honcho ends with the number of the
/// signal, negated, that ended its child's shell.
const STOP_CODES: [(&str, u8); 6] = [
    ("torchrun", 1),
    ("torch.distributed.run", 1),
    ("torch.distributed.launch", 1),
    ("accelerate", 1),
    ("accelerate.commands.launch", 1),
    ("honcho", 241),
];

/// The whole budget of a stop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StopGrace {
    /// Time from the stop signal to the last SIGKILL; `None` if the engine decides.
    pub time: Option<Duration>,
    /// Where the grace was set; empty if it was not set.
    pub from: String,
}

impl StopGrace {
    /// Returns the configured grace, else the grace that the engine always gives.
    pub(crate) fn known(settings: &Settings, root: &Root, environment: &Environment) -> Self {
        let set = &settings.stop_grace;
        if set.origin != ValueOrigin::Default {
            return StopGrace { time: set.value, from: format!("stop.grace, {}", set.origin) };
        }
        let found = engine::grace(root, environment);
        StopGrace { time: found.map(|grace| grace.time), from: found.map_or("", |grace| grace.engine).to_owned() }
    }
}

/// Returns the policy for a start that failed before there was anything to supervise.
pub(super) fn of_failure(settings: &Settings, hold: Option<HoldPolicy>, run_dir: Option<&Path>) -> Policy {
    Policy {
        hold,
        run_dir: run_dir.and_then(Path::to_str).map(str::to_owned),
        run_dir_made: run_dir.is_some(),
        exit: ExitPolicy { map: exit_map(settings), ..ExitPolicy::default() },
        report: report(settings),
        ..Policy::default()
    }
}

/// Returns the error of a policy that no frame of the handover holds.
pub(super) fn too_long() -> Error {
    Error::config("checkpoint.*, stop.*, state_dir and the groups are too long together")
        .hint("shorter paths, or symbolic links")
}

/// Builds the policy.
///
/// # Errors
/// An unknown checkpoint family, or an invalid pattern (78).
pub(super) fn policy(
    settings: &Settings,
    workdir: &Path,
    plan: &Plan,
    grace: &StopGrace,
    run_dir: Option<&Path>,
) -> Result<Box<Policy>> {
    // PID 1 and its helpers do not run in the workload's directory.
    let path = |path: &PathBuf| workdir.join(path).to_string_lossy().into_owned();
    // `Box::new` would build the policy on the stack first.
    Ok(Box::write(
        Box::new_uninit(),
        Policy {
            kind: plan.kind,
            mode: plan.mode.clone(),
            service: plan.service.clone(),
            // A training has an end to be told; what it serves on the way is the platform's to ask.
            ready_timeout: settings.ready_timeout.value.filter(|_| plan.kind == WorkloadKind::Build),
            run_dir: run_dir.and_then(Path::to_str).map(str::to_owned),
            prepare_timeout: settings.prepare_timeout.value,
            sidecars: plan.sidecars.clone(),
            signals: SignalPolicy {
                scope: settings.stop_scope.value,
                on: meanings(settings).map(|(signal, meaning)| (signal.number().into(), meaning)).collect(),
                ..SignalPolicy::default()
            },
            stop: stop(settings, grace, &path),
            exit: exit(settings, plan),
            checkpoint: checkpoint(settings, workdir, &path)?,
            restart: restart(settings),
            watchdog: watchdog(settings),
            idle: IdlePolicy { unused: idle(settings, plan), lifetime: settings.lifetime.value },
            report: report(settings),
            ..Policy::default()
        },
    ))
}

fn stop(settings: &Settings, grace: &StopGrace, path: &dyn Fn(&PathBuf) -> String) -> StopPolicy {
    StopPolicy {
        grace: grace.time,
        grace_from: grace.from.clone(),
        drain: settings.stop_drain.unwrap_or(Duration::ZERO),
        signal: settings.stop_signal.value,
        done_file: settings.stop_done_file.as_ref().map(path),
        after_stop: super::hooks::after_stop(settings),
    }
}

fn exit(settings: &Settings, plan: &Plan) -> ExitPolicy {
    ExitPolicy {
        stop_code: settings.stop_exit_code.filter(|_| plan.kind == WorkloadKind::Train),
        trainer_codes: trainer_codes(&plan.command),
        map: exit_map(settings),
    }
}

fn report(settings: &Settings) -> ReportPolicy {
    ReportPolicy {
        json: settings.log_format.value == crate::config::LogFormat::Json,
        level: level(settings.log_level.value),
        ..ReportPolicy::default()
    }
}

/// Returns the user that PID 1 has to know of, because it differs from PID 1's own.
pub(super) fn user(identity: &WorkloadIdentity) -> Option<TargetUser> {
    let switch = identity.switch.as_ref()?;
    Some(TargetUser { uid: identity.uid, gid: identity.gid, groups: switch.groups.clone() })
}

fn checkpoint(settings: &Settings, workdir: &Path, path: &dyn Fn(&PathBuf) -> String) -> Result<CheckpointPolicy> {
    Ok(CheckpointPolicy {
        watched: checkpoints(settings, workdir)?,
        signal: settings.checkpoint_signal.map(|signal| signal.number().into()),
        request_file: settings.checkpoint_request_file.as_ref().map(path),
    })
}

/// Returns a path that a helper in another directory opens, too.
fn absolute(file: &Path) -> String {
    std::path::absolute(file).unwrap_or_else(|_| file.to_owned()).to_string_lossy().into_owned()
}

/// Returns where checkpoints are mirrored; `None` where they are not.
///
/// # Errors
/// There is no `checkpoint.dir` (78).
pub(super) fn mirror(settings: &Settings, starter: Starter) -> Result<Option<MirrorPolicy>> {
    let Some(place) = &settings.checkpoint_mirror.value else { return Ok(None) };
    if settings.checkpoint_dir.is_none() {
        let what = format!("checkpoint.mirror ({}) needs checkpoint.dir", settings.checkpoint_mirror.origin);
        return Err(Error::config(what).hint("checkpoint.dir: where the trainer saves"));
    }
    Ok(Some(MirrorPolicy {
        url: place.0.clone(),
        keep: settings.checkpoint_mirror_keep.value.into(),
        endpoint: settings.stage_endpoint.value.clone(),
        ca: settings.stage_ca.as_ref().map(|file| absolute(file)),
        parallel: settings.stage_parallel.map(u32::from),
        limit: settings.stage_limit.map(|limit| limit.0),
        retries: settings.stage_retries.map(u32::from),
        part: None,
        may_be_missing: is_spared(settings),
        more_time: starter.more_time().to_owned(),
    }))
}

/// Returns whether `checks` says that a training whose last checkpoint is not in the mirror may end with 0.
fn is_spared(settings: &Settings) -> bool {
    settings.checks.get(check::MIRROR).is_some_and(|severity| *severity != Severity::Fail)
}

fn checkpoints(settings: &Settings, workdir: &Path) -> Result<Option<Checkpoints>> {
    let Some(dir) = &settings.checkpoint_dir.value else { return Ok(None) };
    super::resume::watched(settings)?;
    Ok(Some(Checkpoints {
        dir: workdir.join(dir).to_string_lossy().into_owned(),
        family: settings.checkpoint_family.value.clone(),
        pattern: settings.checkpoint_pattern.value.clone(),
    }))
}

fn restart(settings: &Settings) -> Restart {
    Restart {
        max: settings.restart_max.value,
        codes: settings.restart_on.value.clone(),
        pause: settings.restart_backoff.from,
        pause_max: settings.restart_backoff.to,
        healthy: settings.restart_healthy.value,
    }
}

/// Returns when an unused container is stopped; a training counts as used, and the watchdog notices if it hangs.
fn idle(settings: &Settings, plan: &Plan) -> Option<Idle> {
    let after = settings.idle_after.value.filter(|_| plan.kind == WorkloadKind::Build)?;
    let own = plan.service.as_ref().map(|service| service.port);
    let ports = own.into_iter().chain(plan.other_ports.iter().copied()).collect();
    Some(Idle { after, ports, signs: settings.idle_signs.value.clone() })
}

fn watchdog(settings: &Settings) -> Watchdog {
    Watchdog {
        output: settings.watchdog_output.value,
        heartbeat: settings.watchdog_heartbeat.value,
        checkpoint: settings.watchdog_checkpoint.value,
        action: settings.watchdog_action.value,
        stack_signal: settings.watchdog_stack_signal.map(|signal| signal.number().into()),
    }
}

fn level(level: LogLevel) -> Level {
    match level {
        // PID 1 logs nothing at the debug level.
        LogLevel::Info | LogLevel::Debug => Level::Info,
        LogLevel::Warn => Level::Warn,
        LogLevel::Error => Level::Error,
    }
}

/// Returns the configured meanings of signals; the configuration accepts only signal names as keys.
fn meanings(settings: &Settings) -> impl Iterator<Item = (Signal, SignalMeaning)> {
    settings.stop_on.iter().filter_map(|(name, meaning)| Some((Signal::parse(name)?, *meaning)))
}

/// Returns the configured replacements of exit codes; the configuration accepts only exit codes.
fn exit_map(settings: &Settings) -> Vec<(u8, u8)> {
    settings.exit_map.iter().filter_map(|(from, to)| Some((from.parse().ok()?, *to))).collect()
}

fn trainer_codes(command: &[OsString]) -> Vec<u8> {
    let names = STOP_CODES.map(|(name, _)| name);
    let launcher = engine::launcher(command, &names).and_then(|at| Path::new(command.get(at)?).file_name());
    let known = STOP_CODES.iter().filter(|(name, _)| launcher.is_some_and(|launcher| launcher == *name));
    known.map(|(_, code)| *code).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configured_grace_wins_over_the_engines_and_so_does_none() {
        let sagemaker: Environment = [("SM_CURRENT_HOST", "algo-1")].into_iter().collect();
        let known = |settings: &Settings| StopGrace::known(settings, &Root::real(), &sagemaker);
        let mut settings = Settings::default();
        assert_eq!(known(&settings), StopGrace { time: Some(Duration::from_secs(120)), from: "SageMaker".into() });
        settings.stop_grace.origin = ValueOrigin::Environment("TRAINIT_STOP_GRACE".into());
        assert_eq!(known(&settings), StopGrace { time: None, from: "stop.grace, TRAINIT_STOP_GRACE".into() });
        assert_eq!(
            StopGrace::known(&Settings::default(), &Root::real(), &Environment::default()),
            StopGrace::default()
        );
    }

    #[test]
    fn torchrun_is_known_by_its_program_by_its_module_and_inside_of_others() {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert_eq!(trainer_codes(&words("/usr/bin/torchrun train.py")), [1]);
        assert_eq!(trainer_codes(&words("python -m torch.distributed.run train.py")), [1]);
        assert_eq!(trainer_codes(&words("accelerate launch --multi_gpu train.py")), [1]);
        assert_eq!(trainer_codes(&words("python train.py --data /x/accelerate")), [0u8; 0]);
    }
}
