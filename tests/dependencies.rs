//! Holds licences and sources of what is linked in against deny.toml, and what is named against the reasons in docs/design.md, without
//! any tool but cargo. Advisories need `cargo deny`.
#![allow(clippy::unwrap_used, reason = "a test may")]

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// What cargo knows of a build for this machine.
fn metadata() -> Value {
    let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let words = ["metadata", "--locked", "--offline", "--format-version", "1", "--filter-platform", &host];
    let output = Command::new(env!("CARGO")).args(words).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Every package that is part of a build for this machine.
fn packages() -> Vec<Value> {
    metadata()["packages"].as_array().unwrap().clone()
}

/// The names of the crates that deny.toml allows a licence of their own, with those licences.
fn exceptions() -> Vec<(String, Vec<String>)> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deny.toml")).unwrap();
    let rows = text.lines().filter_map(|line| line.trim().strip_prefix("{ crate = \"")?.split_once("\", allow = "));
    rows.map(|(name, rest)| (name.to_owned(), serde_json::from_str(rest.trim_end_matches(" },")).unwrap())).collect()
}

/// The packages that one of ours is made of, by name.
fn linked_into(package: &str) -> BTreeSet<String> {
    let metadata = metadata();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let name_of = |id: &Value| {
        let found = metadata["packages"].as_array().unwrap().iter().find(|package| package["id"] == *id).unwrap();
        found["name"].as_str().unwrap().to_owned()
    };
    let (mut open, mut names) = (vec![package.to_owned()], BTreeSet::new());
    while let Some(name) = open.pop() {
        let node = nodes.iter().find(|node| name_of(&node["id"]) == name).unwrap();
        for dependency in node["dependencies"].as_array().unwrap() {
            let dependency = name_of(dependency);
            if names.insert(dependency.clone()) {
                open.push(dependency);
            }
        }
    }
    names
}

/// The licences that deny.toml allows.
fn allowed() -> Vec<String> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deny.toml")).unwrap();
    let list = text.lines().find_map(|line| line.strip_prefix("allow = ")).unwrap();
    serde_json::from_str(list).unwrap()
}

/// Whether an SPDX expression of `OR`, `AND`, `WITH` and brackets can be met (`/` is how `OR` was written once).
fn is_met(expression: &str, allowed: &[String]) -> bool {
    let text = expression.replace('/', " OR ").replace(" WITH ", "-WITH-").replace('(', "( ").replace(')', " )");
    let words: Vec<&str> = text.split_whitespace().collect();
    any(&mut words.as_slice(), allowed)
}

fn any(words: &mut &[&str], allowed: &[String]) -> bool {
    let mut met = all(words, allowed);
    while take(words, "OR") {
        met |= all(words, allowed);
    }
    met
}

fn all(words: &mut &[&str], allowed: &[String]) -> bool {
    let mut met = one(words, allowed);
    while take(words, "AND") {
        met &= one(words, allowed);
    }
    met
}

fn one(words: &mut &[&str], allowed: &[String]) -> bool {
    if take(words, "(") {
        let met = any(words, allowed);
        return take(words, ")") && met;
    }
    let (name, rest) = words.split_first().unwrap();
    *words = rest;
    allowed.iter().any(|licence| licence == name)
}

fn take(words: &mut &[&str], word: &str) -> bool {
    let found = words.first() == Some(&word);
    *words = if found { &words[1..] } else { words };
    found
}

#[test]
fn every_licence_is_allowed() {
    let (allowed, exceptions) = (allowed(), exceptions());
    for package in packages() {
        let licence = package["license"].as_str().unwrap_or("none");
        let own = exceptions.iter().find(|(name, _)| *name == package["name"]).map(|(_, licences)| licences);
        assert!(is_met(licence, own.unwrap_or(&allowed)), "{} {}: {licence}", package["name"], package["version"]);
    }
}

#[test]
fn what_needs_an_exception_or_brings_tls_is_in_trainit_transfer_alone() {
    let (trainit, transfer) = (linked_into("trainit"), linked_into("trainit-transfer"));
    assert!(!exceptions().is_empty() && trainit.contains("serde") && transfer.contains("object_store"));
    for (name, _) in exceptions() {
        assert!(transfer.contains(&name), "deny.toml: nothing needs the exception for {name}");
        assert!(!trainit.contains(&name), "{name} is in trainit");
    }
    for name in ["tokio", "rustls", "reqwest", "hyper", "object_store"] {
        assert!(!trainit.contains(name), "{name} is in trainit");
    }
}

#[test]
fn everything_comes_from_the_public_registry() {
    for package in
        packages().iter().filter(|package| !package["name"].as_str().is_some_and(|name| name.starts_with("trainit")))
    {
        let source = package["source"].as_str().unwrap_or("a path");
        assert!(source.ends_with("crates.io-index"), "{} comes from {source}", package["name"]);
    }
}

/// The crates that the rows of `## Libraries` name in their first column.
fn explained() -> BTreeSet<String> {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/design.md")).unwrap();
    let section = page.split("\n## Libraries\n").nth(1).unwrap();
    let table = section.split("\n## ").next().unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split(" |").next());
    rows.flat_map(|names| names.split(", ")).map(|name| name.trim_matches('`').to_owned()).collect()
}

#[test]
fn every_dependency_has_a_reason() {
    let packages = packages();
    let ours = packages.iter().filter(|package| package["source"].is_null());
    let named = ours.flat_map(|package| package["dependencies"].as_array().unwrap());
    let foreign = named.filter(|dependency| !dependency["source"].is_null());
    let foreign: BTreeSet<String> = foreign.map(|dependency| dependency["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(explained(), foreign, "docs/design.md, Libraries: a row for each, and none for others");
}

#[test]
fn an_expression_is_met_as_spdx_says() {
    let allowed = ["MIT".to_owned(), "Unicode-3.0".to_owned()];
    for met in ["MIT", "MIT OR GPL-2.0", "GPL-2.0/MIT", "(MIT OR Apache-2.0) AND Unicode-3.0"] {
        assert!(is_met(met, &allowed), "{met}");
    }
    for unmet in ["GPL-2.0", "MIT AND GPL-2.0", "MIT WITH LLVM-exception", "none"] {
        assert!(!is_met(unmet, &allowed), "{unmet}");
    }
}
