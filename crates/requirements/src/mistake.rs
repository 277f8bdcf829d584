//! Recognizes lines of a requirement file that no installer understands, and tells what was probably meant. Pure. A line that an
//! installer might accept is none of its business: it looks only at lines that are no requirement by PEP 508.

use crate::file::local_path;
use crate::packaging::{Name, Requirement, Version};

/// A line that no installer understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// What is wrong, as a part of a sentence.
    pub because: String,
    /// The advice.
    pub advice: String,
}

impl Mistake {
    fn new(because: impl Into<String>, advice: impl Into<String>) -> Self {
        Mistake { because: because.into(), advice: advice.into() }
    }

    /// Makes a mistake whose advice is another line.
    fn meant(because: impl Into<String>, line: &str) -> Self {
        Mistake::new(because, format!("write {line}"))
    }
}

/// Returns the mistake in a line without comments, options of a requirement and variables; `None` if there is none, or no known one.
pub fn of_line(text: &str) -> Option<Mistake> {
    let text = text.trim();
    if let Some(found) = foreign(text) {
        return Some(found);
    }
    let is_option = text.starts_with('-');
    if is_option || local_path(text).is_some() || Requirement::parse(text).is_some() || text.contains("://") {
        return repository(text);
    }
    let (requirement, marker) = text.split_once(';').map_or((text, ""), |(before, after)| (before.trim_end(), after));
    if Requirement::parse(requirement).is_some() {
        return None; // the marker is the trouble, and an installer may know it
    }
    let marker = if marker.is_empty() { String::new() } else { format!(";{marker}") };
    let rules = [quoted, conda, several, assigned, compared, spaced, unversioned];
    let found = rules.iter().find_map(|rule| rule(requirement))?;
    Some(match found {
        Correction::Line(because, line) => Mistake::meant(because, &format!("{line}{marker}")),
        Correction::Advice(because, advice) => Mistake::new(because, advice),
    })
}

/// A correction of one rule.
enum Correction {
    /// The reason, and the line that was probably meant.
    Line(String, String),
    /// The reason, and an advice in words.
    Advice(String, String),
}

/// The conda lists that people keep under the name requirements.txt.
const CONDA: &str = "in that environment write one for pip: pip list --format=freeze >requirements.txt";

/// Beginnings of lines that belong to no requirement file at all, with the reason and the advice.
const FOREIGN: [(&[&str], &str, &str); 6] = [
    (
        &["<<<<<<<", "=======", ">>>>>>>", "|||||||"],
        "it is the mark of a merge that was not finished",
        "keep one of the two sides, and remove the marks",
    ),
    (
        &["<!doctype", "<html", "<head", "<?xml"],
        "it is a web page",
        "download the raw file, not the page that shows it",
    ),
    (
        &["version https://git-lfs.github.com/spec/"],
        "it is a pointer of git LFS, not the file",
        "git lfs pull, where the code is checked out",
    ),
    (
        &[
            "pip install ",
            "pip3 install ",
            "!pip ",
            "%pip ",
            "python -m pip ",
            "python3 -m pip ",
            "uv pip ",
            "uv add ",
            "$ ",
        ],
        "it is a command, not a requirement",
        "write only the names and versions, one in each line",
    ),
    (&["conda install ", "conda create ", "mamba install "], "it is a command of conda", CONDA),
    (
        &["- "],
        "it is an item of a YAML list",
        "write it without the dash; conda's environment.yml is no requirements.txt",
    ),
];

fn foreign(text: &str) -> Option<Mistake> {
    let begins = |mark: &&str| text.get(..mark.len()).is_some_and(|start| start.eq_ignore_ascii_case(mark));
    let (_, because, advice) = FOREIGN.iter().find(|(marks, _, _)| marks.iter().any(begins))?;
    Some(Mistake::new(*because, *advice))
}

/// Recognizes the address of a repository's page, which is no archive.
fn repository(text: &str) -> Option<Mistake> {
    let path = ["https://github.com/", "https://gitlab.com/"].iter().find_map(|host| text.strip_prefix(host))?;
    let is_repository = path.split(['@', '#', ' ']).next()?.trim_end_matches('/').split('/').count() == 2;
    is_repository.then(|| Mistake::meant("it is the page of a repository, not an archive", &format!("git+{text}")))
}

