//! Parses requirement files as pip does: encodings, continuation lines, comments, `${NAME}`, options. Pure; versions are not interpreted.

/// One logical line that is neither empty nor a comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequirementLine {
    /// The number of its first physical line, counted from 1.
    pub number: usize,
    /// The line without comments, with variables expanded.
    pub text: String,
    /// The items of the line.
    pub items: Vec<RequirementItem>,
    /// The syntax in the line that only pip understands, if there is any.
    pub for_pip: Option<&'static str>,
}

/// One item of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequirementItem {
    /// `-r FILE`.
    Include(String),
    /// `-c FILE`.
    Constraint(String),
    /// `-e PATH`.
    Editable(String),
    /// Any other option.
    Option(String),
    /// A requirement: a name with versions, a URL or a path.
    Requirement(String),
}

/// Parses all lines of a file. `variable` returns the value for `${NAME}`; without a value the text stays unchanged.
pub fn read(bytes: &[u8], variable: &dyn Fn(&str) -> Option<String>) -> Vec<RequirementLine> {
    join(&decode(bytes)).iter().filter_map(|line| parse(line, variable)).collect()
}

/// Decodes a file: UTF-8, UTF-16 or UTF-32 with a byte order mark, else UTF-8. In any other encoding only ASCII is right, which is enough
/// for names and versions.
pub fn decode(bytes: &[u8]) -> String {
    let utf16 = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = rest.chunks_exact(2).filter_map(|pair| Some(unit(pair.try_into().ok()?))).collect();
        String::from_utf16_lossy(&units)
    };
    let utf32 = |rest: &[u8], unit: fn([u8; 4]) -> u32| {
        let units = rest.chunks_exact(4).filter_map(|four| Some(unit(four.try_into().ok()?)));
        units.map(|unit| char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    match bytes {
        [0xFF, 0xFE, 0, 0, rest @ ..] => utf32(rest, u32::from_le_bytes),
        [0, 0, 0xFE, 0xFF, rest @ ..] => utf32(rest, u32::from_be_bytes),
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        plain => match str::from_utf8(plain) {
            Ok(text) => text.to_owned(),
            // Each byte becomes one character, so that every change is seen.
            Err(_) => plain.iter().map(|byte| char::from(*byte)).collect(),
        },
    }
}

/// The result of a look at a file's encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// The encoding is Unicode.
    Unicode,
    /// The file declares another encoding (PEP 263), as pip allows.
    Named(String),
    /// This line contains bytes of an undeclared encoding.
    Unknown(usize),
}

/// An encoding that only newer versions of pip read.
pub const WIDE: &str = "UTF-32";

/// Determines the encoding of a file.
pub fn encoding(bytes: &[u8]) -> Encoding {
    if bytes.starts_with(&[0xFF, 0xFE, 0, 0]) || bytes.starts_with(&[0, 0, 0xFE, 0xFF]) {
        return Encoding::Named(WIDE.to_owned());
    }
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Encoding::Unicode;
    }
    let Err(error) = str::from_utf8(bytes) else { return Encoding::Unicode };
    let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
    let first = bytes.split(|byte| *byte == b'\n').take(2);
    let named =
        first.filter(|line| line.starts_with(b"#")).find_map(|line| named_encoding(&String::from_utf8_lossy(line)));
    named.map_or(Encoding::Unknown(before.split(|byte| *byte == b'\n').count()), Encoding::Named)
}

/// Returns the name in `# -*- coding: NAME -*-`.
fn named_encoding(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("coding:").or_else(|| line.split_once("coding="))?;
    let is_part = |c: &char| c.is_ascii_alphanumeric() || "-_.".contains(*c);
    let name: String = rest.trim_start().chars().take_while(is_part).collect();
    (!name.is_empty()).then_some(name)
}

/// Checks for line ends that installers interpret differently.
pub fn has_odd_line_ends(text: &str) -> bool {
    text.contains(['\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}'])
}

/// Physical lines that form one logical line.
#[derive(Default)]
struct JoinedLine {
    /// The number of the first one.
    number: usize,
    text: String,
    /// Whether there is more than one.
    joined: bool,
    /// Whether one of them continues with something other than a hash option or a comment.
    within: bool,
}

/// Joins lines that end with a backslash. A comment ends such a logical line, even a comment with a backslash at its end.
fn join(text: &str) -> Vec<JoinedLine> {
    let mut lines = Vec::new();
    let mut open: Option<JoinedLine> = None;
    for (number, line) in text.replace("\r\n", "\n").split(['\n', '\r']).enumerate() {
        let comment = line.trim_start().starts_with('#');
        let mut whole = open.take().map_or_else(
            || JoinedLine { number: number + 1, ..JoinedLine::default() },
            |begun| JoinedLine { joined: true, within: begun.within || !(comment || is_hash(line)), ..begun },
        );
        match line.strip_suffix('\\').filter(|_| !comment) {
            Some(begun) => {
                whole.text.push_str(begun);
                open = Some(whole);
            }
            None => {
                whole.text.push_str(if comment { "" } else { line });
                lines.push(whole);
            }
        }
    }
    lines.extend(open.map(|begun| JoinedLine { joined: true, within: true, ..begun }));
    lines
}

