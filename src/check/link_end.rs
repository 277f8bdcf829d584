//! Where a chain of links ends: at what is missing here, and where that lies on the machine that the link was made on.

use std::path::{Component, Path, PathBuf};

/// Most links that are followed, as many as the kernel follows (path_resolution(7)).
const HOPS: usize = 40;

/// Where a chain of links ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LinkEnd {
    /// At a path that does not exist here, and the same path as seen from the link's own machine.
    Missing { here: PathBuf, there: Option<PathBuf> },
    /// At a link that was passed already.
    Circle,
}

/// Follows a dangling link. `on_host` is where the link itself lies on the host, if that is known: a relative target starts there.
pub(super) fn end_of(link: &Path, on_host: Option<&Path>) -> Option<LinkEnd> {
    let (mut here, mut there) = (link.to_owned(), on_host.map(Path::to_owned));
    for _ in 0..HOPS {
        let Ok(target) = std::fs::read_link(&here) else {
            return (here != link).then_some(LinkEnd::Missing { here, there });
        };
        let from = |path: &Path| without_dots(&path.parent().unwrap_or(Path::new("/")).join(&target));
        there = if target.is_absolute() { Some(target.clone()) } else { there.as_deref().map(from) };
        here = from(&here);
    }
    Some(LinkEnd::Circle)
}

/// Removes `.` and `..` by the names alone.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => _ = plain.pop(),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_chain_of_links_is_followed_to_what_is_missing() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        symlink("/no/such/set", at("absolute")).unwrap();
        symlink("absolute", at("chain")).unwrap();
        symlink("../sets/one", at("relative")).unwrap();
        symlink("circle", at("circle")).unwrap();
        let missing = |here: &Path, there: Option<&str>| {
            Some(LinkEnd::Missing { here: here.to_owned(), there: there.map(PathBuf::from) })
        };
        assert_eq!(end_of(&at("absolute"), None), missing(Path::new("/no/such/set"), Some("/no/such/set")));
        assert_eq!(end_of(&at("chain"), None), missing(Path::new("/no/such/set"), Some("/no/such/set")));
        let here = directory.path().parent().unwrap().join("sets/one");
        assert_eq!(
            end_of(&at("relative"), Some(Path::new("/home/me/data/relative"))),
            missing(&here, Some("/home/me/sets/one"))
        );
        assert_eq!(end_of(&at("circle"), None), Some(LinkEnd::Circle));
        assert_eq!(end_of(&at("nothing"), None), None);
    }
}
