//! Which checks run, and how severe a failure is: the check's own severity, then an option of a path, then `checks`. The later one wins.
//! The name of a family stands for all of its checks.

use super::Check;
use crate::config::{OriginValue, Severity};
use std::collections::BTreeMap;

/// The settings of the configuration and of `--only` for checks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    severities: &'a BTreeMap<String, Severity>,
    only: Option<&'a [String]>,
}

impl<'a> Rules<'a> {
    /// Makes the rules from `checks` of the configuration and from `--only`.
    pub(super) fn new(checks: &'a OriginValue<BTreeMap<String, Severity>>, only: Option<&'a [String]>) -> Self {
        Rules { severities: &checks.value, only }
    }

    /// Returns the severity of a failure of this check; `level` is what an option of the path asks for.
    pub(super) fn severity(&self, check: &Check, level: Option<Severity>) -> Severity {
        if !self.selected(check) {
            return Severity::Off;
        }
        let set = self.severities.get(check.id).or_else(|| self.severities.get(check.family.name()));
        set.copied().or(level).unwrap_or(check.severity)
    }

    /// Returns whether the check runs.
    pub(super) fn wants(&self, check: &Check) -> bool {
        self.severity(check, None) != Severity::Off
    }

    /// Returns whether the whole family is off, and none of its checks is named individually.
    pub(super) fn is_off(&self, family: &str) -> bool {
        let is_its = |name: &String| name.strip_prefix(family).is_some_and(|rest| rest.starts_with('.'));
        self.severities.get(family) == Some(&Severity::Off) && !self.severities.keys().any(is_its)
    }

    /// Returns whether the configuration turns the check off.
    pub(super) fn forbids(&self, id: &str) -> bool {
        self.severities.get(id) == Some(&Severity::Off)
    }

    fn selected(&self, check: &Check) -> bool {
        let names = |only: &[String]| only.iter().any(|name| name == check.id || name == check.family.name());
        self.only.is_none_or(names)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::check::table;
    use crate::config::Settings;

    /// Returns settings with these severities.
    pub(in crate::check) fn set(pairs: &[(&str, Severity)]) -> Settings {
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
}
