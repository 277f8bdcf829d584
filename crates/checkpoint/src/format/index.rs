//! The index of weights in several files: `model.safetensors.index.json`, `pytorch_model.bin.index.json`. The index is written
//! after the shards, and names them.

use std::collections::{BTreeSet, HashMap};
use std::path::{Component, Path};

/// Longest index in bytes that is read.
pub const MOST: u64 = 16 << 20;

#[derive(serde::Deserialize)]
struct ShardIndex {
    weight_map: HashMap<String, String>,
}

/// Returns the files that an index names, relative to its directory; `None` if the text is no index, names no file, or names a file
/// elsewhere.
pub fn shards(bytes: &[u8]) -> Option<BTreeSet<String>> {
    let index: ShardIndex = serde_json::from_slice(bytes).ok()?;
    let shards: BTreeSet<String> = index.weight_map.into_values().collect();
    let inside = |shard: &String| Path::new(shard).components().all(|part| matches!(part, Component::Normal(_)));
    (!shards.is_empty() && shards.iter().all(|shard| !shard.is_empty() && inside(shard))).then_some(shards)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_names_its_shards_once() {
        let text = br#"{"metadata": {"total_size": 9}, "weight_map": {"a": "m-1.st", "b": "m-2.st", "c": "m-1.st"}}"#;
        assert_eq!(shards(text).unwrap().into_iter().collect::<Vec<_>>(), ["m-1.st", "m-2.st"]);
        assert_eq!(shards(&text[..text.len() - 1]), None);
        assert_eq!(shards(br#"{"weight_map": {}}"#), None);
        assert_eq!(shards(br#"{"weight_map": {"a": "../../etc/shadow"}}"#), None);
    }
}
