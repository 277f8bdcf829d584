//! One requirement (PEP 508): `name[extra]>=1,<2 ; marker` or `name @ URL`. Old forms in parentheses are read as well: metadata of
//! installed packages has them.

use super::marker::Marker;
use super::name::{Name, is_separator};
use super::specifier::Specifiers;

/// A requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The project.
    pub name: Name,
    /// Optional parts of it that are asked for.
    pub extras: Vec<Name>,
    /// Where it comes from.
    pub source: Source,
    /// When it counts; none is always.
    pub marker: Option<Marker>,
}

/// Where a project comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// From wherever there is a version that will do.
    Versions(Specifiers),
    /// From exactly there.
    Url(String),
}

impl Requirement {
    /// Reads a requirement without options; none if it is not understood.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let end = text.bytes().position(|byte| !byte.is_ascii_alphanumeric() && !is_separator(byte));
        let (name, rest) = text.split_at_checked(end.unwrap_or(text.len()))?;
        let (name, (extras, rest)) = (Name::parse(name)?, extras(rest.trim_start())?);
        if let Some(url) = rest.strip_prefix('@') {
            let (url, marker) = url_and_marker(url.trim())?;
            return Some(Requirement { name, extras, source: Source::Url(url), marker });
        }
        let (versions, marker) =
            rest.split_once(';').map_or((rest, None), |(versions, marker)| (versions, Some(marker)));
        let source = Source::Versions(Specifiers::parse(without_parentheses(versions.trim())?)?);
        let marker = marker.map(Marker::parse).map_or(Some(None), |marker| marker.map(Some))?;
        Some(Requirement { name, extras, source, marker })
    }
}

/// The extras, and what follows them.
fn extras(text: &str) -> Option<(Vec<Name>, &str)> {
    let Some(inner) = text.strip_prefix('[') else { return Some((Vec::new(), text)) };
    let (inner, rest) = inner.split_once(']')?;
    let names: Option<Vec<_>> = match inner.trim().is_empty() {
        true => Some(Vec::new()),
        false => inner.split(',').map(|name| Name::parse(name.trim())).collect(),
    };
    Some((names?, rest.trim_start()))
}

/// A URL may have a semicolon in it, so only one behind a blank begins a marker.
fn url_and_marker(text: &str) -> Option<(String, Option<Marker>)> {
    let (url, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let (scheme, _) = url.split_once("://")?;
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte);
    if url.ends_with(';') || scheme.is_empty() || !scheme.bytes().all(is_scheme) {
        return None;
    }
    let rest = rest.trim_start();
    match rest.strip_prefix(';') {
        Some(marker) => Some((url.to_owned(), Some(Marker::parse(marker)?))),
        None => rest.is_empty().then(|| (url.to_owned(), None)),
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
        let Source::Versions(versions) = found.source else { panic!("versions") };
        assert!(
            ["2.31", "3"].map(|text| versions.contains(&Version::parse(text).unwrap())) == [Some(true), Some(false)]
        );
    }

    #[test]
    fn a_url_goes_to_the_next_blank() {
        let of = |text: &str| Requirement::parse(text).map(|found| (found.source, found.marker.is_some()));
        let url = |text: &str| Source::Url(text.to_owned());
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