fn is_hash(line: &str) -> bool {
    line.trim_start().starts_with("--hash")
}

fn parse(line: &JoinedLine, variable: &dyn Fn(&str) -> Option<String>) -> Option<RequirementLine> {
    let written = without_comment(&line.text).trim();
    let text = expand(written, variable);
    let (items, for_pip) = match text.chars().next()? {
        '-' => {
            let words = words(&text);
            (options(&words), odd_option(line, &words))
        }
        _ => (vec![RequirementItem::Requirement(text.clone())], odd_requirement(line, written, &text)),
    };
    Some(RequirementLine { number: line.number, text, items, for_pip })
}

/// Returns the syntax of an option that uv does not understand: uv reads the whole rest of the line as the option's value.
fn odd_option(line: &JoinedLine, words: &[String]) -> Option<&'static str> {
    let (first, rest) = words.split_first()?;
    let is_short = !first.starts_with("--");
    let takes_lists = ["--no-binary", "--only-binary"].iter().any(|option| first.starts_with(option));
    match () {
        () if line.joined => Some("an option in two lines"),
        () if whole(first) != *first => Some("an abbreviated option"),
        () if is_short && first.len() > 2 && !first.get(2..)?.starts_with('=') => {
            Some("an option without a blank behind it")
        }
        () if rest.len() > usize::from(!first.contains('=')) => Some("more than one option in a line"),
        () if takes_lists && words.iter().any(|word| word.contains(',')) => Some("a list behind an option"),
        () if line.text.contains('\\') => Some("a backslash"),
        () => None,
    }
}

/// Returns the syntax of a requirement that uv does not understand: uv joins lines only before a hash, and expands variables only in URLs
/// and paths.
fn odd_requirement(line: &JoinedLine, written: &str, text: &str) -> Option<&'static str> {
    match () {
        () if line.within => Some("a requirement in two lines"),
        () if written != text && !text.contains("://") && local_path(text).is_none() => {
            Some("a variable in a requirement")
        }
        () => None,
    }
}

/// Removes a comment. A `#` begins one only at the start of a line or after a blank, because URLs have fragments.
fn without_comment(line: &str) -> &str {
    let mut blank = true;
    for (at, c) in line.char_indices() {
        if c == '#' && blank {
            return line.get(..at).unwrap_or_default();
        }
        blank = c.is_whitespace();
    }
    line
}

fn expand(line: &str, variable: &dyn Fn(&str) -> Option<String>) -> String {
    let mut whole = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("${") {
        whole.push_str(before);
        let is_name = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        };
        let named = after.split_once('}').filter(|(name, _)| is_name(name));
        match named.and_then(|(name, after)| Some((variable(name)?, after))) {
            Some((value, after)) => {
                whole.push_str(&value);
                rest = after;
            }
            None => {
                whole.push_str("${");
                rest = after;
            }
        }
    }
    whole.push_str(rest);
    whole
}

/// Splits a line as a shell would: blanks, quotes, backslashes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quote) = (None::<String>, None);
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(rest.next()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

fn options(words: &[String]) -> Vec<RequirementItem> {
    let mut items = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let word = &whole(word);
        let known = KINDS.iter().find_map(|(long, short, item)| {
            let attached = word.strip_prefix(long).and_then(|rest| rest.strip_prefix('='));
            let attached = attached
                .or_else(|| word.strip_prefix(short).filter(|rest| !rest.is_empty() && !word.starts_with("--")));
            let separate = word == long || word == short;
            (separate || attached.is_some()).then_some((item, attached))
        });
        items.extend(match known {
            Some((item, Some(value))) => Some(item(value.trim_start_matches('=').to_owned())),
            Some((item, None)) => words.next().cloned().map(item),
            None => Some(RequirementItem::Option(word.clone())),
        });
    }
    items
}

/// The long options that pip accepts in a file.
const LONG: [&str; 18] = [
    "--index-url",
    "--pypi-url",
    "--extra-index-url",
    "--no-index",
    "--constraint",
    "--requirement",
    "--editable",
    "--find-links",
    "--no-binary",
    "--only-binary",
    "--prefer-binary",
    "--require-hashes",
    "--pre",
    "--trusted-host",
    "--use-feature",
    "--global-option",
    "--config-settings",
    "--hash",
];

