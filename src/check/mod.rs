//! Checks: what must be true before the workload may start. A check is one `Check` in the file of its family; the runner
//! gives it a killable process and a deadline. Knows `config` and `sys`; nothing of modes, dependencies or PID 1.

use crate::config::{Settings, Severity};
use crate::environment::Environment;
use crate::exit::{Exit, Family};
use crate::sys::Root;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// All that a check may look at.
#[derive(Clone, Debug)]
pub struct Scene {
    /// Where /proc, /sys, /dev and /etc are.
    pub root: Root,
    /// The merged configuration.
    pub settings: Settings,
    /// The workload's environment.
    pub environment: Environment,
    /// The directory that the workload starts in.
    pub workdir: PathBuf,
    /// The code directory.
    pub code: PathBuf,
    /// The command line that will run, if it is known.
    pub command: Vec<std::ffi::OsString>,
}

/// How one thing turned out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// May hurt later.
    Warn,
    /// The start must not go on.
    Fail,
}

/// What a check found out about one subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The check's id, `family.name`.
    pub check: String,
    /// How it turned out.
    pub status: Status,
    /// What was found.
    pub what: String,
    /// Why it matters, or what caused it.
    pub because: Option<String>,
    /// What to type now.
    pub remedy: Vec<Remedy>,
    /// The exit code when this is what the start fails for.
    pub exit: Exit,
    /// How long it took.
    pub took: Duration,
    /// Facts for the JSON report.
    pub facts: BTreeMap<String, serde_json::Value>,
}

/// A way out, in a form that can be gathered with others into one command line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Remedy {
    /// Words to add to `docker run`, with the Compose and Kubernetes forms of the same.
    Run {
        /// As options of `docker run`.
        docker: String,
        /// As a fragment of a Compose service.
        compose: String,
        /// As a fragment of a pod's specification.
        kubernetes: String,
    },
    /// Anything else, as a sentence.
    Do(String),
}

/// One check. Adding one is adding one of these to the table of its family.
#[derive(Clone, Copy)]
pub struct Check {
    /// `family.name`; users name it in `checks` and `--only`.
    pub id: &'static str,
    /// What it is about.
    pub family: Family,
    /// How bad it is when it does not hold, unless the configuration says otherwise.
    pub severity: Severity,
    /// What it asks, in one line, for the documentation.
    pub about: &'static str,
}
