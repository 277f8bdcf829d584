//! Holds the documentation against the code: exit codes, modes, rooms, variables, sub-commands, links. Whoever changes one side is
//! told about the other.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use protocol::exit_code::{Exit, TABLE};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use trainit::config::{FROM_FILES, KEYS, OUTPUTS, Settings};

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = project().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every Markdown file that belongs to the project, with its text.
fn pages() -> Vec<(PathBuf, String)> {
    let listed = |directory: &str| {
        let entries = std::fs::read_dir(project().join(directory)).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect::<Vec<_>>()
    };
    let all = [listed("."), listed("docs"), listed("examples"), listed("examples/digits")].concat();
    let markdown = all.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    markdown.map(|path| (path.clone(), read(path))).collect()
}

/// Rows of all tables: the cells without blanks around them.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let tables = text.lines().filter(|line| line.starts_with('|') && !line.starts_with("|-"));
    tables.map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
}

/// What stands between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with("    ")).flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// `TRAINIT_…` names.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    let name =
        |at: usize| text[at..].split(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit() && c != '_').next();
    text.match_indices("TRAINIT_").filter_map(move |(at, _)| name(at)).filter(|name| *name != "TRAINIT_")
}

#[test]
fn the_page_of_exit_codes_is_the_table_of_the_code() {
    let page = read("docs/exit-codes.md");
    let written: BTreeSet<(String, String)> = rows(&page)
        .filter(|cells| cells[0].parse::<u8>().is_ok())
        .map(|cells| (cells[0].to_owned(), cells[1].to_owned()))
        .collect();
    let coded = TABLE.iter().map(|(exit, meaning)| (exit.code().to_string(), (*meaning).to_owned())).collect();
    assert_eq!(written, coded, "docs/exit-codes.md (left) and crates/protocol/src/exit_code.rs (right)");
}

#[test]
fn the_recipes_have_every_code_that_they_speak_of() {
    let page = read("docs/exit-codes.md");
    let is_final = |exit: &Exit| !matches!(exit, Exit::Transient(_) | Exit::Internal | Exit::PrepareTimeout);
    let list: Vec<String> =
        TABLE.iter().map(|(exit, _)| exit).filter(|exit| is_final(exit)).map(|exit| exit.code().to_string()).collect();
    assert!(page.contains(&format!("operator: In, values: [{}]", list.join(", "))), "FailJob wants {list:?}, in order");
    let passing: Vec<u8> =
        TABLE.iter().filter(|(exit, _)| matches!(exit, Exit::Transient(_))).map(|(exit, _)| exit.code()).collect();
    assert_eq!(passing, (210..=217).chain([219]).collect::<Vec<u8>>(), "the ranges of Slurm's recipes");
}

#[test]
fn the_page_of_modes_has_every_built_in_mode_as_it_is_described() {
    let page = read("docs/modes.md");
    let written: Vec<Vec<&str>> = rows(&page).collect();
    for (name, about) in trainit::mode::list(&Settings::default()) {
        let row = written.iter().find(|cells| cells[0] == format!("`{name}`"));
        assert_eq!(row.map(|cells| cells[1]), Some(about.as_str()), "mode {name} in docs/modes.md");
    }
}

#[test]
fn the_map_of_the_design_has_every_room_and_no_other() {
    let page = read("docs/design.md");
    let map: BTreeSet<String> = rows(&page)
        .filter_map(|cells| cells[0].strip_prefix("`src/")?.strip_suffix('`'))
        .map(|name| name.trim_end_matches('/').to_owned())
        .collect();
    let entries = std::fs::read_dir(project().join("src")).unwrap();
    let rooms = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(map, rooms, "the table in docs/design.md (left) and src/ (right)");
}

#[test]
fn every_variable_that_is_written_about_exists() {
    let keys = KEYS.iter().filter_map(|key| key.variable());
    let known: BTreeSet<String> = keys
        .chain(OUTPUTS.map(str::to_owned))
        .chain(FROM_FILES.map(str::to_owned))
        .chain(["TRAINIT_CONFIG".to_owned()])
        .collect();
    for (path, text) in pages() {
        // A page may show what a typo leads to.
        let text: String = text.lines().filter(|line| !line.ends_with("unknown variable")).collect();
        for name in variables(&text) {
            assert!(known.contains(name), "{}: {name} sets nothing", path.display());
        }
    }
}

