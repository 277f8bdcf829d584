//! The commit of the code: from `TRAINIT_CODE_COMMIT`, else from git's files, else from a directory name of git-sync. The report and the
//! workload get it.

use super::path_facts::PathFacts;
use super::step::{CheckResult, Failure};
use super::{CheckContext, Finding, FindingFacts};
use crate::git::{self, Repository, Unknown};
use std::path::Path;

/// The variable that passes the commit to trainit, and from trainit to the workload.
const VARIABLE: &str = "TRAINIT_CODE_COMMIT";
/// Length of a shown commit; no known repository needs more digits.
const SHORT: usize = 12;

/// The input for finding the commit.
#[derive(Clone, Debug, Default)]
pub(super) struct ProvenanceInput {
    variable: Option<String>,
    off: bool,
}

/// The known facts about the commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Commit {
    given: Option<String>,
    published: Option<String>,
    repository: Option<Repository>,
}

/// The facts that a start takes from the findings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// The commit of the code, as given or as read.
    pub commit: Option<String>,
    /// A repository that git would not trust, because another user owns it.
    pub foreign: Option<String>,
}

/// Collects what the findings say about the code.
pub fn provenance(findings: &[Finding]) -> Provenance {
    let fact = |name: &str| {
        let facts = findings.iter().filter(|finding| finding.family() == "code").map(|finding| &finding.facts);
        facts.filter_map(|facts| facts.get(name)?.as_str()).map(str::to_owned).next()
    };
    Provenance { commit: fact("commit"), foreign: fact("foreign_repository") }
}

impl ProvenanceInput {
    /// Reads the environment. A commit that an outer trainit found belongs to that trainit's code.
    pub(super) fn of(context: &CheckContext, off: bool) -> Self {
        let outer = context.environment.text("TRAINIT") == Some("1");
        ProvenanceInput { variable: context.environment.text(VARIABLE).filter(|_| !outer).map(str::to_owned), off }
    }

    /// Reads the commit of a directory.
    pub(super) fn look(&self, directory: &Path) -> Option<Commit> {
        if self.off {
            return None;
        }
        let repository = git::find(directory);
        let unknown = repository.as_ref().is_none_or(|repository| repository.commit.is_err());
        let published = if unknown { git::published(directory) } else { None };
        Some(Commit { given: self.variable.clone(), published, repository })
    }
}

impl Commit {
    fn read(&self) -> Option<&String> {
        self.repository.as_ref().and_then(|repository| repository.commit.as_ref().ok()).or(self.published.as_ref())
    }

    /// Returns the repository, if there is one.
    pub(super) fn repository(&self) -> Option<&Repository> {
        self.repository.as_ref()
    }

    fn commit(&self) -> Option<&String> {
        self.given.as_ref().or(self.read())
    }

    /// Formats the commit: `commit 0123456789ab (main)`; `None` without a repository and a given commit.
    pub(super) fn words(&self) -> Option<String> {
        let branch = self.repository.as_ref().and_then(|repository| repository.branch.as_deref()).map(text::bytes);
        let short = |commit: &str| text::line(commit.get(..SHORT).unwrap_or(commit)).into_owned();
        match (&self.given, self.read()) {
            (Some(given), Some(read)) if read.starts_with(given.as_str()) => {
                Some(format!("commit {} ({VARIABLE})", short(given)))
            }
            (Some(given), Some(read)) => {
                Some(format!("commit {} ({VARIABLE}; git says {})", short(given), short(read)))
            }
            (Some(given), None) => Some(format!("commit {} ({VARIABLE})", short(given))),
            (None, Some(read)) => Some(format!(
                "commit {}{}",
                short(read),
                branch.map(|branch| format!(" ({branch})")).unwrap_or_default()
            )),
            (None, None) => self.repository.as_ref().map(|repository| format!("commit unknown: {}", why(repository))),
        }
    }

