//! Conditions under which a requirement counts (PEP 508): `python_version < "3.11" and extra == "gpu"`. An answer is yes, no, or
//! none where installers of different ages have not always given the same.

use super::version::Version;
use super::{name, specifier};
use serde::{Deserialize, Serialize};

/// Deepest nesting that is followed; nobody writes more than two or three.
const DEPTH_MAX: usize = 20;

/// What an interpreter says about itself, by the names that markers use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
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

/// A condition, kept as it is written: to read it is to answer it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker(String);

/// `python_version < "3.11"`.
struct Comparison<'a> {
    variable: Variable,
    operator: &'static str,
    literal: &'a str,
    /// The literal stands first.
    turned: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variable {
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
    /// The kernel's: another one under the same image changes them.
    Kernel,
}

/// The usual ones first.
const VARIABLES: [(&str, Variable); 19] = [
    ("extra", Variable::Extra),
    ("python_version", Variable::PythonVersion),
    ("os_name", Variable::OsName),
    ("os.name", Variable::OsName),
    ("sys_platform", Variable::SysPlatform),
    ("sys.platform", Variable::SysPlatform),
    ("platform_machine", Variable::PlatformMachine),
    ("platform.machine", Variable::PlatformMachine),
    ("platform_python_implementation", Variable::PlatformPythonImplementation),
    ("platform.python_implementation", Variable::PlatformPythonImplementation),
    ("python_implementation", Variable::PlatformPythonImplementation),
    ("platform_system", Variable::PlatformSystem),
    ("python_full_version", Variable::PythonFullVersion),
    ("implementation_name", Variable::ImplementationName),
    ("implementation_version", Variable::ImplementationVersion),
    ("platform_release", Variable::Kernel),
    ("platform_version", Variable::Kernel),
    ("platform.version", Variable::Kernel),
    ("platform.release", Variable::Kernel),
];

const OPERATORS: [&str; 7] = ["==", ">=", "<=", "!=", "~=", "<", ">"];

impl Marker {
    /// Reads a condition; none if it is not understood.
    pub fn parse(text: &str) -> Option<Self> {
        answer(text, &Environment::default(), "").map(|_| Marker(text.to_owned()))
    }

    /// Whether it holds for this interpreter and one extra that is asked for (empty: none is).
    pub fn holds(&self, environment: &Environment, extra: &str) -> Option<bool> {
        answer(&self.0, environment, extra).flatten()
    }
}

/// The answer to a condition; none within where it is not known, none at all where the condition is not understood.
pub(super) fn answer(text: &str, environment: &Environment, extra: &str) -> Option<Answer> {
    let mut rest = Rest { text, environment, extra };
    let answer = rest.any(0)?;
    rest.text.trim_ascii_start().is_empty().then_some(answer)
}

type Answer = Option<bool>;

/// Both have to be known: an installer fails at a comparison that it cannot make, even where it would not matter.
fn both(one: Answer, other: Answer, join: fn(bool, bool) -> bool) -> Answer {
    one.zip(other).map(|(one, other)| join(one, other))
}

impl Comparison<'_> {
    fn holds(&self, environment: &Environment, extra: &str) -> Answer {
        let value = self.variable.value(environment, extra)?;
        let (left, right) = if self.turned { (self.literal, value) } else { (value, self.literal) };
        match (self.variable, self.operator) {
            (Variable::Extra, "==") => self.same_extra(extra),
            (Variable::Extra, "!=") => self.same_extra(extra).map(|same| !same),
            (Variable::Extra, _) => None,
            (_, "in") => is_in(left, right),
            (_, "not in") => is_in(left, right).map(|is_in| !is_in),
            (variable, operator) if variable.is_version() => {
                specifier::one(operator, right)?.contains(&Version::parse(left)?)
            }
            // A version there would be compared as a version.
            _ if right.trim_start_matches([' ', 'v', 'V']).starts_with(|c: char| c.is_ascii_digit()) => None,
            (_, "==") => Some(left == right),
            (_, "!=") => Some(left != right),
            _ => None,
        }
    }

    fn same_extra(&self, extra: &str) -> Answer {
        // What begins with a number may be a version, and is then compared as one.
        let is_number = || self.literal.starts_with(|c: char| c.is_ascii_digit() || c == 'v' || c == 'V');
        let is_version = || is_number() && Version::parse(self.literal).is_some();
        let is_name = name::is_name(self.literal) && !is_version();
        is_name.then(|| name::is_same(self.literal, extra))
    }
}

/// Whether a text is part of another. Some have taken the other for a list of words, so both have to agree.
fn is_in(part: &str, whole: &str) -> Option<bool> {
    let is_part = whole.contains(part);
    let is_word = whole.split([' ', ',', '|']).any(|word| word == part);
    (is_part == is_word).then_some(is_part)
}

impl Variable {
    fn is_version(self) -> bool {
        matches!(self, Variable::PythonVersion | Variable::PythonFullVersion | Variable::ImplementationVersion)
    }

    fn value<'a>(self, environment: &'a Environment, extra: &'a str) -> Option<&'a str> {
        Some(match self {
            Variable::OsName => &environment.os_name,
            Variable::SysPlatform => &environment.sys_platform,
            Variable::PlatformMachine => &environment.platform_machine,
            Variable::PlatformPythonImplementation => &environment.platform_python_implementation,
            Variable::PlatformSystem => &environment.platform_system,
            Variable::PythonVersion => &environment.python_version,
            Variable::PythonFullVersion => &environment.python_full_version,
            Variable::ImplementationName => &environment.implementation_name,
            Variable::ImplementationVersion => &environment.implementation_version,
            Variable::Extra => extra,
            Variable::Kernel => return None,
        })
    }
}

/// What is left to read, and for whom it is answered.
struct Rest<'a> {
    text: &'a str,
    environment: &'a Environment,
    extra: &'a str,
}

/// One side of a comparison.
enum Side<'a> {
    Variable(Variable),
    Literal(&'a str),
}

impl<'a> Rest<'a> {
    fn any(&mut self, depth: usize) -> Option<Answer> {
        let mut answer = self.all(depth)?;
        while self.word("or") {
            answer = both(answer, self.all(depth)?, |one, other| one || other);
        }
        Some(answer)
    }

    fn all(&mut self, depth: usize) -> Option<Answer> {
        let mut answer = self.one(depth)?;
        while self.word("and") {
            answer = both(answer, self.one(depth)?, |one, other| one && other);
        }
        Some(answer)
    }

    fn one(&mut self, depth: usize) -> Option<Answer> {
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

    /// A whole word: nothing that could belong to it follows.
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
