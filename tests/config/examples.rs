//! examples/: every file can be read, sets only variables that are there, and lists the codes of the table.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use trainit::command::recipes::RECIPES;
use trainit::config::{KEYS, OUTPUTS};

/// The files of the engines' directories.
fn files() -> Vec<PathBuf> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let directories = ["slurm", "kubernetes", "sagemaker", "skypilot", "ray"].map(|name| examples.join(name));
    let files = directories.iter().flat_map(|directory| fs::read_dir(directory).unwrap());
    files.map(|entry| entry.unwrap().path()).collect()
}

/// The variables of trainit that a text names.
pub fn variables(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
    words.filter(|word| word.starts_with("TRAINIT_")).collect()
}

pub fn is_known(variable: &str) -> bool {
    let name = |path: &str| format!("TRAINIT_{}", path.to_uppercase().replace('.', "_"));
    OUTPUTS.contains(&variable) || KEYS.iter().any(|key| name(key.path) == variable)
}

#[test]
fn every_example_can_be_read_and_names_only_variables_that_are_there() {
    let files = files();
    assert!(files.len() >= 10, "{files:?}");
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("yaml") => {
                for document in text.split("\n---\n") {
                    let read = yaml_serde::from_str::<yaml_serde::Value>(document);
                    assert!(read.as_ref().is_ok_and(yaml_serde::Value::is_mapping), "{}: {read:?}", file.display());
                }
            }
            Some("json") => assert!(serde_json::from_str::<serde_json::Value>(&text).unwrap().is_object()),
            _ => assert!(text.starts_with("#!/bin/bash\n#SBATCH "), "{}", file.display()),
        }
        let unknown: Vec<&str> = variables(&text).into_iter().filter(|name| !is_known(name)).collect();
        assert!(unknown.is_empty(), "{}: {unknown:?}", file.display());
    }
}

#[test]
fn every_list_of_lasting_codes_is_that_of_the_recipes() {
    let recipe = RECIPES.iter().find(|recipe| recipe.engine == "jobset").unwrap().file();
    let list = |text: &str| Some(text.split_once("values: [64")?.1.split(']').next()?.to_owned());
    let lasting = list(&recipe).unwrap();
    let mut seen = 0;
    for file in files() {
        let text = fs::read_to_string(&file).unwrap();
        let Some(found) = list(&text) else { continue };
        seen += 1;
        match std::env::var_os("UPDATE_DOCS") {
            Some(_) => fs::write(&file, text.replace(&found, &lasting)).unwrap(),
            None => assert_eq!(found, lasting, "{}: run UPDATE_DOCS=1 cargo test --test config", file.display()),
        }
    }
    assert!(seen >= 3, "{seen}");
}
