//! Where things are in a mirror: `NAME/…` has the files, `.trainit/NAME.json` the manifest that makes them a checkpoint. Where each node
//! saves a part, `.trainit/again/…` has the files, and `.trainit/NAME.json.K-of-N` are the manifests.

use std::path::{Component, Path};

/// The directory of trainit's own objects in the mirror.
const OWN: &str = ".trainit/";
/// The directory of the markers of what is being written or deleted.
const MARKERS: &str = ".trainit/uploads/";
/// The directory of the files of a checkpoint whose name was taken.
const AGAIN: &str = ".trainit/again/";

/// The longest name of an object below the mirror; S3 takes keys of 1024 bytes.
const NAME_MAX: usize = 700;

/// The place of a mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorUrl(String);

impl MirrorUrl {
    /// Returns the mirror at this URL, with or without a slash at its end.
    pub fn new(url: &str) -> Self {
        MirrorUrl(url.trim_end_matches('/').to_owned())
    }

    /// Returns the URL of an object by its name below the mirror.
    pub fn object(&self, name: &str) -> String {
        format!("{}/{name}", self.0)
    }

    /// Returns the prefix of trainit's own objects.
    pub(crate) fn own(&self) -> String {
        self.object(OWN)
    }

    /// Returns the URL as it was given, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns the manifest's name below `.trainit/` for a checkpoint, or for a part of one; `again` tells a second one of the same name
/// from the first.
pub(crate) fn manifest(name: &str, again: Option<&str>, part: Option<(u32, u32)>) -> String {
    let flat = name.replace('/', "__");
    let whole = again.map_or_else(|| format!("{flat}.json"), |again| format!("{flat}~{again}.json"));
    part.map_or_else(|| whole.clone(), |(number, of)| format!("{whole}.{number}-of-{of}"))
}

/// Returns the name below the mirror of something in `.trainit/`.
pub(crate) fn in_own(name: &str) -> String {
    format!("{OWN}{name}")
}

/// Returns the marker's name below the mirror.
pub(crate) fn marker(name: &str, by: &str) -> String {
    format!("{MARKERS}{}~{by}.json", name.replace('/', "__"))
}

/// Returns what stands before the files' names of a checkpoint whose name was taken.
pub(crate) fn root_again(by: &str) -> String {
    format!("{AGAIN}{by}/")
}

/// Returns whether a name that was listed below `.trainit/` is a manifest's.
pub(crate) fn is_manifest(listed: &str) -> bool {
    !listed.contains('/') && (listed.ends_with(".json") || is_part(listed))
}

/// Returns whether a name that was listed below `.trainit/` is the manifest of a part.
pub(crate) fn is_part(listed: &str) -> bool {
    let numbers = listed.rsplit_once(".json.").and_then(|(_, end)| end.split_once("-of-"));
    let number = |text: &str| text.parse::<u32>().is_ok();
    !listed.contains('/') && numbers.is_some_and(|(one, all)| number(one) && number(all))
}

/// Returns the marker's name below `.trainit/` if a name that was listed there is one's.
pub(crate) fn is_marker(listed: &str) -> bool {
    listed.strip_prefix("uploads/").is_some_and(|name| !name.contains('/') && name.ends_with(".json"))
}

/// Returns whether a listed marker is about the checkpoint of this name.
pub(crate) fn marks(listed: &str, name: &str) -> bool {
    let rest = listed.strip_prefix("uploads/").and_then(|rest| rest.strip_prefix(&name.replace('/', "__")));
    rest.is_some_and(|rest| rest.starts_with('~'))
}

/// Returns whether a relative name stays below the directory that it is joined to, and can be a part of a URL as it stands.
pub(crate) fn is_safe(name: &str) -> bool {
    let plain = |character: char| !character.is_control() && !"%?#\\".contains(character);
    let below = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    let usual = !name.split('/').any(|part| part.is_empty() || part == "." || part == "..");
    !name.is_empty() && name.len() <= NAME_MAX && below && usual && name.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leaves_the_directory_or_means_more_in_a_url_is_not_safe() {
        for safe in ["a", "ckpt-100/model.safetensors", "epoch=3-step=9.ckpt", "a b/ü"] {
            assert!(is_safe(safe), "{safe}");
        }
        for unsafe_name in ["", "/a", "../a", "a/../b", "a//b", "./a", "a/.", "a\nb", "a%2fb", "a?b", "a#b", "a\\b"] {
            assert!(!is_safe(unsafe_name), "{unsafe_name}");
        }
        assert!(!is_safe(&"x".repeat(1000)));
    }

    #[test]
    fn a_manifest_is_not_taken_for_a_marker_nor_one_name_for_another() {
        let part = manifest("run/ckpt-1", None, Some((2, 16)));
        assert!(part == "run__ckpt-1.json.2-of-16" && is_manifest(&part) && is_part(&part) && !is_part("ckpt.json.x"));
        assert!(is_manifest("ckpt-1.json") && !is_manifest("uploads/ckpt-1~a.json") && !is_manifest("again/a/x.json"));
        let listed = marker("ckpt-1", "a");
        let listed = listed.strip_prefix(OWN).unwrap_or_default();
        assert!(is_marker(listed) && marks(listed, "ckpt-1") && !marks(listed, "ckpt-10") && !marks(listed, "ckpt"));
    }
}
