//! `scripts/beside-others`: it runs, it says what trainit does, and the pages show its rows.

use crate::support::{TRAINIT, can_unshare, has};
use std::process::{Command, Output};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn script(words: &[&str]) -> Output {
    Command::new(format!("{ROOT}/scripts/beside-others")).args(words).arg(TRAINIT).output().unwrap()
}

fn page(name: &str) -> String {
    std::fs::read_to_string(format!("{ROOT}/{name}")).unwrap()
}

#[test]
fn the_comparison_with_other_inits_finds_every_checkpoint_saved_or_the_loss_told() {
    if !has("python3") || !has("bash") || !can_unshare() {
        return;
    }
    let rows = [
        "`@`",
        "while read line",
        "subprocess.run",
        "as `deepspeed`",
        "sh -c '@ & trap \"kill",
        "`bash -c 'trap \"trap - TERM; kill 0",
    ];
    let words: Vec<&str> =
        rows.iter().flat_map(|row| ["--only", row]).chain(["--under", "trainit", "--logs"]).collect();
    let output = script(&words);
    let (table, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{table}{errors}");
    for row in rows {
        let line = table.lines().find(|line| line.contains(row)).unwrap_or_else(|| panic!("{row}: {table}"));
        let told = row.contains("kill 0") && line.contains("LOST, 143, told at the start");
        assert!(told || line.contains("saved, 143"), "{line}");
    }
}

#[test]
fn the_page_shows_every_way_of_the_comparison() {
    if !has("python3") {
        return;
    }
    let output = script(&["--list"]);
    let (page, ways) = (page("docs/stopping.md"), String::from_utf8(output.stdout).unwrap());
    assert!(ways.lines().count() > 50, "{}", String::from_utf8_lossy(&output.stderr));
    for way in ways.lines() {
        let line = way.replace('`', "").replace("\\|", "|");
        assert!(page.lines().any(|shown| shown == line), "{way} is not on the page");
    }
}

#[test]
fn every_test_that_the_page_about_other_inits_names_is_there() {
    let sources: String = ["tests/init", "tests/stop"]
        .iter()
        .flat_map(|directory| std::fs::read_dir(format!("{ROOT}/{directory}")).unwrap())
        .filter_map(|file| std::fs::read_to_string(file.unwrap().path()).ok())
        .collect();
    let page = page("docs/compatibility.md");
    let (_, suites) = page.split_once("test suites").unwrap();
    let cells = suites.lines().filter_map(|line| line.strip_suffix(" |")?.rsplit(" | ").next());
    let names: Vec<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert!(names.len() >= 9, "{names:?}");
    for name in names {
        assert!(sources.contains(&format!("fn {name}()")), "there is no test {name}");
    }
}
