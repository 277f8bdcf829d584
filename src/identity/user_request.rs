//! The user request: the key `user`, or the variables that other images use (docker-stacks: NB_UID and others, linuxserver: PUID and
//! PGID). Reads settings and variables only. `left_out` tells which of these variables trainit does not follow.

use crate::config::{ConfigValue, Settings, Umask, UserChoice, ValueOrigin, Who};
use crate::error::{Error, Result};
use sys::environment::Environment;

/// The request for a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct UserRequest {
    /// The user that the workload runs as.
    pub choice: UserChoice,
    /// The key with its origin, or the variable, that asks.
    pub by: String,
    /// Only variables ask, which an image may set for all of its containers.
    pub soft: bool,
    /// The name that the user gets.
    pub name: Option<String>,
    /// The name that the group gets.
    pub group_name: Option<String>,
    /// Root stays root and gets a home of its own, as docker-stacks gives to NB_USER=root.
    pub root_home: bool,
    /// The umask.
    pub umask: Option<u32>,
    /// Variables that would count if the key were not locked, each in a line about that.
    pub ignored: Vec<String>,
}

/// Variables that ask for a user.
const USERS: [&str; 3] = ["NB_UID", "NB_USER", "PUID"];

/// Variables with a umask.
const MASKS: [&str; 2] = ["NB_UMASK", "UMASK"];

/// Reads the request; variables count for root only, and only if `user` is neither set nor locked.
///
/// # Errors
/// A variable that names no user (78).
pub(super) fn user_request(settings: &Settings, environment: &Environment, root: bool) -> Result<UserRequest> {
    let mut user_request = UserRequest { choice: settings.user.value.clone(), ..UserRequest::default() };
    if settings.user.origin != ValueOrigin::Default {
        user_request.by = format!("user, {}", settings.user.origin);
    } else if let Some(lock) = settings.lock_of("user") {
        // A lock without a value keeps the user that started trainit.
        user_request.by = format!("user, locked by {lock}");
        user_request.ignored = ignored(environment, "user", lock, USERS.iter().filter(|_| root));
    } else if root {
        user_request = docker_stacks(environment)?.or(linuxserver(environment)?).unwrap_or_default();
    }
    user_request.umask = match (settings.user_umask.value, settings.lock_of("user.umask")) {
        (Some(umask), _) => Some(umask.0),
        (None, Some(lock)) => {
            user_request.ignored.extend(ignored(environment, "user.umask", lock, MASKS.iter().take(1)));
            None
        }
        (None, None) => match umask(environment, "NB_UMASK")? {
            None if counts_umask(settings, environment) => umask(environment, "UMASK")?,
            mask => mask,
        },
    };
    Ok(user_request)
}

/// Returns whether UMASK is linuxserver's: beside PUID, if that may count. The variable alone may be another program's.
pub(super) fn counts_umask(settings: &Settings, environment: &Environment) -> bool {
    let is_open = settings.user.origin == ValueOrigin::Default && settings.lock_of("user").is_none();
    is_open
        && environment.get("PUID").is_some()
        && !["NB_UID", "NB_USER"].iter().any(|name| environment.get(name).is_some())
}

/// Returns the name that docker-stacks' NB_USER gives to a user without one, if variables count.
pub(super) fn wanted_name(settings: &Settings, environment: &Environment) -> Option<String> {
    let is_open = settings.user.origin == ValueOrigin::Default && settings.lock_of("user").is_none();
    let asked = who(environment, "NB_USER").ok().flatten().filter(|_| is_open);
    asked.and_then(own_name)
}

/// Returns a name that a user other than root can have.
fn own_name(who: Who) -> Option<String> {
    match who {
        Who::Name(name) if name != "root" => Some(name),
        _ => None,
    }
}

fn ignored<'a>(
    environment: &Environment,
    key: &str,
    lock: &ValueOrigin,
    names: impl Iterator<Item = &'a &'a str>,
) -> Vec<String> {
    let given = names.filter(|name| environment.get(name).is_some());
    given.map(|name| format!("{name} is not read: {key} is locked by {lock}")).collect()
}

fn docker_stacks(environment: &Environment) -> Result<Option<UserRequest>> {
    let (user, name) = (who(environment, "NB_UID")?, who(environment, "NB_USER")?);
    let by = if user.is_some() { "NB_UID" } else { "NB_USER" };
    let Some(user) = user.or(name.clone()) else { return Ok(None) };
    let group = who(environment, "NB_GID")?;
    let root_home =
        name == Some(Who::Name("root".to_owned())) && (&user, &group) == (&Who::Number(0), &Some(Who::Number(0)));
    let name = name.and_then(own_name);
    let group_name = who(environment, "NB_GROUP")?.and_then(own_name).or_else(|| name.clone());
    let choice = UserChoice::Named(user, group);
    let by = by.to_owned();
    Ok(Some(UserRequest { choice, by, soft: true, name, group_name, root_home, ..UserRequest::default() }))
}

