//! YAML bytes → `Node`. Pure: any bytes give a tree or mistakes, never a panic.
//!
//! Why an event parser (saphyr-parser) and not serde with one of the descendants of serde_yaml: a configuration needs three
//! things that a serde data model throws away. The text a scalar was written with (`570.100` and `12.10` are versions, `0755` a
//! mode, `off` a word; a typed model makes 570.1, 12.1, 755 or 493, and false of them). The line of every value, not only of the
//! first mistake, because each value names its origin for as long as it lives. And aliases, seen before they are expanded, so that they
//! can be refused. It is also the smaller choice, has no `unsafe`, and tells all mistakes of a file at once. What is left to do here
//! is this file.

use super::{Content, Node, Origin, Problems};
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Deepest nesting; deeper is no configuration, and a tree is dropped recursively.
const DEPTH_MAX: usize = 64;

/// Gives a line of the text its origin.
pub type Place<'a> = &'a dyn Fn(usize) -> Origin;

/// Reads one document. Nothing comes back if there is nothing in it or if it cannot be read as YAML at all.
pub fn parse(bytes: &[u8], place: Place<'_>, problems: &mut Problems) -> Option<Node> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let line = 1 + bytes.iter().take(error.valid_up_to()).filter(|b| **b == b'\n').count();
            problems.unreadable(&place(line), "not UTF-8 text", "");
            return None;
        }
    };
    let mut tree = Tree { place, problems, stack: Vec::new(), root: None, documents: 0 };
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

/// A collection that is still open.
struct Open {
    origin: Origin,
    items: Items,
}

enum Items {
    List(Vec<Node>),
    Map(BTreeMap<String, Node>, Option<(String, Origin)>),
}

struct Tree<'a> {
    place: Place<'a>,
    problems: &'a mut Problems,
    stack: Vec<Open>,
    root: Option<Node>,
    documents: usize,
}

impl Tree<'_> {
    /// Adds one event; none: the text cannot be used.
    fn take(&mut self, event: Event<'_>, line: usize) -> Option<()> {
        let origin = (self.place)(line);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let forced = self.marks(anchor, tag, &origin);
                let quoted = forced || style != ScalarStyle::Plain;
                self.add(Node { content: Content::Scalar { text: text.into_owned(), quoted }, origin });
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
                self.add(Node::text("", origin));
            }
            Event::DocumentStart(_) => return self.document(&origin),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Some(())
    }

    fn document(&mut self, origin: &Origin) -> Option<()> {
        self.documents += 1;
        if self.documents > 1 {
            self.problems.unreadable(origin, "a second document", "put everything into one, without ---");
        }
        (self.documents == 1).then_some(())
    }

    /// Anchors and foreign tags are refused; a core tag only says that a scalar is meant as a text.
    fn marks(&mut self, anchor: usize, tag: Option<Cow<'_, Tag>>, origin: &Origin) -> bool {
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

    fn open(&mut self, origin: Origin, items: Items) -> Option<()> {
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
            self.add(Node { content, origin });
        }
    }

    fn add(&mut self, node: Node) {
        match self.stack.last_mut().map(|open| &mut open.items) {
            None => self.root = Some(node),
            Some(Items::List(list)) => list.push(node),
            Some(Items::Map(map, key)) => match key.take() {
                None => *key = Some(name(node, self.problems)),
                Some((name, origin)) => entry(map, name, Node { origin, ..node }, self.problems),
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

/// A key is a text; what it is the name of has the key's line as its origin, which is the line that a person looks for.
fn name(node: Node, problems: &mut Problems) -> (String, Origin) {
    match node.content {
        Content::Scalar { text, .. } => (text, node.origin),
        _ => {
            problems.unreadable(&node.origin, "a key has to be a plain text", "");
            (String::new(), node.origin)
        }
    }
}

fn entry(map: &mut BTreeMap<String, Node>, name: String, node: Node, problems: &mut Problems) {
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

/// What most often stands in a line that is not YAML.
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
