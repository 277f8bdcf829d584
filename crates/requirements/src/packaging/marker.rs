//! Evaluates the markers of requirements (PEP 508): `python_version < "3.11" and extra == "gpu"`. The answer is yes, no, or `None` where
//! installers of different ages disagree.

use super::version::Version;
use super::{name, specifier};
use serde::{Deserialize, Serialize};

/// The deepest nesting that is parsed; real markers have two or three levels.
const DEPTH_MAX: usize = 20;

/// The values of an interpreter for the variables of markers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkerEnvironment {
    /// `posix`.
    pub os_name: String,
    /// `linux`.
    pub sys_platform: String,
    /// `x86_64`.
    pub platform_machine: String,
    /// `CPython`.
    pub platform_python_implementation: String,
    /// `Linux`.
    pub platform_system: String,
    /// `3.12`.
    pub python_version: String,
    /// `3.12.1`.
    pub python_full_version: String,
    /// `cpython`.
    pub implementation_name: String,
    /// `3.12.1`.
    pub implementation_version: String,
}

/// A marker as written, because parsing and evaluating it is one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker(String);

/// One comparison: `python_version < "3.11"`.
struct Comparison<'a> {
    variable: MarkerVariable,
    operator: &'static str,
    literal: &'a str,
    /// Whether the literal is on the left side.
    turned: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MarkerVariable {
    OsName,
    SysPlatform,
    PlatformMachine,
    PlatformPythonImplementation,
    PlatformSystem,
    PythonVersion,
    PythonFullVersion,
    ImplementationName,
    ImplementationVersion,
    Extra,
    /// A variable of the kernel, which can change under the same image.
    Kernel,
}

/// The variables by name, the most frequent first.
const VARIABLES: [(&str, MarkerVariable); 19] = [
    ("extra", MarkerVariable::Extra),
    ("python_version", MarkerVariable::PythonVersion),
    ("os_name", MarkerVariable::OsName),
    ("os.name", MarkerVariable::OsName),
    ("sys_platform", MarkerVariable::SysPlatform),
    ("sys.platform", MarkerVariable::SysPlatform),
    ("platform_machine", MarkerVariable::PlatformMachine),
    ("platform.machine", MarkerVariable::PlatformMachine),
    ("platform_python_implementation", MarkerVariable::PlatformPythonImplementation),
    ("platform.python_implementation", MarkerVariable::PlatformPythonImplementation),
    ("python_implementation", MarkerVariable::PlatformPythonImplementation),
    ("platform_system", MarkerVariable::PlatformSystem),
    ("python_full_version", MarkerVariable::PythonFullVersion),
    ("implementation_name", MarkerVariable::ImplementationName),
    ("implementation_version", MarkerVariable::ImplementationVersion),
    ("platform_release", MarkerVariable::Kernel),
    ("platform_version", MarkerVariable::Kernel),
    ("platform.version", MarkerVariable::Kernel),
    ("platform.release", MarkerVariable::Kernel),
];

const OPERATORS: [&str; 7] = ["==", ">=", "<=", "!=", "~=", "<", ">"];

impl Marker {
    /// Parses a marker; `None` if it is not understood.
    pub fn parse(text: &str) -> Option<Self> {
        answer(text, &MarkerEnvironment::default(), "").map(|_| Marker(text.to_owned()))
    }

    /// Checks whether the marker holds for this interpreter and one requested extra (empty: no extra).
    pub fn holds(&self, environment: &MarkerEnvironment, extra: &str) -> Option<bool> {
        answer(&self.0, environment, extra).flatten()
    }
}

/// Evaluates a marker: the inner `None` means that the answer is unknown, the outer one that the marker is not understood.
pub(super) fn answer(text: &str, environment: &MarkerEnvironment, extra: &str) -> Option<MarkerResult> {
    let mut rest = MarkerReader { text, environment, extra };
    let answer = rest.any(0)?;
    rest.text.trim_ascii_start().is_empty().then_some(answer)
}

type MarkerResult = Option<bool>;

/// Combines two answers, both of which have to be known: an installer fails at an impossible comparison even where it would not matter.
fn both(one: MarkerResult, other: MarkerResult, join: fn(bool, bool) -> bool) -> MarkerResult {
    one.zip(other).map(|(one, other)| join(one, other))
}

impl Comparison<'_> {
    fn holds(&self, environment: &MarkerEnvironment, extra: &str) -> MarkerResult {
        let value = self.variable.value(environment, extra)?;
        let (left, right) = if self.turned { (self.literal, value) } else { (value, self.literal) };
        match (self.variable, self.operator) {
            (MarkerVariable::Extra, "==") => self.same_extra(extra),
            (MarkerVariable::Extra, "!=") => self.same_extra(extra).map(|same| !same),
            (MarkerVariable::Extra, _) => None,
            (_, "in") => is_in(left, right),
            (_, "not in") => is_in(left, right).map(|is_in| !is_in),
            (variable, operator) if variable.is_version() => {
                specifier::one(operator, right)?.contains(&Version::parse(left)?)
            }
            // An installer would compare a version there as a version.
            _ if right.trim_start_matches([' ', 'v', 'V']).starts_with(|c: char| c.is_ascii_digit()) => None,
            (_, "==") => Some(left == right),
            (_, "!=") => Some(left != right),
            _ => None,
        }
    }

    fn same_extra(&self, extra: &str) -> MarkerResult {
        // A text that begins with a number may be a version, and is then compared as one.
        let is_number = || self.literal.starts_with(|c: char| c.is_ascii_digit() || c == 'v' || c == 'V');
        let is_version = || is_number() && Version::parse(self.literal).is_some();
        let is_name = name::is_name(self.literal) && !is_version();
        is_name.then(|| name::is_same(self.literal, extra))
    }
}

