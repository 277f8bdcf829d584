//! Rejects unknown names of checks and families, and suggests similar ones.

use super::table;
use crate::config::{Settings, suggest};
use crate::error::{Error, Result};

/// What `checks` may name besides checks: whether a training's end needs its last checkpoint in the mirror.
pub(crate) const MIRROR: &str = "checkpoint.mirror";

/// Checks that `checks` names only existing checks.
///
/// # Errors
/// An unknown name (78), with its origin and a suggestion.
pub fn validate(settings: &Settings) -> Result<()> {
    let checks = &settings.checks;
    // There are hundreds of names, but few are set, and most of those are families.
    let mut unknown: Vec<&String> =
        checks.value.keys().filter(|name| !table::is_family(name) && *name != MIRROR).collect();
    if !unknown.is_empty() {
        table::names().for_each(|known| unknown.retain(|name| *name != known));
    }
    unknown.into_iter().try_for_each(|name| {
        let what = format!("checks: there is no check {}", text::line(name));
        let origin = settings.entry_origin(&format!("checks.{name}")).unwrap_or(&checks.origin);
        Err(with_suggestion(Error::config(what).because(format!("set by {origin}")), name))
    })
}

/// Checks that `--only` names only existing checks.
///
/// # Errors
/// An unknown name (64).
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

/// Lists the valid names: the checks of a known family, else the families, since there are a hundred checks.
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
    use super::super::rules::tests::set;
    use super::*;
    use crate::config::Severity;

    #[test]
    fn an_unknown_name_is_refused_with_a_suggestion() {
        validate(&set(&[("host.shm", Severity::Fail), ("gpu", Severity::Off), (MIRROR, Severity::Warn)])).unwrap();
        let error = validate(&set(&[("host.smh", Severity::Fail)])).unwrap_err();
        assert_eq!((error.exit().code(), error.hints), (78, vec!["did you mean host.shm?".to_owned()]));
        let error = validate_only(&["nonsense".to_owned()]).unwrap_err();
        assert!(
            error.exit().code() == 64 && error.hints[0].starts_with("families of checks are: gpu data code output")
        );
        let error = validate_only(&["user.what-is-this".to_owned()]).unwrap_err();
        assert!(error.hints[0].starts_with("checks of user are: user."), "{:?}", error.hints);
    }
}
