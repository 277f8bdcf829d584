//! The values of one source, sorted by key. A layer knows the spelling of keys in its source, and whether the source may set them.

use super::values::{ConfigValue, DataPath};
use super::{ConfigNode, Content, IMAGE_FILE, KEYS, Key, Problems, key_name, lookup, text};
use std::collections::BTreeMap;

/// The kind of a layer's source, in order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerSource {
    /// A file in /etc, from the image's author or the platform.
    Image,
    /// The file that an option or variable names.
    Named,
    /// The file in the code directory, which comes from a mount.
    Project,
    /// The environment.
    Environment,
    /// The command line.
    CommandLine,
}

/// The values of one source.
#[derive(Clone, Debug)]
pub struct ConfigLayer {
    /// The kind of the source.
    pub source: LayerSource,
    /// The values by the paths of their keys.
    pub values: BTreeMap<&'static str, ConfigNode>,
}

impl ConfigLayer {
    /// Makes a layer without values.
    pub fn empty(source: LayerSource) -> Self {
        ConfigLayer { source, values: BTreeMap::new() }
    }

    /// Returns the names of the keys in this layer, never their values.
    pub fn keys(&self) -> String {
        self.values.keys().copied().collect::<Vec<_>>().join(" ")
    }

    /// Takes the values out of a file's tree: nested, or under dotted names.
    pub fn take_file(&mut self, node: ConfigNode, problems: &mut Problems) {
        match node.content {
            Content::Map(entries) => self.take_group("", entries, problems),
            _ if node.is_nothing() => {}
            _ => {
                problems.unreadable(&node.origin, &format!("{} where keys should be", node.shape()), "write KEY: VALUE")
            }
        }
    }

    fn take_group(&mut self, group: &str, entries: BTreeMap<String, ConfigNode>, problems: &mut Problems) {
        for (name, node) in entries {
            let path = if group.is_empty() { name } else { format!("{group}.{name}") };
            self.put(&path, node, problems);
        }
    }

    /// Takes one value. An empty value counts as not set.
    pub fn put(&mut self, path: &str, node: ConfigNode, problems: &mut Problems) {
        let known = lookup::find(path);
        // `user: x` is a value and `user: {umask: x}` a group, although the key `user` exists.
        let value = known.filter(|key| key.kind.map || node.as_map().is_none() || !lookup::is_group(path));
        if let Some((key, name)) = known.is_none().then(|| lookup::entry_of(path)).flatten() {
            let origin = node.origin.clone();
            self.set(key, ConfigNode::map(BTreeMap::from([(name.to_owned(), node)]), origin), problems);
        } else if node.is_nothing() && (known.is_some() || lookup::is_group(path)) {
            // The value is empty, so the key is not set.
        } else if let Some(key) = value {
            self.set(key, node, problems);
        } else if lookup::is_group(path) {
            match node.content {
                Content::Map(entries) => self.take_group(path, entries, problems),
                _ => problems.wrong(
                    &node.origin,
                    path,
                    &format!("{} where keys should be", node.shape()),
                    &members(path),
                ),
            }
        } else {
            problems.unknown(&node.origin, "key", path, "", KEYS.iter().map(|key| key.path));
        }
    }

    /// Stores a value, and reports one that nested and dotted names set twice, which YAML does not notice.
    fn set(&mut self, key: &'static Key, node: ConfigNode, problems: &mut Problems) {
        let Some(node) = structured(key, node, problems) else { return };
        let node = match self.values.remove(key.path) {
            None => node,
            Some(old) => match old.as_map().zip(node.as_map()).filter(|_| key.kind.map) {
                Some((first, second)) => {
                    let twice = second.iter().filter_map(|(name, node)| Some((name, node, first.get(name)?)));
                    twice.for_each(|(name, node, first)| {
                        set_twice(&format!("{}.{name}", key.path), node, first, problems)
                    });
                    old.merged(node)
                }
                None => {
                    set_twice(key.path, &node, &old, problems);
                    old
                }
            },
        };
        self.values.insert(key.path, node);
    }

    /// Checks that every value is valid, and that this source may set it.
    pub fn check(&self, problems: &mut Problems) {
        for (path, node) in &self.values {
            let Some(key) = lookup::find(path) else { continue };
            (key.kind.check)(node, path, problems);
            if key.path == "lock" {
                lookup::check_names(node, path, problems);
            }
            if self.source == LayerSource::Project && path == &"data" {
                refuse_sources(node, problems);
            }
            if self.source == LayerSource::Project && !key.project {
                let variable = key.variable().map(|name| format!(" or {name}")).unwrap_or_default();
                let hint = format!("set it in {IMAGE_FILE}{variable}");
                problems.wrong(&node.origin, path, "a file that comes with the code may not set it", &hint);
            }
        }
    }

    /// Returns the path that a key has in this layer, for use before the merge; the inner `None` means that the layer unsets the key.
    pub fn path(&self, key: &str) -> Option<Option<std::path::PathBuf>> {
        ConfigValue::read(self.values.get(key)?, key, &mut Problems::default())
    }
}

/// Refuses sources of data in a file that comes with the code: they would be read with the job's credentials.
fn refuse_sources(node: &ConfigNode, problems: &mut Problems) {
    let paths = Vec::<DataPath>::read(node, "data", &mut Problems::default()).unwrap_or_default();
    if paths.iter().any(|path| path.from.is_some()) {
        let hint = format!("set it in {IMAGE_FILE} or TRAINIT_DATA");
        problems.wrong(
            &node.origin,
            "data",
            "a file that comes with the code may not say from where data is brought",
            &hint,
        );
    }
}

fn set_twice(at: &str, node: &ConfigNode, first: &ConfigNode, problems: &mut Problems) {
    problems.wrong(&node.origin, at, &format!("set twice, first at {}", first.origin), "keep one of them");
}

/// Splits a map that was written as text, so that it can be merged, and gives every entry its canonical name. Otherwise `SIGUSR1` would
/// stand beside `USR1` instead of replacing it.
fn structured(key: &Key, node: ConfigNode, problems: &mut Problems) -> Option<ConfigNode> {
    let entries = match node.content {
        Content::Scalar { ref text, .. } if key.kind.map && key.kind.text && !node.is_off() => {
            text::map(text, &node.origin, key.path, problems)?
        }
        Content::Map(entries) if key.kind.map => entries,
        content => return Some(ConfigNode { content, origin: node.origin }),
    };
    let mut named = BTreeMap::<String, ConfigNode>::new();
    for (name, node) in entries {
        let name = (key.kind.entry_name)(&name);
        match named.get(&name) {
            Some(first) => set_twice(&format!("{}.{name}", key.path), &node, first, problems),
            None => drop(named.insert(name, node)),
        }
    }
    Some(ConfigNode::map(named, node.origin))
}

/// Lists the keys of a group as a hint.
fn members(group: &str) -> String {
    let names: Vec<&str> = KEYS.iter().filter_map(|key| key_name::below(key.path, group)).collect();
    format!("its keys are {}", names.join(", "))
}
