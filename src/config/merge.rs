//! The merge of layers: which value wins, and which keys are locked for later layers.

use super::tree::covers;
use super::values::ConfigValue;
use super::{ConfigLayer, ConfigNode, KeyPath, LayerSource, MergedTree, Problems, ValueOrigin, key_name, lookup};

impl MergedTree {
    /// Yields every entry of every map that people name entries of, by its full name.
    pub fn entries(&self) -> impl Iterator<Item = (String, &ConfigNode)> {
        let maps = self.values.iter().filter(|(path, _)| lookup::find(path).is_some_and(|key| key.kind.map));
        let entries = maps.filter_map(|(path, node)| Some((path, node.as_map()?)));
        entries.flat_map(|(path, entries)| entries.iter().map(move |(name, node)| (format!("{path}.{name}"), node)))
    }

    /// Merges a layer on top. A value for a key that an earlier layer locked is reported and dropped.
    pub fn add(&mut self, layer: ConfigLayer, problems: &mut Problems) {
        let locks = self.locks.len();
        for (path, node) in layer.values {
            if path == "lock" {
                self.lock(node, layer.source, problems);
            } else if let Some((name, lock, origin)) = self.locked(path, &node, locks) {
                let hint = "leave it out, or have the lock changed by whoever made the image";
                problems.wrong(&origin, &name, &format!("locked by {lock}"), hint);
            } else {
                self.set(path, node);
            }
        }
    }

    fn set(&mut self, path: &'static str, node: ConfigNode) {
        let node = match self.values.remove(path) {
            Some(old) => old.merged(node),
            None => node,
        };
        self.values.insert(path, node);
    }

    /// Adds locks: a later file cannot remove one.
    fn lock(&mut self, node: ConfigNode, source: LayerSource, problems: &mut Problems) {
        if source != LayerSource::Image {
            problems.wrong(&node.origin, "lock", "only /etc/trainit.yaml and /etc/trainit.d can lock keys", "");
            return;
        }
        let names = lock_names(&node);
        self.locks.extend(names.into_iter().map(|name| (name, node.origin.clone())));
        let list = self.locks.iter().map(|(name, origin)| ConfigNode::text(name, origin.clone())).collect();
        self.values.insert("lock", ConfigNode::list(list, node.origin));
    }

    /// Returns the first earlier lock that forbids a value: the forbidden path, the lock's origin, and the value's origin.
    fn locked(&self, path: &str, node: &ConfigNode, earlier: usize) -> Option<(String, ValueOrigin, ValueOrigin)> {
        self.locks.iter().take(earlier).find_map(|(lock, origin)| {
            let forbidden =
                |name: &str, node: &ConfigNode| Some((name.to_owned(), origin.clone(), node.origin.clone()));
            if covers(lock, path) || also_pins(lock, path) {
                return forbidden(path, node);
            }
            match node.as_map() {
                Some(entries) => {
                    let (name, node) = entries.iter().find(|(name, _)| self.pins_entry(lock, path, name))?;
                    forbidden(&format!("{path}.{name}"), node)
                }
                // The value empties a map.
                None => key_name::below(lock, path).and_then(|_| forbidden(lock, node)),
            }
        })
    }

    /// Returns whether a lock covers an entry of a map, by its name or because the entry has the same effect.
    fn pins_entry(&self, lock: &str, map: &str, name: &str) -> bool {
        let is_within = |inner: &str, outer: &str| inner == outer || key_name::below(inner, outer).is_some();
        match (map, key_name::below(lock, map)) {
            (_, Some(locked)) if locked == name => true,
            // `data` stands for all of its checks, so also for `data.exists`, unless that is set individually.
            ("checks", Some(locked)) => {
                is_within(name, locked) || is_within(locked, name) && self.entry(map, locked).is_none()
            }
            // A lock on a part of a mode covers the mode.
            ("modes", Some(locked)) => is_within(locked, name),
            // `modes` defines what a locked mode starts, also under the name of a built-in one; `train` runs `command`.
            ("modes", None) if lock == "mode" => self.modes().any(|mode| mode == name),
            ("modes", None) => lock == "command" && name == "train",
            _ => false,
        }
    }

    fn entry(&self, map: &str, name: &str) -> Option<&ConfigNode> {
        self.get(map)?.as_map()?.get(name)
    }

    /// Returns the modes that `mode` names.
    fn modes(&self) -> impl Iterator<Item = &str> {
        self.get("mode").and_then(ConfigNode::as_text).into_iter().flat_map(|names| names.split(',').map(str::trim))
    }
}

/// Keys with the same effect as others: a lock on one of the first also covers the second. Options for Jupyter can set its whole address.
/// Packages from other places than the index do not come from the index.
const OTHER_WORDS: [(&[&str], &[&str]); 3] = [
    (
        &["jupyter.address", "jupyter.auth", "jupyter.base_url", "jupyter.certificate", "jupyter.port", "jupyter.root"],
        &["jupyter.args"],
    ),
    (&["deps.index"], &["deps.extra_index", "deps.find_links"]),
    (
        &["env.PIP_INDEX_URL", "env.UV_DEFAULT_INDEX", "env.UV_INDEX_URL"],
        &["deps.index", "deps.extra_index", "deps.find_links"],
    ),
];

fn also_pins(lock: &str, path: &str) -> bool {
    OTHER_WORDS.iter().any(|(locks, paths)| locks.contains(&lock) && paths.contains(&path))
}

/// Returns the keys that a value of `lock` names; mistakes in it were reported with the layer.
fn lock_names(node: &ConfigNode) -> Vec<String> {
    let read: Option<Vec<KeyPath>> = ConfigValue::read(node, "lock", &mut Problems::default());
    read.into_iter().flatten().map(|name| lookup::canonical(&name.0)).collect()
}

#[cfg(test)]
mod tests;