/// Completes an abbreviated option: pip accepts an unambiguous beginning (Python's optparse).
fn whole(word: &str) -> String {
    let (name, value) = word.split_at(word.find('=').unwrap_or(word.len()));
    let mut meant = LONG.iter().filter(|long| name.len() > 2 && name.starts_with("--") && long.starts_with(name));
    match (LONG.contains(&name), meant.next(), meant.next()) {
        (false, Some(long), None) => [long, value].concat(),
        _ => word.to_owned(),
    }
}

/// An option that names a file: its long form, its short form, and its item.
type FileOption = (&'static str, &'static str, fn(String) -> RequirementItem);
const KINDS: [FileOption; 3] = [
    ("--requirement", "-r", RequirementItem::Include),
    ("--constraint", "-c", RequirementItem::Constraint),
    ("--editable", "-e", RequirementItem::Editable),
];

/// Lists the options of a line that only pip reads. uv ignores some of them, and refuses the whole file because of others.
pub fn for_pip_alone(item: &RequirementItem) -> Vec<&str> {
    let (words, known): (&str, &[&str]) = match item {
        RequirementItem::Option(word) => (word, &FOR_BOTH),
        RequirementItem::Requirement(text) => (options_of(text), &["--hash"]),
        RequirementItem::Include(_) | RequirementItem::Constraint(_) | RequirementItem::Editable(_) => {
            return Vec::new();
        }
    };
    let is_known = |word: &str| known.iter().any(|option| word.starts_with(option));
    words.split_whitespace().filter(|word| word.starts_with('-') && !is_known(word)).collect()
}

/// Lists the options behind a requirement that pip reads without an error and without an effect: they count only in lines of their own.
pub fn options_without_effect(item: &RequirementItem) -> Vec<&str> {
    let RequirementItem::Requirement(text) = item else { return Vec::new() };
    let is_of_lines = |word: &&str| FOR_BOTH.iter().any(|option| word.split('=').next() == Some(option));
    options_of(text).split_whitespace().filter(is_of_lines).collect()
}

/// Returns a requirement without its options.
pub fn without_options(requirement: &str) -> &str {
    requirement.strip_suffix(options_of(requirement)).unwrap_or(requirement).trim_end()
}

/// Returns the options of a requirement, from the first word with a leading dash.
fn options_of(requirement: &str) -> &str {
    let starts = requirement.match_indices(" -").map(|(at, _)| at + 1);
    starts.take(1).find_map(|at| requirement.get(at..)).unwrap_or_default()
}

/// Checks that an item does not affect whether an installed package satisfies the requirements.
pub fn is_about_finding(item: &RequirementItem) -> bool {
    let (words, known): (&str, &[&str]) = match item {
        RequirementItem::Option(word) => (word, &ABOUT_FINDING),
        RequirementItem::Requirement(text) => (options_of(text), &["--hash"]),
        RequirementItem::Editable(_) => return false,
        RequirementItem::Include(_) | RequirementItem::Constraint(_) => return true,
    };
    let is_known = |word: &str| known.iter().any(|option| word.starts_with(option));
    words.split_whitespace().all(|word| !word.starts_with('-') || is_known(word))
}

/// Options that say where packages are looked for, and in which form.
const ABOUT_FINDING: [&str; 13] = [
    "--index-url",
    "--extra-index-url",
    "--find-links",
    "--no-index",
    "--no-binary",
    "--only-binary",
    "--prefer-binary",
    "--require-hashes",
    "--trusted-host",
    "--pre",
    "--use-feature",
    "-i",
    "-f",
];

/// The options that both installers read from files, `-i` and `-f` also with an attached value.
const FOR_BOTH: [&str; 9] = [
    "--index-url",
    "--extra-index-url",
    "--find-links",
    "--no-index",
    "--no-binary",
    "--only-binary",
    "--require-hashes",
    "-i",
    "-f",
];

/// Returns the local path that a requirement names, if there is one: `./lib`, `/wheels/a.whl`, `name @ file:///src/name`, `file:./lib`.
pub fn local_path(requirement: &str) -> Option<&str> {
    let target = requirement.split_once(" @ ").map_or(requirement, |(_, target)| target).trim();
    let path = match target.strip_prefix("file:") {
        Some(rest) => rest.strip_prefix("//localhost").or_else(|| rest.strip_prefix("//")).unwrap_or(rest),
        None if target.starts_with(['.', '/']) => target,
        None if [".whl", ".zip", ".tar.gz"].iter().any(|end| first_word(target).ends_with(end))
            && !target.contains("://") =>
        {
            target
        }
        None => return None,
    };
    let path = first_word(path);
    let path = path.split(['#', ';']).next().unwrap_or(path);
    let path = path.find('[').and_then(|at| path.get(..at)).unwrap_or(path);
    (!path.is_empty()).then_some(path)
}

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

#[cfg(test)]
#[path = "file/tests.rs"]
mod tests;
