//! Compares versions with specifiers (PEP 440): `>=1.2,<2`. Pre-releases count like other versions, as they do for installed packages.

use super::version::Version;

/// Conditions that all have to hold; an empty list always holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Specifiers(Vec<Specifier>);

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Specifier {
    operator: Operator,
    version: Version,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Compatible,
    Equal,
    NotEqual,
    Begins,
    BeginsNot,
    AtMost,
    AtLeast,
    Less,
    More,
}

/// The operators, longer ones first. `===` compares text and not versions, so it is left to installers.
const OPERATORS: [(&str, Operator); 7] = [
    ("~=", Operator::Compatible),
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<=", Operator::AtMost),
    (">=", Operator::AtLeast),
    ("<", Operator::Less),
    (">", Operator::More),
];

impl Specifiers {
    /// Parses conditions that are joined by commas; `None` if one of them is not understood.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_ascii();
        match text.is_empty() {
            true => Some(Specifiers::default()),
            false => text.split(',').map(Specifier::parse).collect::<Option<_>>().map(Specifiers),
        }
    }

    /// Checks whether `parse` would understand a text.
    pub(super) fn are_understood(text: &str) -> bool {
        let text = text.trim_ascii();
        text.is_empty() || text.split(',').all(|one| Specifier::parse(one).is_some())
    }

    /// Checks whether a version satisfies all conditions; `None` where installers of different ages disagree.
    pub fn contains(&self, version: &Version) -> Option<bool> {
        let mut known = Some(true);
        for specifier in &self.0 {
            match specifier.contains(version) {
                Some(true) => {}
                Some(false) => return Some(false),
                None => known = None,
            }
        }
        known
    }

    /// Checks whether any version satisfies the list.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Makes a condition from an operator and a version; `None` if it is not understood.
pub(super) fn one(sign: &str, version: &str) -> Option<Specifier> {
    let (_, operator) = OPERATORS.iter().find(|(known, _)| *known == sign)?;
    Specifier::of(*operator, version.trim_ascii())
}

impl Specifier {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim_ascii();
        let (operator, rest) =
            OPERATORS.iter().find_map(|(sign, operator)| Some((*operator, text.strip_prefix(sign)?)))?;
        Specifier::of(operator, rest.trim_ascii_start())
    }

    fn of(operator: Operator, rest: &str) -> Option<Self> {
        if let Some(begin) = rest.strip_suffix(".*") {
            let version = Version::parse(begin).filter(|_| begin.ends_with(|c: char| c.is_ascii_digit()))?;
            let operator = operator.with_wildcard()?;
            let is_bare = !version.is_prerelease() && !version.is_postrelease() && !version.is_local();
            return is_bare.then_some(Specifier { operator, version });
        }
        let version = Version::parse(rest)?;
        operator.takes(&version, rest).then_some(Specifier { operator, version })
    }

    pub(super) fn contains(&self, version: &Version) -> Option<bool> {
        let own = &self.version;
        Some(match self.operator {
            Operator::Compatible => {
                version.public_cmp(own).is_ge() && own.series().is_some_and(|series| version.begins_with(&series))
            }
            Operator::Equal => is_same(version, own),
            Operator::NotEqual => !is_same(version, own),
            Operator::Begins => version.begins_with(own),
            Operator::BeginsNot => !version.begins_with(own),
            Operator::AtMost => version.public_cmp(own).is_le(),
            Operator::AtLeast => version.public_cmp(own).is_ge(),
            // `<2` excludes 2.0rc1, unless the specifier itself names a pre-release.
            Operator::Less => version < own && self.beyond(version, version.is_prerelease() && !own.is_prerelease())?,
            // `>2` excludes both 2.0.post1 and 2.0+cu124.
            Operator::More => {
                let mended = version.is_postrelease() && !own.is_postrelease();
                version > own && self.beyond(version, mended || version.is_local())?
            }
        })
    }

    /// Checks whether a version is beyond this one, and not a `part` of the same release. If this one is a pre-release or post-release,
    /// installers of different ages disagree about such parts, so the answer is `None`.
    fn beyond(&self, version: &Version, part: bool) -> Option<bool> {
        let own = &self.version;
        match part && version.base() == own.base() {
            true => (!own.is_prerelease() && !own.is_postrelease()).then_some(false),
            false => Some(true),
        }
    }
}

