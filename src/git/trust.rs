//! Lets git work in a repository that belongs to another user ("detected dubious ownership"), by variables alone.
//!
//! No file is written, and only this one directory is trusted (git-config(1), GIT_CONFIG_COUNT).

use sys::environment::Environment;

const COUNT: &str = "GIT_CONFIG_COUNT";

/// Adds `safe.directory` for exactly this directory, after the entries that are configured in the same way already.
pub fn trust(environment: &mut Environment, root: &str) {
    let Some(count) = count(environment) else { return };
    environment.set(format!("GIT_CONFIG_KEY_{count}"), "safe.directory");
    environment.set(format!("GIT_CONFIG_VALUE_{count}"), root);
    environment.set(COUNT, (count + 1).to_string());
}

/// Returns the number of entries; `None` if git would refuse the number.
fn count(environment: &Environment) -> Option<u16> {
    let Some(count) = environment.get(COUNT) else { return Some(0) };
    count.to_str()?.parse().ok().filter(|count| *count < u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusted(given: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut environment = given.iter().copied().collect();
        trust(&mut environment, "/code");
        let text = |s: &std::ffi::OsStr| s.to_string_lossy().into_owned();
        environment.iter().map(|(name, value)| (text(name), text(value))).collect()
    }

    #[test]
    fn what_is_configured_already_stays() {
        let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect::<Vec<_>>();
        let alone =
            [("GIT_CONFIG_KEY_0", "safe.directory"), ("GIT_CONFIG_VALUE_0", "/code"), ("GIT_CONFIG_COUNT", "1")];
        assert_eq!(trusted(&[]), pairs(&alone));
        let given = [("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "a.b"), ("GIT_CONFIG_VALUE_0", "c")];
        let both = [
            ("GIT_CONFIG_COUNT", "2"),
            given[1],
            given[2],
            ("GIT_CONFIG_KEY_1", "safe.directory"),
            ("GIT_CONFIG_VALUE_1", "/code"),
        ];
        assert_eq!(trusted(&given), pairs(&both));
        assert_eq!(trusted(&[("GIT_CONFIG_COUNT", "many")]), pairs(&[("GIT_CONFIG_COUNT", "many")]));
    }
}