/// `"torch==2.0",` from a setup.py, a pyproject.toml or JSON.
fn quoted(text: &str) -> Option<Correction> {
    let bare = text.trim_end_matches(',').trim_matches(['"', '\'']);
    let line = meant(bare)?;
    text.starts_with(['"', '\''])
        .then(|| Correction::Line("quotes and a comma at the end belong to another kind of file".into(), line))
}

/// `numpy=1.26.4=py311_0`: a line of `conda list --export`.
fn conda(text: &str) -> Option<Correction> {
    let mut parts = text.split('=');
    let (name, version, build) = (parts.next()?, parts.next()?, parts.next()?);
    let is_export = parts.next().is_none() && !build.is_empty() && Version::parse(version).is_some();
    (is_export && is_word(name)).then(|| Correction::Advice("it is a line of conda list --export".into(), CONDA.into()))
}

/// `torch, numpy` or `torch numpy`.
fn several(text: &str) -> Option<Correction> {
    let words: Vec<&str> = text.split([',', ' ', '\t']).filter(|word| !word.is_empty()).collect();
    let is_requirement =
        |word: &&str| word.starts_with(|c: char| c.is_ascii_alphabetic()) && Requirement::parse(word).is_some();
    let are_all = words.len() > 1 && words.iter().all(is_requirement) && words != ["Package", "Version"];
    are_all.then(|| {
        Correction::Advice(
            format!("it names {} requirements", words.len()),
            "write each of them in a line of its own".into(),
        )
    })
}

/// `torch=2.0`, `torch = "^2.0"`, `torch: 2.0`.
fn assigned(text: &str) -> Option<Correction> {
    let (name, version) = text.split_once(['=', ':'])?;
    let version = version.trim().trim_matches(['"', '\'']);
    let sign = &text.get(name.len()..=name.len())?;
    let line = format!("{}{}", name.trim(), specifier(version)?);
    Some(Correction::Line(format!("{sign} compares nothing"), meant(&line)?))
}

/// `torch=>2.0`, `torch<>2.0`, `torch~2.0`, `torch^2.0`: signs of other languages, or in the wrong order.
fn compared(text: &str) -> Option<Correction> {
    const SIGNS: [(&str, &str); 9] = [
        ("=>", ">="),
        ("=<", "<="),
        ("=!", "!="),
        ("=~", "~="),
        ("<>", "!="),
        ("> =", ">="),
        ("< =", "<="),
        ("= =", "=="),
        ("~ =", "~="),
    ];
    let swapped = || {
        let wrong = SIGNS.iter().filter(|(wrong, _)| text.contains(wrong));
        wrong.into_iter().find_map(|(wrong, right)| Some((*wrong, meant(&text.replace(wrong, right))?)))
    };
    let other = || {
        let at = text.find(['^', '~'])?;
        let (name, version) = text.split_at_checked(at)?;
        let sign = version.get(..1)?;
        let line = format!("{}{}", name.trim(), specifier(version)?);
        Some((sign, meant(&line)?))
    };
    let (sign, line) = swapped().or_else(other)?;
    Some(Correction::Line(format!("{sign} is no comparison that pip knows"), line))
}

/// `torch 2.0`: a line of `pip list`, with its head.
fn spaced(text: &str) -> Option<Correction> {
    const LIST: &str = "it is a line of pip list";
    let mut words = text.split_whitespace();
    let (name, version) = (words.next()?, words.next()?);
    if (name, version) == ("Package", "Version") {
        return Some(Correction::Advice(LIST.into(), "pip list --format=freeze writes a requirements.txt".into()));
    }
    let line = meant(&format!("{name}=={version}")).filter(|_| words.next().is_none())?;
    Some(Correction::Line("between a name and its version == is missing".into(), line))
}

/// `torch==`: a comparison with nothing.
fn unversioned(text: &str) -> Option<Correction> {
    let name = text.trim_end_matches(['=', '<', '>', '!', '~', ' ']);
    let is_open = name != text && Requirement::parse(name).is_some();
    is_open.then(|| {
        Correction::Advice(
            "no version stands behind the comparison".into(),
            format!("write {name}, or a version behind it"),
        )
    })
}

