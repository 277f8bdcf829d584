//! Paths with options, in one word: `PATH[:OPTION[=VALUE],…]`.
//!
//! The last colon counts only if every name after it is an option; otherwise it belongs to the path. A path may hold any character, so a
//! near miss is an error and not a path. The long form (a map with `path`) can express every path.

use super::records::record;
use super::{ConfigValue, PartChoice, PathKind, Size, Verify};
use crate::config::problems::{shown, together};
use crate::config::{ConfigNode, Content, Problems, ValueOrigin, suggest};
use serde_json::{Value as Json, json};
use stage::{NoSource, Only, Source};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

record! {
    /// A path that the workload reads: `PATH[:OPTIONS]`.
    DataPath: "a path with options, PATH[:OPTIONS], or a map with `path`" {
        /// The path in the container.
        "path" path: PathBuf = None;
        /// It must be a mount (or inside one).
        "mounted" mounted: bool = Some(true);
        /// It must hold at least so many entries; 0: may be empty.
        "min_files" min_files: u64 = Some(1);
        /// Names below it that must exist; the last component may be a pattern.
        "contains" contains: Vec<String> = Some(Vec::new());
        /// It must be mounted read-only (`ro`) or writable (`rw`); without either a writable one is a warning.
        "ro" read_only: Option<bool> = Some(None);
        /// It must be a directory or a file (`dir`, `file`).
        "type" kind: Option<PathKind> = Some(None);
        /// A list of its files with hashes or sizes, as sha256sum writes it.
        "manifest" manifest: Option<PathBuf> = Some(None);
        /// How many entries of the manifest are checked, or `full`.
        "verify" verify: Verify = Some(Verify::Sample(16));
        /// So many bytes can be read in a second; some are read to see it.
        "min_speed" min_speed: Option<Size> = Some(None);
        /// Deadline of the check; by default it follows the kind of file system.
        "timeout" timeout: Option<Duration> = Some(None);
        /// Which objects of the source are brought: patterns of names.
        "only" only: Vec<String> = Some(Vec::new());
        /// Which part of them this node brings: the files of its own index (`node`); by default all.
        "part" part: Option<PartChoice> = Some(None);
        /// Where the data comes from, if trainit brings it: a path or a URL. It stands last in the short form.
        "from" from: Option<Source> = Some(None);
    }
}

record! {
    /// A path that the workload writes: `PATH[:OPTIONS]`.
    OutputPath: "a path with options, PATH[:OPTIONS], or a map with `path`" {
        /// The path in the container.
        "path" path: PathBuf = None;
        /// Not being a mount is a failure (yes), a warning (none), or fine (no).
        "mounted" mounted: Option<bool> = Some(None);
        /// Free space that has to be there.
        "min_free" min_free: Option<Size> = Some(None);
        /// So much is allocated and given back: a quota shows only then.
        "allocate" allocate: Option<Size> = Some(None);
        /// Whether a file is written to see that it can be; by default not in object stores.
        "probe" probe: Option<bool> = Some(None);
        /// Deadline of the check; by default it follows the kind of file system.
        "timeout" timeout: Option<Duration> = Some(None);
    }
}

impl ConfigValue for DataPath {
    fn form() -> String {
        Self::FORM.into()
    }

    fn read(node: &ConfigNode, at: &str, problems: &mut Problems) -> Option<Self> {
        let parts = staged(long_form(node, DATA_OPTIONS, at, problems)?);
        let path = Self::from_parts(&without_rw(parts, at, problems)?, at, problems)?;
        if let Err(error) = Only::parse(&path.only) {
            problems.wrong(&node.origin, &format!("{at}.only"), &error, "a pattern such as *.tar, or train/");
        }
        Some(path)
    }

    fn schema() -> Json {
        let mut long = Self::parts_schema();
        if let Some(properties) = long.get_mut("properties").and_then(Json::as_object_mut) {
            let mut rw = bool::schema();
            if let Some(fields) = rw.as_object_mut() {
                fields.insert("description".into(), "It must be mounted writable.".into());
            }
            properties.insert("rw".into(), rw);
        }
        json!({"anyOf": [PathBuf::schema(), long]})
    }
}

impl ConfigValue for OutputPath {
    fn form() -> String {
        Self::FORM.into()
    }

    fn read(node: &ConfigNode, at: &str, problems: &mut Problems) -> Option<Self> {
        let parts = long_form(node, OUTPUT_OPTIONS, at, problems)?;
        Self::from_parts(&parts, at, problems)
    }

    fn schema() -> Json {
        json!({"anyOf": [PathBuf::schema(), Self::parts_schema()]})
    }
}

