//! The time between an engine's stop signal and SIGKILL, where it is fixed and can be seen from inside.
//!
//! Docker, Kubernetes and Slurm let the user choose and do not pass the value into the container, so they are not in this table.

use std::time::Duration;
use sys::Root;
use sys::environment::Environment;

/// A fixed grace of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineGrace {
    /// The engine's name.
    pub engine: &'static str,
    /// Time from the engine's stop signal to its SIGKILL.
    pub time: Duration,
}

/// The marks of an engine, all of which must be present.
struct EngineMark {
    variable: &'static str,
    directory: Option<&'static str>,
    grace: EngineGrace,
}

/// SageMaker's grace of 120 s ("How Amazon SageMaker runs your training image" in its developer guide).
const SAGEMAKER: EngineGrace = EngineGrace { engine: "SageMaker", time: Duration::from_secs(120) };

/// The marks: the platform sets the job's name and mounts /opt/ml; its training toolkit sets the host's name.
const MARKS: [EngineMark; 2] = [
    EngineMark { variable: "SM_CURRENT_HOST", directory: None, grace: SAGEMAKER },
    EngineMark { variable: "TRAINING_JOB_NAME", directory: Some("/opt/ml"), grace: SAGEMAKER },
];

/// Returns the grace of the engine that runs this container; `None` if it is not fixed or not known.
pub fn grace(root: &Root, environment: &Environment) -> Option<EngineGrace> {
    let is_here = |mark: &&EngineMark| {
        environment.get(mark.variable).is_some() && mark.directory.is_none_or(|directory| root.path(directory).is_dir())
    };
    MARKS.iter().find(is_here).map(|mark| mark.grace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sagemaker_is_known_by_its_toolkit_or_by_the_platform() {
        let machine = tempfile::tempdir().unwrap();
        let told = |variable: &str| {
            let environment = [(variable, "algo-1")].into_iter().collect();
            grace(&Root::at(machine.path()), &environment).map(|grace| grace.time.as_secs())
        };
        assert_eq!(told("SM_CURRENT_HOST"), Some(120));
        assert_eq!((told("TRAINING_JOB_NAME"), told("HOSTNAME")), (None, None));
        std::fs::create_dir_all(machine.path().join("opt/ml")).unwrap();
        assert_eq!((told("TRAINING_JOB_NAME"), told("HOSTNAME")), (Some(120), None));
    }
}
