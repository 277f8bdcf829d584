//! The command line's grammar for clap, generated from the table of sub-commands, and typed access to what clap has read.

use super::generated_words::GENERATED;
use super::table::{CommandOption, Operand, OperandKind, OptionValue, SUBCOMMANDS, Subcommand, SubcommandKind, Task};
use crate::config::{ConfigValue, ValueError};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use std::any::Any;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// The option for packagers.
pub const GENERATE: &str = "generate";

/// Returns the grammar of sub-commands that start nothing.
pub fn whole_line() -> Command {
    let generate = Arg::new(GENERATE)
        .long(GENERATE)
        .value_name("WHAT")
        .value_parser(PossibleValuesParser::new(GENERATED))
        .exclusive(true)
        .help("Print a man page, a completion or the schema, for packagers");
    let rows = SUBCOMMANDS.iter().filter(|row| is_read_here(row.kind));
    Command::new("trainit").disable_help_subcommand(true).arg(generate).subcommands(rows.map(line_of))
}

/// Returns whether clap reads the sub-command; the others read their own arguments.
const fn is_read_here(kind: SubcommandKind) -> bool {
    matches!(kind, SubcommandKind::StartsNothing | SubcommandKind::AsksContainer)
}

/// Returns the grammar of one sub-command.
fn line_of(row: &'static Subcommand) -> Command {
    fill(Command::new(row.name), row)
}

/// Adds the options and operands of a row to a grammar.
pub fn fill(line: Command, row: &'static Subcommand) -> Command {
    let command = line
        .about(row.about)
        .args(row.all_options().map(option))
        .args(row.operand.map(operand))
        .subcommands(row.actions.iter().map(line_of));
    match (row.actions.is_empty(), row.task) {
        (true, _) => command,
        (false, Task::Elsewhere) => command.subcommand_required(true).arg_required_else_help(true),
        (false, _) => command.args_conflicts_with_subcommands(true),
    }
}

fn option(row: &'static CommandOption) -> Arg {
    let argument = Arg::new(row.name).long(row.name).help(row.about);
    let argument = match row.value.name() {
        Some(name) => argument.value_name(name),
        None => argument,
    };
    let argument = match row.value {
        OptionValue::None => argument.action(ArgAction::SetTrue),
        OptionValue::Mode(_) | OptionValue::Text(_) => argument,
        OptionValue::List(_) => argument.action(ArgAction::Append).value_delimiter(','),
        OptionValue::Repeated(_) => argument.action(ArgAction::Append),
        OptionValue::File(_) | OptionValue::Directory(_) => argument.value_parser(value_parser!(PathBuf)),
        OptionValue::Time(_) => argument.value_parser(time),
    };
    let argument = match row.default {
        Some(default) => argument.default_value(default),
        None => argument,
    };
    match row.excludes {
        Some(other) => argument.conflicts_with(other),
        None => argument,
    }
}

fn operand(row: Operand) -> Arg {
    let argument = Arg::new(row.name).value_name(row.name).help(row.about);
    match row.kind {
        OperandKind::File | OperandKind::Directory => argument.value_parser(value_parser!(PathBuf)).required(true),
        OperandKind::MaybePath => argument.value_parser(value_parser!(PathBuf)),
        OperandKind::Paths => argument.value_parser(value_parser!(PathBuf)).action(ArgAction::Append).num_args(0..),
        OperandKind::Command | OperandKind::MaybeCommand => argument
            .value_parser(value_parser!(OsString))
            .action(ArgAction::Append)
            .num_args(1..)
            .trailing_var_arg(true),
    }
}

/// Parses a duration as in the configuration.
fn time(text: &str) -> Result<Duration, ValueError> {
    <Duration as ConfigValue>::parse(text)
}

/// Returns the row of the chosen sub-command, with its values.
pub fn chosen(matches: &ArgMatches) -> Option<(&'static Subcommand, GivenValues<'_>)> {
    chosen_of(SUBCOMMANDS, matches)
}

fn chosen_of<'a>(
    rows: &'static [Subcommand],
    matches: &'a ArgMatches,
) -> Option<(&'static Subcommand, GivenValues<'a>)> {
    let (name, below) = matches.subcommand()?;
    let row = rows.iter().find(|row| row.name == name)?;
    chosen_of(row.actions, below).or(Some((row, GivenValues(below))))
}

/// Given values by the names in the table.
#[derive(Clone, Copy)]
pub struct GivenValues<'a>(pub &'a ArgMatches);

impl GivenValues<'_> {
    /// Returns whether a flag was given.
    pub fn flag(self, name: &str) -> bool {
        self.value(name).unwrap_or(false)
    }

    /// Returns a text.
    pub fn text(self, name: &str) -> Option<String> {
        self.value(name)
    }

    /// Returns a path.
    pub fn path(self, name: &str) -> Option<PathBuf> {
        self.value(name)
    }

    /// Returns several paths.
    pub fn paths(self, name: &str) -> Vec<PathBuf> {
        self.values(name)
    }

    /// Returns a duration.
    pub fn time(self, name: &str) -> Option<Duration> {
        self.value(name)
    }

    /// Returns the texts of a repeatable option.
    pub fn texts(self, name: &str) -> Vec<String> {
        self.values(name)
    }

    /// Returns the command and its arguments.
    pub fn command(self) -> Vec<OsString> {
        self.values("COMMAND")
    }

    // These methods of clap do not panic: an option that the grammar lacks counts as not given.
    fn value<T: Any + Clone + Send + Sync>(self, name: &str) -> Option<T> {
        self.0.try_get_one::<T>(name).ok().flatten().cloned()
    }

    fn values<T: Any + Clone + Send + Sync>(self, name: &str) -> Vec<T> {
        self.0.try_get_many::<T>(name).ok().flatten().map(|all| all.cloned().collect()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::find;
    use super::*;

    fn assert_same(rows: &[Subcommand], line: &Command) {
        let known: Vec<&str> = line.get_subcommands().map(Command::get_name).collect();
        let written: Vec<&str> = rows.iter().filter(|row| is_read_here(row.kind)).map(|row| row.name).collect();
        assert_eq!(known, written, "{}", line.get_name());
        for row in rows.iter().filter(|row| is_read_here(row.kind)) {
            assert_same(row.actions, line.find_subcommand(row.name).unwrap());
        }
    }

    #[test]
    fn clap_knows_every_row_and_no_other() {
        let mut line = whole_line();
        line.build();
        assert_same(SUBCOMMANDS, &line);
    }

    #[test]
    fn clap_finds_no_mistake_in_the_grammar() {
        whole_line().debug_assert();
        line_of(find(b"run").unwrap()).debug_assert();
    }

    #[test]
    fn values_have_the_type_that_the_table_says() {
        let line = "trainit rehearse --after 3s --set a=1 --set b=2 --config /c python x";
        let matches = whole_line().try_get_matches_from(line.split(' ')).unwrap();
        let (row, given) = chosen(&matches).unwrap();
        assert_eq!(row.name, "rehearse");
        assert_eq!(given.time("after"), Some(Duration::from_secs(3)));
        assert_eq!(given.texts("set"), ["a=1", "b=2"]);
        assert_eq!(given.path("config"), Some("/c".into()));
        assert_eq!(given.command(), ["python", "x"]);
    }
}
