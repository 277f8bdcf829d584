//! The command line of a start: trainit's own options, then words that may name a mode or be a COMMAND. This file only parses; `mode`
//! decides what a word means, once the configuration is known.

use crate::command::grammar::{self, GivenValues};
use crate::command::table;
use crate::config::ConfigOptions;
use crate::error::{Error, ErrorKind, Result};
use std::ffi::{OsStr, OsString};

/// A start as typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StartRequest {
    /// trainit's own options.
    pub options: ConfigOptions,
    /// The words after the options.
    pub words: Vec<OsString>,
    /// Whether the words followed `--`: they are a COMMAND, never a mode.
    pub literal: bool,
}

/// Parses the words after the program's name, with or without a leading `run`.
///
/// # Errors
/// An unknown option, or an option without its value (64).
pub fn parse(words: &[OsString]) -> Result<StartRequest> {
    let words = words.strip_prefix(&[OsString::from("run")]).unwrap_or(words);
    if let Some(plain) = without_options(words) {
        return Ok(plain);
    }
    let (options, command) = read(words).map_err(usage)?;
    let before = words.len() - command.len();
    let literal = before.checked_sub(1).and_then(|at| words.get(at)).is_some_and(|word| word == "--");
    Ok(StartRequest { options, words: command, literal })
}

/// Parses by clap and the table.
fn read(words: &[OsString]) -> std::result::Result<(ConfigOptions, Vec<OsString>), clap::Error> {
    let line = clap::Command::new("trainit run").version(env!("CARGO_PKG_VERSION"));
    let line = match table::find(b"run") {
        Some(row) => grammar::fill(line, row),
        None => line,
    };
    let matches = line.try_get_matches_from(std::iter::once(&OsString::from("trainit")).chain(words))?;
    let given = GivenValues(&matches);
    let options = ConfigOptions { mode: given.text("mode"), config: given.path("config"), set: given.texts("set") };
    Ok((options, given.command()))
}

/// Parses a line without options of trainit's: most starts have none, and clap would be the most expensive part of them.
fn without_options(words: &[OsString]) -> Option<StartRequest> {
    let (words, literal) = match words.split_first() {
        Some((first, rest)) if first == "--" => (rest, true),
        Some((first, _)) if first.as_encoded_bytes().starts_with(b"-") => return None,
        _ => (words, false),
    };
    Some(StartRequest { options: ConfigOptions::default(), words: words.to_vec(), literal })
}

/// Parses the words after a mode word, among which trainit's options may stand, too.
///
/// # Errors
/// The errors of `parse`.
pub fn parse_after_mode(request: &StartRequest) -> Result<Option<StartRequest>> {
    let Some((mode, rest)) = request.words.split_first() else { return Ok(None) };
    if request.literal || !rest.first().is_some_and(|word| is_option(word)) {
        return Ok(None);
    }
    let more = parse(rest)?;
    let mut words = vec![mode.clone()];
    if !more.words.is_empty() {
        words.push("--".into());
        words.extend(more.words);
    }
    let options = ConfigOptions {
        mode: more.options.mode.or_else(|| request.options.mode.clone()),
        config: more.options.config.or_else(|| request.options.config.clone()),
        set: [request.options.set.clone(), more.options.set].concat(),
    };
    Ok(Some(StartRequest { options, words, literal: false }))
}

fn is_option(word: &OsStr) -> bool {
    let bytes = word.as_encoded_bytes();
    let options = table::find(b"run").into_iter().flat_map(table::Subcommand::all_options);
    options.map(table::CommandOption::typed).any(|option| {
        bytes.strip_prefix(option.as_bytes()).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"="))
    })
}

/// Converts clap's error: its first line says what is wrong, the rest is a hint. Help and version are no errors for clap's caller.
pub fn usage(error: clap::Error) -> Error {
    use clap::error::ErrorKind::{DisplayHelp, DisplayVersion};
    let text = error.render().to_string();
    if matches!(error.kind(), DisplayHelp | DisplayVersion) {
        return Error::new(ErrorKind::Answer, text.trim_end());
    }
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let what = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let tips = lines.filter(|line| line.starts_with("tip:")).map(|line| line.trim_start_matches("tip: ").to_owned());
    tips.fold(Error::usage(what), Error::hint).hint("`trainit --help` lists what there is")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(line: &str) -> StartRequest {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        parse(&words).unwrap()
    }

    #[test]
    fn options_end_at_the_first_word_that_is_none() {
        let request = request("--set gpu.count=2 python -c x --mode y");
        assert_eq!(request.options.set, ["gpu.count=2"]);
        assert_eq!(request.words, ["python", "-c", "x", "--mode", "y"]);
        assert!(!request.literal);
    }

    #[test]
    fn words_behind_two_dashes_are_a_command() {
        let request = request("run --mode train -- shell --login");
        assert_eq!(request.words, ["shell", "--login"]);
        assert!(request.literal);
    }

    #[test]
    fn the_commands_own_two_dashes_stay() {
        assert_eq!(request("torchrun -- x").words, ["torchrun", "--", "x"]);
    }

    #[test]
    fn options_may_follow_a_mode_word() {
        let request = parse_after_mode(&request("shell --set a=b -- bash -l")).unwrap().unwrap();
        assert_eq!(request.options.set, ["a=b"]);
        assert_eq!(request.words, ["shell", "--", "bash", "-l"]);
    }

    #[test]
    fn an_unknown_option_is_a_usage_error_with_a_suggestion() {
        let error = parse(&["--mdoe".into(), "x".into()]).unwrap_err();
        assert_eq!(error.exit().code(), 64);
        assert!(format!("{error:#}").contains("--mode"), "{error}");
    }

    #[test]
    fn bytes_that_are_no_text_pass() {
        use std::os::unix::ffi::OsStringExt;
        let word = OsString::from_vec(vec![b'a', 0xff]);
        assert_eq!(parse(&["echo".into(), word.clone()]).unwrap().words, ["echo".into(), word]);
    }
}
