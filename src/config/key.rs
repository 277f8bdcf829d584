//! What is known of a key besides its value: names, documentation, type. All of it comes from the table in `settings`.

use super::values::ConfigValue;
use super::{ConfigNode, KEYS, PATHS, Problems};
use serde_json::Value as Json;

/// What every variable begins with.
pub const PREFIX: &str = "TRAINIT_";

/// One key of the configuration, as documented.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The dotted path in files.
    pub path: &'static str,
    /// The built-in value, as it would be written in a file; empty: none.
    pub default: &'static str,
    /// A value to show where there is none built in, as it would be written in a file.
    pub example: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// Whether `trainit.yaml` in the code directory may set it.
    pub project: bool,
    /// Its type.
    pub kind: KeyType,
}

/// What the machinery has to know of a key's type.
#[derive(Clone, Copy, Debug)]
pub struct KeyType {
    /// What has to be written.
    pub form: fn() -> String,
    /// Its JSON Schema.
    pub schema: fn() -> Json,
    /// Finds out what is wrong with a value.
    pub check: fn(&ConfigNode, &str, &mut Problems),
    /// The one spelling of the name of a map's entry.
    pub entry_name: fn(&str) -> String,
    /// A map whose entries are named by people.
    pub map: bool,
    /// It can be said in one text.
    pub text: bool,
}

impl KeyType {
    /// The kind of a type.
    pub const fn of<T: ConfigValue>() -> Self {
        KeyType {
            form: T::form,
            schema: T::schema,
            check: check::<T>,
            entry_name: T::entry_name,
            map: T::MAP,
            text: T::TEXT,
        }
    }
}

fn check<T: ConfigValue>(node: &ConfigNode, at: &str, problems: &mut Problems) {
    T::read(node, at, problems);
}

impl Key {
    /// The environment variable that sets it; none for maps that one text cannot say.
    pub fn variable(&self) -> Option<String> {
        self.kind.text.then(|| variable(self.path))
    }
}

/// The name that a path has in the environment.
pub fn variable(path: &str) -> String {
    PREFIX.chars().chain(path.bytes().map(in_capitals).map(char::from)).collect()
}

fn in_capitals(byte: u8) -> u8 {
    if byte == b'.' { b'_' } else { byte.to_ascii_uppercase() }
}

/// A key by its path.
pub fn find(path: &str) -> Option<&'static Key> {
    at(PATHS.iter().position(|known| *known == path))
}

/// The key that this variable sets.
pub fn of_variable(name: &str) -> Option<&'static Key> {
    let rest = name.strip_prefix(PREFIX)?;
    let says = |path: &&str| path.len() == rest.len() && path.bytes().map(in_capitals).eq(rest.bytes());
    at(PATHS.iter().position(says)).filter(|key| key.kind.text)
}

fn at(index: Option<usize>) -> Option<&'static Key> {
    KEYS.get(index?)
}

/// Whether keys are named `path.…`.
pub fn is_group(path: &str) -> bool {
    KEYS.iter().any(|key| below(key.path, path).is_some())
}

/// The map that `path` names an entry of, and the entry: after a map's name the remainder is one name.
pub fn entry_of(path: &str) -> Option<(&'static Key, &str)> {
    let maps = KEYS.iter().filter(|key| key.kind.map);
    maps.filter_map(|key| below(path, key.path).map(|name| (key, name))).next()
}

/// Whether there is a key, a group or an entry of a map of this name.
pub fn is_path(path: &str) -> bool {
    find(path).is_some() || is_group(path) || entry_of(path).is_some()
}

/// The one spelling of a path: that of an entry of a map has its name in the one spelling of such names.
pub fn canonical(path: &str) -> String {
    match entry_of(path).filter(|_| find(path).is_none()) {
        Some((key, name)) => [key.path, ".", &(key.kind.entry_name)(name)].concat(),
        None => path.to_owned(),
    }
}

/// What follows `group.` in `path`.
pub fn below<'a>(path: &'a str, group: &str) -> Option<&'a str> {
    path.strip_prefix(group)?.strip_prefix('.').filter(|rest| !rest.is_empty())
}
