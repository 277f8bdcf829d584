//! Finds keys in the table: by path, by variable, and as the map that a path names an entry of.

use super::key_name::{PREFIX, below, in_capitals};
use super::settings::PATHS;
use super::values::items;
use super::{ConfigNode, KEYS, Key, KeyPath, Problems, Settings, ValueOrigin};

/// Finds a key by its path.
pub fn find(path: &str) -> Option<&'static Key> {
    at(PATHS.iter().position(|known| *known == path))
}

/// Finds the key that a variable sets.
pub(super) fn of_variable(name: &str) -> Option<&'static Key> {
    let rest = name.strip_prefix(PREFIX)?;
    let says = |path: &&str| path.len() == rest.len() && path.bytes().map(in_capitals).eq(rest.bytes());
    at(PATHS.iter().position(says)).filter(|key| key.kind.text)
}

fn at(index: Option<usize>) -> Option<&'static Key> {
    KEYS.get(index?)
}

/// Tells whether keys are named `path.…`.
pub(super) fn is_group(path: &str) -> bool {
    KEYS.iter().any(|key| below(key.path, path).is_some())
}

/// Finds the map that `path` names an entry of, and the entry: after a map's name the remainder is one name.
pub(super) fn entry_of(path: &str) -> Option<(&'static Key, &str)> {
    let maps = KEYS.iter().filter(|key| key.kind.map);
    maps.filter_map(|key| below(path, key.path).map(|name| (key, name))).next()
}

/// Tells whether a key, a group or an entry of a map has this name.
pub(super) fn is_path(path: &str) -> bool {
    find(path).is_some() || is_group(path) || entry_of(path).is_some()
}

/// Returns the canonical spelling of a path: an entry of a map gets the canonical name of its kind.
pub(super) fn canonical(path: &str) -> String {
    match entry_of(path).filter(|_| find(path).is_none()) {
        Some((key, name)) => [key.path, ".", &(key.kind.entry_name)(name)].concat(),
        None => path.to_owned(),
    }
}

/// Reports unknown names in a list. A key of a newer trainit is unknown here, not wrong.
pub(super) fn check_names(node: &ConfigNode, at: &str, problems: &mut Problems) {
    let kind = format!("key in {at}:");
    for item in items::<KeyPath>(node, at, &mut Problems::default()).unwrap_or_default().iter() {
        if let Some(name) = item.as_text().filter(|name| !is_path(name)) {
            problems.unknown(&item.origin, &kind, name, "", KEYS.iter().map(|key| key.path));
        }
    }
}

impl Settings {
    /// Tells where one entry of a map came from: `checks.host.shm`. Entries of one map may come from different layers.
    pub fn entry_origin(&self, path: &str) -> Option<&ValueOrigin> {
        let (key, name) = entry_of(path)?;
        self.tree().get(key.path)?.as_map()?.get(name).map(|node| &node.origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_of_a_key_is_masked_only_where_it_may_be_a_secret_by_mistake() {
        let is_masked =
            |key: &&Key| text::is_secret(key.path) || key.variable().is_some_and(|name| text::is_secret(&name));
        let masked: Vec<_> = KEYS.iter().filter(is_masked).map(|key| key.path).collect();
        // It names a file, but a key is pasted where its path was wanted.
        assert_eq!(masked, ["code.ssh_key"]);
    }
}
