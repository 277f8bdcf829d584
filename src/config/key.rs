//! The facts about a key besides its value: names, documentation, type. The table in `settings` has one row for each key.

use super::values::ConfigValue;
use super::{ConfigNode, Problems, key_name};
use serde_json::Value as Json;

/// One documented key of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The dotted path in files.
    pub path: &'static str,
    /// The built-in value as a file would have it; empty if there is none.
    pub default: &'static str,
    /// An example for a key without a built-in value, as a file would have it.
    pub example: &'static str,
    /// The documentation.
    pub doc: &'static str,
    /// Whether `trainit.yaml` in the code directory may set it.
    pub project: bool,
    /// The type.
    pub kind: KeyType,
}

/// The functions and properties of a key's type.
#[derive(Clone, Copy, Debug)]
pub struct KeyType {
    /// Returns the expected form.
    pub form: fn() -> String,
    /// Returns the JSON Schema.
    pub schema: fn() -> Json,
    /// Checks a value.
    pub check: fn(&ConfigNode, &str, &mut Problems),
    /// Returns the canonical name of an entry of a map.
    pub entry_name: fn(&str) -> String,
    /// Whether the type is a map whose entries users name.
    pub map: bool,
    /// Whether one text can express the value.
    pub text: bool,
}

impl KeyType {
    /// Returns the description of a type.
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
    /// Returns the environment variable of the key; `None` for maps that one text cannot express.
    pub fn variable(&self) -> Option<String> {
        self.kind.text.then(|| key_name::variable(self.path))
    }
}
