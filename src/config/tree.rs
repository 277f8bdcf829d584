//! The merged layers: the winning values, and the keys that are locked for later layers.

use super::{ConfigNode, ValueOrigin, key_name};
use std::collections::BTreeMap;

/// Holds the merged values in their untyped form.
#[derive(Clone, Debug, Default)]
pub struct MergedTree {
    pub(super) values: BTreeMap<&'static str, ConfigNode>,
    pub(super) locks: Vec<(String, ValueOrigin)>,
}

impl MergedTree {
    /// The tree without values.
    pub const EMPTY: MergedTree = MergedTree { values: BTreeMap::new(), locks: Vec::new() };

    /// Returns the value of a key, if any layer has one.
    pub fn get(&self, path: &str) -> Option<&ConfigNode> {
        self.values.get(path)
    }

    /// Yields every key that any layer has, with its value.
    pub fn values(&self) -> impl Iterator<Item = (&'static str, &ConfigNode)> {
        self.values.iter().map(|(path, node)| (*path, node))
    }

    /// Returns the origin of the lock on a key or an entry of a map.
    pub fn lock_of(&self, path: &str) -> Option<&ValueOrigin> {
        self.locks.iter().find(|(lock, _)| covers(lock, path)).map(|(_, origin)| origin)
    }
}

/// Tells whether a lock names this key, or a group that the key belongs to.
pub(super) fn covers(lock: &str, path: &str) -> bool {
    lock == path || key_name::below(path, lock).is_some()
}
