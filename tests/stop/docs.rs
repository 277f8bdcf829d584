//! docs/stopping.md, restarts.md, hooks.md, modes.md and mirror.md against the code: every configuration on the pages is right, every key is there.

use crate::support::TRAINIT;
use std::process::Command;

const PAGES: [&str; 5] = [
    concat!(env!("CARGO_MANIFEST_DIR"), "/docs/stopping.md"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/docs/restarts.md"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/docs/hooks.md"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/docs/modes.md"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/docs/mirror.md"),
];

fn page(path: &str) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn every_configuration_on_the_pages_is_right() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("trainit.yaml");
    let mut checked = 0;
    for path in PAGES {
        let text = page(path);
        let blocks = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
        for block in blocks.filter(|block| !block.starts_with("apiVersion")) {
            std::fs::write(&file, block).unwrap();
            let output = Command::new(TRAINIT).args(["config", "check"]).arg(&file).output().unwrap();
            assert!(output.status.success(), "{path}:\n{block}\n{}", String::from_utf8_lossy(&output.stderr));
            checked += 1;
        }
    }
    assert!(checked >= 5, "only {checked} blocks were found");
}

#[test]
fn every_key_about_stops_is_on_a_page() {
    let text: String = PAGES.map(page).concat();
    let about = ["stop.", "checkpoint.", "restart.", "watchdog.", "idle."];
    for key in trainit::config::KEYS.iter().filter(|key| about.iter().any(|about| key.path.starts_with(about))) {
        let (family, name) = key.path.split_once('.').unwrap();
        let in_yaml = text.split(&format!("{family}:\n")).skip(1).any(|rest| rest.contains(&format!("  {name}: ")));
        assert!(text.contains(&format!("`{}`", key.path)) || in_yaml, "{} is on no page", key.path);
    }
}
