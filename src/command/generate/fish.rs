//! The completion for fish: one line for each word (complete(1) of fish).

use crate::command::generated_words::GENERATED;
use crate::command::table::{CommandOption, OptionValue, SUBCOMMANDS, Subcommand, SubcommandKind};

/// Generates the script.
pub(super) fn script(modes: &[String]) -> String {
    let generated = GENERATED.join(" ");
    let mut script = format!(
        "# fish completion for trainit; made by `trainit --generate complete-fish`
complete -c trainit -n __fish_use_subcommand -l help -d 'Print help'
complete -c trainit -n __fish_use_subcommand -l version -d 'Print the version'
complete -c trainit -n __fish_use_subcommand -l generate -xa '{generated}' -d 'For packagers'
"
    );
    for mode in modes {
        script.push_str(&format!("complete -c trainit -n __fish_use_subcommand -a {mode} -d 'A mode'\n"));
    }
    for row in SUBCOMMANDS {
        name(&mut script, "__fish_use_subcommand", row);
        let own = options_below(row);
        row.all_options().for_each(|each| option(&mut script, &own, each, modes));
        if row.kind == SubcommandKind::Supervises {
            row.all_options().for_each(|each| option(&mut script, "__fish_use_subcommand", each, modes));
        }
        row.actions.iter().for_each(|each| action(&mut script, row, each, modes));
    }
    script
}

/// Returns the condition under which a sub-command's own options apply.
fn options_below(row: &Subcommand) -> String {
    let actions: Vec<&str> = row.actions.iter().map(|action| action.name).collect();
    let seen = format!("__fish_seen_subcommand_from {}", row.name);
    match actions.is_empty() {
        true => seen,
        false => format!("{seen}; and not __fish_seen_subcommand_from {}", actions.join(" ")),
    }
}

fn action(script: &mut String, row: &Subcommand, action: &'static Subcommand, modes: &[String]) {
    name(script, &options_below(row), action);
    let seen = format!("__fish_seen_subcommand_from {}; and __fish_seen_subcommand_from {}", row.name, action.name);
    action.all_options().for_each(|each| option(script, &seen, each, modes));
}

/// Adds the line for a name; where a command may stand, files are offered too.
fn name(script: &mut String, when: &str, row: &Subcommand) {
    let about = quoted(row.about);
    script.push_str(&format!("complete -c trainit -n {} -a {} -d {about}\n", quoted(when), row.name));
    if row.operand.is_none() {
        let below = quoted(&format!("__fish_seen_subcommand_from {}", row.name));
        script.push_str(&format!("complete -c trainit -n {below} -f\n"));
    }
}

fn option(script: &mut String, when: &str, option: &CommandOption, modes: &[String]) {
    let dash = if option.name.len() == 1 { "-s" } else { "-l" };
    let value = match option.value {
        OptionValue::None => String::new(),
        OptionValue::Mode(_) => format!(" -xa '{}'", modes.join(" ")),
        OptionValue::File(_) => " -rF".to_owned(),
        OptionValue::Directory(_) => " -xa '(__fish_complete_directories)'".to_owned(),
        OptionValue::Text(_) | OptionValue::List(_) | OptionValue::Repeated(_) | OptionValue::Time(_) => {
            " -x".to_owned()
        }
    };
    let (when, about) = (quoted(when), quoted(option.about));
    script.push_str(&format!("complete -c trainit -n {when} {dash} {}{value} -d {about}\n", option.name));
}

/// Quotes a text: within single quotes fish reads a backslash before a quote or a backslash.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
