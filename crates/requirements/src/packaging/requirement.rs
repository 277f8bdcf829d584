//! Parses one requirement (PEP 508): `name[extra]>=1,<2 ; marker` or `name @ URL`. Old forms in parentheses are parsed as well, because
//! metadata of installed packages contains them.

use super::marker::{self, Marker, MarkerEnvironment};
use super::name::{self, Name, is_separator};
use super::specifier::Specifiers;

/// A requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The name of the project.
    pub name: Name,
    /// The extras that are requested.
    pub extras: Vec<Name>,
    /// The source of the project.
    pub source: ProjectSource,
    /// The condition under which it counts; `None` means always.
    pub marker: Option<Marker>,
}

/// The source of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProjectSource {
    /// An index, with any version that satisfies these specifiers.
    Versions(Specifiers),
    /// Exactly this URL.
    Url(String),
}

impl Requirement {
    /// Parses a requirement without options; `None` if it is not understood.
    pub fn parse(text: &str) -> Option<Self> {
        let parts = RequirementParts::cut(text)?;
        let marker = parts.marker.map(Marker::parse).map_or(Some(None), |marker| marker.map(Some))?;
        Some(Requirement { marker, ..parts.requirement()? })
    }
}

/// A requirement that is split into its parts and not parsed further. Most requirements of packages are for extras that are not requested,
/// so the marker is evaluated first.
#[derive(Clone, Copy, Debug)]
pub struct RequirementParts<'a> {
    name: &'a str,
    /// The text within the brackets; `None` if there are no brackets.
    extras: Option<&'a str>,
    origin: SourceOrigin<'a>,
    marker: Option<&'a str>,
}

