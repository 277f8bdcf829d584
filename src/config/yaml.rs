//! Parses YAML bytes into a `ConfigNode`. Pure: any bytes give a tree or mistakes, never a panic.
//!
//! The parser is an event parser (saphyr-parser) and not serde with a successor of serde_yaml, because a configuration needs three things
//! that a serde data model discards. The first is the original text of a scalar: `570.100` and `12.10` are versions, `0755` a mode, `off`
//! a word, and a typed model makes 570.1, 12.1, 755 or 493, and false of them. The second is the line of every value, not only of the
//! first mistake, because each value keeps its origin. The third is aliases before expansion, so that they can be rejected. The event
//! parser is also smaller, has no `unsafe`, and reports all mistakes of a file at once. This file is the rest of the work.

use super::{ConfigNode, Content, Problems, ValueOrigin};
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Deepest nesting: no configuration is deeper, and a tree is dropped recursively.
const DEPTH_MAX: usize = 64;

/// Makes the origin for a line of the text.
pub(super) type LineOrigin<'a> = &'a dyn Fn(usize) -> ValueOrigin;

/// Parses one document; `None` if it is empty or no YAML.
pub(super) fn parse(bytes: &[u8], place: LineOrigin<'_>, problems: &mut Problems) -> Option<ConfigNode> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let line = 1 + bytes.iter().take(error.valid_up_to()).filter(|b| **b == b'\n').count();
            problems.unreadable(&place(line), "not UTF-8 text", "");
            return None;
        }
    };
    let mut tree = YamlTree { place, problems, stack: Vec::new(), root: None, documents: 0 };
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => tree.take(event, span.start.line())?,
            Err(error) => {
                tree.invalid(text, &error);
                return None;
            }
        }
    }
    tree.root
}

/// A collection that is not closed yet.
struct Open {
    origin: ValueOrigin,
    items: Items,
}

enum Items {
    List(Vec<ConfigNode>),
    Map(BTreeMap<String, ConfigNode>, Option<(String, ValueOrigin)>),
}

struct YamlTree<'a> {
    place: LineOrigin<'a>,
    problems: &'a mut Problems,
    stack: Vec<Open>,
    root: Option<ConfigNode>,
    documents: usize,
}

impl YamlTree<'_> {
    /// Processes one event; `None` if the text cannot be used.
    fn take(&mut self, event: Event<'_>, line: usize) -> Option<()> {
        let origin = (self.place)(line);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let forced = self.marks(anchor, tag, &origin);
                let quoted = forced || style != ScalarStyle::Plain;
                self.add(ConfigNode { content: Content::Scalar { text: text.into_owned(), quoted }, origin });
            }
            Event::SequenceStart(anchor, tag) => {
                self.marks(anchor, tag, &origin);
                return self.open(origin, Items::List(Vec::new()));
            }
            Event::MappingStart(anchor, tag) => {
                self.marks(anchor, tag, &origin);
                return self.open(origin, Items::Map(BTreeMap::new(), None));
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(_) => {
                self.problems.unreadable(&origin, "aliases (*name) are not allowed", "write the value out");
                self.add(ConfigNode::text("", origin));
            }
            Event::DocumentStart(_) => return self.document(&origin),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Some(())
    }

    fn document(&mut self, origin: &ValueOrigin) -> Option<()> {
        self.documents += 1;
        if self.documents > 1 {
            self.problems.unreadable(origin, "a second document", "put everything into one, without ---");
        }
        (self.documents == 1).then_some(())
    }

    /// Rejects anchors and unknown tags; a core tag only marks a scalar as text.
    fn marks(&mut self, anchor: usize, tag: Option<Cow<'_, Tag>>, origin: &ValueOrigin) -> bool {
        if anchor != 0 {
            self.problems.unreadable(
                origin,
                "anchors (&name) are not allowed",
                "write the value out where it is needed",
            );
        }
        let Some(tag) = tag else { return false };
        if !tag.is_yaml_core_schema() {
            self.problems.unreadable(origin, "tags (!name) are not allowed", "");
        }
        tag.suffix == "str"
    }

    fn open(&mut self, origin: ValueOrigin, items: Items) -> Option<()> {
        if self.stack.len() == DEPTH_MAX {
            self.problems.unreadable(&origin, &format!("nested more than {DEPTH_MAX} levels deep"), "");
            return None;
        }
        self.stack.push(Open { origin, items });
        Some(())
    }

    fn close(&mut self) {
        if let Some(Open { origin, items }) = self.stack.pop() {
            let content = match items {
                Items::List(list) => Content::List(list),
                Items::Map(map, _) => Content::Map(map),
            };
            self.add(ConfigNode { content, origin });
        }
    }

    fn add(&mut self, node: ConfigNode) {
        match self.stack.last_mut().map(|open| &mut open.items) {
            None => self.root = Some(node),
            Some(Items::List(list)) => list.push(node),
            Some(Items::Map(map, key)) => match key.take() {
                None => *key = Some(name(node, self.problems)),
                Some((name, origin)) => entry(map, name, ConfigNode { origin, ..node }, self.problems),
            },
        }
    }

    fn invalid(&mut self, text: &str, error: &ScanError) {
        let line = error.marker().line();
        let source = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        let what = format!("not valid YAML: {}", error.info());
        self.problems.unreadable(&(self.place)(line), &what, advice(source));
    }
}

/// Reads a key, which must be a text. Its value gets the key's line as origin, because users look for that line.
fn name(node: ConfigNode, problems: &mut Problems) -> (String, ValueOrigin) {
    match node.content {
        Content::Scalar { text, .. } => (text, node.origin),
        _ => {
            problems.unreadable(&node.origin, "a key has to be a plain text", "");
            (String::new(), node.origin)
        }
    }
}

fn entry(map: &mut BTreeMap<String, ConfigNode>, name: String, node: ConfigNode, problems: &mut Problems) {
    if let Some(first) = map.get(&name) {
        let name = super::problems::shown(&name);
        problems.unreadable(
            &node.origin,
            &format!("`{name}` is there twice, first at {}", first.origin),
            "keep one of them",
        );
    } else {
        map.insert(name, node);
    }
}

/// Suggests what most often makes a line invalid.
fn advice(line: &str) -> &'static str {
    let value = line.split_once(": ").map_or("", |(_, value)| value.trim_start());
    if line.trim_start_matches(' ').starts_with('\t') {
        "indent with blanks, not with tabs"
    } else if value.starts_with(['>', '|', '@', '`', '%', '*', '&', '!']) {
        "put the value in quotes"
    } else {
        ""
    }
}

#[cfg(test)]
#[path = "yaml/tests.rs"]
mod tests;
