//! The man page, in roff's man macros (man(7)).

use crate::command::generated_words::GENERATED;
use crate::command::table::{SUBCOMMANDS, Subcommand, SubcommandKind};
use crate::config::Settings;
use crate::mode;
use protocol::exit_code::TABLE;
use std::fmt::Write;

/// Generates the page.
pub(super) fn page() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut page = format!(
        ".TH TRAINIT 1 \"\" \"trainit {version}\" \"User Commands\"
.SH NAME
trainit \\- the entrypoint for machine\\-learning containers
.SH SYNOPSIS
"
    );
    SUBCOMMANDS.iter().for_each(|row| synopsis(&mut page, row));
    line(&mut page, ".br");
    line(&mut page, &format!("\\fBtrainit \\-\\-generate\\fR {}", escaped(&GENERATED.join("|"))));
    line(&mut page, ".SH DESCRIPTION");
    line(&mut page, &escaped(DESCRIPTION));
    line(&mut page, ".SH SUB-COMMANDS");
    SUBCOMMANDS.iter().for_each(|row| section(&mut page, "", row));
    modes(&mut page);
    settings(&mut page);
    codes(&mut page);
    page
}

const DESCRIPTION: &str = "trainit is PID 1 of a container for machine learning. It checks that the container is fit for the command, \
    prepares it, becomes or supervises the command, and gives it the time to save when the container is stopped. \
    Options end at the first word that is not one; without the name of a sub-command the words are those of run.";

fn line(page: &mut String, text: &str) {
    page.push_str(text);
    page.push('\n');
}

/// Adds one line for each form of a sub-command.
fn synopsis(page: &mut String, row: &Subcommand) {
    // The first line of the section needs no break before it.
    if row.kind != SubcommandKind::Supervises {
        line(page, ".br");
    }
    let name = if row.kind == SubcommandKind::Supervises { "[run]" } else { row.name };
    let rest = [if row.more.is_empty() { "" } else { "[OPTIONS]" }, &row.synopsis()].join(" ");
    line(page, &format!("\\fBtrainit {}\\fR {}", escaped(name), escaped(rest.trim())));
}

fn section(page: &mut String, before: &str, row: &Subcommand) {
    line(page, &format!(".SS \"trainit {before}{} {}\"", escaped(row.name), escaped(&row.synopsis())));
    line(page, &format!("{}.", escaped(row.about)));
    for option in row.all_options() {
        let default = option.default.map(|default| format!(" [default: {default}]")).unwrap_or_default();
        entry(page, &option.typed_with_value(), &format!("{}{default}", option.about));
    }
    if let Some(operand) = row.operand {
        entry(page, operand.name, operand.about);
    }
    row.actions.iter().for_each(|action| section(page, &format!("{} ", row.name), action));
}

/// Adds a term and its explanation.
fn entry(page: &mut String, term: &str, text: &str) {
    line(page, ".TP");
    line(page, &format!("\\fB{}\\fR", escaped(term)));
    line(page, &format!("{}.", escaped(text)));
}

fn modes(page: &mut String) {
    line(page, ".SH MODES");
    line(page, "A mode's name in place of a command starts that mode.");
    mode::list(&Settings::default()).iter().for_each(|(name, about)| entry(page, name, about));
}

fn settings(page: &mut String) {
    line(page, ".SH ENVIRONMENT");
    let text = "Every setting of the configuration is a variable, too: gpu.count is TRAINIT_GPU_COUNT. \
        `trainit config template` lists them all.";
    line(page, &escaped(text));
    line(page, ".SH FILES");
    entry(page, "/etc/trainit.yaml", "The configuration of the image");
    entry(page, "/etc/trainit.d/*.yaml", "More of it, in the order of names");
    entry(page, "trainit.yaml", "The project's own, in the code directory");
}

fn codes(page: &mut String) {
    line(page, ".SH EXIT STATUS");
    line(page, "The codes of the command pass through unchanged. Those of trainit itself:");
    for (exit, meaning) in TABLE {
        let _ = writeln!(page, ".TP\n\\fB{}\\fR\n{}.", exit.code(), escaped(meaning));
    }
}

/// Escapes a text of one line for roff.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('"', "\\(dq").replace('…', "...");
    // A control character at the start of a line is a request.
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_a_request_or_an_escape() {
        assert_eq!(escaped(".so /etc/passwd"), "\\&.so /etc/passwd");
        assert_eq!(escaped("a\\fBb --x"), "a\\efBb \\-\\-x");
    }
}