/// Checks whether a text is part of another. Some installers took the other text for a list of words, so both readings have to agree.
fn is_in(part: &str, whole: &str) -> Option<bool> {
    let is_part = whole.contains(part);
    let is_word = whole.split([' ', ',', '|']).any(|word| word == part);
    (is_part == is_word).then_some(is_part)
}

impl MarkerVariable {
    fn is_version(self) -> bool {
        matches!(
            self,
            MarkerVariable::PythonVersion | MarkerVariable::PythonFullVersion | MarkerVariable::ImplementationVersion
        )
    }

    fn value<'a>(self, environment: &'a MarkerEnvironment, extra: &'a str) -> Option<&'a str> {
        Some(match self {
            MarkerVariable::OsName => &environment.os_name,
            MarkerVariable::SysPlatform => &environment.sys_platform,
            MarkerVariable::PlatformMachine => &environment.platform_machine,
            MarkerVariable::PlatformPythonImplementation => &environment.platform_python_implementation,
            MarkerVariable::PlatformSystem => &environment.platform_system,
            MarkerVariable::PythonVersion => &environment.python_version,
            MarkerVariable::PythonFullVersion => &environment.python_full_version,
            MarkerVariable::ImplementationName => &environment.implementation_name,
            MarkerVariable::ImplementationVersion => &environment.implementation_version,
            MarkerVariable::Extra => extra,
            MarkerVariable::Kernel => return None,
        })
    }
}

/// The rest of a marker, with the values that it is evaluated for.
struct MarkerReader<'a> {
    text: &'a str,
    environment: &'a MarkerEnvironment,
    extra: &'a str,
}

/// One side of a comparison.
enum Side<'a> {
    Variable(MarkerVariable),
    Literal(&'a str),
}

impl<'a> MarkerReader<'a> {
    fn any(&mut self, depth: usize) -> Option<MarkerResult> {
        let mut answer = self.all(depth)?;
        while self.word("or") {
            answer = both(answer, self.all(depth)?, |one, other| one || other);
        }
        Some(answer)
    }

    fn all(&mut self, depth: usize) -> Option<MarkerResult> {
        let mut answer = self.one(depth)?;
        while self.word("and") {
            answer = both(answer, self.one(depth)?, |one, other| one && other);
        }
        Some(answer)
    }

    fn one(&mut self, depth: usize) -> Option<MarkerResult> {
        if !self.sign("(") {
            return self.comparison().map(|found| found.holds(self.environment, self.extra));
        }
        let inner = if depth < DEPTH_MAX { self.any(depth + 1)? } else { return None };
        self.sign(")").then_some(inner)
    }

    fn comparison(&mut self) -> Option<Comparison<'a>> {
        let (left, operator, right) = (self.side()?, self.operator()?, self.side()?);
        match (left, right) {
            (Side::Variable(variable), Side::Literal(literal)) => {
                Some(Comparison { variable, operator, literal, turned: false })
            }
            (Side::Literal(literal), Side::Variable(variable)) => {
                Some(Comparison { variable, operator, literal, turned: true })
            }
            _ => None,
        }
    }

    fn side(&mut self) -> Option<Side<'a>> {
        let text = self.text.trim_ascii_start();
        let quote = text.chars().next().filter(|c| ['"', '\''].contains(c));
        if let Some(quote) = quote {
            let (literal, rest) = text.get(1..)?.split_once(quote)?;
            self.text = rest;
            return Some(Side::Literal(literal));
        }
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.';
        let end = text.bytes().position(|byte| !is_part(byte)).unwrap_or(text.len());
        let (word, rest) = text.split_at_checked(end)?;
        self.text = rest;
        VARIABLES.iter().find(|(name, _)| *name == word).map(|(_, variable)| Side::Variable(*variable))
    }

    fn operator(&mut self) -> Option<&'static str> {
        self.text = self.text.trim_ascii_start();
        if self.word("in") {
            return Some("in");
        }
        if self.word("not") {
            return self.word("in").then_some("not in");
        }
        let sign = OPERATORS.into_iter().find(|sign| self.sign(sign))?;
        // `===` compares text.
        (!self.text.starts_with('=')).then_some(sign)
    }

    fn sign(&mut self, sign: &str) -> bool {
        let rest = self.text.trim_ascii_start().strip_prefix(sign);
        self.text = rest.unwrap_or(self.text);
        rest.is_some()
    }

    /// Reads a whole word, after which no further character of a word follows.
    fn word(&mut self, word: &str) -> bool {
        let rest = self.text.trim_ascii_start().strip_prefix(word);
        let rest = rest.filter(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.'));
        self.text = rest.unwrap_or(self.text);
        rest.is_some()
    }
}

#[cfg(test)]
#[path = "marker/tests.rs"]
mod tests;
