//! Source files as the layer rules see them: the shipped part, without comments and tests. A scanner, no parser: it knows paths,
//! words and braces, and leans on rustfmt's layout.

use std::path::{Path, PathBuf};

/// One file below src/.
pub struct File {
    /// Its path below src/.
    pub path: String,
    /// The file or directory directly below src/ that it belongs to.
    pub room: String,
    /// All of it.
    pub text: String,
    /// Without tests; comments are blanked, so that line numbers hold.
    pub shipped: String,
}

/// Every file that is part of the binary.
pub fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    paths.sort();
    let files =
        paths.iter().map(|path| File::new(path.strip_prefix(&root).unwrap(), std::fs::read_to_string(path).unwrap()));
    files.filter(|file| !file.is_test()).collect()
}

fn collect(directory: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => collect(&path, into),
            false if path.extension().is_some_and(|extension| extension == "rs") => into.push(path),
            false => {}
        }
    }
}

impl File {
    pub fn new(path: &Path, text: String) -> Self {
        let path = path.to_str().unwrap().to_owned();
        let room = path.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
        let shipped = text.split("\n#[cfg(test)]\nmod ").next().unwrap();
        let shipped = shipped.lines().map(without_comment).collect::<Vec<_>>().join("\n");
        File { path, room, text, shipped }
    }

    /// `foo/tests.rs` and what lies below `foo/tests/`.
    fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    /// Each room that `crate::…` names, with its line; `use crate::{a, b::c}` names both.
    pub fn rooms_named(&self) -> Vec<(usize, String)> {
        let found = self.words("crate::").into_iter();
        found
            .flat_map(|at| first_names(&self.shipped[at + "crate::".len()..]).into_iter().map(move |name| (at, name)))
            .map(|(at, name)| (self.line(at), name))
            .collect()
    }

    /// Lines on which a chain of `super::` climbs to the crate's root.
    pub fn supers_out_of_the_room(&self) -> Vec<usize> {
        let depth = self.path.trim_end_matches(".rs").trim_end_matches("/mod").split('/').count();
        let climbs = |at: &usize| {
            let rest = &self.shipped[*at..];
            let chain = rest.split("::").take_while(|word| *word == "super").count();
            chain >= depth && !self.shipped[..*at].ends_with("super::")
        };
        self.words("super::").into_iter().filter(climbs).map(|at| self.line(at)).collect()
    }

    /// The lines that hold this word (it may end in the middle of one).
    pub fn lines_with(&self, word: &str) -> Vec<usize> {
        self.words(word).into_iter().map(|at| self.line(at)).collect()
    }

    /// Where this word begins, not in the middle of another.
    fn words(&self, word: &str) -> Vec<usize> {
        let begins = |at: &usize| !self.shipped[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        self.shipped.match_indices(word).map(|(at, _)| at).filter(begins).collect()
    }

    fn line(&self, at: usize) -> usize {
        self.shipped[..at].matches('\n').count() + 1
    }
}

/// What follows `crate::`: one name, or the first names of everything in braces.
fn first_names(rest: &str) -> Vec<String> {
    let Some(group) = rest.strip_prefix('{') else { return vec![name(rest)] };
    let (mut depth, mut names, mut begins) = (0, Vec::new(), true);
    for (at, c) in group.char_indices() {
        match c {
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            '{' => depth += 1,
            ',' if depth == 0 => begins = true,
            c if begins && !c.is_whitespace() => {
                names.push(name(&group[at..]));
                begins = false;
            }
            _ => {}
        }
    }
    names
}

fn name(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Drops a comment, unless the slashes are part of a string.
fn without_comment(line: &str) -> &str {
    let (mut quoted, mut escaped, mut before) = (false, false, ' ');
    for (at, c) in line.char_indices() {
        match c {
            '"' if !escaped && before != '\'' => quoted = !quoted,
            '/' if !quoted && before == '/' => return &line[..at - 1],
            _ => {}
        }
        escaped = c == '\\' && !escaped;
        before = c;
    }
    line
}

#[test]
fn a_group_names_each_of_its_rooms() {
    let text =
        "use crate::{\n    a,\n    b::{c, d},\n    e::f,\n};\nlet x = crate::g::h(); // crate::no\n$crate::i!();";
    let file = File::new(Path::new("room/file.rs"), text.into());
    let names: Vec<String> = file.rooms_named().into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["a", "b", "e", "g", "i"]);
}

#[test]
fn a_chain_of_supers_is_counted_from_its_own_depth() {
    let out = |path: &str, text: &str| File::new(Path::new(path), text.into()).supers_out_of_the_room().len();
    assert_eq!(out("room/mod.rs", "use super::other;"), 1);
    assert_eq!(out("room/file.rs", "use super::other;"), 0);
    assert_eq!(out("room/file.rs", "use super::super::other;"), 1);
    assert_eq!(
        out("room.rs", "#[cfg(test)]\nmod tests {\n    use super::*;\n}"),
        1,
        "tests are cut where they trail only"
    );
    assert_eq!(out("room.rs", "fn x() {}\n#[cfg(test)]\nmod tests {\n    use super::*;\n}"), 0);
}

#[test]
fn slashes_in_a_string_are_no_comment() {
    assert_eq!(without_comment(r#"let a = "b//c"; // d"#), r#"let a = "b//c"; "#);
}