/// The options of each kind of path.
const DATA_OPTIONS: &[&str] = &[
    "mounted",
    "min_files",
    "contains",
    "ro",
    "rw",
    "type",
    "manifest",
    "verify",
    "min_speed",
    "timeout",
    "only",
    "part",
    "from",
];
const OUTPUT_OPTIONS: &[&str] = &["mounted", "min_free", "allocate", "probe", "timeout"];

/// Returns whether a name is an option of any kind of path: an option of another kind is no part of a path either.
fn is_option(name: &str) -> bool {
    DATA_OPTIONS.contains(&name) || OUTPUT_OPTIONS.contains(&name)
}

/// Converts `rw` to the opposite of `ro`.
fn without_rw(mut node: ConfigNode, at: &str, problems: &mut Problems) -> Option<ConfigNode> {
    let Content::Map(parts) = &mut node.content else { return Some(node) };
    let Some(rw) = parts.remove("rw") else { return Some(node) };
    let writable = bool::read(&rw, &format!("{at}.rw"), problems)?;
    let ro = ConfigNode::text(if writable { "no" } else { "yes" }, rw.origin.clone());
    if parts.insert("ro".into(), ro).is_some() {
        problems.wrong(&rw.origin, at, "`ro` and `rw` exclude each other", "keep one of them");
        return None;
    }
    Some(node)
}

impl ConfigValue for Source {
    fn form() -> String {
        "a path or a URL".into()
    }

    fn read(node: &ConfigNode, at: &str, problems: &mut Problems) -> Option<Self> {
        let text = node.as_text().unwrap_or_default();
        let refused =
            |error: NoSource| problems.wrong(&node.origin, at, &format!("`{}`: {error}", shown(text)), error.hint());
        Source::parse(text).map_err(refused).ok()
    }
}

/// Returns a path whose data is brought: it need not be a mount.
fn staged(mut node: ConfigNode) -> ConfigNode {
    let origin = node.origin.clone();
    if let Content::Map(parts) = &mut node.content
        && parts.contains_key("from")
    {
        parts.entry("mounted".into()).or_insert_with(|| ConfigNode::text("no", origin));
    }
    node
}

/// Splits the option `from=` off, which takes the rest of the word: URLs have colons and commas.
fn split_from(text: &str) -> (&str, Option<&str>) {
    let found = [":from=", ",from="].iter().filter_map(|mark| Some((text.find(mark)?, mark.len()))).min();
    let Some((at, length)) = found else { return (text, None) };
    (text.get(..at).unwrap_or_default(), text.get(at + length..))
}

/// Returns the map that a path with options stands for; a map stays unchanged.
fn long_form(node: &ConfigNode, known: &[&str], at: &str, problems: &mut Problems) -> Option<ConfigNode> {
    let Some(text) = node.as_text() else { return Some(node.clone()) };
    // This check precedes the split: the last colon of a URL does not introduce options.
    if let Err(error) = super::no_place_elsewhere(text) {
        let brought = known.contains(&"from").then(|| Source::parse(text).ok()).flatten();
        let hint = brought.map_or_else(
            || error.hint(),
            |source| format!("trainit brings it to a path: /data:from={}", source.shown()),
        );
        problems.wrong(&node.origin, at, &error.to_string(), &hint);
        return None;
    }
    let (text, from) = if known.contains(&"from") { split_from(text) } else { (text, None) };
    let (path, options) = match split(text, known) {
        Ok(parts) => parts,
        Err(error) => {
            let text = shown(text);
            problems.wrong(&node.origin, at, &format!("`{text}`: {error}"), &error.hint());
            return None;
        }
    };
    let mut parts = BTreeMap::from([("path".to_owned(), ConfigNode::text(path, node.origin.clone()))]);
    for option in options.iter().flat_map(|options| options.split(',')) {
        let (name, value) = option.split_once('=').unwrap_or((option, "yes"));
        if parts.insert(name.to_owned(), option_value(name, value, &node.origin)).is_some() {
            problems.wrong(&node.origin, at, &format!("`{name}` is there twice"), "keep one of them");
        }
    }
    from.map(|from| parts.insert("from".to_owned(), ConfigNode::text(from, node.origin.clone())));
    Some(ConfigNode::map(parts, node.origin.clone()))
}

fn option_value(name: &str, value: &str, origin: &ValueOrigin) -> ConfigNode {
    let text = |part: &str| ConfigNode::text(part, origin.clone());
    match name {
        "contains" | "only" => ConfigNode::list(value.split('+').map(text).collect(), origin.clone()),
        _ => text(value),
    }
}

