//! The texts of `trainit --generate` for packagers: a man page, completions, the schema. They follow from the table of sub-commands.
//! Crates for this task know only what clap reads (not `run`, `exec` and `init`), and add more kilobytes than these files have lines.

mod bash;
mod fish;
mod json_schemas;
mod man;
mod zsh;

use super::{config, help, history};
use crate::error::{Error, Result};

/// Returns the text for a word of `GENERATED`.
pub(super) fn text(what: &str) -> Result<String> {
    match what {
        "man" => Ok(man::page()),
        "complete-bash" => Ok(bash::script(&help::modes())),
        "complete-zsh" => Ok(zsh::script(&help::modes())),
        "complete-fish" => Ok(fish::script(&help::modes())),
        "schema" => Ok(config::schema()),
        "schema-history" => Ok(history::schema()),
        "schema-check" => Ok(json_schemas::report()),
        "schema-status" => Ok(json_schemas::status()),
        "schema-config-show" => Ok(json_schemas::config_show()),
        "schema-env" => Ok(json_schemas::env()),
        "schema-log" => Ok(json_schemas::log()),
        _ => Err(Error::usage(format!("'{what}' cannot be generated"))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::generated_words::GENERATED;
    use super::super::table::SUBCOMMANDS;
    use std::path::Path;
    use std::process::{Command, Output};

    /// Runs a program with a generated text in its working directory; `None` if the program is not installed.
    fn run(program: &str, words: &[&str], what: &str) -> Option<Output> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("text"), super::text(what).unwrap()).unwrap();
        let output = Command::new(program).args(words).env("LC_ALL", "C.UTF-8").current_dir(dir.path()).output();
        if output.is_err() {
            println!("SKIPPED: there is no {program} here");
        }
        output.ok()
    }

    fn assert_silent(output: Option<Output>) {
        if let Some(output) = output {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success() && said.is_empty(), "{said}");
        }
    }

    /// Returns the completions of bash for the last word of a line, without the programs of this machine.
    fn offered(line: &str) -> Vec<String> {
        let script = r#"
            source ./text
            compopt() { :; } # it works only while a person completes
            read -r _ _ asked _ < <(complete -p trainit)
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) PATH=/none
            "$asked"
            printf '%s\n' "${COMPREPLY[@]}""#;
        let words: Vec<&str> = ["-c", script, "bash"].into_iter().chain(line.split(' ')).collect();
        let output = run("bash", &words, "complete-bash").unwrap();
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn bash_offers_what_the_table_has_at_that_place() {
        if !Path::new("/bin/bash").exists() {
            return println!("SKIPPED: there is no bash here");
        }
        for (line, expected) in [
            ("trainit de", &["deps"][..]),
            ("trainit deps pr", &["prune"]),
            ("trainit --config deps gpu in", &["install-probe"]),
            ("trainit deps prune --u", &["--unused"]),
            ("trainit ss", &["ssh"]),
            ("trainit shell --m", &["--mode"]),
            ("trainit --mode jup", &["jupyter"]),
            ("trainit --generate complete-z", &["complete-zsh"]),
            ("trainit run -- ech", &["echo"]),
            ("trainit python de", &[""]),
        ] {
            assert_eq!(offered(line), expected, "{line}");
        }
    }

    #[test]
    fn shells_can_read_the_completions() {
        assert_silent(run("bash", &["-n", "text"], "complete-bash"));
        assert_silent(run("zsh", &["-n", "text"], "complete-zsh"));
        assert_silent(run("fish", &["--no-execute", "text"], "complete-fish"));
    }

    #[test]
    fn the_man_page_has_no_mistake_that_a_formatter_sees() {
        assert_silent(run("groff", &["-man", "-ww", "-Tutf8", "text"], "man"));
        assert_silent(run("man", &["--warnings", "-l", "./text"], "man"));
    }

    #[test]
    fn each_text_that_clap_lets_pass_is_written() {
        for what in GENERATED {
            assert!(super::text(what).unwrap().len() > 400, "{what}");
        }
    }

    #[test]
    fn each_text_names_every_sub_command_and_option() {
        for what in ["man", "complete-bash", "complete-zsh", "complete-fish"] {
            let text = super::text(what).unwrap().replace("\\-", "-");
            for row in SUBCOMMANDS {
                assert!(text.contains(row.name), "{what}: {}", row.name);
                let all = row.all_options().chain(row.actions.iter().flat_map(|action| action.all_options()));
                for option in all {
                    assert!(text.contains(option.name), "{what}: {} of {}", option.name, row.name);
                }
            }
        }
    }
}
