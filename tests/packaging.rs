//! Versions, specifiers, markers and requirements beside `packaging`, the library that pip is made with: thousands of generated
//! cases and those of what is installed here. trainit may say that it does not know; it may never say something else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

use requirements::packaging::{Marker, MarkerEnvironment, Name, ProjectSource, Requirement, Specifiers, Version};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// How many cases of each kind are generated. `PACKAGING_CASES=100000 PACKAGING_SEED=7` looks further.
const CASES: &str = "2000";

fn wish(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

/// What the library of the first Python that has it says.
fn cases() -> Option<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packaging/cases.py");
    let (count, seed) = (wish("PACKAGING_CASES", CASES), wish("PACKAGING_SEED", "1"));
    let pythons = [wish("PACKAGING_PYTHON", "python3"), "/usr/bin/python3".to_owned()];
    pythons.iter().find_map(|python| {
        let output = Command::new(python).arg(&script).args([&count, &seed]).output().ok()?;
        if !output.status.success() {
            println!("{python}: {}", String::from_utf8_lossy(&output.stderr));
        }
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    })
}

fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().unwrap_or_else(|| panic!("{name} of {case}"))
}

/// What trainit says; null where it does not know.
fn own(case: &Value) -> Value {
    let written = text(case, "text");
    let own = match text(case, "kind") {
        "normal" => Version::parse(written).map(|version| json!(version.to_string())),
        "order" => order(written, text(case, "other")).map(|order| json!(order)),
        "contains" => contains(written, text(case, "version")).map(|contains| json!(contains)),
        "marker" | "real marker" => {
            let environment: MarkerEnvironment = serde_json::from_value(case["environment"].clone()).unwrap();
            Marker::parse(written)
                .and_then(|marker| marker.holds(&environment, text(case, "extra")))
                .map(|holds| json!(holds))
        }
        "requirement" | "real requirement" => Requirement::parse(written).map(parts),
        kind => panic!("a case of kind {kind}"),
    };
    own.unwrap_or(Value::Null)
}

fn order(one: &str, other: &str) -> Option<i8> {
    Some(Version::parse(one)?.cmp(&Version::parse(other)?) as i8)
}

fn contains(specifiers: &str, version: &str) -> Option<bool> {
    Specifiers::parse(specifiers)?.contains(&Version::parse(version)?)
}

fn parts(found: Requirement) -> Value {
    let mut extras: Vec<String> = found.extras.iter().map(Name::to_string).collect();
    extras.sort();
    extras.dedup();
    let url = match found.source {
        ProjectSource::Url(url) => Some(url),
        ProjectSource::Versions(_) => None,
    };
    json!([found.name.as_str(), extras, url, found.marker.is_some()])
}

/// Cases, and how many of those that the library answers trainit does not know.
#[derive(Default)]
struct Count {
    answered: usize,
    left: usize,
}

#[test]
fn what_is_said_is_what_packaging_says() {
    let Some(cases) = cases() else {
        println!("SKIPPED: no Python with packaging 24 or newer, or a pip that has it");
        return;
    };
    let (mut counts, mut wrong) = (BTreeMap::<String, Count>::new(), Vec::new());
    for case in cases.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        if case["kind"] == "library" {
            println!("packaging {}", text(&case, "text"));
            continue;
        }
        let (own, expected) = (own(&case), &case["expected"]);
        let count = counts.entry(text(&case, "kind").to_owned()).or_default();
        count.answered += usize::from(!expected.is_null());
        count.left += usize::from(own.is_null() && !expected.is_null());
        if !own.is_null() && own != *expected {
            wrong.push(format!("{own} and not {expected}: {case}"));
        }
    }
    for (kind, Count { answered, left }) in &counts {
        println!("{kind}: {answered} answered, {left} of them left to installers");
        // Many generated ones are odd on purpose.
        let most = match kind.as_str() {
            "normal" | "order" => 0,
            "real requirement" | "real marker" => answered / 100,
            _ => answered * 2 / 3,
        };
        assert!(left <= &most, "{kind}: {left} of {answered} are not understood");
    }
    assert!(
        wrong.is_empty(),
        "{} wrong, as\n{}",
        wrong.len(),
        wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n")
    );
}
