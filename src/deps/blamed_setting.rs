//! Names the settings that may be the cause of a failed installation: variables of the installers that are set, or that name a file.
//! Pure.

use super::failure_class::FailureClass;
use crate::config::{IndexChoice, Settings};
use sys::environment::Environment;

/// trainit's own key behind a variable of the installers.
const OWN: &str = "PIP_NO_INDEX";

/// Returns a hint for each variable that is set and may be the cause of this class.
pub(super) fn set(class: &FailureClass, settings: &Settings, environment: &Environment) -> Option<String> {
    let is_own = |name: &str| name == OWN && settings.deps_index.value.is_some();
    let is_set = |name: &&&str| !is_own(name) && environment.text(name).is_some_and(|value| !is_off(value));
    let mut set: Vec<_> = class.settings.iter().filter(is_set).map(|name| (*name).to_owned()).collect();
    if class.settings.contains(&OWN) && matches!(settings.deps_index.value, Some(IndexChoice::Off)) {
        set.insert(0, format!("deps.index=off ({})", settings.deps_index.origin));
    }
    let verb = if set.len() == 1 { "is set, which may be" } else { "are set, which may be" };
    (!set.is_empty()).then(|| format!("{} {verb} the reason", set.join(", ")))
}

fn is_off(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "" | "0" | "false" | "no" | "off")
}

/// Returns a hint that names the variable with the path that an installer does not find.
pub(super) fn naming(lines: &[String], environment: &Environment) -> Option<String> {
    let text = lines.join("\n");
    let paths: Vec<_> = text.split(['\'', '`', '"', ' ', '\n']).filter(|word| word.len() > 1).collect();
    let is_of_installers =
        |name: &str| ["PIP_", "UV_", "SSL_", "REQUESTS_", "CURL_"].iter().any(|prefix| name.starts_with(prefix));
    let names = |value: &str| value.split([' ', ',']).any(|word| paths.contains(&word.trim_start_matches("file://")));
    let named = environment.iter().find_map(|(name, value)| {
        let name = name.to_str().filter(|name| is_of_installers(name))?;
        names(value.to_str()?).then(|| name.to_owned())
    })?;
    Some(format!("{named} names it: correct the variable, or unset it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OriginValue;
    use crate::deps::failure_class::{COMPILED, NO_WHEEL};

    fn environment(pairs: &[(&'static str, &'static str)]) -> Environment {
        pairs.iter().copied().collect()
    }

    #[test]
    fn what_is_set_and_may_be_the_cause_is_named_and_nothing_else() {
        let mut settings = Settings::default();
        let set_here = environment(&[("UV_NO_BUILD", "1"), ("PIP_NO_BINARY", "0"), ("PIP_NO_INDEX", "1")]);
        assert_eq!(set(&COMPILED, &settings, &set_here), None);
        let both = "PIP_NO_INDEX, UV_NO_BUILD are set, which may be the reason";
        assert_eq!(set(&NO_WHEEL, &settings, &set_here).as_deref(), Some(both));
        settings.deps_index = OriginValue { value: Some(IndexChoice::Off), ..settings.deps_index };
        let own = set(&NO_WHEEL, &settings, &set_here).unwrap();
        assert!(own.starts_with("deps.index=off") && !own.contains("PIP_NO_INDEX"), "{own}");
    }

    #[test]
    fn the_variable_that_names_a_missing_file_is_told() {
        let lines =
            ["Could not open requirements file: [Errno 2] No such file or directory: '/etc/pins.txt'".to_owned()];
        let told = naming(&lines, &environment(&[("PIP_CONSTRAINT", "/a /etc/pins.txt"), ("OTHER", "/etc/pins.txt")]));
        assert!(told.unwrap().starts_with("PIP_CONSTRAINT names it"));
        assert_eq!(naming(&lines, &environment(&[("PIP_CONSTRAINT", "/a")])), None);
    }
}