/// A text that is no path with options.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum NoSplit<'a> {
    /// It is a URL.
    #[error("a URL is not a path in the container")]
    Url,
    /// It is a path on the host and one in the container.
    #[error("two paths")]
    TwoPaths,
    /// An option's value has a colon.
    #[error("the value of an option cannot hold a colon here")]
    Colon,
    /// This name is no option of the kind of path.
    #[error("`{}` is no option", shown(stranger))]
    NoOption {
        stranger: &'a str,
        /// The option that is probably meant.
        meant: Option<&'a str>,
        known: &'a [&'a str],
    },
}

/// The hint for a text that really is a path.
const ANYWAY: &str = "if it is a path, write it as a map: {path: …}";

impl NoSplit<'_> {
    /// Returns what to write instead.
    fn hint(&self) -> String {
        match self {
            NoSplit::Url => "mount it, and name the directory".to_owned(),
            NoSplit::TwoPaths => {
                format!(
                    "HOST:CONTAINER is for the option that mounts; here name only the path in the container; {ANYWAY}"
                )
            }
            NoSplit::Colon => "write it as a map: {path: …, contains: […]}".to_owned(),
            NoSplit::NoOption { meant: Some(meant), .. } => format!("did you mean {meant}? {ANYWAY}"),
            NoSplit::NoOption { known, .. } => format!("options are {}; {ANYWAY}", known.join(", ")),
        }
    }
}

/// Splits a path from its options.
fn split<'a>(text: &'a str, known: &'a [&'a str]) -> Result<(&'a str, Option<&'a str>), NoSplit<'a>> {
    let (path, options) = match text.rsplit_once(':') {
        Some((path, tail)) if names(tail).all(|name| known.contains(&name)) => (path, Some(tail)),
        _ => (text, None),
    };
    // Half a URL does not look like one, so no part of the text may be quoted.
    if options.is_none() && text.contains("://") {
        return Err(NoSplit::Url);
    }
    let tail = text.rsplit_once(':').map(|(_, tail)| tail).filter(|tail| options.is_none() && !tail.starts_with('/'));
    tail.map_or(Ok(()), |tail| no_near_miss(tail, known))?;
    no_other_syntax(path)?;
    Ok((path, options))
}

/// Yields the names of the options.
fn names(options: &str) -> impl Iterator<Item = &str> {
    options.split(',').map(|option| option.split('=').next().unwrap_or(option))
}

/// Rejects a text that can hardly be a path, whatever follows it.
fn no_other_syntax(path: &str) -> Result<(), NoSplit<'static>> {
    let holds_option = |name: &&&str| path.contains(&format!(":{name}=")) || path.contains(&format!(":{name},"));
    if path.contains("://") {
        Err(NoSplit::Url)
    } else if path.contains(":/") {
        Err(NoSplit::TwoPaths)
    } else if DATA_OPTIONS.iter().chain(OUTPUT_OPTIONS).find(holds_option).is_some() {
        Err(NoSplit::Colon)
    } else {
        Ok(())
    }
}

/// Rejects a text after a colon that is no list of options, but was probably meant as one.
fn no_near_miss<'a>(tail: &'a str, known: &'a [&'a str]) -> Result<(), NoSplit<'a>> {
    let Some(stranger) = names(tail).find(|name| !known.contains(name)) else { return Ok(()) };
    let meant = names(tail).find_map(|name| nearest(name, known));
    let was_meant = meant.is_some() || tail.is_empty() || tail.contains('=') || names(tail).any(is_option);
    if was_meant { Err(NoSplit::NoOption { stranger, meant, known }) } else { Ok(()) }
}

/// Returns the option that is nearest to a name; `None` for a valid name, which is no slip.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let one_slip = |option: &&str| strsim::damerau_levenshtein(&lower, option) <= 1;
    let candidates = known.iter().copied();
    if known.contains(&name) || name.len() > 64 {
        None
    } else {
        candidates.clone().find(one_slip).or_else(|| suggest::closest(name, candidates))
    }
}

/// Parses `data` in the form of a variable: paths with options, separated by blanks.
///
/// # Errors
/// All mistakes in the text.
pub fn parse_path_list(text: &str) -> crate::error::Result<Vec<DataPath>> {
    let mut problems = Problems::default();
    let node = ConfigNode::text(text, ValueOrigin::Environment("TRAINIT_DATA".into()));
    let paths = Vec::read(&node, "data", &mut problems).unwrap_or_default();
    problems.settle(true).map(|_| paths).map_err(together)
}

#[cfg(test)]
#[path = "paths/tests.rs"]
mod tests;
