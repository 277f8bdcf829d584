//! `trainit history`: shows the attempts of a job and what their time went into, as a table or as JSON, once or while the job runs.

mod schema;
mod table;

use super::{CommandInput, CommandOutput};
use crate::config::HistoryPath;
use crate::error::{Error, ErrorKind, Result};
use crate::job_history::HistoryFile;
use crate::report;
use history::{AccountedAttempt, Accounts, Attempts, Reason};
use serde::Serialize;
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;
use supervisor::state_dir::unix_now;
use sys::{credentials, window};
use table::TableStyle;

pub(super) use schema::schema;

/// Version of the JSON; it changes when a field changes its meaning or is removed.
const SCHEMA: u32 = 1;

/// The pause between two looks at a history that is followed.
const LOOK: Duration = Duration::from_millis(500);

/// Clears a terminal (ECMA-48): the cursor to the first column of the first line, and everything behind it away.
const CLEAR: &str = "\u{1b}[H\u{1b}[J";

/// What is shown, and how.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HistoryView {
    /// As JSON.
    pub json: bool,
    /// Until the job is done.
    pub follow: bool,
}

/// The JSON form.
#[derive(Serialize)]
struct Told<'a> {
    schema: u32,
    file: String,
    at: f64,
    #[serde(flatten)]
    accounts: &'a Accounts,
}

/// Shows the history of a directory of checkpoints, of a file, or the configured one.
///
/// # Errors
/// No history is there, or it cannot be read; an invalid configuration (78).
pub(super) fn run(asked: &CommandInput, place: Option<PathBuf>, view: HistoryView) -> Result<CommandOutput> {
    let file = match place {
        Some(place) => {
            if credentials::own_uid() == 0 {
                asked.enter()?;
            }
            named(&place)
        }
        None => configured(asked)?,
    };
    let accounts = read(&file)?;
    if view.follow {
        return follow(&file, accounts, view.json);
    }
    Ok(CommandOutput::well(text(&file, &accounts, view.json)))
}

/// Shows the history whenever it changes, until the job is done.
fn follow(file: &HistoryFile, mut accounts: Accounts, json: bool) -> Result<CommandOutput> {
    let clears = std::io::stdout().is_terminal() && !json;
    loop {
        let shown = text(file, &accounts, json);
        report::print(&if clears { format!("{CLEAR}{shown}") } else { shown });
        let before = lines(&accounts);
        if accounts.attempts.last().is_some_and(|last| last.reason == Some(Reason::Done)) {
            return Ok(CommandOutput::well(""));
        }
        while lines(&accounts) == before {
            std::thread::sleep(LOOK);
            accounts = read(file)?;
        }
    }
}

/// Returns what of a history does not change with time alone.
fn lines(accounts: &Accounts) -> Vec<(String, bool, Option<Reason>)> {
    let line = |one: &AccountedAttempt| (one.attempt.start.id.clone(), one.attempt.ready.is_some(), one.reason);
    accounts.attempts.iter().map(line).collect()
}

/// Returns the history that a person names: a directory of checkpoints, the directory with the history, or the file.
fn named(place: &Path) -> HistoryFile {
    let usual = HistoryFile::in_directory(place);
    match usual.path.file_name().map(|name| place.join(name)) {
        _ if place.is_file() => HistoryFile::at(place.to_owned()),
        // Where nothing can be appended, the history is small files beside this name.
        _ if !place.is_dir() => HistoryFile::at(place.to_owned()),
        Some(inside) if inside.is_file() => HistoryFile::at(inside),
        _ => usual,
    }
}

fn configured(asked: &CommandInput) -> Result<HistoryFile> {
    let (loaded, _) = asked.load()?;
    let settings = &loaded.settings;
    match (&settings.history_file.value, &settings.checkpoint_dir.value) {
        (HistoryPath::File(path), _) => Ok(HistoryFile::at(loaded.workdir.join(path))),
        (_, Some(dir)) => Ok(HistoryFile::in_directory(&loaded.workdir.join(dir))),
        (_, None) => {
            Err(Error::usage("neither checkpoint.dir nor history.file is set, so it is not known where a history is")
                .hint("trainit history DIRECTORY: that of the checkpoints"))
        }
    }
}

fn read(file: &HistoryFile) -> Result<Accounts> {
    let shown = text::path(&file.path);
    let bytes = file.read().map_err(|error| {
        Error::new(ErrorKind::Unanswered, format!("the history {shown} cannot be read")).caused_by(error)
    })?;
    let attempts = Attempts::read(&bytes);
    if attempts.all.is_empty() && attempts.summed.is_none() {
        let missing = Error::new(ErrorKind::Unanswered, format!("no history in {shown}"));
        return Err(match attempts.skipped {
            0 => missing.because("a training with checkpoint.dir has one from its first checkpoint on"),
            lines => {
                missing.because(format!("{} in it that no trainit of this version wrote", text::count(lines, "line")))
            }
        });
    }
    Ok(history::accounts(&attempts, unix_now()))
}

fn text(file: &HistoryFile, accounts: &Accounts, json: bool) -> String {
    if json {
        let told = Told { schema: SCHEMA, file: text::path(&file.path), at: history::rounded(unix_now()), accounts };
        return text::json(&serde_json::to_string_pretty(&told).unwrap_or_default()) + "\n";
    }
    let stdout = std::io::stdout();
    let width = window::window_size(stdout.as_fd()).map_or(WIDE, |size| usize::from(size.ws_col));
    table::table(accounts, TableStyle { width, colour: report::has_colour(&stdout) })
}

/// Width of a table that no terminal shows.
const WIDE: usize = 100;
