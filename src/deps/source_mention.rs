//! Finds the options and requirements in a requirement file that say where packages come from.

use requirements::file::RequirementItem;

/// A kind of source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SourceWord {
    /// The index.
    Index,
    /// An additional index.
    Extra,
    /// Directories and pages with archives.
    Links,
    /// Any other source: a trusted host, a package by its URL, a file with settings.
    Other,
}

/// Options of pip about sources, which are also the names of its settings.
const OPTIONS: [(&str, SourceWord); 8] = [
    ("index-url", SourceWord::Index),
    ("pypi-url", SourceWord::Index),
    ("no-index", SourceWord::Index),
    ("extra-index-url", SourceWord::Extra),
    ("find-links", SourceWord::Links),
    ("trusted-host", SourceWord::Other),
    ("requirement", SourceWord::Other),
    ("editable", SourceWord::Other),
];

/// One mention of a source in a requirement file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceMention {
    /// The file and line.
    pub place: String,
    /// The kind of source.
    pub source: SourceWord,
    /// The option, or empty for a requirement.
    pub option: String,
    /// The option's value, the requirement, or the encoding.
    pub value: String,
}

/// Returns the kind of source that a setting of pip is about; `None` if it is about something else.
pub(super) fn of_setting(name: &str) -> Option<SourceWord> {
    OPTIONS.iter().find(|(known, _)| *known == name).map(|(_, source)| *source)
}

/// Returns the mentions of sources in a line of a requirement file.
pub(super) fn said(items: &[RequirementItem], place: &str) -> Vec<SourceMention> {
    let mut found = Vec::new();
    let mut items = items.iter().peekable();
    while let Some(item) = items.next() {
        let mut add = |source, option: &str, value: &str| {
            found.push(SourceMention {
                place: place.to_owned(),
                source,
                option: option.to_owned(),
                value: value.to_owned(),
            });
        };
        match item {
            RequirementItem::Option(word) => {
                let Some((option, source, value)) = option(word) else { continue };
                let next = items
                    .peek()
                    .and_then(|next| if let RequirementItem::Option(next) = next { Some(next.as_str()) } else { None });
                let next = next.filter(|_| option != "--no-index");
                add(source, option, value.or(next).unwrap_or_default());
            }
            RequirementItem::Requirement(text) | RequirementItem::Editable(text) if is_url(text) => {
                add(SourceWord::Other, "", text)
            }
            RequirementItem::Include(name) | RequirementItem::Constraint(name) if is_url(name) => {
                add(SourceWord::Other, "", name)
            }
            _ => {}
        }
    }
    found
}

/// Returns a mention for an encoding in which an option does not look like an option.
pub(super) fn said_in(encoding: &str, place: &str) -> Option<SourceMention> {
    let lower = encoding.to_ascii_lowercase().replace('_', "-");
    let known = [
        "utf-8",
        "utf8",
        "ascii",
        "us-ascii",
        "latin",
        "iso-8859",
        "iso8859",
        "cp125",
        "windows-125",
        "koi8",
        "utf-32",
    ];
    let value = format!("the encoding {encoding}");
    let said = SourceMention { place: place.to_owned(), source: SourceWord::Other, option: String::new(), value };
    (!known.iter().any(|known| lower.starts_with(known))).then_some(said)
}

/// Parses an option about sources: its name, its kind, and an attached value.
fn option(word: &str) -> Option<(&'static str, SourceWord, Option<&str>)> {
    for (short, long, source) in [("-i", "--index-url", SourceWord::Index), ("-f", "--find-links", SourceWord::Links)] {
        if let Some(rest) = word.strip_prefix(short).filter(|_| !word.starts_with("--")) {
            let value = rest.trim_start_matches('=');
            return Some((long, source, Some(value).filter(|value| !value.is_empty())));
        }
    }
    let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
    let long = ["--index-url", "--pypi-url", "--no-index", "--extra-index-url", "--find-links", "--trusted-host"];
    let known = long.into_iter().find(|known| *known == name)?;
    Some((known, of_setting(known.trim_start_matches('-'))?, value))
}

/// Checks whether a requirement names another machine: `https://…`, `name @ git+ssh://…`. A local path is code like any other.
fn is_url(text: &str) -> bool {
    let scheme = |text: &str| {
        let scheme = text.trim().split_once(':')?.0.to_ascii_lowercase();
        let fits = |c: char| c.is_ascii_alphanumeric() || "+.-".contains(c);
        (scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(fits)).then_some(scheme)
    };
    let target = text.split_once('@').and_then(|(_, target)| scheme(target));
    let found = scheme(text).or(target);
    found.is_some_and(|scheme| !["file", "git+file", "hg+file", "svn+file", "bzr+file"].contains(&scheme.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Vec<(String, String)> {
        let lines = requirements::file::read(line.as_bytes(), &|_| None);
        let said = lines.iter().flat_map(|line| said(&line.items, "r.txt:1"));
        said.map(|said| (said.option, said.value)).collect()
    }

    #[test]
    fn every_way_to_name_a_source_is_seen() {
        for (line, option, value) in [
            ("--index-url https://x", "--index-url", "https://x"),
            ("--index-url=https://x", "--index-url", "https://x"),
            ("-i https://x", "--index-url", "https://x"),
            ("-ihttps://x", "--index-url", "https://x"),
            ("--extra-index-url 'https://x'", "--extra-index-url", "https://x"),
            ("--extra https://x", "--extra-index-url", "https://x"),
            ("--ind=https://x", "--index-url", "https://x"),
            ("--pypi-url https://x", "--pypi-url", "https://x"),
            ("--pre -f /x", "--find-links", "/x"),
            ("--find-links \\\n /x", "--find-links", "/x"),
            ("--no-index", "--no-index", ""),
            ("--trusted-host x", "--trusted-host", "x"),
            ("name @ https://x/y.whl", "", "name @ https://x/y.whl"),
            ("name[a]@git+ssh://x/y", "", "name[a]@git+ssh://x/y"),
            ("HTTPS://x/y.whl", "", "HTTPS://x/y.whl"),
            ("-e git+https://x/y#egg=z", "", "git+https://x/y#egg=z"),
            ("-r https://x/r.txt", "", "https://x/r.txt"),
        ] {
            assert_eq!(options(line), [(option.to_owned(), value.to_owned())], "{line}");
        }
    }

    #[test]
    fn what_is_here_names_no_source() {
        for line in [
            "six==1",
            "./lib",
            "-e .",
            "name @ file:///src/name",
            "a ; sys_platform == 'x'",
            "--pre",
            "-r more.txt",
            "a --hash=sha256:0",
        ] {
            assert_eq!(options(line), [], "{line}");
        }
    }
}
