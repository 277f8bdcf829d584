//! What NB_UID, PUID and their like ask for and a start without root cannot do. Pure; the variables that an image of docker-stacks itself
//! sets ask for nothing.

use crate::identity::accounts::PasswdEntry;
use sys::environment::Environment;

/// The user that runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunningUser<'a> {
    /// The user's number.
    pub uid: u32,
    /// The primary group's number.
    pub gid: u32,
    /// The name of the user's account; `None` for a number without one, which gets the name of NB_USER.
    pub name: Option<&'a str>,
}

/// A request that is not met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UnmetUser {
    /// What is asked for, and what runs.
    pub what: String,
    /// The variables that ask.
    pub variables: String,
    /// The numbers that would meet it without root; `None` if only a name is missing.
    pub numbers: Option<String>,
}

/// The user of docker-stacks' images.
const JOVYAN: &str = "jovyan";

/// Returns what the variables ask for in vain, all of it in one.
pub(super) fn unmet(environment: &Environment, users: &[PasswdEntry], own: RunningUser<'_>) -> Option<UnmetUser> {
    let number = |name| Some((name, environment.text(name)?.parse::<u32>().ok()?));
    let (default_uid, default_gid) = defaults(environment, users);
    let of_stacks = |name, default: Option<u32>| number(name).filter(|(_, id)| Some(*id) != default);
    let uid = of_stacks("NB_UID", default_uid)
        .filter(|(_, id)| *id != own.uid)
        .or(number("PUID").filter(|(_, id)| *id != own.uid));
    let gid = of_stacks("NB_GID", default_gid)
        .filter(|(_, id)| *id != own.gid)
        .or(number("PGID").filter(|(_, id)| *id != own.gid));
    let name = environment.text("NB_USER").filter(|name| *name != JOVYAN && own.name.is_some_and(|own| own != *name));
    let asks = [
        uid.map(|(name, id)| (name, format!("{name} asks for user {id}, and {} runs", own.uid))),
        gid.map(|(name, id)| (name, format!("{name} asks for group {id}, and {} runs", own.gid))),
        name.map(|name| {
            ("NB_USER", format!("NB_USER asks for the name {name}, and {} runs", own.name.unwrap_or_default()))
        }),
    ];
    let (variables, what): (Vec<&str>, Vec<String>) = asks.into_iter().flatten().unzip();
    let numbers = || format!("{}:{}", uid.map_or(own.uid, |(_, id)| id), gid.map_or(own.gid, |(_, id)| id));
    (!what.is_empty()).then(|| UnmetUser {
        what: what.join("; "),
        variables: variables.join(", "),
        numbers: (uid.is_some() || gid.is_some()).then(numbers),
    })
}

/// Returns the numbers that the image itself sets: those of its user, or the usual ones beside its name.
fn defaults(environment: &Environment, users: &[PasswdEntry]) -> (Option<u32>, Option<u32>) {
    let account = users.iter().find(|user| user.name == JOVYAN).filter(|user| user.gid != 0);
    match account {
        Some(account) => (Some(account.uid), Some(account.gid)),
        None if environment.text("NB_USER") == Some(JOVYAN) => (Some(1000), Some(100)),
        None => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::accounts;

    const IMAGE: &[u8] = b"root:x:0:0::/root:/bin/sh\njovyan:x:1000:100::/home/jovyan:/bin/bash\n";

    fn told(variables: &[(&str, &str)], uid: u32, gid: u32, name: Option<&str>) -> Option<UnmetUser> {
        unmet(&variables.iter().copied().collect(), &accounts::users(IMAGE), RunningUser { uid, gid, name })
    }

    #[test]
    fn what_an_image_sets_for_its_own_user_asks_for_nothing() {
        let image = |name: &'static str| [("NB_UID", "1000"), ("NB_GID", "100"), ("NB_USER", name)];
        assert_eq!(told(&image("jovyan"), 1000, 100, Some("jovyan")), None);
        assert_eq!(told(&image("jovyan"), 1010, 0, None), None);
        assert_eq!(told(&image("kitten"), 1010, 0, None), None, "a number without an account gets the name");
        assert_eq!(told(&[], 7, 8, None), None);
        let renamed: Environment = image("jovyan").into_iter().collect();
        let users = accounts::users(b"nayvoj:x:1000:100::/:\njovyan:x:1010:0::/:\n");
        assert_eq!(unmet(&renamed, &users, RunningUser { uid: 1010, gid: 0, name: Some("jovyan") }), None);
    }

    #[test]
    fn all_that_is_asked_in_vain_is_one_request() {
        let all = [("NB_UID", "7"), ("NB_GID", "8"), ("NB_USER", "kitten"), ("PUID", "9")];
        let asked = told(&all, 1000, 100, Some("jovyan")).unwrap();
        let what = "NB_UID asks for user 7, and 1000 runs; NB_GID asks for group 8, and 100 runs; NB_USER asks for the name kitten, \
                    and jovyan runs";
        assert_eq!((asked.what.as_str(), asked.variables.as_str()), (what, "NB_UID, NB_GID, NB_USER"));
        assert_eq!(asked.numbers.as_deref(), Some("7:8"));
        let name = told(&[("NB_USER", "kitten")], 1000, 100, Some("jovyan")).unwrap();
        assert_eq!((name.variables.as_str(), name.numbers), ("NB_USER", None));
        let linuxserver = told(&[("PUID", "7"), ("PGID", "8")], 1000, 8, None).unwrap();
        assert_eq!(
            (linuxserver.what.as_str(), linuxserver.numbers.as_deref()),
            ("PUID asks for user 7, and 1000 runs", Some("7:8"))
        );
        assert_eq!(told(&[("NB_UID", "x"), ("PUID", "9")], 9, 9, None), None);
    }
}
