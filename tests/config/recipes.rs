//! The engines' recipes: docs/exit-codes.md shows what the command prints, and what they name is there.

use super::examples::{is_known, variables};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use trainit::command::recipes::RECIPES;

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/exit-codes.md")
}

#[test]
fn the_page_shows_the_recipes_that_the_command_prints() {
    let mut text = fs::read_to_string(page()).unwrap();
    for recipe in RECIPES {
        let begin = format!("<!-- trainit config template --for {} -->\n```{}\n", recipe.engine, recipe.language);
        let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("{begin}"));
        let (found, after) = rest.split_once("```\n").unwrap();
        let printed = Command::new(env!("CARGO_BIN_EXE_trainit"))
            .args(["config", "template", "--for", recipe.engine])
            .output()
            .unwrap();
        let printed = String::from_utf8(printed.stdout).unwrap();
        match std::env::var_os("UPDATE_DOCS") {
            Some(_) => text = format!("{before}{begin}{printed}```\n{after}"),
            None => assert_eq!(found, printed, "run UPDATE_DOCS=1 cargo test --test config"),
        }
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(page(), text).unwrap();
    }
}

#[test]
fn every_recipe_can_be_read_and_names_only_variables_that_are_there() {
    for recipe in RECIPES {
        let file = recipe.file();
        match recipe.language {
            "yaml" => {
                for document in file.split("\n---\n") {
                    let read: yaml_serde::Value = yaml_serde::from_str(document).unwrap();
                    assert!(read.get("kind").is_some(), "{}", recipe.engine);
                }
            }
            "json" => assert!(serde_json::from_str::<serde_json::Value>(&file).unwrap().is_object()),
            _ => assert!(file.starts_with("#!/bin/bash\n#SBATCH "), "{}", recipe.engine),
        }
        assert!(!file.contains("{final}"), "{}", recipe.engine);
        let unknown: Vec<&str> = variables(&file).into_iter().filter(|name| !is_known(name)).collect();
        assert!(unknown.is_empty(), "{}: {unknown:?}", recipe.engine);
    }
}

#[test]
fn an_engine_without_a_recipe_is_told_with_those_that_have_one() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_trainit")).args(["config", "template", "--for", "nomad"]).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{told}");
    assert!(told.contains("one of slurm, kubernetes, jobset, kubeflow, sagemaker, batch"), "{told}");
}
