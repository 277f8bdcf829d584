//! Layers on top of each other: which one is seen, and which keys no later one may touch.

use super::{Layer, Node, Origin, Problems, Source, key};
use std::collections::BTreeMap;

/// What all layers together say, before anybody knows what it means.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    values: BTreeMap<&'static str, Node>,
    locks: Vec<(String, Origin)>,
}

impl Tree {
    /// No layer says anything.
    pub const EMPTY: Tree = Tree { values: BTreeMap::new(), locks: Vec::new() };

    /// The value of a key, if any layer has one.
    pub fn get(&self, path: &str) -> Option<&Node> {
        self.values.get(path)
    }

    /// Every key that any layer has, with its value.
    pub fn values(&self) -> impl Iterator<Item = (&'static str, &Node)> {
        self.values.iter().map(|(path, node)| (*path, node))
    }

    /// Every entry of every map that people name entries of, by its full name.
    pub fn entries(&self) -> impl Iterator<Item = (String, &Node)> {
        let maps = self.values.iter().filter(|(path, _)| key::find(path).is_some_and(|key| key.kind.map));
        let entries = maps.filter_map(|(path, node)| Some((path, node.as_map()?)));
        entries.flat_map(|(path, entries)| entries.iter().map(move |(name, node)| (format!("{path}.{name}"), node)))
    }

    /// Puts a layer on top. What an earlier one locked is told, and left as it was.
    pub fn add(&mut self, layer: Layer, problems: &mut Problems) {
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

    fn set(&mut self, path: &'static str, node: Node) {
        let node = match self.values.remove(path) {
            Some(old) => old.merged(node),
            None => node,
        };
        self.values.insert(path, node);
    }

    /// Locks add up: a later file cannot take one away.
    fn lock(&mut self, node: Node, source: Source, problems: &mut Problems) {
        if source != Source::Image {
            problems.wrong(&node.origin, "lock", "only /etc/trainit.yaml and /etc/trainit.d can lock keys", "");
            return;
        }
        let names = lock_names(&node);
        self.locks.extend(names.into_iter().map(|name| (name, node.origin.clone())));
        let list = self.locks.iter().map(|(name, origin)| Node::text(name, origin.clone())).collect();
        self.values.insert("lock", Node::list(list, node.origin));
    }

    /// The first of the earlier locks that forbids a value: what is locked, where that was said, and whose value it is.
    fn locked(&self, path: &str, node: &Node, earlier: usize) -> Option<(String, Origin, Origin)> {
        self.locks.iter().take(earlier).find_map(|(lock, origin)| {
            let forbidden = |name: &str, node: &Node| Some((name.to_owned(), origin.clone(), node.origin.clone()));
            if lock == path || key::below(path, lock).is_some() {
                return forbidden(path, node);
            }
            let entry = key::below(lock, path)?;
            match node.as_map() {
                Some(entries) => entries.get(entry).and_then(|node| forbidden(lock, node)),
                None => forbidden(lock, node),
            }
        })
    }
}

/// The keys that a value of `lock` names; what is wrong with it was told when the layer was checked.
fn lock_names(node: &Node) -> Vec<String> {
    let read: Option<Vec<super::KeyPath>> = super::values::Value::read(node, "lock", &mut Problems::default());
    read.into_iter().flatten().map(|name| name.0).collect()
}
