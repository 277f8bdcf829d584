//! Build sessions with a stand-in for Jupyter: what a start promises about its server still holds when the container starts again.

use crate::harness::{Container, Run, docker, docker_says, wait_for};
use crate::images::{Image, image};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

/// A server that answers every request, as far as trainit asks.
const SERVER: &str = "#!/usr/bin/env python3
import http.server, sys
port = next(int(word.split('=')[1]) for word in sys.argv if word.startswith('--port='))
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
http.server.HTTPServer(('', port), Answer).serve_forever()
";

/// A mode of the configuration with a secret.
const IDE: &str = "modes:
  ide: {command: 'jupyter-lab --port={port}', kind: build, port: 9000, secret: IDE_TOKEN}
";

/// A start with the stand-in and the mode `ide` in the image; the directory has to live as long as the container.
fn with_server(image: &str) -> (Run, TempDir) {
    let given = tempfile::tempdir().expect("a temporary directory");
    let program = given.path().join("jupyter-lab");
    std::fs::write(&program, SERVER).expect("a file");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    std::fs::write(given.path().join("trainit.yaml"), IDE).expect("a file");
    let mounts = format!(
        "-v {0}/jupyter-lab:/usr/local/bin/jupyter-lab:ro -v {0}/trainit.yaml:/etc/trainit.yaml:ro",
        given.path().display()
    );
    (Run::of(image).with(&mounts), given)
}

/// The secrets that the log tells, each once.
fn secrets(log: &str) -> BTreeSet<String> {
    let words = log.split(|c: char| !c.is_ascii_hexdigit());
    words.filter(|word| word.len() == 48).map(str::to_owned).collect()
}

/// Waits for this many starts of a mode's server.
fn wait_for_starts(container: &Container, line: &str, starts: usize) {
    let seen = || (container.text().matches(line).count() == starts).then_some(());
    wait_for("the next start", seen, || container.text());
}

/// Ends the container in this way, starts it again, and returns the secrets of its log.
fn after_another_start(container: &Container, end: &[&str], starts: usize) -> BTreeSet<String> {
    docker_says(end.iter().copied().chain([container.name.as_str()]));
    container.wait_for_field(".State.Status", "exited");
    container.start_again();
    wait_for_starts(container, "sidecar ide:", starts);
    secrets(&container.text())
}

#[test]
fn a_container_that_starts_again_keeps_the_secrets_of_all_its_modes_whoever_runs_them_and_however_it_ended() {
    let Some(python) = image(Image::Python) else { return };
    for user in ["", "--user 1234:1234", "-e TRAINIT_USER=1234"] {
        let (run, _given) = with_server(&python);
        let container = run.with(user).command(&["jupyter,ide"]).start();
        wait_for_starts(&container, "sidecar ide:", 1);
        let first = secrets(&container.text());
        assert_eq!(first.len(), 2, "{user}: {}", container.text());
        assert_eq!(after_another_start(&container, &["stop", "-t", "5"], 2), first, "{user}");
        assert_eq!(after_another_start(&container, &["kill"], 3), first, "{user}");
        assert!(!container.text().contains("cannot write"), "{}", container.text());
    }
}

#[test]
fn a_container_that_can_keep_nothing_and_a_copy_of_another_one_tell_a_secret_of_their_own() {
    let Some(python) = image(Image::Python) else { return };
    let (run, _given) = with_server(&python);
    let container = run.with("--read-only --tmpfs /tmp --tmpfs /run").command(&["jupyter,ide"]).start();
    wait_for_starts(&container, "sidecar ide:", 1);
    assert_eq!(after_another_start(&container, &["stop", "-t", "5"], 2).len(), 4, "{}", container.text());

    let (run, _given) = with_server(&python);
    let container = run.command(&["jupyter,ide"]).start();
    wait_for_starts(&container, "sidecar ide:", 1);
    let copy = format!("trainit-test-copy:{}", container.name);
    docker_says(["commit", "-c", "LABEL trainit.test=1", &container.name, &copy]);
    let (run, _given) = with_server(&copy);
    let other = run.command(&["jupyter,ide"]).start();
    wait_for_starts(&other, "sidecar ide:", 1);
    let (own, others) = (secrets(&container.text()), secrets(&other.text()));
    drop(other);
    docker(["rmi", "-f", &copy]);
    assert!(own.len() == 2 && others.len() == 2 && own.is_disjoint(&others), "{own:?} {others:?}");
}
