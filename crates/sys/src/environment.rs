//! The variables that a process is started with, as bytes and in order. `prepare` builds an environment and hands it to exec and to
//! helpers. Nothing here touches the process-wide environment.

use crate::process;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::rc::Rc;

/// How many variables a container usually has at most.
const USUAL: usize = 64;

/// An ordered list of variables, in which a name occurs once. Copies share their memory until one of them is changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment(Rc<Vec<Variable>>);

/// A variable as execve(2) takes it. Most variables stay where the kernel put them, without a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Variable {
    /// `NAME=VALUE`.
    line: Cow<'static, CStr>,
    /// Length of the name in bytes.
    name: usize,
    /// The value is pinned: a lock of the image's author holds it.
    pinned: bool,
}

impl Variable {
    /// Makes a variable; `None` where the name or the value holds a NUL byte.
    fn new(name: &OsStr, value: &OsStr) -> Option<Self> {
        let line = CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()).ok()?;
        Some(Variable { line: Cow::Owned(line), name: name.len(), pinned: false })
    }

    fn name(&self) -> &OsStr {
        OsStr::from_bytes(self.line.to_bytes().get(..self.name).unwrap_or_default())
    }

    /// Compares the length first, because names are looked up often and most differ in it.
    fn is_named(&self, name: &OsStr) -> bool {
        self.name == name.len() && self.name() == name
    }

    fn value(&self) -> &OsStr {
        OsStr::from_bytes(self.line.to_bytes().get(self.name + 1..).unwrap_or_default())
    }
}

/// Hashes a name from its length and some of its bytes, so that most different names differ in the result.
fn kind(name: &[u8]) -> u8 {
    let length = name.len();
    let places = [0, length / 2, length.wrapping_sub(2), length.wrapping_sub(1)];
    let bytes = places.map(|at| name.get(at).copied().unwrap_or_default());
    bytes.iter().fold(length as u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(*byte))
}

impl Environment {
    /// Returns the environment that this process was started with.
    pub fn inherited() -> Self {
        let inherited = process::environment();
        Environment::without_repeats(inherited.map(|(line, name)| Variable {
            line: Cow::Borrowed(line),
            name,
            pinned: false,
        }))
    }

    /// Keeps the first of equal names, which is the one that getenv(3) finds.
    fn without_repeats(variables: impl Iterator<Item = Variable>) -> Self {
        let mut kept: Vec<Variable> = Vec::with_capacity(USUAL);
        // A bit for each hash that was seen: a name with a new hash is new, and most are.
        let mut kinds = [0u64; 4];
        for variable in variables {
            let name = variable.name();
            let kind = kind(name.as_bytes());
            let (word, bit) = (kinds.get_mut(usize::from(kind >> 6)), 1 << (kind & 63));
            let new = word.is_some_and(|word| std::mem::replace(word, *word | bit) & bit == 0);
            if new || !kept.iter().any(|other| other.is_named(name)) {
                kept.push(variable);
            }
        }
        Environment(Rc::new(kept))
    }

    /// Returns a variable's value; an empty value counts as not set.
    pub fn get(&self, name: impl AsRef<OsStr>) -> Option<&OsStr> {
        let name = name.as_ref();
        self.0.iter().find(|variable| variable.is_named(name)).map(Variable::value).filter(|value| !value.is_empty())
    }