#[derive(Clone, Copy, Debug)]
enum SourceOrigin<'a> {
    Versions(&'a str),
    Url(&'a str),
}

impl<'a> RequirementParts<'a> {
    /// Splits a text; `None` if it cannot be a requirement.
    pub fn cut(text: &'a str) -> Option<Self> {
        let text = text.trim_ascii();
        let end = text.bytes().position(|byte| !byte.is_ascii_alphanumeric() && !is_separator(byte));
        let (name, rest) = text.split_at_checked(end.unwrap_or(text.len()))?;
        let (extras, rest) = extras(rest.trim_ascii_start())?;
        if let Some(url) = rest.strip_prefix('@') {
            let (url, marker) = url_and_marker(url.trim_ascii())?;
            return Some(RequirementParts { name, extras, origin: SourceOrigin::Url(url), marker });
        }
        let (versions, marker) = rest.split_once(';').map_or((rest, None), |(versions, rest)| (versions, Some(rest)));
        let origin = SourceOrigin::Versions(without_parentheses(versions.trim_ascii())?);
        Some(RequirementParts { name, extras, origin, marker })
    }

    /// Returns the name as written.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Checks whether the requirement counts for this interpreter and one extra (empty: no extra); `None` if that is unknown.
    pub fn counts(&self, environment: &MarkerEnvironment, extra: &str) -> Option<bool> {
        self.marker.map_or(Some(true), |marker| marker::answer(marker, environment, extra)?)
    }

    /// Checks whether everything but the marker is understood.
    pub fn is_understood(&self) -> bool {
        let is_source = match self.origin {
            SourceOrigin::Versions(versions) => Specifiers::are_understood(versions),
            SourceOrigin::Url(_) => true,
        };
        is_source && name::is_name(self.name) && self.extras().all(name::is_name)
    }

    /// Parses the requirement without its marker; `None` if it is not understood.
    pub fn requirement(&self) -> Option<Requirement> {
        let source = match self.origin {
            SourceOrigin::Versions(versions) => ProjectSource::Versions(Specifiers::parse(versions)?),
            SourceOrigin::Url(url) => ProjectSource::Url(url.to_owned()),
        };
        let extras = self.extras().map(Name::parse).collect::<Option<_>>()?;
        Some(Requirement { name: Name::parse(self.name)?, extras, source, marker: None })
    }

    fn extras(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let inner = self.extras.filter(|inner| !inner.trim_ascii().is_empty());
        inner.into_iter().flat_map(|inner| inner.split(',')).map(str::trim_ascii)
    }
}

/// Splits off the text within the brackets of extras; returns it and the rest.
fn extras(text: &str) -> Option<(Option<&str>, &str)> {
    let Some(inner) = text.strip_prefix('[') else { return Some((None, text)) };
    let (inner, rest) = inner.split_once(']')?;
    Some((Some(inner), rest.trim_ascii_start()))
}

/// Splits a URL from its marker. A URL may contain a semicolon, so only one after a blank begins a marker.
fn url_and_marker(text: &str) -> Option<(&str, Option<&str>)> {
    let (url, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    let (scheme, _) = url.split_once("://")?;
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte);
    if url.ends_with(';') || scheme.is_empty() || !scheme.bytes().all(is_scheme) {
        return None;
    }
    let rest = rest.trim_ascii_start();
    match rest.strip_prefix(';') {
        Some(marker) => Some((url, Some(marker))),
        None => rest.is_empty().then_some((url, None)),
    }
}

fn without_parentheses(text: &str) -> Option<&str> {
    match text.strip_prefix('(') {
        Some(inner) => inner.strip_suffix(')'),
        None => Some(text),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Version;
    use super::*;
    use proptest::prelude::*;

    fn names(text: &str) -> (String, Vec<String>) {
        let found = Requirement::parse(text).unwrap_or_else(|| panic!("{text} is understood"));
        (found.name.to_string(), found.extras.iter().map(Name::to_string).collect())
    }

    #[test]
    fn every_part_is_found() {
        assert_eq!(names("Torch"), ("torch".into(), vec![]));
        assert_eq!(names("ray [default, Tune_X]>=2"), ("ray".into(), vec!["default".into(), "tune-x".into()]));
        assert_eq!(names("a.b_c[]==1.*;os_name=='posix'"), ("a-b-c".into(), vec![]));
        let found = Requirement::parse("requests (>=2.0,<3) ; extra == 'http'").unwrap();
        assert!(found.marker.is_some());
        let ProjectSource::Versions(versions) = found.source else { panic!("versions") };
        assert!(
            ["2.31", "3"].map(|text| versions.contains(&Version::parse(text).unwrap())) == [Some(true), Some(false)]
        );
    }

    #[test]
    fn a_url_goes_to_the_next_blank() {
        let of = |text: &str| Requirement::parse(text).map(|found| (found.source, found.marker.is_some()));
        let url = |text: &str| ProjectSource::Url(text.to_owned());
        assert_eq!(of("a@https://h/a.zip;x#sha256=1"), Some((url("https://h/a.zip;x#sha256=1"), false)));
        assert_eq!(of("a [b] @ git+ssh://h/a@main ; os_name == 'nt'"), Some((url("git+ssh://h/a@main"), true)));
        assert_eq!((of("a @ https://h/a.zip; os_name == 'nt'"), of("a @ "), of("a @ h b")), (None, None, None));
    }

    #[test]
    fn what_is_not_understood_is_none() {
        let odd = [
            "",
            "torch=",
            "torch=1",
            "torch 1.0",
            "torch (1.0)",
            "-torch",
            "./lib",
            "https://h/a.whl",
            "a[b",
            "a[b,]",
            "a; x",
            "a (>=1",
            "a>=1 --hash=sha256:0",
        ];
        assert!(odd.iter().all(|text| Requirement::parse(text).is_none_or(|found| panic!("{text}: {found:?}"))));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "((a|\\[|\\]|,|==|1.0|;|@|\\(|\\)|extra|'b'| |é){0,12})|.{0,40}") {
            let _ = Requirement::parse(&text);
        }
    }
}
