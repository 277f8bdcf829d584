//! The text of `trainit --help`. It fits a screen of 24 lines and 80 columns, which a test checks.

use super::generated_words::GENERATED;
use super::table::{SUBCOMMANDS, SubcommandKind};
use crate::config::Settings;
use crate::mode;

/// Returns the text.
pub(super) fn text() -> String {
    let rows = synopses();
    let width = rows.iter().map(|(usage, _)| usage.chars().count()).max().unwrap_or_default();
    let rows: String = rows.iter().map(|(usage, what)| format!("  {usage:width$}  {what}\n")).collect();
    let (modes, generated) = (modes().join(", "), GENERATED.first().unwrap_or(&""));
    format!(
        "trainit: the entrypoint for machine-learning containers\n\n{rows}
Options of a start (for packagers: trainit --generate {generated}|…):
  --mode MODE       {modes}, or a mode of the configuration
  --config FILE     a configuration file more
  --set KEY=VALUE   one setting, such as gpu.count=2 (repeatable)
Each setting is a variable, too (TRAINIT_GPU_COUNT): see trainit config template"
    )
}

/// Returns every synopsis and its purpose.
fn synopses() -> Vec<(String, &'static str)> {
    let mut lines = Vec::new();
    for row in SUBCOMMANDS {
        if row.kind == SubcommandKind::Supervises {
            lines.push(("trainit [OPTIONS] [--] COMMAND…".to_owned(), row.summary));
            lines.push((format!("trainit {}|MODE", modes().join("|")), "the same in a mode"));
        } else {
            lines.push((format!("trainit {} {}", row.name, row.synopsis()), row.summary));
        }
    }
    lines
}

/// Returns the names of the built-in modes.
pub(super) fn modes() -> Vec<String> {
    mode::list(&Settings::default()).into_iter().map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{grammar, table};
    use super::*;

    /// Counts the rows of a text on a terminal with 80 columns.
    fn rows(text: &str) -> usize {
        text.lines().map(|line| line.chars().count().max(1).div_ceil(80)).sum()
    }

    #[test]
    fn the_help_names_every_sub_command_action_and_mode() {
        let help = text();
        for row in table::SUBCOMMANDS.iter().filter(|row| row.kind != SubcommandKind::Supervises) {
            let line = help.lines().find(|line| line.trim().starts_with(&format!("trainit {} ", row.name)));
            let line = line.unwrap_or_else(|| panic!("no line of `trainit {}`", row.name));
            assert!(row.actions.iter().all(|action| line.contains(action.name)), "{line}");
        }
        let option = table::find(b"run").unwrap().all_options().find(|option| option.name == "mode").unwrap();
        for mode in modes() {
            assert!(help.contains(&format!("{mode}|")) && option.about.contains(&mode), "{mode}: {help}");
        }
    }

    #[test]
    fn every_help_fits_a_screen() {
        assert!(rows(&text()) <= 24 && text().lines().all(|line| line.chars().count() <= 80), "{}", text());
        let mut line = grammar::whole_line();
        line.build();
        assert_fit(&mut line);
        assert_fit(&mut grammar::fill(clap::Command::new("run"), table::find(b"run").unwrap()));
    }

    fn assert_fit(line: &mut clap::Command) {
        let help = line.render_help().to_string();
        assert!(rows(&help) <= 24, "{help}");
        line.get_subcommands_mut().for_each(assert_fit);
    }

    #[test]
    fn every_help_is_the_one_that_was_read() {
        let mut line = grammar::whole_line();
        line.build();
        let mut screens = vec![("trainit".to_owned(), text())];
        collect(&mut line, &mut screens);
        let screens = screens.iter().map(|(name, help)| format!("$ {name} --help\n{}\n", help.trim_end()));
        insta::assert_snapshot!(screens.collect::<Vec<_>>().join("\n"));
    }

    fn collect(line: &mut clap::Command, screens: &mut Vec<(String, String)>) {
        for line in line.get_subcommands_mut() {
            let name = line.get_bin_name().unwrap_or_default().to_owned();
            screens.push((name, line.render_help().to_string()));
            collect(line, screens);
        }
    }
}
