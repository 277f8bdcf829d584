//! docs/checks.md and the table of checks say the same.

use protocol::exit_code::Exit;
use std::collections::BTreeSet;
use trainit::check::{Check, Transient, checks};
use trainit::config::Severity;

fn row(check: &Check) -> String {
    let severity = match check.severity {
        Severity::Off => "off",
        Severity::Warn => "warn",
        Severity::Fail => "fail",
    };
    let (permanent, transient) = (Exit::Permanent(check.family).code(), Exit::Transient(check.family).code());
    let exit = match check.passing {
        Transient::Never => permanent.to_string(),
        Transient::Always => transient.to_string(),
        Transient::Depends => format!("{permanent}/{transient}"),
    };
    format!("| `{}` | {} | {severity} {exit} | {} |", check.id, check.about, check.remedy)
}

#[test]
fn the_page_of_gpus_has_every_check_of_theirs_in_its_catalogue() {
    let (_, catalogue) = include_str!("../../docs/gpu.md").split_once("## What users see").unwrap();
    let second = catalogue.lines().filter_map(|line| line.strip_prefix('|')?.split('|').nth(1));
    let named: BTreeSet<&str> =
        second.flat_map(|cell| cell.split('`')).filter(|word| word.starts_with("gpu.")).collect();
    let known = checks().map(|check| check.id).filter(|id| id.starts_with("gpu."));
    assert_eq!(named, known.collect(), "docs/gpu.md (left) and the table of checks (right)");
}

#[test]
fn the_documentation_has_one_row_for_each_check() {
    let (_, table) = include_str!("../../docs/checks.md").split_once("## All checks").unwrap();
    let documented: Vec<&str> = table.lines().filter(|line| line.starts_with("| `")).collect();
    let expected: Vec<String> = checks().map(row).collect();
    assert_eq!(documented, expected, "docs/checks.md should have these rows:\n{}\n", expected.join("\n"));
}
