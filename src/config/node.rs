//! Untyped values of a layer: scalars with their original text, lists and maps, each with its origin. `570.100`, `0755`, `1000:1000` and
//! `off` survive, because no type is guessed.

use super::ValueOrigin;
use std::collections::BTreeMap;

/// A value as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigNode {
    /// The content.
    pub content: Content,
    /// The place in the source.
    pub origin: ValueOrigin,
}

/// The three shapes of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// One text.
    Scalar {
        /// The text without quotes.
        text: String,
        /// Whether the text was in quotes or a block, so that an empty one is an empty text and not null.
        quoted: bool,
    },
    /// Values in order.
    List(Vec<ConfigNode>),
    /// Values by name.
    Map(BTreeMap<String, ConfigNode>),
}

impl ConfigNode {
    /// Makes a scalar from a variable, an option or the table of defaults.
    pub fn text(text: impl Into<String>, origin: ValueOrigin) -> Self {
        ConfigNode { content: Content::Scalar { text: text.into(), quoted: false }, origin }
    }

    /// Makes a list.
    pub fn list(items: Vec<ConfigNode>, origin: ValueOrigin) -> Self {
        ConfigNode { content: Content::List(items), origin }
    }

    /// Makes a map.
    pub fn map(entries: BTreeMap<String, ConfigNode>, origin: ValueOrigin) -> Self {
        ConfigNode { content: Content::Map(entries), origin }
    }

    /// Returns the text of a scalar.
    pub fn as_text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Returns the entries of a map.
    pub fn as_map(&self) -> Option<&BTreeMap<String, ConfigNode>> {
        match &self.content {
            Content::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// Returns whether the value is null: `key:`, `~` or `null` without quotes. It counts as not set.
    pub fn is_nothing(&self) -> bool {
        match &self.content {
            Content::Scalar { text, quoted: false } => is_null(text),
            _ => false,
        }
    }

    /// Returns whether the value is `off` or an empty list, which empties what earlier layers set.
    pub fn is_off(&self) -> bool {
        match &self.content {
            Content::Scalar { text, .. } => text == "off",
            Content::List(items) => items.is_empty(),
            Content::Map(_) => false,
        }
    }

    /// Merges a later layer's value: maps merge by name, other values are replaced.
    pub fn merged(self, later: ConfigNode) -> ConfigNode {
        match (self.content, later.content) {
            (Content::Map(mut entries), Content::Map(new)) => {
                for (name, node) in new {
                    let node = match entries.remove(&name) {
                        Some(old) => old.merged(node),
                        None => node,
                    };
                    entries.insert(name, node);
                }
                ConfigNode::map(entries, later.origin)
            }
            (_, content) => ConfigNode { content, origin: later.origin },
        }
    }

    /// Names the shape for messages.
    pub fn shape(&self) -> &'static str {
        match self.content {
            Content::Scalar { .. } => "a text",
            Content::List(_) => "a list",
            Content::Map(_) => "a map",
        }
    }

    /// Formats the value as one line of YAML.
    pub fn flow(&self) -> String {
        match &self.content {
            Content::Scalar { text, .. } => quote_if_needed(text),
            Content::List(items) => format!("[{}]", join(items.iter().map(ConfigNode::flow))),
            Content::Map(entries) => {
                format!(
                    "{{{}}}",
                    join(entries.iter().map(|(name, node)| format!("{}: {}", quote_if_needed(name), node.flow())))
                )
            }
        }
    }
}

/// Returns whether a plain text is null in YAML (core schema, 10.3.2).
fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

/// Formats a text so that YAML reads it back unchanged: plain if no character has another meaning, else in quotes.
fn quote_if_needed(text: &str) -> String {
    let first = |c: char| c.is_alphanumeric() || "/._$(+".contains(c);
    let inner = |c: char| first(c) || "-=@%~)<>:".contains(c);
    let option = |word: &str| word.trim_start_matches('-').starts_with(first);
    let word = |word: &str| option(word) && word.chars().all(inner) && !word.ends_with(':');
    let plain = text.starts_with(first) && text.split(' ').all(word) && !is_null(text);
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}
