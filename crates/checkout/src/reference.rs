//! What a server says of its branches and tags (`git ls-remote --symref`), and which commit a name means. Pure.

use super::address::{Address, is_commit};

/// How a commit was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamedBy {
    /// By a branch, which moves.
    Branch,
    /// By a tag, which is not meant to move.
    Tag,
    /// By itself.
    Commit,
}

/// A commit, and the name that led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The commit.
    pub commit: String,
    /// The name as a person writes it: `main`, `v1.4`; that of a commit is the commit.
    pub name: String,
    /// The whole name on the server, by which it can be fetched: `refs/heads/main`; `None` for a commit.
    pub full: Option<String>,
    /// The kind of the name.
    pub by: NamedBy,
}

impl Named {
    /// Returns what a whole commit means.
    pub(crate) fn commit(commit: &str) -> Self {
        Named { commit: commit.to_owned(), name: commit.to_owned(), full: None, by: NamedBy::Commit }
    }
}

/// Returns the patterns that `git ls-remote` gets for an address.
pub(crate) fn patterns(address: &Address) -> Vec<String> {
    match &address.reference {
        None => vec!["HEAD".to_owned()],
        Some(name) if name.starts_with("refs/") => vec![name.clone(), format!("{name}^{{}}")],
        Some(name) => {
            vec![format!("refs/heads/{name}"), format!("refs/tags/{name}"), format!("refs/tags/{name}^{{}}")]
        }
    }
}

/// Finds the commit of an address in the answer of the server; `None` if the server does not have the name.
///
/// A branch goes before a tag of the same name, as in `git clone --branch`.
pub(crate) fn find(answer: &str, address: &Address) -> Option<Named> {
    let Some(name) = &address.reference else { return default_branch(answer) };
    if name.starts_with("refs/") {
        return named(answer, name, name);
    }
    named(answer, &format!("refs/heads/{name}"), name).or_else(|| named(answer, &format!("refs/tags/{name}"), name))
}

fn default_branch(answer: &str) -> Option<Named> {
    let commit = commit_of(answer, "HEAD")?;
    let full = answer.lines().find_map(|line| line.strip_prefix("ref: ")?.strip_suffix("\tHEAD")).unwrap_or("HEAD");
    let name = full.strip_prefix("refs/heads/").unwrap_or(full);
    Some(Named { commit, name: name.to_owned(), full: Some(full.to_owned()), by: NamedBy::Branch })
}

fn named(answer: &str, full: &str, name: &str) -> Option<Named> {
    // An annotated tag is an object of its own; the line with ^{} has the commit.
    let commit = commit_of(answer, &format!("{full}^{{}}")).or_else(|| commit_of(answer, full))?;
    let by = if full.starts_with("refs/tags/") { NamedBy::Tag } else { NamedBy::Branch };
    Some(Named { commit, name: name.to_owned(), full: Some(full.to_owned()), by })
}

fn commit_of(answer: &str, full: &str) -> Option<String> {
    let lines = answer.lines().filter_map(|line| line.split_once('\t'));
    lines.filter(|(commit, name)| *name == full && is_commit(commit)).map(|(commit, _)| commit.to_owned()).next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn found(answer: &str, reference: &str) -> Option<(String, String, NamedBy)> {
        let address = Address::parse(&format!("https://h/x{reference}")).unwrap();
        find(answer, &address).map(|named| (named.commit, named.name, named.by))
    }

    #[test]
    fn a_branch_goes_before_a_tag_and_a_tag_is_its_commit() {
        let answer = format!(
            "{A}\trefs/heads/feature/main\n{A}\trefs/heads/main\n{B}\trefs/tags/main\n{A}\trefs/tags/v1\n{B}\trefs/tags/v1^{{}}\n"
        );
        assert_eq!(found(&answer, "@main"), Some((A.into(), "main".into(), NamedBy::Branch)));
        assert_eq!(found(&answer, "@v1"), Some((B.into(), "v1".into(), NamedBy::Tag)));
        assert_eq!(found(&answer, "@refs/tags/main"), Some((B.into(), "refs/tags/main".into(), NamedBy::Tag)));
        assert_eq!(found(&answer, "@feature"), None);
    }

    #[test]
    fn without_a_name_the_servers_branch_is_meant_and_named() {
        let answer = format!("ref: refs/heads/trunk\tHEAD\n{A}\tHEAD\n");
        assert_eq!(found(&answer, ""), Some((A.into(), "trunk".into(), NamedBy::Branch)));
        assert_eq!(found(&format!("{A}\tHEAD\n"), ""), Some((A.into(), "HEAD".into(), NamedBy::Branch)));
        assert_eq!(found("", ""), None);
    }

    proptest! {
        #[test]
        fn any_answer_is_taken(answer in "[ -~\t\n]{0,200}") {
            prop_assert!(found(&answer, "@main").is_none_or(|(commit, ..)| is_commit(&commit)));
        }
    }
}
