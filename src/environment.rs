//! The variables a process is started with, as bytes and in order. Built up by `prepare`, handed to exec and to helpers;
//! nothing here touches the process-wide environment.

use crate::sys::process;
use std::borrow::Cow;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::rc::Rc;

/// A name or a value: in the memory that the kernel gave this process for it, or of our own.
type Text = Cow<'static, OsStr>;

/// So many variables a container seldom exceeds.
const USUAL: usize = 64;

/// An ordered list of variables; a name occurs once. Copies share their memory until one of them is changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment(Rc<Vec<(Text, Text)>>);

impl Environment {
    /// What this process was started with.
    pub fn inherited() -> Self {
        let text = |bytes| Cow::Borrowed(OsStr::from_bytes(bytes));
        Environment::without_repeats(process::environment().map(|(name, value)| (text(name), text(value))))
    }

    /// The first of two equal names is the one that getenv(3) finds.
    fn without_repeats(pairs: impl Iterator<Item = (Text, Text)>) -> Self {
        let mut kept: Vec<(Text, Text)> = Vec::with_capacity(USUAL);
        for (name, value) in pairs {
            if !kept.iter().any(|(n, _)| *n == name) {
                kept.push((name, value));
            }
        }
        Environment(Rc::new(kept))
    }

    /// A variable's value; an empty one counts as not set.
    pub fn get(&self, name: impl AsRef<OsStr>) -> Option<&OsStr> {
        let name = name.as_ref();
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| &**v).filter(|v| !v.is_empty())
    }

    /// A variable's value when it is UTF-8 and not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(OsStr::to_str)
    }

    /// Sets or replaces a variable.
    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        let (name, value) = (name.into(), Cow::Owned(value.into()));
        let pairs = Rc::make_mut(&mut self.0);
        match pairs.iter_mut().find(|(n, _)| **n == name) {
            Some((_, old)) => *old = value,
            None => pairs.push((Cow::Owned(name), value)),
        }
    }

    /// Sets a variable unless the caller gave one: an inherited variable wins over one that trainit would set.
    pub fn set_default(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        let name = name.into();
        if self.get(&name).is_none() {
            self.set(name, value);
        }
    }

    /// Takes a variable away.
    pub fn remove(&mut self, name: impl AsRef<OsStr>) {
        let name = name.as_ref();
        if self.0.iter().any(|(n, _)| n == name) {
            Rc::make_mut(&mut self.0).retain(|(n, _)| n != name);
        }
    }

    /// All variables in order.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0.iter().map(|(n, v)| (n.as_ref(), v.as_ref()))
    }

    /// `NAME=VALUE` strings for execve(2); a variable that holds a NUL byte cannot exist and is left out.
    pub fn to_envp(&self) -> Vec<CString> {
        let line = |(name, value): &(Text, Text)| CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()).ok();
        self.0.iter().filter_map(line).collect()
    }
}

impl FromIterator<(OsString, OsString)> for Environment {
    fn from_iter<I: IntoIterator<Item = (OsString, OsString)>>(pairs: I) -> Self {
        let owned = pairs.into_iter().map(|(name, value)| (Cow::Owned(name), Cow::Owned(value)));
        Environment::without_repeats(owned)
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
    fn a_copy_that_is_changed_leaves_the_other_as_it_is() {
        let first: Environment = [("A", "1"), ("B", "2")].into_iter().collect();
        let mut second = first.clone();
        second.set("A", "3");
        second.remove("B");
        assert_eq!((first.text("A"), first.text("B")), (Some("1"), Some("2")));
        assert_eq!((second.text("A"), second.text("B")), (Some("3"), None));
    }

    #[test]
    fn the_callers_value_wins_over_a_default() {
        let mut environment: Environment = [("A", "theirs")].into_iter().collect();
        environment.set_default("A", "ours");
        environment.set_default("B", "ours");
        assert_eq!((environment.text("A"), environment.text("B")), (Some("theirs"), Some("ours")));
    }
}
