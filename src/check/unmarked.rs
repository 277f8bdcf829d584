//! A note about the checks that are left out where nothing marks a container, but the processes have a namespace of their own.

use crate::config::Settings;

/// Returns the note, if one of those checks would ask something here. `is_switched` says that the user changes.
pub(super) fn note(settings: &Settings, is_switched: bool, unmarked: &dyn Fn() -> bool) -> Option<String> {
    let asked = [
        (!settings.data.is_empty(), "data.mounted, data.access"),
        (!settings.output.is_empty(), "output.mounted"),
        (settings.code_path.is_some() || !settings.output.is_empty(), "user.owner_mismatch"),
        (is_switched, "user.stdio"),
    ];
    let left: Vec<&str> = asked.iter().filter(|(asked, _)| *asked).map(|(_, checks)| *checks).collect();
    (!left.is_empty() && unmarked()).then(|| {
        let left = left.join(", ");
        format!("a PID namespace without an engine's mark counts as a machine: {left} are not asked (container=yes asks them)")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_checks_that_would_ask_something_are_named() {
        let mut settings = Settings::default();
        assert_eq!(note(&settings, false, &|| panic!("nothing to look up")), None);
        settings.code_path.value = Some("/code".into());
        assert_eq!(note(&settings, false, &|| false), None);
        let told = note(&settings, true, &|| true).unwrap();
        assert!(told.contains(": user.owner_mismatch, user.stdio are not asked (container=yes"), "{told}");
    }
}
