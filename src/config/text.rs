//! What one text says where a list or a map is wanted: in a variable, after `--set`, or as a scalar in a file.

use super::problems::shown;
use super::values::Value;
use super::{Content, Node, Origin, Problems, words, yaml};
use std::collections::BTreeMap;

/// The items of a list: separated by blanks, or a JSON list (as YAML writes it is fine, too) for what this cannot say.
pub fn list<T: Value>(text: &str, origin: &Origin, at: &str, problems: &mut Problems) -> Option<Vec<Node>> {
    if text.trim_start().starts_with('[') {
        return match json(text, origin, problems)?.content {
            Content::List(items) => Some(items),
            _ => None,
        };
    }
    let items = T::split(text).map_err(|reason| problems.wrong(origin, at, &reason, "")).ok()?;
    Some(items.into_iter().map(|item| Node::text(item, origin.clone())).collect())
}

/// The entries of a map: `name=value` separated by blanks, or a JSON object.
pub fn map(text: &str, origin: &Origin, at: &str, problems: &mut Problems) -> Option<BTreeMap<String, Node>> {
    if text.trim_start().starts_with('{') {
        return match json(text, origin, problems)?.content {
            Content::Map(entries) => Some(entries),
            _ => None,
        };
    }
    let mut entries = BTreeMap::new();
    for pair in words::split(text).map_err(|reason| problems.wrong(origin, at, &reason, "")).ok()? {
        let Some((name, value)) = pair.split_once('=') else {
            problems.wrong(origin, at, &format!("`{}` is not NAME=VALUE", shown(&pair)), "");
            continue;
        };
        if entries.insert(name.to_owned(), Node::text(value, origin.clone())).is_some() {
            problems.wrong(origin, at, &format!("`{}` is there twice", shown(name)), "keep one of them");
        }
    }
    Some(entries)
}

fn json(text: &str, origin: &Origin, problems: &mut Problems) -> Option<Node> {
    yaml::parse(text.as_bytes(), &|_| origin.clone(), problems)
}
