//! Finds out why pip did not take the versions that an index has: for another Python, or without a wheel that fits. pip only says that
//! nothing satisfies the requirement; the rest stands in its log. Pure.

use super::failure_class::{FailureClass, NO_WHEEL, PYTHON};
use requirements::packaging::{Name, ProjectSource, Requirement, Version};

/// Returns the better class for pip's "no matching distribution"; `None` if the log has none.
pub(super) fn class(said: &str, log: &str) -> Option<&'static FailureClass> {
    let wanted = wanted(said)?;
    let ignored = said.lines().find_map(|line| line.split_once("versions that require a different python version: "));
    let ignored = ignored.into_iter().flat_map(|(_, list)| list.split(';'));
    if ignored.filter_map(|item| item.split_whitespace().next()).any(|version| fits(&wanted, version)) {
        return Some(&PYTHON);
    }
    let skipped = log.lines().filter(|line| line.contains(SKIPPED)).filter_map(wheel);
    skipped.into_iter().any(|(name, version)| name == wanted.name && fits(&wanted, version)).then_some(&NO_WHEEL)
}

/// Returns the names of wheels for other Pythons or machines, at most two, which pip shows nowhere but in its log.
pub(super) fn wheels(said: &str, log: &str) -> Option<String> {
    let wanted = wanted(said)?;
    let is_wanted =
        |line: &&str| wheel(line).is_some_and(|(name, version)| name == wanted.name && fits(&wanted, version));
    let lines = log.lines().filter(|line| line.contains(SKIPPED)).filter(is_wanted);
    let files: Vec<_> = lines.filter_map(file).take(2).collect();
    (!files.is_empty()).then(|| format!("there is {}.whl", files.join(".whl, ")))
}

/// pip's log of a wheel for another Python or machine: `Skipping link: none of the wheel's tags (cp39-…) are compatible (…): URL`.
const SKIPPED: &str = "none of the wheel's tags";

/// Returns the requirement that pip names in its last error.
fn wanted(said: &str) -> Option<Requirement> {
    let named = said.lines().rev().find_map(|line| line.split_once("satisfies the requirement "))?.1;
    Requirement::parse(named.split(" (from ").next()?)
}

fn fits(wanted: &Requirement, version: &str) -> bool {
    match (&wanted.source, Version::parse(version)) {
        (ProjectSource::Versions(specifiers), Some(version)) => specifiers.contains(&version) == Some(true),
        _ => false,
    }
}

/// Returns name and version of the wheel at the end of a line of the log.
fn wheel(line: &str) -> Option<(Name, &str)> {
    let mut parts = file(line)?.split('-');
    Some((Name::parse(parts.next()?)?, parts.next()?))
}

/// Returns the file name of the wheel at the end of a line of the log, without its ending.
fn file(line: &str) -> Option<&str> {
    let path = line.split_whitespace().rev().find_map(|word| word.split(['#', '?']).next()?.strip_suffix(".whl"))?;
    path.rsplit('/').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "ERROR: Ignored the following versions that require a different python version: 2.0 Requires-Python >=3.13; \
                        2.1 Requires-Python >=3.13\n\
                        ERROR: Could not find a version that satisfies the requirement a-b==VERSION (from versions: 1.0)\n\
                        ERROR: No matching distribution found for a-b==VERSION";
    const LOG: &str = "2026-01-01T00:00:00,000   Skipping link: none of the wheel's tags (cp39-cp39-linux_x86_64) are compatible \
                       (run pip debug --verbose to show compatible tags): https://host/a_b-3.0-cp39-cp39-linux_x86_64.whl#sha256=0 (from x)";

    #[test]
    fn a_version_for_another_python_is_told_apart_from_one_that_does_not_exist() {
        let says = |version: &str, log: &str| class(&SAID.replace("VERSION", version), log).map(|class| class.says);
        assert_eq!(says("2.0", ""), Some(PYTHON.says));
        assert_eq!(says("9.9", ""), None, "that others are for another Python is not the reason");
        assert_eq!(says("3.0", LOG), Some(NO_WHEEL.says));
        assert_eq!(says("9.9", LOG), None);
        let there = wheels(&SAID.replace("VERSION", "3.0"), LOG);
        assert_eq!(there.as_deref(), Some("there is a_b-3.0-cp39-cp39-linux_x86_64.whl"));
        assert_eq!(class("nothing of the kind", LOG), None);
    }
}