    /// Returns a failure if the commit is required and unknown.
    pub(super) fn known(&self, site: &PathFacts) -> CheckResult {
        if self.commit().is_some() {
            return Ok(());
        }
        let failure = Failure::new(format!("the commit of {} is not known", site.shown));
        match &self.repository {
            Some(repository) => failure.because(why(repository)),
            None => failure.because("it is in no git repository that can be seen here"),
        }
        .advice("mount the whole repository, or give it as a variable: TRAINIT_CODE_COMMIT=$(git rev-parse HEAD)")
        .found()
    }

    /// Returns facts for the report.
    pub(super) fn facts(&self) -> FindingFacts {
        let mut facts = FindingFacts::new();
        let mut tell =
            |name: &str, value: Option<String>| facts.extend(value.map(|value| (name.to_owned(), value.into())));
        tell("commit", self.commit().cloned());
        let Some(repository) = &self.repository else { return facts };
        let root = repository.root.to_str().map(str::to_owned);
        tell("branch", repository.branch.as_deref().map(text::bytes));
        tell("git_commit", repository.commit.clone().ok());
        let uid = nix::unistd::geteuid().as_raw();
        tell("foreign_repository", root.clone().filter(|_| repository.owners.iter().any(|owner| *owner != uid)));
        tell("repository", root);
        facts
    }
}

fn why(repository: &Repository) -> String {
    match repository.commit.as_ref().err() {
        Some(Unknown::Elsewhere(git)) => {
            format!("a worktree or submodule, whose repository is not mounted ({})", text::path(git))
        }
        Some(Unknown::Reftable) => "its references are in tables of git that cannot be read".to_owned(),
        Some(Unknown::Unreadable(errno)) => format!("its files cannot be read: {}", protocol::errno::words(*errno)),
        Some(Unknown::Unborn) | None => "nothing has been committed yet".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "0123456789abcdef0123456789abcdef01234567";

    fn commit(given: Option<&str>, read: Option<Result<&str, Unknown>>) -> Commit {
        let repository = |commit: Result<&str, Unknown>| Repository {
            root: "/code".into(),
            branch: Some(b"ma\nin".to_vec()),
            commit: commit.map(str::to_owned),
            owners: vec![nix::unistd::geteuid().as_raw(), 12345],
        };
        Commit { given: given.map(str::to_owned), published: None, repository: read.map(repository) }
    }

    #[test]
    fn what_is_given_wins_and_a_difference_is_told() {
        assert_eq!(commit(None, Some(Ok(ONE))).words().unwrap(), "commit 0123456789ab (ma\\nin)");
        assert_eq!(
            commit(Some("v7"), Some(Ok(ONE))).words().unwrap(),
            "commit v7 (TRAINIT_CODE_COMMIT; git says 0123456789ab)"
        );
        assert_eq!(commit(Some("0123456"), Some(Ok(ONE))).words().unwrap(), "commit 0123456 (TRAINIT_CODE_COMMIT)");
        assert_eq!(commit(Some("v7"), None).words().unwrap(), "commit v7 (TRAINIT_CODE_COMMIT)");
        let elsewhere = commit(None, Some(Err(Unknown::Elsewhere("/host/.git".into()))));
        assert!(elsewhere.words().unwrap().ends_with("whose repository is not mounted (/host/.git)"));
        assert_eq!(commit(None, None).words(), None);
    }

    #[test]
    fn a_start_takes_the_commit_and_the_foreign_repository_over() {
        let facts = commit(Some("v7"), Some(Ok(ONE))).facts();
        assert_eq!((facts["commit"].as_str(), facts["git_commit"].as_str()), (Some("v7"), Some(ONE)));
        let finding = Finding {
            check: "code.readable".into(),
            subject: None,
            status: super::super::Status::Ok,
            what: String::new(),
            because: None,
            remedy: Vec::new(),
            exit: protocol::exit_code::Exit::Success,
            took: std::time::Duration::ZERO,
            facts,
        };
        let expected = Provenance { commit: Some("v7".into()), foreign: Some("/code".into()) };
        assert_eq!((provenance(&[finding]), provenance(&[])), (expected, Provenance::default()));
    }
}
