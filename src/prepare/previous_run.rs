//! The last words of an earlier start whose container was killed with everything in it.

use crate::config::Settings;
use protocol::state_file::StateRecord;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use supervisor::state_dir;

/// Removes the state that earlier starts left, except `own`; returns that of the last of them.
pub(super) fn sweep(settings: &Settings, runtime: Option<&Path>, own: Option<&Path>) -> Option<StateRecord> {
    let mut bases: Vec<PathBuf> = state_dir::bases(runtime);
    bases.extend(settings.state_dir.value.clone());
    state_dir::previous_runs(&bases, own).pop()
}

/// Returns the line about a start that could not log its end itself.
pub(super) fn line(record: &StateRecord) -> String {
    format!("the start before this one ended without a word: {}", words(record))
}

fn words(record: &StateRecord) -> String {
    let command = record.command.as_deref().unwrap_or("preparing");
    let saved = record.saved.as_ref().map_or(String::new(), |saved| format!("; newest checkpoint {}", saved.path));
    let since = SystemTime::UNIX_EPOCH + Duration::from_secs_f64(record.since.clamp(0.0, 1e11));
    let since = humantime::format_rfc3339_seconds(since);
    format!("{command}, {} since {since}; killed from outside, or out of memory{saved}", record.phase.word())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_say_what_ran_and_where_to_go_on() {
        let saved = protocol::handover::SavedCheckpoint { path: "/out/step-7".into(), ..Default::default() };
        let record =
            StateRecord { command: Some("python train.py".into()), saved: Some(saved), ..StateRecord::default() };
        let words = words(&record);
        assert!(words.starts_with("python train.py, configuring since 1970-01-01T00:00:00Z"), "{words}");
        assert!(words.ends_with("newest checkpoint /out/step-7"), "{words}");
    }
}
