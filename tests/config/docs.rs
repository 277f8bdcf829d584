//! docs/configuration.md against the code: the table of keys, and every example on the page.

use super::World;
use std::fs;
use std::path::{Path, PathBuf};
use trainit::config::{self, KEYS, words};

const BEGIN: &str = "<!-- keys -->\n";
const END: &str = "<!-- /keys -->\n";

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md")
}

fn table() -> String {
    let mut table = String::from("| key: default | meaning |\n|---|---|\n");
    for key in KEYS {
        let mark = if key.project { "" } else { " †" };
        let default = if key.default.is_empty() { String::new() } else { format!(": `{}`", key.default) };
        table += &format!("| `{}`{default}{mark} | {} |\n", key.path, key.doc);
    }
    table
}

#[test]
fn the_table_of_keys_is_the_codes() {
    let text = fs::read_to_string(page()).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (found, after) = rest.split_once(END).unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(page(), format!("{before}{BEGIN}{}{END}{after}", table())).unwrap();
    } else {
        assert_eq!(found, table(), "run UPDATE_DOCS=1 cargo test --test config");
    }
}

/// The blocks of a language on the page.
fn blocks(language: &str) -> Vec<String> {
    let text = fs::read_to_string(page()).unwrap();
    let begins = format!("```{language}\n");
    text.split(&begins).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn every_file_on_the_page_is_right() {
    let blocks = blocks("yaml");
    assert!(blocks.len() >= 4);
    for block in blocks {
        let layer = config::parse_bytes(block.as_bytes(), Path::new("example"));
        assert!(
            !layer.map_err(|errors| format!("{:#}", config::together(errors))).unwrap().values.is_empty(),
            "{block}"
        );
    }
}

#[test]
fn every_variable_and_option_on_the_page_is_right() {
    let text = fs::read_to_string(page()).unwrap();
    // Code between backticks, and commands in blocks.
    let inline = text.split('`').skip(1).step_by(2).map(str::to_owned).chain(blocks("sh"));
    let mut seen = 0;
    for code in inline {
        let words = words::split(&code).unwrap_or_default();
        let previous = std::iter::once("").chain(words.iter().map(String::as_str));
        for (before, word) in previous.zip(&words) {
            let world = match before {
                "--set" if word.contains('=') => World::new().set(word),
                "--set" => continue,
                _ => match word.split_once('=').filter(|(name, _)| name.starts_with("TRAINIT_")) {
                    Some((name, value)) => World::new().variable(name, value),
                    None => continue,
                },
            };
            world.load().unwrap_or_else(|error| panic!("{code}: {error:#}"));
            seen += 1;
        }
    }
    assert!(seen >= 8, "{seen}");
}
