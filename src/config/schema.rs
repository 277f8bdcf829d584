//! The JSON Schema (draft 2020-12) of a configuration file for editors, generated from the table of keys.

use super::{ConfigNode, KEYS, Key, ValueOrigin, key_name, lookup};
use serde_json::{Map, Value as Json, json};

/// Returns the schema of a file.
pub fn schema() -> Json {
    let definitions: Map<String, Json> = KEYS.iter().map(|key| (key.path.to_owned(), definition(key))).collect();
    let mut properties = members("");
    // A dotted name at the top level is equivalent to nesting.
    for key in KEYS.iter().filter(|key| key.path.contains('.')) {
        properties.insert(key.path.into(), reference(key));
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "trainit.yaml",
        "description": "The configuration of trainit, the entrypoint of machine-learning containers.",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "$defs": definitions,
    })
}

fn definition(key: &Key) -> Json {
    let mut schema = (key.kind.schema)();
    let Some(fields) = schema.as_object_mut() else { return schema };
    let trusted = if key.project { "" } else { " Not in a project's trainit.yaml." };
    fields.insert("description".into(), format!("{}{trusted}", key.doc).into());
    if !key.default.is_empty() {
        fields.insert("default".into(), key.default.into());
    }
    schema
}

fn reference(key: &Key) -> Json {
    json!({"$ref": format!("#/$defs/{}", key.path)})
}

/// Returns the properties of a group: its keys and its groups, one level down.
fn members(group: &str) -> Map<String, Json> {
    let mut properties = Map::new();
    for path in KEYS.iter().map(|key| key.path) {
        let below = if group.is_empty() { Some(path) } else { key_name::below(path, group) };
        let Some(name) = below.map(|rest| rest.split('.').next().unwrap_or(rest)) else { continue };
        let full = if group.is_empty() { name.to_owned() } else { format!("{group}.{name}") };
        if !properties.contains_key(name) {
            properties.insert(name.to_owned(), member(&full));
        }
    }
    properties
}

/// Returns the schema of a key, a group, or both (`user: x` and `user: {umask: x}`).
fn member(path: &str) -> Json {
    let group = || json!({"type": "object", "properties": members(path), "additionalProperties": false});
    match (lookup::find(path), lookup::is_group(path)) {
        (Some(key), false) => reference(key),
        (Some(key), true) => json!({"anyOf": [reference(key), group()]}),
        _ => group(),
    }
}

/// Returns every key as a commented line of YAML after its documentation; each line can be uncommented on its own.
pub fn template() -> String {
    let mut text = String::from(
        "# The configuration of trainit: /etc/trainit.yaml in an image, trainit.yaml beside the code, or any file named by\n\
         # TRAINIT_CONFIG or --config. Every key is here with its default, or with an example where there is none.\n\
         # Take the # away in front of what you need. `gpu.count: 4` and `gpu: {count: 4}` are the same.\n",
    );
    for key in KEYS {
        let trusted = if key.project { "" } else { " (not in a project's file)" };
        let (value, remark) = if key.default.is_empty() {
            (key.example, "  # an example; there is no default")
        } else {
            (key.default, "")
        };
        text += &format!("\n# {}{trusted}\n#{}: {}{remark}\n", key.doc, key.path, in_yaml(value));
    }
    text
}

/// Formats a value of the table as YAML: lists and maps already are, a text may need quotes.
fn in_yaml(value: &str) -> String {
    if value.starts_with(['[', '{']) { value.to_owned() } else { ConfigNode::text(value, ValueOrigin::Default).flow() }
}
