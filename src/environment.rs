//! The variables a process is started with, as bytes and in order. Built up by `prepare`, handed to exec and to helpers;
//! nothing here touches the process-wide environment.

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// An ordered list of variables; a name occurs once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment(Vec<(OsString, OsString)>);

impl Environment {
    /// What this process was started with.
    pub fn inherited() -> Self {
        std::env::vars_os().collect()
    }

    /// A variable's value; an empty one counts as not set.
    pub fn get(&self, name: impl AsRef<OsStr>) -> Option<&OsStr> {
        let name = name.as_ref();
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_os_str()).filter(|v| !v.is_empty())
    }

    /// A variable's value when it is UTF-8 and not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(OsStr::to_str)
    }

    /// Sets or replaces a variable.
    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        let (name, value) = (name.into(), value.into());
        match self.0.iter_mut().find(|(n, _)| *n == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
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
        self.0.retain(|(n, _)| n != name.as_ref());
    }

    /// All variables in order.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0.iter().map(|(n, v)| (n.as_os_str(), v.as_os_str()))
    }

    /// `NAME=VALUE` strings for execve(2); a variable that holds a NUL byte cannot exist and is left out.
    pub fn to_envp(&self) -> Vec<CString> {
        let line = |(name, value): &(OsString, OsString)| {
            CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()).ok()
        };
        self.0.iter().filter_map(line).collect()
    }
}

impl FromIterator<(OsString, OsString)> for Environment {
    fn from_iter<I: IntoIterator<Item = (OsString, OsString)>>(pairs: I) -> Self {
        let mut environment = Environment::default();
        for (name, value) in pairs {
            // The first of two equal names is the one that getenv(3) finds.
            if !environment.0.iter().any(|(n, _)| *n == name) {
                environment.0.push((name, value));
            }
        }
        environment
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
    fn the_callers_value_wins_over_a_default() {
        let mut environment: Environment = [("A", "theirs")].into_iter().collect();
        environment.set_default("A", "ours");
        environment.set_default("B", "ours");
        assert_eq!((environment.text("A"), environment.text("B")), (Some("theirs"), Some("ours")));
    }
}
