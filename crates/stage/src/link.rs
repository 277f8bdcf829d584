//! Whether a symbolic link stays inside of the directory that is copied. By names alone, as links are resolved (symlink(7)). Pure.

use std::path::{Component, Path, PathBuf};

/// Where a link leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LinkTarget {
    /// To this place in the directory; the text is what the copied link has to say.
    Inside(PathBuf),
    /// Out of the directory.
    Outside,
}

/// Judges the link at `link` (a path below `root`) that says `target`. An absolute target below `root` becomes a relative one.
pub(crate) fn judge(root: &Path, link: &Path, target: &Path) -> LinkTarget {
    let depth = link.components().count().saturating_sub(1);
    if target.is_absolute() {
        return match target.strip_prefix(root) {
            Ok(rest) if stays(rest, 0) => LinkTarget::Inside(Path::new(&"../".repeat(depth)).join(rest)),
            _ => LinkTarget::Outside,
        };
    }
    if !target.as_os_str().is_empty() && stays(target, depth) {
        LinkTarget::Inside(target.to_owned())
    } else {
        LinkTarget::Outside
    }
}

/// Returns whether a relative path, from so many directories below the root, never goes above the root.
fn stays(path: &Path, depth: usize) -> bool {
    let step = |depth: usize, part: Component<'_>| match part {
        Component::ParentDir => depth.checked_sub(1),
        Component::CurDir => Some(depth),
        Component::Normal(_) => Some(depth + 1),
        Component::RootDir | Component::Prefix(_) => None,
    };
    path.components().try_fold(depth, step).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_stays_inside_or_is_refused() {
        let judged = |link: &str, target: &str| judge(Path::new("/src"), Path::new(link), Path::new(target));
        let inside = |text: &str| LinkTarget::Inside(text.into());
        assert_eq!(judged("a/b", "c"), inside("c"));
        assert_eq!(judged("a/b", "../c"), inside("../c"));
        assert_eq!(judged("a/b", "../../c"), LinkTarget::Outside);
        assert_eq!(judged("b", "../src/c"), LinkTarget::Outside);
        assert_eq!(judged("a/b", "/src/c/d"), inside("../c/d"));
        assert_eq!(judged("b", "/src/../etc"), LinkTarget::Outside);
        assert_eq!(judged("b", "/etc/passwd"), LinkTarget::Outside);
        assert_eq!(judged("b", ""), LinkTarget::Outside);
    }
}