fn linuxserver(environment: &Environment) -> Result<Option<UserRequest>> {
    let Some(user) = who(environment, "PUID")? else { return Ok(None) };
    let choice = UserChoice::Named(user, who(environment, "PGID")?);
    Ok(Some(UserRequest { choice, by: "PUID".to_owned(), soft: true, ..UserRequest::default() }))
}

fn who(environment: &Environment, name: &str) -> Result<Option<Who>> {
    let Some(value) = environment.get(name) else { return Ok(None) };
    Who::parse(&value.to_string_lossy()).map(Some).map_err(|error| unread(name, name.to_owned()).caused_by(error))
}

fn umask(environment: &Environment, name: &str) -> Result<Option<u32>> {
    let Some(value) = environment.get(name) else { return Ok(None) };
    let value = value.to_string_lossy();
    let mask = Umask::parse(&value).map(|mask| Some(mask.0));
    mask.map_err(|_| unread(name, format!("{name}: `{}` is not {}", text::line(&value), Umask::form())))
}

fn unread(name: &str, what: String) -> Error {
    Error::config(what).hint(format!("take {name} away, or set `user` (TRAINIT_USER): then it is not read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(variables: &[(&str, &str)]) -> Result<UserRequest> {
        user_request(&Settings::default(), &variables.iter().copied().collect(), true)
    }

    fn numbers(uid: u32, gid: Option<u32>) -> UserChoice {
        UserChoice::Named(Who::Number(uid), gid.map(Who::Number))
    }

    #[test]
    fn the_variables_of_other_images_are_understood() {
        let stacks = asked(&[("NB_UID", "1234"), ("NB_GID", "100"), ("NB_USER", "jovyan"), ("PUID", "7")]).unwrap();
        assert_eq!((stacks.choice, stacks.by.as_str()), (numbers(1234, Some(100)), "NB_UID"));
        assert_eq!(stacks.name.as_deref(), Some("jovyan"));
        let by_name = asked(&[("NB_USER", "alice")]).unwrap();
        assert_eq!(by_name.choice, UserChoice::Named(Who::Name("alice".into()), None));
        let linuxserver = asked(&[("PUID", "1000"), ("PGID", "1001"), ("UMASK", "002")]).unwrap();
        assert_eq!((linuxserver.choice, linuxserver.umask), (numbers(1000, Some(1001)), Some(2)));
        assert_eq!(asked(&[("NB_UID", "1000"), ("NB_USER", "root")]).unwrap().name, None);
    }

    #[test]
    fn what_says_nothing_alone_changes_nothing() {
        assert_eq!(
            asked(&[("NB_GID", "100"), ("PGID", "5"), ("UMASK", "077"), ("NB_UID", "")]).unwrap(),
            UserRequest::default()
        );
    }

    #[test]
    fn the_key_wins_over_them_and_they_count_for_root_only() {
        let variables: Environment = [("NB_UID", "7"), ("PUID", "8"), ("NB_UMASK", "027")].into_iter().collect();
        let mut settings = Settings::default();
        let as_user = user_request(&settings, &variables, false).unwrap();
        assert_eq!((as_user.choice, as_user.umask), (UserChoice::Keep, Some(0o27)));
        (settings.user.value, settings.user.origin) =
            (UserChoice::Keep, ValueOrigin::Environment("TRAINIT_USER".into()));
        settings.user_umask.value = Some(Umask(0o22));
        let by_key = user_request(&settings, &variables, true).unwrap();
        assert_eq!((by_key.choice, by_key.by.as_str()), (UserChoice::Keep, "user, TRAINIT_USER"));
        assert_eq!(by_key.umask, Some(0o22));
    }

    #[test]
    fn a_variable_that_names_nobody_is_a_mistake() {
        for name in ["NB_UID", "NB_USER", "PUID"] {
            let error = asked(&[(name, "a:b\nroot")]).unwrap_err();
            assert!(error.exit().code() == 78 && error.what.starts_with(name) && !error.what.contains('\n'), "{error}");
        }
        assert!(asked(&[("NB_UMASK", "9")]).unwrap_err().what.contains("in octal"));
    }
}
