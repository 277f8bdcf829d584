//! The completion for zsh: one function for each sub-command (zshcompsys(1)).

use crate::command::generated_words::GENERATED;
use crate::command::table::{
    CommandOption, Operand, OperandKind, OptionValue, SUBCOMMANDS, Subcommand, SubcommandKind,
};

/// Generates the script.
pub(super) fn script(modes: &[String]) -> String {
    let names: String = SUBCOMMANDS.iter().map(described).collect();
    let start = SUBCOMMANDS.iter().filter(|row| row.kind == SubcommandKind::Supervises);
    let options: String = start.flat_map(Subcommand::all_options).map(|option| argument(option, modes)).collect();
    let functions: String = SUBCOMMANDS.iter().map(|row| function("_trainit", row, modes)).collect();
    let (generated, modes) = (GENERATED.join(" "), modes.join(" "));
    format!(
        r#"#compdef trainit
# made by `trainit --generate complete-zsh`
_trainit() {{
    local curcontext=$curcontext state line
    local -a subcommands=(
{names}    )
    _arguments -C -A '-*' \
        '(- *)--help[Print help]' '(- *)--version[Print the version]' '(- *)--generate[For packagers]:what:({generated})' \
{options}        '1: :->first' '*:: :->rest' && return
    case $state in
        first)
            _describe -t commands sub-command subcommands
            _values mode {modes}
            _command_names -e ;;
        rest)
            if (( $+functions[_trainit_$words[1]] )); then
                _trainit_$words[1]
            elif [[ " {modes} " == *" $words[1] "* ]]; then
                _trainit_run
            else
                _normal
            fi ;;
    esac
}}
{functions}if [[ $funcstack[1] == _trainit ]]; then
    _trainit "$@"
else
    compdef _trainit trainit
fi
"#
    )
}

/// Generates a row of `_describe`.
fn described(row: &Subcommand) -> String {
    format!("        {}\n", quoted(&format!("{}:{}", row.name, row.about.replace(':', "\\:"))))
}

fn function(before: &str, row: &'static Subcommand, modes: &[String]) -> String {
    let name = format!("{before}_{}", row.name);
    let below: String = row.actions.iter().map(|action| function(&name, action, modes)).collect();
    let options: String = row.all_options().map(|option| argument(option, modes)).collect();
    let (head, rest) = match row.actions {
        [] => ("_arguments -A '-*'", format!("        {}\n}}\n", operand(row.operand))),
        actions => ("_arguments -C -A '-*'", choose_action(&name, actions)),
    };
    format!(
        "{name}() {{\n    local curcontext=$curcontext state line\n    {head} '(- *)--help[Print help]' \\\n{options}{rest}{below}"
    )
}

/// Generates the end of a function whose sub-command has actions.
fn choose_action(name: &str, actions: &[Subcommand]) -> String {
    let names: String = actions.iter().map(described).collect();
    format!(
        r#"        '1: :->first' '*:: :->rest' && return
    local -a actions=(
{names}    )
    case $state in
        first) _describe -t commands action actions ;;
        rest) (( $+functions[{name}_$words[1]] )) && {name}_$words[1] ;;
    esac
}}
"#
    )
}

/// Generates a line of `_arguments` for an option.
fn argument(option: &CommandOption, modes: &[String]) -> String {
    let about = option.about.replace('[', "\\[").replace(']', "\\]");
    let repeats = if matches!(option.value, OptionValue::Repeated(_)) { "*" } else { "" };
    let action = match option.value {
        OptionValue::None => String::new(),
        OptionValue::Mode(name) => format!(":{name}:({})", modes.join(" ")),
        OptionValue::File(name) => format!(":{name}:_files"),
        OptionValue::Directory(name) => format!(":{name}:_files -/"),
        OptionValue::Text(name) | OptionValue::List(name) | OptionValue::Repeated(name) | OptionValue::Time(name) => {
            format!(":{}: ", name.replace(':', "\\:"))
        }
    };
    format!("        {} \\\n", quoted(&format!("{repeats}{}[{about}]{action}", option.typed())))
}

fn operand(operand: Option<Operand>) -> &'static str {
    match operand.map(|operand| operand.kind) {
        Some(OperandKind::Command | OperandKind::MaybeCommand) => {
            "'(-)1:command:_command_names -e' '*::argument:_normal'"
        }
        Some(OperandKind::File | OperandKind::MaybePath) => "'1:file:_files'",
        Some(OperandKind::Paths) => "'*:file:_files'",
        Some(OperandKind::Directory) => "'1:directory:_files -/'",
        None => "",
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
