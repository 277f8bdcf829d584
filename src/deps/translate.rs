//! Translates pip's settings for uv. uv reads none of pip's variables and files: without this, uv would ignore an image's private index or
//! pinned versions without a message.

use super::pip::PipSetting;
use sys::environment::Environment;

/// The translation of one setting.
enum Rule {
    /// A variable, unless one of these is set; the parts of the value are joined by the second text.
    Variable(&'static [&'static str], &'static str),
    /// A variable with a fixed value, when the setting is on.
    Switch(&'static str, &'static str),
    /// An option, when the setting is on.
    Flag(&'static str),
    /// An option with this value.
    Value(&'static str),
    /// A variable with the value, if uv knows the second one; nothing for the values of the third list.
    Word(&'static str, &'static str, &'static [&'static str]),
    /// Nothing, because the setting does not change the installed packages.
    Ignored,
}

const TABLE: &[(&str, Rule)] = &[
    ("index-url", Rule::Variable(&["UV_DEFAULT_INDEX", "UV_INDEX_URL"], " ")),
    ("extra-index-url", Rule::Variable(&["UV_INDEX", "UV_EXTRA_INDEX_URL"], " ")),
    ("find-links", Rule::Variable(&["UV_FIND_LINKS"], ",")),
    ("no-index", Rule::Flag("--no-index")),
    ("constraint", Rule::Variable(&["UV_CONSTRAINT"], " ")),
    ("trusted-host", Rule::Variable(&["UV_INSECURE_HOST"], " ")),
    ("cert", Rule::Variable(&["SSL_CERT_FILE"], " ")),
    ("client-cert", Rule::Variable(&["SSL_CLIENT_CERT"], " ")),
    // What pip does by itself, uv does not: a password that only a keyring has is the user's to ask for there.
    ("keyring-provider", Rule::Word("UV_KEYRING_PROVIDER", "subprocess", &["auto", "disabled"])),
    ("retries", Rule::Variable(&["UV_HTTP_RETRIES"], " ")),
    ("timeout", Rule::Variable(&["UV_HTTP_TIMEOUT"], " ")),
    ("pre", Rule::Switch("UV_PRERELEASE", "allow")),
    ("only-binary", Rule::Value("--only-binary")),
    ("no-binary", Rule::Value("--no-binary")),
    ("require-hashes", Rule::Switch("UV_REQUIRE_HASHES", "1")),
    ("no-cache-dir", Rule::Switch("UV_NO_CACHE", "1")),
    ("cache-dir", Rule::Ignored),
    ("break-system-packages", Rule::Ignored),
    ("compile", Rule::Ignored),
    ("disable-pip-version-check", Rule::Ignored),
    ("log", Rule::Ignored),
    ("no-color", Rule::Ignored),
    ("no-compile", Rule::Ignored),
    ("no-input", Rule::Ignored),
    ("no-python-version-warning", Rule::Ignored),
    ("no-warn-conflicts", Rule::Ignored),
    ("no-warn-script-location", Rule::Ignored),
    ("prefer-binary", Rule::Ignored),
    ("progress-bar", Rule::Ignored),
    ("quiet", Rule::Ignored),
    // `installer::choose` keeps it, whichever program installs.
    ("require-virtualenv", Rule::Ignored),
    ("root-user-action", Rule::Ignored),
    ("verbose", Rule::Ignored),
];

/// The settings in uv's form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ForUv {
    /// Variables to set.
    pub variables: Vec<(&'static str, String)>,
    /// Options to add.
    pub options: Vec<String>,
    /// The settings without a counterpart in uv, each with its origin.
    pub unknown: Vec<String>,
}

/// Translates the settings; the user's own settings for uv win.
pub(super) fn for_uv(settings: &[PipSetting], environment: &Environment) -> ForUv {
    let mut found = ForUv::default();
    for setting in settings {
        let rule = TABLE.iter().find(|(name, _)| *name == setting.name).map(|(_, rule)| rule);
        match rule {
            None => found.unknown.push(describe(setting)),
            Some(Rule::Ignored) => {}
            Some(Rule::Variable(names, joint)) => {
                let free = names.iter().all(|name| environment.get(name).is_none());
                let value = setting.value.split_whitespace().collect::<Vec<_>>().join(joint);
                found.variables.extend(names.first().filter(|_| free).map(|name| (*name, value)));
            }
            Some(Rule::Switch(name, value)) if setting.is_on() && environment.get(name).is_none() => {
                found.variables.push((name, (*value).to_owned()));
            }
            Some(Rule::Flag(option)) if setting.is_on() => found.options.push((*option).to_owned()),
            Some(Rule::Value(option)) => {
                let values = setting.value.split([',', ' ', '\n']).filter(|value| !value.is_empty());
                found.options.extend(values.flat_map(|value| [(*option).to_owned(), value.to_owned()]));
            }
            Some(Rule::Word(name, ..)) if environment.get(name).is_some() => {}
            Some(Rule::Word(name, word, _)) if setting.value == *word => {
                found.variables.push((name, setting.value.clone()))
            }
            Some(Rule::Word(_, _, ignored)) if !ignored.contains(&setting.value.as_str()) => {
                found.unknown.push(format!("{} ({})", describe(setting), setting.value));
            }
            Some(Rule::Switch(..) | Rule::Flag(_) | Rule::Word(..)) => {}
        }
    }
    build_constraints(&mut found, environment);
    found
}

/// Adds constraints for builds: pip applies its constraints to builds as well, and uv has a separate variable for them.
fn build_constraints(found: &mut ForUv, environment: &Environment) {
    let value = found.variables.iter().find(|(name, _)| *name == "UV_CONSTRAINT").map(|(_, value)| value.clone());
    if environment.get("UV_BUILD_CONSTRAINT").is_none() {
        found.variables.extend(value.map(|value| ("UV_BUILD_CONSTRAINT", value)));
    }
}

/// Returns uv's variables for a setting of pip.
pub(super) fn counterparts(name: &str) -> &'static [&'static str] {
    let rule = TABLE.iter().find(|(known, _)| *known == name).map(|(_, rule)| rule);
    match rule {
        Some(Rule::Variable(names, _)) => names,
        _ => &[],
    }
}

