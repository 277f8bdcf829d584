//! Whether files differ from the commit. Only git knows that in all cases. The configuration of a mounted repository can make git run
//! programs, so git runs only on request, and as the workload's user, who runs the code anyway.

use super::path_facts::PathFacts;
use super::step::{CheckResult, Failure};
use crate::git::{self, Repository};
use std::io;
use std::process::{Command, Stdio};
use sys::environment::Environment;
use sys::process::die_with_parent;

/// Number of changed files that a message names.
const NAMED: usize = 3;

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
            Ok(output) if output.status.success() => GitStatus::parse(&output.stdout),
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

    /// Parses `XY NAME` entries, each with a NUL after it. A renamed file has a second entry with its old name.
    fn parse(text: &[u8]) -> Self {
        let mut entries = text.split(|byte| *byte == 0).filter(|entry| !entry.is_empty());
        let mut names = Vec::new();
        while let Some(entry) = entries.next() {
            if entry.get(..2).is_some_and(|state| state.contains(&b'R') || state.contains(&b'C')) {
                entries.next();
            }
            names.push(entry.get(3..).unwrap_or_default().to_vec());
        }
        let count = names.len();
        names.truncate(NAMED);
        if count == 0 { GitStatus::Committed } else { GitStatus::Differs(count, names) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_tells_is_read_with_odd_names_and_old_names() {
        assert_eq!(GitStatus::parse(b""), GitStatus::Committed);
        let names = |names: &[&str]| names.iter().map(|name| name.as_bytes().to_vec()).collect();
        assert_eq!(GitStatus::parse(b" M a\nb\0R  new\0old\0"), GitStatus::Differs(2, names(&["a\nb", "new"])));
        assert_eq!(GitStatus::parse(b"M  1\0A  2\0 D 3\0 M 4\0"), GitStatus::Differs(4, names(&["1", "2", "3"])));
        assert_eq!(GitStatus::parse(b"R\0"), GitStatus::Differs(1, names(&[""])));
    }
}
