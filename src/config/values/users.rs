//! The user of the workload, and the permissions of its files.

use super::{ConfigValue, ValueError};
use serde_json::{Value as Json, json};

/// A user or a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// By number.
    Number(u32),
    /// By name in /etc/passwd or /etc/group.
    Name(String),
}

/// A length that no name of useradd(8) reaches.
const NAME_MAX: usize = 256;

impl Who {
    /// Parses a number or a name. A name must not start with a digit: `0day` is more likely a slip than a user.
    ///
    /// # Errors
    /// The reason why the text is invalid.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let no_user = || ValueError::NoUser(text.to_owned());
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            // The highest number means "unchanged" to the system calls.
            let number = text.parse().ok().filter(|number| *number != u32::MAX);
            return number.map(Who::Number).ok_or_else(no_user);
        }
        let fits = |c: char| c.is_ascii_alphanumeric() || "_.-@$".contains(c);
        match text.is_empty() || text.len() > NAME_MAX || text.starts_with('-') || !text.chars().all(fits) {
            true => Err(no_user()),
            false => Ok(Who::Name(text.to_owned())),
        }
    }
}

/// The user that the workload runs as.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum UserChoice {
    /// The user that trainit was started as.
    #[default]
    Keep,
    /// The owner of the mounted code directory.
    Owner,
    /// This user, in this group or the user's own.
    Named(Who, Option<Who>),
}

impl ConfigValue for UserChoice {
    fn form() -> String {
        "a user: keep, owner, 1000, 1000:1000, name or name:group".into()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        match text {
            "keep" => Ok(UserChoice::Keep),
            "owner" => Ok(UserChoice::Owner),
            _ => match text.split_once(':') {
                Some((user, group)) => Ok(UserChoice::Named(Who::parse(user)?, Some(Who::parse(group)?))),
                None => Ok(UserChoice::Named(Who::parse(text)?, None)),
            },
        }
    }

    fn schema() -> Json {
        json!({"type": ["string", "integer"], "minimum": 0, "pattern": "^[A-Za-z0-9_.@$-]+(:[A-Za-z0-9_.@$-]+)?$"})
    }
}

/// The permissions that new files never get (umask(2)), written in octal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Umask(pub u32);

impl ConfigValue for Umask {
    fn form() -> String {
        "permissions in octal, such as 022 or 0027".into()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        let octal = !text.is_empty() && text.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
        let bits = u32::from_str_radix(text, 8).ok().filter(|bits| octal && *bits <= 0o777);
        bits.map(Umask).ok_or(ValueError::Form)
    }

    fn schema() -> Json {
        json!({"type": ["string", "integer"], "minimum": 0, "maximum": 777, "pattern": "^0?[0-7]{1,3}$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(user: u32, group: Option<u32>) -> Result<UserChoice, ValueError> {
        Ok(UserChoice::Named(Who::Number(user), group.map(Who::Number)))
    }

    #[test]
    fn users_and_groups_are_numbers_or_names() {
        assert_eq!(UserChoice::parse("keep"), Ok(UserChoice::Keep));
        assert_eq!(UserChoice::parse("owner"), Ok(UserChoice::Owner));
        assert_eq!(UserChoice::parse("1000"), number(1000, None));
        assert_eq!(UserChoice::parse("0:1000"), number(0, Some(1000)));
        let named = UserChoice::Named(Who::Name("games".into()), Some(Who::Name("daemon".into())));
        assert_eq!(UserChoice::parse("games:daemon"), Ok(named));
        assert_eq!(Who::parse("_apt"), Ok(Who::Name("_apt".into())));
    }

    #[test]
    fn what_is_no_user_is_refused() {
        for text in ["", ":0", "1000:", "0day", "1:2:3", "4294967295", "-1", "a b", "a/b", "a\nb:x", "1000 ", "$(id)"] {
            assert!(UserChoice::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_mask_is_octal_however_it_is_written() {
        assert_eq!(
            ["022", "22", "0027", "777", "0"].map(Umask::parse),
            [0o22, 0o22, 0o27, 0o777, 0].map(|m| Ok(Umask(m)))
        );
        for text in ["", "8", "1000", "u=rwx", "-1", "+2", "0o22"] {
            assert!(Umask::parse(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_name_that_is_taken_cannot_break_a_line_of_passwd(text in ".*") {
            if let Ok(Who::Name(name)) = Who::parse(&text) {
                prop_assert!(!name.contains([':', '\n', '\0', '/', ' ']));
            }
        }
    }
}
