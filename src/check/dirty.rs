//! Whether files differ from the commit. Only git knows that in all cases. The configuration of a mounted repository can make git run
//! programs, so git runs only on request, and as the workload's user, who runs the code anyway.

use super::path_facts::PathFacts;
use super::step::{CheckResult, Failure};
use crate::git::{self, Repository};
use std::io;
use std::process::{Command, Stdio};
use sys::environment::Environment;
use sys::process::die_with_parent;

/// The answer of `git status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum GitStatus {
    /// Every tracked file is as it was committed; untracked files do not count.
    Committed,
    /// The number of changed files, and the names of the first ones.
    Differs(usize, Vec<Vec<u8>>),
    /// The reason why git gave no answer.
    Unknown(String),
}

impl GitStatus {
    /// Asks git.
    pub(super) fn of(repository: &Repository, environment: &Environment) -> Self {
        match status(repository, environment) {
            Ok(output) if output.status.success() => match checkout::changed_names(&output.stdout) {
                (0, _) => GitStatus::Committed,
                (count, names) => GitStatus::Differs(count, names),
            },
            Ok(output) => {
                let told = String::from_utf8_lossy(&output.stderr);
                GitStatus::Unknown(text::line(told.lines().next().unwrap_or("git failed")).into_owned())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                GitStatus::Unknown("there is no git here".to_owned())
            }
            Err(error) => GitStatus::Unknown(format!("git cannot be started: {}", protocol::errno::words_of(&error))),
        }
    }

    /// Returns whether files differ; `None` if that is not known.
    pub(super) fn is_changed(&self) -> Option<bool> {
        match self {
            GitStatus::Committed => Some(false),
            GitStatus::Differs(..) => Some(true),
            GitStatus::Unknown(_) => None,
        }
    }

    /// Returns a failure unless everything is committed.
    pub(super) fn committed(&self, site: &PathFacts) -> CheckResult {
        match self {
            GitStatus::Committed => Ok(()),
            GitStatus::Differs(count, names) => {
                let mut names: Vec<String> = names.iter().map(|name| text::bytes(name)).collect();
                names.extend((*count > names.len()).then(|| "…".to_owned()));
                let differ = if *count == 1 { "differs" } else { "differ" };
                let what = format!(
                    "{} of {} {differ} from its commit: {}",
                    text::count(*count as u64, "file"),
                    site.shown,
                    names.join(", ")
                );
                Failure::new(what)
                    .because("the commit alone does not say what ran")
                    .advice("git commit, or git stash")
                    .found()
            }
            GitStatus::Unknown(why) => {
                Failure::new(format!("whether {} differs from its commit is not known", site.shown))
                    .because(why.clone())
                    .advice("install git in the image, or turn code.dirty off")
                    .found()
            }
        }
    }
}

fn status(repository: &Repository, environment: &Environment) -> io::Result<std::process::Output> {
    let mut environment = environment.clone();
    git::trust(&mut environment, &repository.root.to_string_lossy());
    let mut command = Command::new("git");
    // git must not rewrite an index, start a daemon or prompt.
    command.args(["-c", "core.fsmonitor=false", "status", "--porcelain=v1", "-z", "--untracked-files=no"]);
    command.env_clear().envs(environment.iter()).env("GIT_OPTIONAL_LOCKS", "0").env("GIT_TERMINAL_PROMPT", "0");
    command.current_dir(&repository.root).stdin(Stdio::null());
    die_with_parent(&mut command);
    command.output()
}