/// Checks whether two versions are the same. A local build of a version equals that version, unless a local build is required.
fn is_same(version: &Version, wanted: &Version) -> bool {
    match wanted.is_local() {
        true => version == wanted,
        false => version.public_cmp(wanted).is_eq(),
    }
}

impl Operator {
    fn with_wildcard(self) -> Option<Self> {
        match self {
            Operator::Equal => Some(Operator::Begins),
            Operator::NotEqual => Some(Operator::BeginsNot),
            _ => None,
        }
    }

    /// Checks whether the operator accepts a version. `~=` interprets a version in other than the normal form in its own way.
    fn takes(self, version: &Version, written: &str) -> bool {
        match self {
            Operator::Equal | Operator::NotEqual => true,
            Operator::Compatible => {
                !version.is_local() && version.release().len() > 1 && version.to_string() == written
            }
            _ => !version.is_local(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn holds(specifiers: &str, version: &str) -> Option<bool> {
        let specifiers = Specifiers::parse(specifiers).unwrap_or_else(|| panic!("{specifiers} is understood"));
        specifiers.contains(&Version::parse(version).unwrap())
    }

    #[test]
    fn conditions_hold_as_the_specification_says() {
        let yes = [
            ("", "1.0a1"),
            (">=1,<2", "1.5"),
            ("==2.6.0", "2.6.0+cu124"),
            ("==2.6.0+cu124", "2.6.0+cu124"),
            ("~=1.4.2", "1.4.9"),
            ("~=2.2.post3", "2.9"),
            ("==1.*", "1.0a1"),
            ("==1.1.0.*", "1.1"),
            ("!=1.*", "2"),
            (">1.7", "1.7.1"),
            ("<2", "1.9.post1"),
            ("<2rc1", "2b1"),
            (">2.post1", "2.post2"),
            (">= 1.0 , < 3", "2"),
        ];
        let no = [
            (">=2.6", "2.6.0a0+nv25.1"),
            ("==2.6.0+cu121", "2.6.0+cu124"),
            ("~=1.4.2", "1.5"),
            ("~=1.4", "1!1.4"),
            (">1.7", "1.7.post2"),
            (">1.7", "1.7+cu1"),
            ("<2", "2rc1"),
            ("!=1.0", "1.0+x"),
            ("==1.*", "10"),
        ];
        yes.iter().for_each(|(specifiers, version)| {
            assert_eq!(holds(specifiers, version), Some(true), "{version} is {specifiers}")
        });
        no.iter().for_each(|(specifiers, version)| {
            assert_eq!(holds(specifiers, version), Some(false), "{version} is not {specifiers}")
        });
    }

    #[test]
    fn where_installers_disagree_there_is_no_answer() {
        for (specifiers, version) in
            [("<1.post1", "1rc1"), (">1a1", "1+cu1"), (">1.post1", "1.post2+cu1"), (">0,<1.post1", "1a1")]
        {
            assert_eq!(holds(specifiers, version), None, "{version} {specifiers}");
        }
        assert_eq!(holds("<1.post1,>2", "1rc1"), Some(false));
    }

    #[test]
    fn what_is_not_understood_is_none() {
        let odd = [
            "1.0",
            "===1.0",
            "=1",
            ">=1.*",
            "==1a1.*",
            "==1-1.*",
            "~=1",
            "~=1.0+a",
            "<=1+a",
            ">=1,,<2",
            ",>=1",
            ">=1,",
            "> =1",
            "~=1.0.preview1",
        ];
        assert!(odd.iter().all(|text| Specifiers::parse(text).is_none_or(|found| panic!("{text}: {found:?}"))));
    }

    proptest! {
        #[test]
        fn a_version_is_equal_to_itself_or_not_never_both(text in "[0-9]([.][0-9]){0,2}((a|rc)[0-9])?([.]post[0-9])?([.]dev[0-9])?") {
            let same = ["==", "<=", ">="].iter().all(|sign| holds(&[sign, text.as_str()].concat(), &text) == Some(true));
            let other = ["!=", "<", ">"].iter().any(|sign| holds(&[sign, text.as_str()].concat(), &text) != Some(false));
            prop_assert!(same && !other);
        }
    }
}