/// Returns the specifier for a version of another language: `^2.0` and `~2.0` of Poetry and npm, `2.0`.
fn specifier(version: &str) -> Option<String> {
    let (sign, version) = version.split_at_checked(version.find(|c: char| !"^~".contains(c))?)?;
    let version = version.trim();
    Version::parse(version.strip_suffix(".*").unwrap_or(version))?;
    let major = || version.split('.').next()?.parse::<u64>().ok();
    Some(match sign {
        "^" if major()? > 0 => format!(">={version},<{}", major()? + 1),
        "^" => format!(">={version}"),
        "~" => format!("~={version}"),
        _ => format!("=={version}"),
    })
}

/// Returns a line if it is a requirement.
fn meant(line: &str) -> Option<String> {
    Requirement::parse(line).is_some().then(|| line.to_owned())
}

fn is_word(name: &str) -> bool {
    Name::parse(name.trim_start_matches('_')).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice(line: &str) -> String {
        of_line(line).map(|found| found.advice).unwrap_or_default()
    }

    #[test]
    fn what_was_meant_is_told() {
        for (line, meant) in [
            ("plain=1.0", "write plain==1.0"),
            ("plain = 1.0 ; python_version > '3'", "write plain==1.0; python_version > '3'"),
            ("torch=>2.0", "write torch>=2.0"),
            ("torch =< 2.0", "write torch <= 2.0"),
            ("torch<>2.0", "write torch!=2.0"),
            ("torch~2.0", "write torch~=2.0"),
            ("torch^2.1", "write torch>=2.1,<3"),
            ("torch = \"^2.1\"", "write torch>=2.1,<3"),
            ("torch: 2.0", "write torch==2.0"),
            ("torch 2.0.1", "write torch==2.0.1"),
            ("\"torch==2.0\",", "write torch==2.0"),
            ("'torch'", "write torch"),
            ("torch==", "write torch, or"),
            ("torch[cuda]=2.0", "write torch[cuda]==2.0"),
            ("https://github.com/me/mine", "write git+https://github.com/me/mine"),
            ("https://github.com/me/mine.git@main", "write git+https://"),
        ] {
            assert!(advice(line).starts_with(meant), "{line}: {:?}", of_line(line));
        }
    }

    #[test]
    fn text_of_another_kind_of_file_is_named() {
        for (line, because) in [
            ("<<<<<<< HEAD", "merge"),
            ("=======", "merge"),
            (">>>>>>> origin/main", "merge"),
            ("numpy=1.26.4=py311h64a7726_0", "conda"),
            ("_libgcc_mutex=0.1=main", "conda"),
            ("<!DOCTYPE html>", "web page"),
            ("version https://git-lfs.github.com/spec/v1", "LFS"),
            ("pip install torch", "command"),
            ("- torch=2.0", "YAML"),
            ("Package    Version", "pip list"),
            ("torch, numpy", "2 requirements"),
            ("torch numpy scipy", "3 requirements"),
        ] {
            let found = of_line(line).unwrap_or_else(|| Mistake::new("", ""));
            assert!(found.because.contains(because), "{line}: {found:?}");
        }
    }

    #[test]
    fn a_line_that_an_installer_may_accept_is_left_alone() {
        for line in [
            "torch",
            "torch (>=2.0)",
            "torch >= 2.0, < 3",
            "torch==2.*",
            "torch===2.0-local.build",
            "torch[a,b]>=1 ; python_version < '3.9'",
            "name @ file:///croot/name_1/work",
            "./lib",
            "wheels/a-1.0-py3-none-any.whl",
            "git+https://github.com/me/mine",
            "https://github.com/me/mine/archive/main.zip",
            "https://github.com/me/mine/releases/download/v1/a-1.0-py3-none-any.whl",
            "-r more.txt",
            "--extra-index-url https://host/simple",
            "-e .",
            "torch>=1.0,",
            "torch ; unknown == 'x'",
            "{{ cookiecutter }}",
            "",
        ] {
            assert_eq!(of_line(line), None, "{line}");
        }
    }
}
