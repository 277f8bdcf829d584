//! Finds modules that two packages install under the same name, such as cv2 of opencv-python and opencv-python-headless: the package that
//! was installed last has overwritten the other. Pure but for the lists of files that it reads.

use super::protect;
use super::stamp::VersionsByName;
use requirements::installed::{Distribution, Installed};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The longest list of files that is read, in bytes.
const LIST_MAX: u64 = 16 << 20;

/// Directories that many packages install by mistake, and nobody imports.
const IMPORTED_BY_NOBODY: [&str; 7] = ["tests", "test", "docs", "doc", "examples", "example", "benchmarks"];

/// Returns a line for each pair of packages that own one module, if at least one of them came or changed.
pub(super) fn lines(before: &VersionsByName, now: &Installed) -> Vec<String> {
    let new: BTreeSet<_> = protect::new(before, now).map(|found| found.name.to_string()).collect();
    if new.is_empty() {
        return Vec::new();
    }
    let lists: Vec<_> = now.iter().filter_map(|found| Some((found, list(&found.path)?))).collect();
    let modules = lists.iter().map(|(found, list)| (owner(found), found.path.parent(), list.as_str()));
    pairs(modules).iter().filter(|(one, other, _)| new.contains(one) || new.contains(other)).map(words).collect()
}

fn owner(found: &Distribution) -> String {
    found.name.to_string()
}

fn list(metadata: &Path) -> Option<String> {
    let list = metadata.join("RECORD");
    std::fs::metadata(&list).ok().filter(|found| found.len() <= LIST_MAX)?;
    std::fs::read_to_string(list).ok()
}

fn words((one, other, module): &(String, String, String)) -> String {
    format!(
        "{one} and {other} both install {module}, and the one that came last has overwritten the other: keep one of them"
    )
}

/// Returns the pairs of packages with a common module, and that module. The lists are of one directory each.
fn pairs<'a>(lists: impl Iterator<Item = (String, Option<&'a Path>, &'a str)>) -> BTreeSet<(String, String, String)> {
    let mut owners = BTreeMap::new();
    let mut pairs = BTreeSet::new();
    for (owner, directory, list) in lists {
        for (path, hash) in list.lines().filter_map(module) {
            match owners.get(&(directory, path)) {
                Some((known, other)) if *known != owner && (hash.is_empty() || hash != *other) => {
                    let top = path.split('/').next().unwrap_or(path).trim_end_matches(".py");
                    pairs.insert((String::clone(known), owner.clone(), top.to_owned()));
                }
                Some(_) => {}
                None => _ = owners.insert((directory, path), (owner.clone(), hash)),
            }
        }
    }
    pairs
}

/// Returns path and hash of a line of the list, if the file is a module with content.
fn module(line: &str) -> Option<(&str, &str)> {
    let mut fields = line.split(',');
    let (path, hash, size) = (fields.next()?, fields.next()?, fields.next()?);
    let is_module = path.ends_with(".py") || path.ends_with(".so");
    let is_imported = !path.starts_with("..") && !IMPORTED_BY_NOBODY.contains(&path.split('/').next()?);
    (is_module && is_imported && size != "0" && !path.starts_with('"')).then_some((path, hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(one: &str, other: &str) -> Vec<String> {
        let site = Some(Path::new("/site"));
        pairs([("one".to_owned(), site, one), ("other".to_owned(), site, other)].into_iter())
            .iter()
            .map(words)
            .collect()
    }

    #[test]
    fn two_packages_that_own_one_module_are_told() {
        let lines = found("cv2/__init__.py,sha256=a,9\ncv2/cv2.abi3.so,sha256=b,9\n", "cv2/cv2.abi3.so,sha256=c,9\n");
        assert_eq!(lines.len(), 1);
        assert!(lines[0].starts_with("one and other both install cv2,"), "{}", lines[0]);
        assert_eq!(found("six.py,,\n", "six.py,,\n").len(), 1);
    }

    #[test]
    fn what_harms_nobody_is_not_told() {
        for (line, other) in [
            ("nvidia/__init__.py,sha256=e,0", "nvidia/__init__.py,sha256=e,0"),
            ("google/__init__.py,sha256=e,9", "google/__init__.py,sha256=e,9"),
            ("tests/__init__.py,sha256=a,9", "tests/__init__.py,sha256=b,9"),
            ("../../bin/tool,sha256=a,9", "../../bin/tool,sha256=b,9"),
            ("LICENSE,sha256=a,9", "LICENSE,sha256=b,9"),
        ] {
            assert_eq!(found(line, other), Vec::<String>::new(), "{line}");
        }
    }
}
