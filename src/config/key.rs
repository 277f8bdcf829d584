//! What is known of a key besides its value: names, documentation, type. The table in `settings` has one for each.

use super::values::ConfigValue;
use super::{ConfigNode, Problems, key_name};
use serde_json::Value as Json;

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
        self.kind.text.then(|| key_name::variable(self.path))
    }
}
