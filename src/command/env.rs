//! `trainit env`: prints the workload's environment as lines for a shell (`eval "$(trainit env)"`) or as JSON, limited to the differences
//! from the caller's environment.

use super::{CommandInput, CommandOutput, bases, named};
use crate::config::ConfigSources;
use crate::error::Result;
use crate::prepare;
use crate::report::Console;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use supervisor::state_dir::{FoundState, find};
use sys::Root;
use sys::environment::Environment;

/// Prints the difference.
///
/// # Errors
/// Every error of a start before its checks; then stdout stays empty, and `eval` does nothing.
pub(super) fn run(asked: &CommandInput, json: bool) -> Result<CommandOutput> {
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let (before, options) = (&asked.environment, &asked.options);
    let sources = ConfigSources { root: &Root::real(), environment: before, options, workdir: &here };
    let run_dir = match find(named(None).as_deref(), &bases()) {
        FoundState::One(directory, _) => Some(directory),
        _ => None,
    };
    let (after, note) = prepare::preview(&sources, run_dir.as_deref().map(Path::new))?;
    note.iter().for_each(|note| Console::early().line(note));
    let text = match json {
        true => object(before, &after),
        // On a terminal a secret could be seen by others.
        false => lines(before, &after, std::io::stdout().is_terminal()),
    };
    Ok(CommandOutput::well(text))
}

fn gone<'a>(before: &'a Environment, after: &'a Environment) -> impl Iterator<Item = &'a OsStr> {
    let kept: BTreeSet<&OsStr> = after.iter().map(|(name, _)| name).collect();
    before.iter().map(|(name, _)| name).filter(move |name| !kept.contains(name))
}

fn lines(before: &Environment, after: &Environment, hide: bool) -> String {
    let set = after.changed_since(before).filter_map(|(name, value)| {
        let name = name.to_str().filter(|name| is_name(name))?;
        Some(match hide && text::is_secret(name) {
            true => format!("# {name} is a secret: it is not shown on a terminal\n"),
            false => format!("export {name}={}\n", word(value)),
        })
    });
    let unset = gone(before, after).filter_map(OsStr::to_str).filter(|name| is_name(name));
    set.chain(unset.map(|name| format!("unset {name}\n"))).collect()
}

/// Returns whether a shell can export the name (POSIX, 3.216).
fn is_name(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit())
}

/// Quotes a word for every shell; only bytes that are no text need syntax that sh lacks.
fn word(value: &OsStr) -> String {
    match value.to_str() {
        Some(text) => format!("'{}'", text.replace('\'', r"'\''")),
        None => text::quoted(value),
    }
}

fn object(before: &Environment, after: &Environment) -> String {
    let text = |text: &OsStr| text.to_string_lossy().into_owned();
    let set: Map<String, Value> =
        after.changed_since(before).map(|(name, value)| (text(name), text(value).into())).collect();
    let unset: Vec<String> = gone(before, after).map(text).collect();
    format!("{:#}", json!({"set": set, "unset": unset}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    #[test]
    fn only_what_differs_is_written_and_secrets_not_on_a_terminal() {
        let before: Environment = [("A", "1"), ("B", "1"), ("GONE", "1")].into_iter().collect();
        let after = [("A", "1"), ("B", "it's"), ("C_TOKEN", "s"), ("a.b", "no name")].into_iter().collect();
        assert_eq!(lines(&before, &after, false), "export B='it'\\''s'\nexport C_TOKEN='s'\nunset GONE\n");
        assert!(lines(&before, &after, true).contains("# C_TOKEN is a secret"));
        let json: Value = serde_json::from_str(&object(&before, &after)).unwrap();
        assert_eq!((&json["set"]["B"], &json["unset"][0]), (&"it's".into(), &"GONE".into()));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20, ..ProptestConfig::default() })]

        #[test]
        fn a_shell_reads_back_what_is_written(value in "[^\0]{0,30}") {
            let after = [("X", value.as_str())].into_iter().collect();
            let script = format!("{}printf %s \"$X\"", lines(&Environment::default(), &after, false));
            let output = Command::new("sh").args(["-c", &script]).output().unwrap();
            prop_assert_eq!(output.stdout, value.as_bytes());
        }
    }
}