    /// Returns a variable's value if it is UTF-8 and not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(OsStr::to_str)
    }

    /// Sets or replaces a variable, unless its value is pinned. A value with a NUL byte removes the variable, because no variable
    /// can hold one.
    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        let name = name.into();
        if !self.is_pinned(&name) {
            self.put(&name, &value.into(), false);
        }
    }

    /// Sets a variable and pins its value: an image's author has locked it, so later settings do not replace it.
    pub fn pin(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.put(&name.into(), &value.into(), true);
    }

    /// Tells whether a variable's value is pinned.
    pub fn is_pinned(&self, name: impl AsRef<OsStr>) -> bool {
        let name = name.as_ref();
        self.0.iter().any(|variable| variable.pinned && variable.is_named(name))
    }

    /// Iterates over the variables whose values are pinned.
    pub fn pinned(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0.iter().filter(|variable| variable.pinned).map(|variable| (variable.name(), variable.value()))
    }

    /// Sets a variable even where its value is pinned. Only for a list of paths whose extension keeps the pinned paths, and for
    /// processes of trainit's own.
    pub fn set_over_pin(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        let name = name.into();
        let pinned = self.is_pinned(&name);
        self.put(&name, &value.into(), pinned);
    }

    fn put(&mut self, name: &OsStr, value: &OsStr, pinned: bool) {
        let Some(variable) = Variable::new(name, value) else { return self.remove(name) };
        let variable = Variable { pinned, ..variable };
        let variables = self.own();
        match variables.iter_mut().find(|other| other.is_named(name)) {
            Some(old) => *old = variable,
            None => variables.push(variable),
        }
    }

    /// Sets a variable unless it is set: an inherited variable wins over one that trainit would set.
    pub fn set_default(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        let name = name.into();
        if self.get(&name).is_none() {
            self.set(name, value);
        }
    }

    /// Sets many variables in the time of one sort, since a file of a mount may ask for many. A variable that is not forced does
    /// not replace one that is set.
    pub fn set_many<'a>(&mut self, variables: impl IntoIterator<Item = (&'a str, &'a OsStr, bool)>) {
        let wanted: Vec<_> = variables.into_iter().collect();
        if wanted.is_empty() {
            return;
        }
        let variables = self.own();
        let mut places: BTreeMap<OsString, usize> =
            variables.iter().enumerate().map(|(at, variable)| (variable.name().to_owned(), at)).collect();
        for (name, value, force) in wanted {
            let Some(variable) = Variable::new(OsStr::new(name), value) else { continue };
            match places.get(OsStr::new(name)).and_then(|at| variables.get_mut(*at)) {
                Some(old) if !old.pinned && (force || old.value().is_empty()) => *old = variable,
                Some(_) => {}
                None => {
                    places.insert(name.into(), variables.len());
                    variables.push(variable);
                }
            }
        }
    }

    /// Iterates in order over the variables that are new, or that have another value than in `before`.
    pub fn changed_since<'a>(&'a self, before: &'a Environment) -> impl Iterator<Item = (&'a OsStr, &'a OsStr)> {
        let known: BTreeMap<&OsStr, &OsStr> = before.iter().collect();
        self.iter().filter(move |(name, value)| known.get(name) != Some(value))
    }

    /// Returns the names of all variables that are not empty.
    pub fn names(&self) -> BTreeSet<&OsStr> {
        self.iter().filter(|(_, value)| !value.is_empty()).map(|(name, _)| name).collect()
    }

    /// Returns the list for writing: not shared with a copy, and with room for more variables.
    fn own(&mut self) -> &mut Vec<Variable> {
        if Rc::get_mut(&mut self.0).is_none() {
            let mut copy = Vec::with_capacity(self.0.len().max(USUAL));
            copy.extend_from_slice(&self.0);
            self.0 = Rc::new(copy);
        }
        Rc::make_mut(&mut self.0)
    }

    /// Removes a variable, unless its value is pinned.
    pub fn remove(&mut self, name: impl AsRef<OsStr>) {
        let name = name.as_ref();
        if self.0.iter().any(|variable| !variable.pinned && variable.is_named(name)) {
            self.own().retain(|variable| !variable.is_named(name));
        }
    }

    /// Iterates over all variables in order.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0.iter().map(|variable| (variable.name(), variable.value()))
    }

    /// Returns `NAME=VALUE` strings for execve(2).
    pub fn to_envp(&self) -> Vec<&CStr> {
        self.0.iter().map(|variable| &*variable.line).collect()
    }
}

