//! docs/faults.md: what a fault of each call leads to. The page holds the widest outcome that was seen, so that another machine, where a
//! call is made more or less often, finds it true as well.

use crate::run::Class;
use crate::set::{ERRNOS, Extent, Outcome, is_known};
use crate::trace::Who;
use std::collections::{BTreeMap, BTreeSet};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/faults.md");
const BEGIN: &str = "<!-- From here on written by `FAULTS=write cargo test --test faults`. -->\n";

/// Who and which call, then the error.
type Cells = BTreeMap<(Who, String), BTreeMap<&'static str, BTreeSet<&'static str>>>;

/// Holds the page against what was seen, or writes it.
pub fn hold(outcomes: &[Outcome], extent: Extent) {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (head, table) = page.split_once(BEGIN).expect("docs/faults.md has lost its mark");
    let seen = cells(outcomes);
    if extent == Extent::Write {
        return std::fs::write(PAGE, format!("{head}{BEGIN}{}", text(&seen))).unwrap();
    }
    let wrong = contradictions(&parse(table), &seen);
    assert!(wrong.is_empty(), "docs/faults.md promises more than was seen:\n{}", wrong.join("\n"));
}

/// The outcomes by call. What is known to be wrong is told by the page in words.
fn cells(outcomes: &[Outcome]) -> Cells {
    let mut cells = Cells::new();
    for outcome in outcomes.iter().filter(|outcome| !is_known(outcome)) {
        let row = cells.entry((outcome.fault.who, outcome.fault.call.clone())).or_default();
        row.entry(outcome.fault.errno).or_default().insert(word(&outcome.class));
    }
    cells
}

fn word(class: &Class) -> &'static str {
    match class {
        Class::Kept => "kept",
        Class::Told(210..=219) => "21x",
        Class::Told(70) => "70",
        Class::Told(_) => "told",
        Class::Wrong(_) => "wrong",
    }
}

fn name(who: Who) -> &'static str {
    match who {
        Who::First => "PID 1",
        Who::Below => "below",
    }
}

/// Calls of the same outcome share a line.
fn text(cells: &Cells) -> String {
    let mut lines: BTreeMap<(Who, String), Vec<&str>> = BTreeMap::new();
    for ((who, call), row) in cells {
        let outcomes: Vec<String> = ERRNOS.iter().map(|errno| outcome(row.get(errno))).collect();
        lines.entry((*who, outcomes.join(" | "))).or_default().push(call);
    }
    let mut text = format!("\n| | {} | calls |\n|{}\n", ERRNOS.join(" | "), "---|".repeat(ERRNOS.len() + 2));
    for ((who, outcomes), calls) in lines {
        text += &format!("| {} | {outcomes} | {} |\n", name(who), calls.join(" "));
    }
    text
}

fn outcome(words: Option<&BTreeSet<&str>>) -> String {
    words.map_or("–".into(), |words| words.iter().copied().collect::<Vec<_>>().join(", "))
}

/// Who, call and error of each cell, with its words.
fn parse(table: &str) -> BTreeMap<(String, String, &'static str), Vec<String>> {
    let mut cells = BTreeMap::new();
    for line in table.lines().filter(|line| line.starts_with("| PID 1") || line.starts_with("| below")) {
        let fields: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        for call in fields.last().unwrap().split(' ') {
            for (errno, words) in ERRNOS.iter().zip(&fields[1..]) {
                let words = words.split(", ").map(str::to_owned).collect();
                cells.insert((fields[0].to_owned(), call.to_owned(), *errno), words);
            }
        }
    }
    cells
}

/// Where the page says that the code is always kept, and it was not. A call that the page lacks is one of another machine's C library.
fn contradictions(page: &BTreeMap<(String, String, &'static str), Vec<String>>, seen: &Cells) -> Vec<String> {
    let mut wrong = Vec::new();
    for ((who, call), row) in seen {
        for (errno, words) in row {
            let Some(promised) = page.get(&(name(*who).into(), call.clone(), *errno)) else { continue };
            if promised == &["kept"] && words.iter().any(|word| *word != "kept") {
                wrong.push(format!("{} {call} {errno}: {words:?}", name(*who)));
            }
        }
    }
    wrong
}
