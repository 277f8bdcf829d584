//! Parses, orders and normalizes versions (PEP 440).

use super::name::is_separator;
use super::release::Release;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

/// A version. Two spellings of one version are equal: `1.0` and `v1.0.0`.
#[derive(Clone, Debug)]
pub struct Version {
    epoch: u64,
    release: Release,
    pre: Option<(PreRelease, u64)>,
    post: Option<u64>,
    dev: Option<u64>,
    local: Vec<Segment>,
}

/// The kind of a pre-release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum PreRelease {
    Alpha,
    Beta,
    Candidate,
}

/// A part of a local version: a number is greater than any word.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Word(String),
    Number(u64),
}

/// The spellings of each kind of pre-release; a word stands before its own beginnings.
const PRE: [(&str, PreRelease); 8] = [
    ("alpha", PreRelease::Alpha),
    ("a", PreRelease::Alpha),
    ("beta", PreRelease::Beta),
    ("b", PreRelease::Beta),
    ("preview", PreRelease::Candidate),
    ("pre", PreRelease::Candidate),
    ("c", PreRelease::Candidate),
    ("rc", PreRelease::Candidate),
];
const POST: [(&str, ()); 3] = [("post", ()), ("rev", ()), ("r", ())];
const DEV: [(&str, ()); 1] = [("dev", ())];

impl Version {
    /// Parses a version; `None` if it is invalid or has a number that is too large.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_ascii();
        let is_small = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        let text = if is_small { Cow::Borrowed(text) } else { Cow::Owned(text.to_ascii_lowercase()) };
        let mut rest = VersionReader(text.strip_prefix('v').unwrap_or(&text));
        let epoch = rest.epoch()?;
        let release = rest.release()?;
        let pre = rest.tagged(&PRE)?;
        let post = match rest.implicit_post()? {
            Some(number) => Some(number),
            None => rest.tagged(&POST)?.map(|(_, number)| number),
        };
        let dev = rest.tagged(&DEV)?.map(|(_, number)| number);
        let local = rest.local()?;
        rest.0.is_empty().then_some(Version { epoch, release, pre, post, dev, local })
    }

    /// Checks for an alpha, beta, candidate or development release, which a final release follows.
    pub fn is_prerelease(&self) -> bool {
        self.pre.is_some() || self.dev.is_some()
    }

    /// Checks for a post-release.
    pub fn is_postrelease(&self) -> bool {
        self.post.is_some()
    }

    /// Checks for a local version (`+cu124`).
    pub fn is_local(&self) -> bool {
        !self.local.is_empty()
    }

    /// Returns the numbers of the release.
    pub fn release(&self) -> &[u64] {
        self.release.numbers()
    }

    /// Compares this version, without its local part, with another one.
    pub(super) fn public_cmp(&self, other: &Self) -> Ordering {
        self.key(&[]).cmp(&other.key(&other.local))
    }

    /// Returns the bare release, without the marks of pre-releases, post-releases and local builds.
    pub fn base(&self) -> Self {
        let (epoch, release) = (self.epoch, self.release);
        Version { epoch, release, pre: None, post: None, dev: None, local: Vec::new() }
    }

    /// Checks whether the release begins with all numbers of the other: `1.2.3` with `1.2`. Missing numbers are zeros.
    pub(super) fn begins_with(&self, other: &Self) -> bool {
        let own = self.release().iter().chain(std::iter::repeat(&0));
        self.epoch == other.epoch && other.release().iter().zip(own).all(|(theirs, own)| theirs == own)
    }

    /// Returns the release without its last number, for `~=`.
    pub(super) fn series(&self) -> Option<Self> {
        let mut base = self.base();
        base.release = base.release.without_last()?;
        Some(base)
    }

    /// Returns the sort key. A development release comes before the alphas of its release, and those come before the release. A version
    /// without a development mark is greater than one with a mark.
    fn key<'a>(&'a self, local: &'a [Segment]) -> impl Ord + use<'a> {
        let pre = match (self.pre, self.post, self.dev) {
            (None, None, Some(_)) => (0, None),
            (Some(pre), ..) => (1, Some(pre)),
            (None, ..) => (2, None),
        };
        (self.epoch, self.release.significant(), pre, self.post, (self.dev.is_none(), self.dev), local)
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key(&self.local).cmp(&other.key(&other.local))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

impl fmt::Display for Version {
    /// Writes the normal form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.epoch != 0 {
            write!(f, "{}!", self.epoch)?;
        }
        let release: Vec<String> = self.release().iter().map(u64::to_string).collect();
        f.write_str(&release.join("."))?;
        if let Some((kind, number)) = self.pre {
            let word = match kind {
                PreRelease::Alpha => "a",
                PreRelease::Beta => "b",
                PreRelease::Candidate => "rc",
            };
            write!(f, "{word}{number}")?;
        }
        self.post.map_or(Ok(()), |number| write!(f, ".post{number}"))?;
        self.dev.map_or(Ok(()), |number| write!(f, ".dev{number}"))?;
        for (at, segment) in self.local.iter().enumerate() {
            f.write_str(if at == 0 { "+" } else { "." })?;
            match segment {
                Segment::Word(word) => f.write_str(word)?,
                Segment::Number(number) => write!(f, "{number}")?,
            }
        }
        Ok(())
    }
}

/// The rest of a text in lower case. Each step returns `None` if the text cannot be a version any more.
struct VersionReader<'a>(&'a str);

