//! PATH in the shells of build sessions, whose /etc/profile sets PATH anew: as root and as others, where /etc can be written and where not.

use crate::harness::{Run, docker, wait_for};
use crate::images::{Image, image};
use crate::terminal::Terminal;

/// A PATH that no /etc/profile sets.
const PATH: &str = "-e PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The users of a container, and whether it can write /etc.
const STARTS: [&str; 4] = ["", "--user 1234:1234", "-e TRAINIT_USER=1234", "--read-only --tmpfs /run --tmpfs /tmp"];

#[test]
fn login_shells_at_a_terminal_keep_path_whoever_starts_them() {
    let Some(python) = image(Image::Python) else { return };
    for start in STARTS {
        // The last one is started as tmux and sshd start theirs.
        for shell in ["bash -l", "sh -l", "bash", "-a -bash bash"] {
            let mut terminal = Terminal::open(Run::of(&python).with(PATH).with(start).command(&["shell"]));
            terminal.types(&format!("exec {shell}\n"));
            terminal.types("echo at''end $PATH; exit\n");
            terminal.sees("atend ");
            let (_, shown) = terminal.ended();
            assert!(shown.contains("atend /opt/venv/bin:"), "{start:?} {shell}: {shown}");
        }
    }
}

#[test]
fn what_jupyter_starts_for_a_terminal_keeps_path() {
    let Some(python) = image(Image::Python) else { return };
    let given = tempfile::tempdir().expect("a temporary directory");
    let program = given.path().join("jupyter-lab");
    // As the real one does without a terminal of its own.
    let text = "#!/bin/sh\n$SHELL -l -c 'echo \"terminal $0 $PATH\"'\nsleep 1000\n";
    std::fs::write(&program, text).expect("a file");
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("a mode");
    let mount = format!("-v {}:/usr/local/bin/jupyter-lab:ro", program.display());
    for words in [&["jupyter"][..], &["jupyter-lab", "--port=8888"]] {
        let job = Run::of(&python).with(PATH).with(&mount).command(words).start();
        job.wait_for_text("terminal ");
        assert!(job.text().contains("terminal /bin/bash /opt/venv/bin:"), "{words:?}: {}", job.text());
        // A session of its own has no part in it: another user reads nothing of the workload's.
        let session = wait_for(
            "the session's file",
            || {
                let found = job.exec(&["sh", "-c", "ls /run/trainit-0/*/requests/jupyter/session.sh"]);
                found.status.success().then(|| String::from_utf8_lossy(&found.stdout).trim().to_owned())
            },
            || job.text(),
        );
        docker(["exec", &job.name, "sh", "-c", &format!("chmod -R a+rX /run/trainit-0; echo echo LEAK >> {session}")]);
        let variable = format!("TRAINIT_SESSION={session}");
        let other = docker(["exec", "-u", "1234", "-e", &variable, &job.name, "sh", "-l", "-c", "echo other"]);
        assert_eq!(String::from_utf8_lossy(&other.stdout), "other\n", "{other:?}");
    }
}
