//! Values with named parts. One table defines the parts of a record; the structure, the parser and the schema follow from it.

use super::{ConfigValue, NameError, ReadyProbe, ValueError};
use crate::config::{ConfigNode, Problems, ValueOrigin, text};
use protocol::handover::WorkloadKind;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use sys::environment::Environment;

/// Declares a record: the name, field, type and default of each part (`None` marks a required part).
macro_rules! record {
    ($(#[$about:meta])+ $name:ident: $form:literal { $($(#[doc = $doc:literal])+ $key:literal $field:ident: $type:ty = $default:expr;)+ }) => {
        $(#[$about])+
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $($(#[doc = $doc])+ pub $field: $type,)+
        }

        impl $name {
            /// The names of the parts.
            pub(crate) const PARTS: &[&str] = &[$($key),+];

            /// What has to be written.
            pub(crate) const FORM: &str = $form;

            /// Reads the parts out of a map.
            pub(crate) fn from_parts(node: &ConfigNode, at: &str, problems: &mut Problems) -> Option<Self> {
                let mut parts = $crate::config::values::records::RecordReader::of(node, at, $form, Self::PARTS, problems)?;
                $(let $field = parts.take::<$type>($key, $default);)+
                Some($name { $($field: $field?),+ })
            }

            /// The JSON Schema of the map.
            pub(crate) fn parts_schema() -> serde_json::Value {
                let mut required = Vec::<&str>::new();
                $({ let default: Option<$type> = $default; if default.is_none() { required.push($key); } })+
                $crate::config::values::records::object(
                    [$(($key, <$type as $crate::config::values::ConfigValue>::schema(), concat!($($doc),+))),+],
                    required,
                )
            }
        }
    };
}
pub(super) use record;

/// A map that is being read part by part.
pub(super) struct RecordReader<'a> {
    entries: &'a BTreeMap<String, ConfigNode>,
    origin: &'a ValueOrigin,
    at: &'a str,
    problems: &'a mut Problems,
}

impl<'a> RecordReader<'a> {
    /// Starts to read, and reports names that are not `known`.
    pub(super) fn of(
        node: &'a ConfigNode,
        at: &'a str,
        form: &str,
        known: &[&str],
        problems: &'a mut Problems,
    ) -> Option<Self> {
        let Some(entries) = node.as_map() else {
            problems.rejected(node, at, form, ValueError::Form);
            return None;
        };
        for (name, node) in entries.iter().filter(|(name, _)| !known.contains(&name.as_str())) {
            let kind = format!("part of {at}:");
            problems.unknown(&node.origin, &kind, name, "", known.iter().copied());
        }
        Some(RecordReader { entries, origin: &node.origin, at, problems })
    }

    /// Reads one part.
    pub(super) fn take<T: ConfigValue>(&mut self, name: &str, default: Option<T>) -> Option<T> {
        let at = format!("{}.{name}", self.at);
        match self.entries.get(name).filter(|node| !node.is_nothing()) {
            Some(node) => T::read(node, &at, self.problems),
            None if default.is_none() => {
                self.problems.missing(self.origin, &at, &T::form());
                None
            }
            None => default,
        }
    }
}

/// Returns the schema of a record.
pub(super) fn object<const N: usize>(parts: [(&str, Json, &str); N], required: Vec<&str>) -> Json {
    let mut properties = Map::new();
    for (name, mut schema, doc) in parts {
        if let Some(fields) = schema.as_object_mut() {
            fields.insert("description".into(), doc.trim().into());
        }
        properties.insert(name.into(), schema);
    }
    let mut object = json!({"type": "object", "properties": properties, "additionalProperties": false});
    if let Some(fields) = object.as_object_mut().filter(|_| !required.is_empty()) {
        fields.insert("required".into(), required.into());
    }
    object
}

record! {
    /// An extra variable for the workload.
    #[derive(Default)]
    EnvValue: "a text, or a map with `value` or `file`, and `force`" {
        /// The value.
        "value" value: String = Some(String::new());
        /// A file that holds the value, such as a secret; a newline at its end does not count.
        "file" file: Option<PathBuf> = Some(None);
        /// Wins over an inherited variable.
        "force" force: bool = Some(false);
    }
}

impl EnvValue {
    /// Adds configured variables: an inherited one wins, unless the configured one is forced. `secret::add_all` adds those in files.
    pub fn add_all(values: &BTreeMap<String, EnvValue>, environment: &mut Environment) {
        let plain = values.iter().filter(|(_, env)| env.file.is_none());
        environment.set_many(plain.map(|(name, env)| (name.as_str(), env.value.as_ref(), env.force)));
    }
}

impl ConfigValue for EnvValue {
    fn form() -> String {
        Self::FORM.into()
    }

    fn read(node: &ConfigNode, at: &str, problems: &mut Problems) -> Option<Self> {
        match node.as_text() {
            Some(text) if node.is_nothing() || text.contains('\0') => {
                problems.wrong(&node.origin, at, "no value", "write \"\" for an empty one");
                None
            }
            Some(text) => Some(EnvValue { value: text.to_owned(), ..EnvValue::default() }),
            None => {
                let given = |part: &str| node.as_map().is_some_and(|parts| parts.contains_key(part));
                if node.as_map().is_some() && given("value") == given("file") {
                    problems.wrong(&node.origin, at, "it needs either `value` or `file`", "");
                    return None;
                }
                Self::from_parts(node, at, problems)
            }
        }
    }

    fn schema() -> Json {
        json!({"anyOf": [String::schema(), Self::parts_schema()]})
    }

    fn named(name: &str) -> Result<(), NameError> {
        match name.is_empty() || name.contains(['=', '\0']) {
            true => Err(NameError("the name of a variable: any characters but =")),
            false => Ok(()),
        }
    }

    fn names() -> Json {
        json!({"pattern": "^[^=]+$"})
    }

    // A value may contain blanks, so a variable with several values could not be parsed.
    const TEXT: bool = false;
}

record! {
    /// A mode that the configuration defines.
    #[derive(Default)]
    ModeSpec: "a command, or a map with `command`, `kind`, `about`, `port`, `ready`, `needs`, `secret`, `env`, `override`" {
        /// The command line it starts.
        "command" command: Vec<String> = None;
        /// `train` (unattended) or `build` (interactive).
        "kind" kind: WorkloadKind = Some(WorkloadKind::Train);
        /// What it is for, in a few words.
        "about" about: Option<String> = Some(None);
        /// The TCP port that it serves; `{port}` in the command stands for it.
        "port" port: Option<u16> = Some(None);
        /// When it is ready: `tcp`, it takes a connection; or a path such as `/healthz`, which is answered with less than 500.
        "ready" ready: Option<ReadyProbe> = Some(None);
        /// What has to be there, each with how to get it: a program, or `python:MODULE`.
        "needs" needs: BTreeMap<String, String> = Some(BTreeMap::new());
        /// A variable with a secret to log in with; one is made where it is not set. `{secret_file}` in the command stands for a file with it.
        "secret" secret: Option<String> = Some(None);
        /// Extra variables.
        "env" env: BTreeMap<String, EnvValue> = Some(BTreeMap::new());
        /// It may take the name of a sub-command or of a program.
        "override" r#override: bool = Some(false);
    }
}

impl ConfigValue for ModeSpec {
    fn form() -> String {
        Self::FORM.into()
    }

    fn read(node: &ConfigNode, at: &str, problems: &mut Problems) -> Option<Self> {
        if node.as_map().is_some() {
            return Self::from_parts(node, at, problems);
        }
        // After `--set` a mode is one text; no command starts with a brace.
        if let Some(text) = node.as_text().filter(|text| text.trim_start().starts_with('{')) {
            let parts = text::map(text, &node.origin, at, problems)?;
            return Self::from_parts(&ConfigNode::map(parts, node.origin.clone()), at, problems);
        }
        // The short form is the command alone.
        let parts = BTreeMap::from([("command".to_owned(), node.clone())]);
        Self::from_parts(&ConfigNode::map(parts, node.origin.clone()), at, problems)
    }

    fn schema() -> Json {
        json!({"anyOf": [Vec::<String>::schema(), Self::parts_schema()]})
    }

    /// Checks that a mode's name is a word for the command line.
    fn named(name: &str) -> Result<(), NameError> {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        match name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(inner) {
            true => Ok(()),
            false => Err(NameError("the name of a mode: a-z, 0-9, - and _, beginning with a letter")),
        }
    }

    fn names() -> Json {
        json!({"pattern": "^[a-z][a-z0-9_-]*$"})
    }

    const TEXT: bool = false;
}

/// The name of a key, of a group of keys, or of an entry of a map (`env.HF_HOME`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPath(pub String);

impl ConfigValue for KeyPath {
    fn form() -> String {
        "a key, a group of keys, or an entry such as env.NAME".into()
    }

    /// Accepts any text; the layer, which knows the table of keys, checks the name.
    fn parse(text: &str) -> Result<Self, ValueError> {
        Ok(KeyPath(text.to_owned()))
    }

    // Lists of key names belong in files: any process could set a lock in a variable.
    const TEXT: bool = false;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inherited_variable_wins_unless_ours_is_forced() {
        let ours = |force| EnvValue { value: "ours".into(), force, ..EnvValue::default() };
        let values = [("A".into(), ours(false)), ("B".into(), ours(true)), ("C".into(), ours(false))].into();
        let mut environment = [("A", "theirs"), ("B", "theirs")].into_iter().collect();
        EnvValue::add_all(&values, &mut environment);
        assert_eq!(["A", "B", "C"].map(|name| environment.text(name)), [Some("theirs"), Some("ours"), Some("ours")]);
    }
}