impl<'a> VersionReader<'a> {
    /// Reads the next digits, perhaps none.
    fn digits(&mut self) -> &'a str {
        let end = self.0.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(self.0.len());
        let (digits, rest) = self.0.split_at_checked(end).unwrap_or_default();
        self.0 = rest;
        digits
    }

    fn separator(&mut self) {
        self.0 = self.0.strip_prefix(['-', '_', '.']).unwrap_or(self.0);
    }

    fn epoch(&mut self) -> Option<u64> {
        let before = self.0;
        let digits = self.digits();
        match self.0.strip_prefix('!') {
            Some(rest) => {
                self.0 = rest;
                digits.parse().ok()
            }
            None => {
                self.0 = before;
                Some(0)
            }
        }
    }

    fn release(&mut self) -> Option<Release> {
        let mut release = Release::default();
        release.push(self.digits().parse().ok()?)?;
        while let Some(rest) = self.0.strip_prefix('.').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
            self.0 = rest;
            release.push(self.digits().parse().ok()?)?;
        }
        Some(release)
    }

    /// Reads one of these words with a number, each after an optional separator; without a number it is 0.
    fn tagged<T: Copy>(&mut self, words: &[(&str, T)]) -> Option<Option<(T, u64)>> {
        let before = self.0;
        self.separator();
        let found = words.iter().find_map(|(word, kind)| Some((self.0.strip_prefix(word)?, *kind)));
        let Some((rest, kind)) = found else {
            self.0 = before;
            return Some(None);
        };
        self.0 = rest;
        self.separator();
        let digits = self.digits();
        let number = if digits.is_empty() { 0 } else { digits.parse().ok()? };
        Some(Some((kind, number)))
    }

    /// Reads the implicit post-release of `1.0-1`, which is `1.0.post1`.
    fn implicit_post(&mut self) -> Option<Option<u64>> {
        match self.0.strip_prefix('-').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
            Some(rest) => {
                self.0 = rest;
                self.digits().parse().ok().map(Some)
            }
            None => Some(None),
        }
    }

    fn local(&mut self) -> Option<Vec<Segment>> {
        let Some(local) = self.0.strip_prefix('+') else { return Some(Vec::new()) };
        self.0 = "";
        let parts = local.split(|c: char| c.is_ascii() && is_separator(c as u8));
        parts.map(segment).collect()
    }
}

fn segment(part: &str) -> Option<Segment> {
    if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    match part.bytes().all(|byte| byte.is_ascii_digit()) {
        true => part.parse().ok().map(Segment::Number),
        false => Some(Segment::Word(part.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap_or_else(|| panic!("{text} is a version"))
    }

    #[test]
    fn versions_stand_in_the_order_of_the_specification() {
        let ordered = [
            "1.0.dev456",
            "1.0a1",
            "1.0a2.dev456",
            "1.0a12.dev456",
            "1.0a12",
            "1.0b1.dev456",
            "1.0b2",
            "1.0b2.post345.dev456",
            "1.0b2.post345",
            "1.0rc1.dev456",
            "1.0rc1",
            "1.0",
            "1.0+abc.5",
            "1.0+abc.7",
            "1.0+5",
            "1.0.post456.dev34",
            "1.0.post456",
            "1.1.dev1",
            "2",
            "1!0.1",
        ];
        for (at, lower) in ordered.iter().enumerate() {
            ordered
                .iter()
                .skip(at + 1)
                .for_each(|higher| assert!(version(lower) < version(higher), "{lower} {higher}"));
        }
    }

    #[test]
    fn every_spelling_has_one_normal_form() {
        let cases = [
            (" V1.0-ALPHA.1 ", "1.0a1"),
            ("1.0c2", "1.0rc2"),
            ("1.0preview", "1.0rc0"),
            ("1.0-3", "1.0.post3"),
            ("1.0.rev4", "1.0.post4"),
            ("1.0DEV", "1.0.dev0"),
            ("2!01.00", "2!1.0"),
            ("1.0a-", "1.0a0"),
            ("1+CU_12-4", "1+cu.12.4"),
            ("2.6.0a0+ecf3bae40a.nv25.01", "2.6.0a0+ecf3bae40a.nv25.1"),
        ];
        for (written, normal) in cases {
            assert_eq!(version(written).to_string(), normal, "{written}");
        }
        assert_eq!(version("1"), version("1.0.0"));
        assert_ne!(version("1+a"), version("1"));
    }

    #[test]
    fn what_is_no_version_is_none() {
        for text in
            ["", "v", "1.", "1..0", "1.0+", "1.0+a..b", "a1", "1.0-", "1.0x", "1 .0", "99999999999999999999", "1.é"]
        {
            assert!(Version::parse(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_normal_form_means_the_same(text in "v?([0-9]!)?[0-9]{1,2}([.][0-9]){0,2}([-_.]?(a|beta|rc|pre)[-_.]?[0-9]?)?(-[0-9]|[.]?post[0-9]?)?([.]?dev[0-9]?)?([+][a-z0-9]{1,3}([.-][0-9]{1,2})?)?") {
            let read = version(&text);
            prop_assert_eq!(&version(&read.to_string()), &read);
            prop_assert_eq!(version(&read.to_string()).to_string(), read.to_string());
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "[0-9a-c!.+v é_-]{0,20}|.{0,20}") {
            let _ = Version::parse(&text);
        }
    }
}
