//! Values that contain values: optional ones, lists, maps.

use super::{ConfigValue, ValueError};
use crate::config::{ConfigNode, Content, Problems, text};
use serde_json::{Value as Json, json};
use std::borrow::Cow;
use std::collections::BTreeMap;

impl<T: ConfigValue> ConfigValue for Option<T> {
    fn form() -> String {
        T::form()
    }

    fn read(node: &ConfigNode, at: &str, problems: &mut Problems) -> Option<Self> {
        if node.is_off() && !T::OFF { Some(None) } else { T::read(node, at, problems).map(Some) }
    }

    fn schema() -> Json {
        if T::OFF { T::schema() } else { json!({"anyOf": [T::schema(), {"const": "off"}]}) }
    }

    const TEXT: bool = T::TEXT;
}

impl<T: ConfigValue> ConfigValue for Vec<T> {
    fn form() -> String {
        format!("a list, each {}", T::form())
    }

    fn read(node: &ConfigNode, at: &str, problems: &mut Problems) -> Option<Self> {
        let items = items::<T>(node, at, problems)?;
        // All items are read before a failed one counts, so that every mistake is reported.
        let read: Vec<Option<T>> = items.iter().map(|item| T::read(item, at, problems)).collect();
        read.into_iter().collect()
    }

    fn schema() -> Json {
        json!({"anyOf": [{"type": "array", "items": T::schema()}, {"type": "string"}]})
    }

    const TEXT: bool = T::TEXT;
}

/// Splits a list into its items in their original form, each with its origin.
pub(crate) fn items<'a, T: ConfigValue>(
    node: &'a ConfigNode,
    at: &str,
    problems: &mut Problems,
) -> Option<Cow<'a, [ConfigNode]>> {
    match &node.content {
        _ if node.is_off() => Some(Cow::default()),
        Content::List(items) => Some(Cow::Borrowed(items)),
        Content::Scalar { text, .. } => text::list::<T>(text, &node.origin, at, problems).map(Cow::Owned),
        Content::Map(_) => {
            problems.rejected(node, at, &Vec::<T>::form(), ValueError::Form);
            None
        }
    }
}

impl<V: ConfigValue> ConfigValue for BTreeMap<String, V> {
    fn form() -> String {
        format!("a map, each value {}", V::form())
    }

    fn read(node: &ConfigNode, at: &str, problems: &mut Problems) -> Option<Self> {
        let split;
        let entries = match &node.content {
            _ if node.is_off() => return Some(BTreeMap::new()),
            Content::Map(entries) => entries,
            Content::Scalar { text, .. } if V::TEXT => {
                split = text::map(text, &node.origin, at, problems)?;
                &split
            }
            _ => {
                problems.rejected(node, at, "a map", ValueError::Form);
                return None;
            }
        };
        let read: Vec<Option<(String, V)>> =
            entries.iter().map(|(name, node)| entry(name, node, at, problems)).collect();
        read.into_iter().collect()
    }

    fn schema() -> Json {
        let entries = json!({"type": "object", "propertyNames": V::names(), "additionalProperties": V::schema()});
        let text = if V::TEXT { json!({"type": "string"}) } else { json!({"const": "off"}) };
        json!({"anyOf": [entries, text]})
    }

    fn entry_name(name: &str) -> String {
        V::canonical(name)
    }

    const MAP: bool = true;
    const TEXT: bool = V::TEXT;
}

fn entry<V: ConfigValue>(name: &str, node: &ConfigNode, at: &str, problems: &mut Problems) -> Option<(String, V)> {
    let at = [at, ".", name].concat();
    let named = V::named(name).map_err(|error| problems.misnamed(&node.origin, &at, error));
    let value = V::read(node, &at, problems);
    named.ok().and(value).map(|value| (name.to_owned(), value))
}
