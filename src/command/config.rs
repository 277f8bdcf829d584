//! `trainit config show | check | schema | template`: prints the configuration, checks a file, and documents the format. The functions
//! take data and return text.

use crate::config::{
    ConfigNode, ConfigRow, Content, FROM_FILES, IMAGE_DIRECTORY, IMAGE_FILE, Loaded, ValueOrigin, find_key,
    parse_bytes, read_file, schema as words, shown, together,
};
use crate::error::{Error, Result};
use serde_json::{Value as Json, json};
use std::path::Path;
use text::{self, MASK, is_secret, masked_words};

/// Formats every value and its origin as aligned text, or as a JSON object by key. Secrets are masked.
pub fn show(loaded: &Loaded, json: bool) -> String {
    let rows: Vec<ConfigRow> = loaded.rows().into_iter().map(masked).collect();
    if json { as_json(&rows) } else { as_text(&rows) }
}

fn as_text(rows: &[ConfigRow]) -> String {
    let value = |row: &ConfigRow| match &row.value {
        None => "-".to_owned(),
        Some(node) if node.as_text() == Some(MASK) => MASK.to_owned(),
        Some(node) => text::line(&node.flow()).into_owned(),
    };
    let width = |texts: &dyn Fn(&ConfigRow) -> String| {
        rows.iter().map(|row| texts(row).chars().count()).filter(|n| *n <= 48).max().unwrap_or(0)
    };
    let (paths, values) = (width(&|row| row.path.clone()), width(&value));
    let line = |row: &ConfigRow| format!("{:paths$}  {:values$}  {}\n", row.path, value(row), row.origin);
    rows.iter().map(line).collect()
}

fn as_json(rows: &[ConfigRow]) -> String {
    let entry = |row: &ConfigRow| {
        (row.path.clone(), json!({"value": row.value.as_ref().map(plain), "origin": origin(&row.origin)}))
    };
    let object: serde_json::Map<String, Json> = rows.iter().map(entry).collect();
    format!("{:#}\n", Json::Object(object))
}

fn plain(node: &ConfigNode) -> Json {
    match &node.content {
        Content::Scalar { text, .. } => text.as_str().into(),
        Content::List(items) => items.iter().map(plain).collect(),
        Content::Map(entries) => Json::Object(entries.iter().map(|(name, node)| (name.clone(), plain(node))).collect()),
    }
}

fn origin(origin: &ValueOrigin) -> Json {
    match origin {
        ValueOrigin::Default => json!({"layer": "default"}),
        ValueOrigin::File(path, line) => json!({"layer": "file", "file": path.to_string_lossy(), "line": line}),
        ValueOrigin::Environment(name) => json!({"layer": "environment", "variable": name}),
        ValueOrigin::CommandLine(option) => json!({"layer": "command line", "option": option}),
    }
}

fn masked(mut row: ConfigRow) -> ConfigRow {
    let from_file = matches!(&row.origin, ValueOrigin::Environment(name) if FROM_FILES.contains(&name.as_str()));
    match &mut row.value {
        Some(node) if from_file => *node = ConfigNode::text(MASK, node.origin.clone()),
        Some(node) => mask(&row.path, node),
        None => {}
    }
    row
}

/// Masks a value if its name, or an option in a command line, marks it as a secret.
fn mask(name: &str, node: &mut ConfigNode) {
    match &mut node.content {
        Content::Scalar { text, .. } if is_secret(name) => MASK.clone_into(text),
        Content::Scalar { text, .. } => *text = text::masked(text),
        Content::List(items) => mask_list(name, items),
        // The map of a variable carries the variable's name: `HF_TOKEN: {value: x, force: yes}`.
        Content::Map(entries) => entries.iter_mut().for_each(|(part, node)| match is_secret(name) && part == "value" {
            true => mask(name, node),
            false => mask(part, node),
        }),
    }
}

/// Masks the items of a list, which may be a command line with a secret after an option.
fn mask_list(name: &str, items: &mut [ConfigNode]) {
    let words: Option<Vec<&str>> = items.iter().map(ConfigNode::as_text).collect();
    match words.filter(|_| !is_secret(name)).map(|words| masked_words(&words)) {
        Some(words) => items.iter_mut().zip(words).for_each(|(item, word)| {
            *item = ConfigNode::text(word.to_string_lossy(), item.origin.clone());
        }),
        None => items.iter_mut().for_each(|item| mask(name, item)),
    }
}

/// Returns whether a file belongs to the image or the platform, so that root reads it as root.
pub fn is_trusted(file: &Path) -> bool {
    let path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    path == Path::new(IMAGE_FILE) || path.parent() == Some(Path::new(IMAGE_DIRECTORY))
}

/// Checks one file; returns the line for success.
///
/// # Errors
/// All mistakes in the file as one error (78).
pub fn check(file: &Path) -> Result<String> {
    let name = shown(&file.display().to_string());
    let bytes = read_file(file).map_err(|error| Error::config(format!("{name} cannot be read")).caused_by(error))?;
    let layer = parse_bytes(&bytes, file).map_err(together)?;
    let trusted: Vec<&str> =
        layer.values.keys().copied().filter(|path| find_key(path).is_some_and(|key| !key.project)).collect();
    let keys = layer.values.len();
    let note = match trusted.is_empty() {
        true => String::new(),
        false => format!("; not for a project's file: {}", trusted.join(", ")),
    };
    Ok(format!("{name}: ok, {keys} {}{note}\n", if keys == 1 { "key" } else { "keys" }))
}

/// Returns the JSON Schema of a configuration file.
pub fn schema() -> String {
    format!("{:#}\n", words::schema())
}

/// Returns a commented file with every key.
pub fn template() -> String {
    words::template()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_in_the_place_of_a_path_is_refused_with_its_key_and_without_its_secret() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("trainit.yaml");
        std::fs::write(&file, "state_dir: https://me:t0psecret@host/x\n").unwrap();
        let told = format!("{:#}", check(&file).unwrap_err());
        assert!(told.contains("trainit.yaml:1: state_dir: `https://***@host/x`"), "{told}");
    }
}
