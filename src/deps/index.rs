//! Passes the configured indexes to pip and uv as variables, which win over the settings of an image or a user. Variables are used because
//! an index may contain a password, and any user can read a command line.

use super::{DepsRequest, sources};
use crate::config::{IndexChoice, Settings};
use sys::environment::Environment;

/// Returns the environment with the configured indexes, without what contradicts a lock; and a line for each variable that a lock
/// overrides.
pub(super) fn applied(request: &DepsRequest<'_>) -> (Environment, Vec<String>) {
    let mut with = request.environment.clone();
    let lines = sources::keep_locked(request, &mut with);
    (configured(request.settings, with), lines)
}

fn configured(settings: &Settings, mut with: Environment) -> Environment {
    match &settings.deps_index.value {
        None => {}
        Some(IndexChoice::Off) => with.set("PIP_NO_INDEX", "1"),
        Some(IndexChoice::Url(url)) => {
            with.set("PIP_NO_INDEX", "0");
            set(&mut with, ["PIP_INDEX_URL", "UV_DEFAULT_INDEX"], "UV_INDEX_URL", [url.clone(), url.clone()]);
        }
    }
    if !settings.deps_extra_index.is_empty() {
        let urls = settings.deps_extra_index.join(" ");
        set(&mut with, ["PIP_EXTRA_INDEX_URL", "UV_INDEX"], "UV_EXTRA_INDEX_URL", [urls.clone(), urls]);
    }
    if !settings.deps_find_links.is_empty() {
        let values = [settings.deps_find_links.join(" "), settings.deps_find_links.join(",")];
        set(&mut with, ["PIP_FIND_LINKS", "UV_FIND_LINKS"], "", values);
    }
    with
}

/// Sets the variables of pip and uv, and removes uv's older name.
fn set(environment: &mut Environment, names: [&str; 2], older: &str, values: [String; 2]) {
    names.into_iter().zip(values).for_each(|(name, value)| environment.set(name, value));
    environment.remove(older);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_configured_wins_for_both_installers() {
        let mut settings = Settings::default();
        let inherited: Environment =
            [("PIP_INDEX_URL", "https://a"), ("UV_INDEX_URL", "https://b"), ("PIP_NO_INDEX", "1"), ("X", "y")]
                .into_iter()
                .collect();
        assert_eq!(configured(&settings, inherited.clone()), inherited);
        settings.deps_index.value = Some(IndexChoice::Url("https://c".into()));
        settings.deps_find_links.value = vec!["/one".into(), "/two".into()];
        let found = configured(&settings, inherited.clone());
        let expected = [
            ("PIP_INDEX_URL", Some("https://c")),
            ("UV_DEFAULT_INDEX", Some("https://c")),
            ("UV_INDEX_URL", None),
            ("PIP_NO_INDEX", Some("0")),
            ("PIP_FIND_LINKS", Some("/one /two")),
            ("UV_FIND_LINKS", Some("/one,/two")),
            ("X", Some("y")),
        ];
        expected.into_iter().for_each(|(name, value)| assert_eq!(found.text(name), value, "{name}"));
        settings.deps_index.value = Some(IndexChoice::Off);
        assert_eq!(configured(&settings, inherited).text("PIP_NO_INDEX"), Some("1"));
    }
}
