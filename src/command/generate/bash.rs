//! The completion for bash, which needs no other package.

use crate::command::generated_words::GENERATED;
use crate::command::table::{CommandOption, OperandKind, OptionValue, SUBCOMMANDS, Subcommand, SubcommandKind};

/// The script around the lists. `path` holds the words that chose a sub-command. `command` is the index of the first word that belongs to
/// a command and no longer to trainit.
const HEAD: &str = r#"# bash completion for trainit; made by `trainit --generate complete-bash`
_trainit() {
    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} path=trainit command=0 words= programs= i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "$path ${COMP_WORDS[i]}" in
"#;

const MIDDLE: &str = r#"            *' --') command=$((i + 1)); break ;;
            *' -'*) ;;
            *) command=$i; break ;;
        esac
    done
    if ((command == COMP_CWORD)); then
        mapfile -t COMPREPLY < <(compgen -c -- "$word")
        return
    elif ((command)); then
        compopt -o default
        return
    fi
    case "$path $previous" in
"#;

const TAIL: &str = r#"    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
    if ((${#COMPREPLY[@]} == 0)) && [[ $programs ]]; then
        mapfile -t COMPREPLY < <(compgen -c -- "$word")
    fi
}
complete -F _trainit trainit
"#;

/// Generates the script.
pub(super) fn script(modes: &[String]) -> String {
    let mut places = Vec::new();
    SUBCOMMANDS.iter().for_each(|row| collect(&mut places, "trainit", row));
    let (steps, values, words) = (steps(&places, modes), values(modes), words(&places, modes));
    [HEAD, &steps, MIDDLE, &values, "    esac\n    case \"$path\" in\n", &words, TAIL].concat()
}

/// A sub-command with the words that lead to it.
type Row = (String, &'static Subcommand);

fn collect(into: &mut Vec<Row>, before: &str, row: &'static Subcommand) {
    let path = format!("{before} {}", row.name);
    into.push((path.clone(), row));
    row.actions.iter().for_each(|action| collect(into, &path, action));
}

/// Generates how a word changes the path.
fn steps(rows: &[Row], modes: &[String]) -> String {
    let known = rows.iter().map(|(path, _)| path.clone()).chain(modes.iter().map(|mode| format!("trainit {mode}")));
    let known: Vec<String> = known.map(|path| format!("'{path}'")).collect();
    let valued: Vec<String> = options_with(|option| option.value != OptionValue::None);
    format!(
        "            {}) path=\"$path ${{COMP_WORDS[i]}}\" ;;\n            {}) i=$((i + 1)) ;;\n",
        known.join("|"),
        valued.join("|")
    )
}

/// Returns patterns for the wanted options of all rows.
fn options_with(is_wanted: fn(&CommandOption) -> bool) -> Vec<String> {
    let all = SUBCOMMANDS
        .iter()
        .flat_map(|row| row.all_options().chain(row.actions.iter().flat_map(Subcommand::all_options)));
    let mut patterns: Vec<String> =
        all.filter(|option| is_wanted(option)).map(|option| format!("*' {}'", option.typed())).collect();
    patterns.sort();
    patterns.dedup();
    patterns
}

/// Generates the completions after an option.
fn values(modes: &[String]) -> String {
    let list = |words: &str| format!("mapfile -t COMPREPLY < <(compgen -W '{words}' -- \"$word\"); return");
    let files =
        |kind: &str| format!("compopt -o filenames; mapfile -t COMPREPLY < <(compgen {kind} -- \"$word\"); return");
    let rows = [
        (vec!["'trainit --generate'".to_owned()], list(&GENERATED.join(" "))),
        (options_with(|option| matches!(option.value, OptionValue::Mode(_))), list(&modes.join(" "))),
        (options_with(|option| matches!(option.value, OptionValue::File(_))), files("-f")),
        (options_with(|option| matches!(option.value, OptionValue::Directory(_))), files("-d")),
        (options_with(is_free), "return".to_owned()),
    ];
    rows.iter().map(|(patterns, act)| format!("        {}) {act} ;;\n", patterns.join("|"))).collect()
}

/// Returns whether the value of an option has no completions.
fn is_free(option: &CommandOption) -> bool {
    use OptionValue::{List, Repeated, Text, Time};
    matches!(option.value, List(_) | Repeated(_) | Text(_) | Time(_))
}

/// Generates the words for each path.
fn words(rows: &[Row], modes: &[String]) -> String {
    let names = SUBCOMMANDS.iter().map(|row| row.name.to_owned()).chain(modes.iter().cloned());
    let start = SUBCOMMANDS.iter().filter(|row| row.kind == SubcommandKind::Supervises);
    let options = start.flat_map(Subcommand::all_options).map(CommandOption::typed).collect::<Vec<_>>();
    let own = ["--generate", "--help", "--version"].map(str::to_owned);
    let first: Vec<String> = names.chain(options.iter().cloned()).chain(own).collect();
    let mut text = format!("        trainit) words='{}' programs=1 ;;\n", first.join(" "));
    for (path, row) in rows {
        text.push_str(&format!("        '{path}') words='{}'{} ;;\n", words_of(row), operands_of(row)));
    }
    // The path after the name of a mode.
    text.push_str(&format!("        *) words='{} --' ;;\n", options.join(" ")));
    text
}

fn words_of(row: &'static Subcommand) -> String {
    let actions = row.actions.iter().map(|action| action.name.to_owned());
    let options = row.all_options().map(CommandOption::typed);
    actions.chain(options).chain(["--help".to_owned()]).collect::<Vec<_>>().join(" ")
}

fn operands_of(row: &Subcommand) -> &'static str {
    match row.operand.map(|operand| operand.kind) {
        Some(OperandKind::Command | OperandKind::MaybeCommand) => " programs=1",
        Some(OperandKind::File | OperandKind::MaybePath | OperandKind::Paths) => "; compopt -o default",
        Some(OperandKind::Directory) => "; compopt -o dirnames",
        None => "",
    }
}