impl FromIterator<(OsString, OsString)> for Environment {
    fn from_iter<I: IntoIterator<Item = (OsString, OsString)>>(pairs: I) -> Self {
        Environment::without_repeats(pairs.into_iter().filter_map(|(name, value)| Variable::new(&name, &value)))
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Environment {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(pairs: I) -> Self {
        pairs.into_iter().map(|(n, v)| (OsString::from_vec(n.into()), OsString::from_vec(v.into()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_counts_as_not_set() {
        let environment: Environment = [("A", ""), ("B", "1")].into_iter().collect();
        assert_eq!(environment.get("A"), None);
        assert_eq!(environment.text("B"), Some("1"));
    }

    #[test]
    fn what_is_inherited_is_what_the_standard_library_sees() {
        let ours = Environment::inherited();
        let theirs: Environment = std::env::vars_os().collect();
        assert_eq!(ours, theirs);
    }

    #[test]
    fn the_first_of_equal_names_is_kept_among_however_many() {
        let names: Vec<String> = (0..500).map(|n| format!("NAME_{n}")).collect();
        let all =
            names.iter().map(|name| (name.as_str(), "1")).chain(names.iter().rev().map(|name| (name.as_str(), "2")));
        let environment: Environment = all.collect();
        let expected: Vec<_> = names.iter().map(|name| (OsStr::new(name), OsStr::new("1"))).collect();
        assert_eq!(environment.iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn many_are_set_as_they_would_be_one_after_the_other() {
        let inherited = [("KEPT", "1"), ("FORCED", "1"), ("EMPTY", "")];
        let wanted = [("NEW", false), ("KEPT", false), ("FORCED", true), ("EMPTY", false), ("NEW", false)];
        let mut one_by_one: Environment = inherited.into_iter().collect();
        for (name, force) in wanted {
            if force { one_by_one.set(name, "2") } else { one_by_one.set_default(name, "2") }
        }
        let mut at_once: Environment = inherited.into_iter().collect();
        at_once.set_many(wanted.map(|(name, force)| (name, OsStr::new("2"), force)));
        assert_eq!(at_once, one_by_one);
        let before: Environment = inherited.into_iter().collect();
        let changed: Vec<_> = at_once.changed_since(&before).map(|(name, _)| name).collect();
        assert_eq!(changed, ["FORCED", "EMPTY", "NEW"]);
    }

    #[test]
    fn what_cannot_be_in_a_variable_is_not_set() {
        let mut environment: Environment = [("A", "1"), ("B", "2\0"), ("C", "3")].into_iter().collect();
        environment.set("C", "4\0");
        environment.set("=D", "5=6");
        assert_eq!(environment.to_envp(), [c"A=1", c"=D=5=6"]);
        assert_eq!(environment.text("=D"), Some("5=6"));
    }

    #[test]
    fn a_copy_that_is_changed_leaves_the_other_as_it_is() {
        let first: Environment = [("A", "1"), ("B", "2")].into_iter().collect();
        let mut second = first.clone();
        second.set("A", "3");
        second.remove("B");
        assert_eq!((first.text("A"), first.text("B")), (Some("1"), Some("2")));
        assert_eq!((second.text("A"), second.text("B")), (Some("3"), None));
    }

    #[test]
    fn what_is_pinned_stays_whoever_sets_it_in_whatever_copy() {
        let mut environment: Environment = [("A", "theirs"), ("P", "/bin")].into_iter().collect();
        environment.pin("A", "ours");
        environment.pin("P", "/sbin");
        environment.pin("EMPTY", "");
        let mut copy = environment.clone();
        copy.set("A", "theirs");
        copy.set_default("EMPTY", "theirs");
        copy.remove("A");
        copy.set_over_pin("P", "/layer:/sbin");
        copy.set("P", "/evil");
        assert_eq!((copy.text("A"), copy.text("P"), copy.text("EMPTY")), (Some("ours"), Some("/layer:/sbin"), None));
    }

    #[test]
    fn the_callers_value_wins_over_a_default() {
        let mut environment: Environment = [("A", "theirs")].into_iter().collect();
        environment.set_default("A", "ours");
        environment.set_default("B", "ours");
        assert_eq!((environment.text("A"), environment.text("B")), (Some("theirs"), Some("ours")));
    }
}