/// Checks whether a setting only says where packages come from and how they are installed, or names constraints.
pub(super) fn is_known(name: &str) -> bool {
    TABLE.iter().any(|(known, _)| *known == name)
}

/// Checks whether a setting does not affect the installed packages.
pub(super) fn is_ignored(name: &str) -> bool {
    ["retries", "timeout", "cert", "client-cert", "keyring-provider", "no-cache-dir"].contains(&name)
        || TABLE.iter().any(|(known, rule)| *known == name && matches!(rule, Rule::Ignored))
}

fn describe(setting: &PipSetting) -> String {
    match setting.origin.starts_with("PIP_") {
        true => setting.origin.clone(),
        false => format!("{} in {}", setting.name, setting.origin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translate(settings: &[(&str, &str)], environment: &[(&str, &str)]) -> ForUv {
        let setting = |(name, value): &(&str, &str)| PipSetting {
            name: (*name).into(),
            value: (*value).into(),
            origin: "/etc/pip.conf".into(),
        };
        for_uv(&settings.iter().map(setting).collect::<Vec<_>>(), &environment.iter().copied().collect())
    }

    #[test]
    fn lists_are_written_as_uv_wants_them() {
        let found = translate(&[("find-links", "/one\n/two"), ("extra-index-url", "https://a  https://b")], &[]);
        assert_eq!(
            found.variables,
            [("UV_FIND_LINKS", "/one,/two".to_owned()), ("UV_INDEX", "https://a https://b".to_owned())]
        );
    }

    #[test]
    fn what_the_user_told_uv_wins() {
        let found = translate(&[("index-url", "https://pip")], &[("UV_INDEX_URL", "https://uv")]);
        assert_eq!(found, ForUv::default());
    }

    #[test]
    fn constraints_also_hold_for_builds() {
        let found = translate(&[("constraint", "/etc/pip/constraint.txt")], &[]);
        assert_eq!(found.variables.len(), 2);
        assert!(found.variables.iter().all(|(_, value)| value == "/etc/pip/constraint.txt"));
    }

    #[test]
    fn switches_count_only_when_on_and_what_uv_cannot_do_is_named() {
        let found = translate(&[("no-index", "0"), ("pre", "true"), ("no-input", "1"), ("user", "1")], &[]);
        assert!(found.options.is_empty());
        assert_eq!(found.variables, [("UV_PRERELEASE", "allow".to_owned())]);
        assert_eq!(found.unknown, ["user in /etc/pip.conf"]);
    }

    #[test]
    fn a_keyring_is_passed_on_where_uv_can_ask_it() {
        let of = |value| translate(&[("keyring-provider", value)], &[]);
        assert_eq!(of("subprocess").variables, [("UV_KEYRING_PROVIDER", "subprocess".to_owned())]);
        assert_eq!(of("import").unknown, ["keyring-provider in /etc/pip.conf (import)"]);
        assert_eq!(of("auto"), ForUv::default());
        let own = [("UV_KEYRING_PROVIDER", "disabled")];
        assert_eq!(translate(&[("keyring-provider", "import")], &own), ForUv::default());
    }

    #[test]
    fn every_setting_has_one_rule() {
        let mut names: Vec<_> = TABLE.iter().map(|(name, _)| name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), TABLE.len());
    }
}
