//! Which checks run and how bad their trouble is: the check's own severity, what an option of a path demands, and above both what
//! `checks` says. A family's name stands for all of its checks.

use super::{Check, table};
use crate::config::{OriginValue, Settings, Severity, suggest};
use crate::error::{Error, Result};
use std::collections::BTreeMap;

/// What the configuration and `--only` say about checks.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    severities: &'a BTreeMap<String, Severity>,
    only: Option<&'a [String]>,
}

impl<'a> Rules<'a> {
    /// `checks` of the configuration, and what `--only` names.
    pub fn new(checks: &'a OriginValue<BTreeMap<String, Severity>>, only: Option<&'a [String]>) -> Self {
        Rules { severities: &checks.value, only }
    }

    /// How bad this check's trouble is, when nothing but `level` is known about it.
    pub fn severity(&self, check: &Check, level: Option<Severity>) -> Severity {
        if !self.selected(check) {
            return Severity::Off;
        }
        let set = self.severities.get(check.id).or_else(|| self.severities.get(check.family.name()));
        set.copied().or(level).unwrap_or(check.severity)
    }

    /// Whether the check is asked at all.
    pub fn wants(&self, check: &Check) -> bool {
        self.severity(check, None) != Severity::Off
    }

    /// Whether a family is off as a whole, and none of its checks is named by itself.
    pub fn is_off(&self, family: &str) -> bool {
        let is_its = |name: &String| name.strip_prefix(family).is_some_and(|rest| rest.starts_with('.'));
        self.severities.get(family) == Some(&Severity::Off) && !self.severities.keys().any(is_its)
    }

    /// Whether the configuration says that it is off.
    pub fn forbids(&self, id: &str) -> bool {
        self.severities.get(id) == Some(&Severity::Off)
    }

    fn selected(&self, check: &Check) -> bool {
        let names = |only: &[String]| only.iter().any(|name| name == check.id || name == check.family.name());
        self.only.is_none_or(names)
    }
}

/// Whether `checks` names only checks that exist.
///
/// # Errors
/// A name that is none (78), with its origin and what may have been meant.
pub fn validate(settings: &Settings) -> Result<()> {
    let checks = &settings.checks;
    // Of the names there are hundreds, of those that are set a few, and most are families.
    let mut unknown: Vec<&String> = checks.value.keys().filter(|name| !table::is_family(name)).collect();
    if !unknown.is_empty() {
        table::names().for_each(|known| unknown.retain(|name| *name != known));
    }
    unknown.into_iter().try_for_each(|name| {
        let what = format!("checks: there is no check {}", text::line(name));
        let origin = settings.entry_origin(&format!("checks.{name}")).unwrap_or(&checks.origin);
        Err(with_suggestion(Error::config(what).because(format!("set by {origin}")), name))
    })
}

/// Whether `--only` names only checks that exist.
///
/// # Errors
/// A name that is none (64).
pub fn validate_only(only: &[String]) -> Result<()> {
    only.iter().filter(|name| !is_known(name)).try_for_each(|name| {
        let what = format!("--only: there is no check {}", text::line(name));
        Err(with_suggestion(Error::usage(what), name))
    })
}

fn is_known(name: &str) -> bool {
    table::names().any(|known| known == name)
}

fn with_suggestion(error: Error, name: &str) -> Error {
    match suggest::closest(name, table::names()) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error.hint(names_like(name)),
    }
}

/// What there is: of a family that was named its checks, else the families, since there are a hundred checks.
fn names_like(name: &str) -> String {
    let family = name.split('.').next().unwrap_or_default();
    let own: Vec<&str> = table::checks().filter(|check| check.family.name() == family).map(|check| check.id).collect();
    if !own.is_empty() {
        return format!("checks of {family} are: {}", own.join(" "));
    }
    let mut families: Vec<&str> = table::checks().map(|check| check.family.name()).collect();
    families.dedup();
    format!("families of checks are: {}; data.empty is a check (docs/checks.md has all)", families.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(pairs: &[(&str, Severity)]) -> Settings {
        let mut settings = Settings::default();
        settings.checks.value = pairs.iter().map(|(id, severity)| ((*id).to_owned(), *severity)).collect();
        settings
    }

    fn check(id: &str) -> &'static Check {
        table::checks().find(|check| check.id == id).unwrap()
    }

    #[test]
    fn a_check_is_named_alone_or_with_its_family() {
        let settings = set(&[("data", Severity::Off), ("data.empty", Severity::Warn)]);
        let rules = Rules::new(&settings.checks, None);
        assert_eq!(rules.severity(check("data.empty"), None), Severity::Warn);
        assert!(!rules.wants(check("data.exists")));
        assert!(!rules.is_off("data") && !rules.is_off("host"));
        assert!(Rules::new(&set(&[("data", Severity::Off), ("dat.a", Severity::Warn)]).checks, None).is_off("data"));
        assert_eq!(rules.severity(check("host.shm"), Some(Severity::Fail)), Severity::Fail);
    }

    #[test]
    fn only_what_is_named_runs() {
        let (settings, only) = (Settings::default(), ["host".to_owned(), "data.empty".to_owned()]);
        let rules = Rules::new(&settings.checks, Some(&only));
        assert!(
            rules.wants(check("host.shm")) && rules.wants(check("data.empty")) && !rules.wants(check("data.exists"))
        );
    }

    #[test]
    fn an_unknown_name_is_refused_with_a_suggestion() {
        assert_eq!(validate(&set(&[("host.shm", Severity::Fail), ("gpu", Severity::Off)])), Ok(()));
        let error = validate(&set(&[("host.smh", Severity::Fail)])).unwrap_err();
        assert_eq!((error.exit.code(), error.hints), (78, vec!["did you mean host.shm?".to_owned()]));
        let error = validate_only(&["nonsense".to_owned()]).unwrap_err();
        assert!(error.exit.code() == 64 && error.hints[0].starts_with("families of checks are: gpu data code output"));
        let error = validate_only(&["user.what-is-this".to_owned()]).unwrap_err();
        assert!(error.hints[0].starts_with("checks of user are: user."), "{:?}", error.hints);
    }
}