/// The words that `trainit --help` lists, and the modes.
fn sub_commands() -> BTreeSet<String> {
    let help = Command::new(env!("CARGO_BIN_EXE_trainit")).arg("--help").output().unwrap().stdout;
    let help = String::from_utf8(help).unwrap();
    let words = help.lines().filter_map(|line| line.trim().strip_prefix("trainit ")?.split_whitespace().next());
    let words = words.flat_map(|word| word.split('|').map(str::to_owned).collect::<Vec<_>>());
    words.chain(["run".to_owned(), "train".to_owned(), "shell".to_owned()]).collect()
}

#[test]
fn every_sub_command_that_is_written_about_exists() {
    let known = sub_commands();
    for (path, text) in pages() {
        let words = quoted(&text).filter_map(|code| code.strip_prefix("trainit ")?.split_whitespace().next());
        for word in words.filter(|word| word.chars().all(|c| c.is_ascii_lowercase())) {
            let is_program = ["python", "bash", "sh", "jupyter", "torchrun"].contains(&word);
            assert!(known.contains(word) || is_program, "{}: `trainit {word}` is no sub-command", path.display());
        }
    }
}

#[test]
fn every_link_leads_somewhere() {
    for (path, text) in pages() {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(file.exists(), "{}: {target}", path.display());
            let found = anchor.is_empty() || anchors(&file).contains(anchor);
            assert!(found, "{}: {target}: no such heading", path.display());
        }
    }
}

/// Headings as GitHub makes links of them.
fn anchors(file: &Path) -> BTreeSet<String> {
    let text = read(file);
    let headings =
        text.lines().filter_map(|line| line.strip_prefix('#')).map(|line| line.trim_start_matches('#').trim());
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    headings.map(|heading| heading.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")).collect()
}

#[test]
fn the_workflows_run_scripts_and_sub_commands_that_exist() {
    let files = [".github/workflows/test.yml", ".github/workflows/nightly.yml", ".github/workflows/release.yml"];
    for file in files {
        let text = read(file);
        yaml_serde::from_str::<yaml_serde::Value>(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let runs = text.lines().filter_map(|line| line.trim().strip_prefix("- run: ./")?.split(' ').next());
        runs.for_each(|script| assert!(is_executable(script), "{file}: {script}"));
    }
    let form = read(".github/ISSUE_TEMPLATE/bug.yml");
    let words = quoted(&form).filter_map(|code| code.strip_prefix("trainit ")?.split_whitespace().next());
    words.filter(|word| !word.starts_with('-')).for_each(|word| assert!(sub_commands().contains(word), "{word}"));
}

fn is_executable(file: &str) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(project().join(file)).is_ok_and(|data| data.permissions().mode() & 0o111 == 0o111)
}

#[test]
fn the_readme_names_commands_that_can_be_run() {
    let readme = read("README.md");
    for command in ["./demo", "./scripts/test"] {
        assert!(readme.contains(command), "README.md does not name {command}");
        assert!(is_executable(command), "{command} cannot be executed");
    }
}

#[test]
fn the_charts_are_what_their_tables_say() {
    let Ok(drawn) = Command::new("python3").arg(project().join("scripts/charts")).arg("--check").output() else {
        return eprintln!("SKIPPED: the_charts_are_what_their_tables_say: python3 is not here");
    };
    assert!(drawn.status.success(), "{}", String::from_utf8_lossy(&drawn.stderr));
}

#[test]
fn every_page_has_its_place_on_the_site() {
    let site = read("scripts/site");
    for entry in std::fs::read_dir(project().join("docs")).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let Some(page) = file.strip_suffix(".md") else { continue };
        let has = site.contains(&format!("\"{page}\"")) || site.contains(&format!(": {page}\""));
        assert!(has, "NAV of scripts/site has no {page}");
    }
}

#[test]
fn pictures_are_small_and_readable_in_light_and_dark() {
    for entry in std::fs::read_dir(project().join("docs/pictures")).unwrap() {
        let path = entry.unwrap().path();
        let text = read(&path);
        assert!(text.len() < 150 << 10, "{}: {} bytes", path.display(), text.len());
        // A picture has colours for both, or a ground of its own.
        let has = text.contains("prefers-color-scheme:dark") || text.contains("fill=\"#16181d\"");
        assert!(has && text.contains("<title>"), "{}", path.display());
        assert!(!text.contains("/home/") && !text.contains("/work/") && !text.contains("/root/"), "{}", path.display());
    }
}
