//! Lists and maps in one text: in a variable, after `--set`, or as a scalar in a file.

use super::problems::shown;
use super::values::ConfigValue;
use super::{ConfigNode, Content, Problems, ValueOrigin, words, yaml};
use std::collections::BTreeMap;

/// Parses a list: items between blanks, or a JSON list (also in YAML's form) for items with blanks.
pub(super) fn list<T: ConfigValue>(
    text: &str,
    origin: &ValueOrigin,
    at: &str,
    problems: &mut Problems,
) -> Option<Vec<ConfigNode>> {
    if text.trim_start().starts_with('[') {
        return match json(text, origin, problems)?.content {
            Content::List(items) => Some(items),
            _ => None,
        };
    }
    let items = T::split(text).map_err(|error| problems.unsplit(origin, at, error)).ok()?;
    Some(items.into_iter().map(|item| ConfigNode::text(item, origin.clone())).collect())
}

/// Parses a map: `name=value` between blanks, or a JSON object.
pub(super) fn map(
    text: &str,
    origin: &ValueOrigin,
    at: &str,
    problems: &mut Problems,
) -> Option<BTreeMap<String, ConfigNode>> {
    if text.trim_start().starts_with('{') {
        return match json(text, origin, problems)?.content {
            Content::Map(entries) => Some(entries),
            _ => None,
        };
    }
    let mut entries = BTreeMap::new();
    for pair in words::split(text).map_err(|error| problems.unsplit(origin, at, error)).ok()? {
        let Some((name, value)) = pair.split_once('=') else {
            problems.wrong(origin, at, &format!("`{}` is not NAME=VALUE", shown(&pair)), "");
            continue;
        };
        if entries.insert(name.to_owned(), ConfigNode::text(value, origin.clone())).is_some() {
            problems.wrong(origin, at, &format!("`{}` is there twice", shown(name)), "keep one of them");
        }
    }
    Some(entries)
}

fn json(text: &str, origin: &ValueOrigin, problems: &mut Problems) -> Option<ConfigNode> {
    yaml::parse(text.as_bytes(), &|_| origin.clone(), problems)
}
