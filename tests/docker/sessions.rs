//! What a person does at a terminal or beside a running container: a shell, `check`, `health`, `status`.

use crate::harness::{Container, Run, wait_for};
use crate::images::{Image, image};
use crate::terminal::Terminal;
use std::time::Duration;

const INTERRUPT: &str = "\x03";
const SUSPEND: &str = "\x1a";

/// Waits until `trainit health` says that the container is ready.
pub fn wait_until_ready(job: &Container) {
    wait_for("readiness", || job.exec(&["trainit", "health"]).status.success().then_some(()), || job.text());
}

/// A terminal at a shell that answers. The quotes keep the echo of what is typed from being taken for the answer.
fn shell(run: Run) -> Terminal {
    let mut terminal = Terminal::open(run);
    terminal.types("echo rea''dy\n");
    terminal.sees("ready");
    terminal
}

/// Waits until the program in the foreground answers. What it adds keeps the terminal's echo from being taken for it.
fn foreground_answers(terminal: &mut Terminal) {
    terminal.types("purr\n");
    terminal.sees("purr!");
}

#[test]
fn a_terminal_without_a_command_is_a_shell_with_job_control() {
    let Some(python) = image(Image::Python) else { return };
    let mut terminal = shell(Run::of(&python));
    terminal.types("sed -u 's/$/!/'\n");
    foreground_answers(&mut terminal);
    terminal.types(SUSPEND);
    terminal.sees("Stopped");
    terminal.types("jobs; echo lis''ted\n");
    terminal.sees("Stopped");
    terminal.sees("listed");
    terminal.types("fg\n");
    foreground_answers(&mut terminal);
    terminal.types(INTERRUPT);
    terminal.sees("# ");
    terminal.types("echo interr''upted $?\n");
    terminal.sees("interrupted 130");
    terminal.types("exit 7\n");
    let (code, shown) = terminal.ended();
    assert_eq!(code, Some(7), "{shown}");
    assert!(!shown.contains("job control"), "the shell complains:\n{shown}");
}

#[test]
fn the_word_shell_starts_one_and_the_terminals_size_is_known() {
    let Some(python) = image(Image::Python) else { return };
    let mut terminal = shell(Run::of(&python).command(&["shell"]));
    terminal.types("stty size; exit\n");
    terminal.sees("40 120");
    assert_eq!(terminal.ended().0, Some(0));
}

#[test]
fn ctrl_c_on_a_terminal_ends_a_program_without_a_shell() {
    let Some(python) = image(Image::Python) else { return };
    // Short sleeps: Python loses an interrupt that comes just before a long one, with and without trainit.
    let script = "import time\nprint('read' + 'y', flush=True)\nwhile True: time.sleep(0.1)";
    let mut terminal = Terminal::open(Run::of(&python).command(&["python", "-c", script]));
    terminal.sees("ready");
    terminal.types(INTERRUPT);
    terminal.sees("KeyboardInterrupt");
    assert_eq!(terminal.ended().0, Some(130));
}

#[test]
fn ctrl_c_ends_what_is_held_at_a_terminal() {
    let Some(python) = image(Image::Python) else { return };
    let mut terminal = Terminal::open(Run::of(&python).with("-e TRAINIT_ON_FAILURE=hold").command(&["false"]));
    terminal.sees("end it");
    terminal.types(INTERRUPT);
    assert_eq!(terminal.ended().0, Some(1));
}

#[test]
fn check_starts_nothing_and_tells_by_its_exit_code() {
    let Some(python) = image(Image::Python) else { return };
    Run::of(&python).command(&["check"]).finish().expect_code(0);
    let unfit = Run::of(&python).with("-e TRAINIT_DATA=/data").command(&["check"]);
    unfit.finish().expect_code(111).expect_text(&["/data", "docker run"]);
    let json = Run::of(&python).command(&["check", "--json"]).finish().expect_code(0).text;
    assert!(json.trim_start().starts_with(['{', '[']), "{json}");
}

#[test]
fn the_health_check_turns_healthy_when_the_workload_runs() {
    let Some(python) = image(Image::Python) else { return };
    let job = Run::of(&python).with("--health-interval 1s").command(&["sleep", "1000"]).start();
    job.wait_for_field(".State.Health.Status", "healthy");
    let status = job.exec(&["trainit", "status"]);
    assert!(status.status.success(), "{status:?}");
    assert!(String::from_utf8_lossy(&status.stdout).contains("running"), "{status:?}");
    // `sleep` has no handler: it dies of the signal that is passed on, long before Docker's SIGKILL.
    assert!(job.stop(60) < Duration::from_secs(20));
    job.ended().expect_code(143);
}

#[test]
fn a_failed_container_is_held_for_a_person_who_looks_and_mends() {
    let Some(python) = image(Image::Python) else { return };
    let job = Run::of(&python).with("-e TRAINIT_DATA=/data -e TRAINIT_ON_FAILURE=hold").command(&["true"]).start();
    job.wait_for_text("hold  kept open");
    // What it tells to type is what a person types.
    let look = format!("docker exec -it {} bash", &job.field(".Id")[..12]);
    assert!(job.text().contains(&look), "no {look} in {}", job.text());
    let status = job.exec(&["trainit", "status"]);
    let status = String::from_utf8_lossy(&status.stdout);
    assert!(status.contains("holding") && status.contains("/data"), "{status}");
    assert!(job.exec(&["trainit", "health", "--live"]).status.success());
    assert_eq!(job.exec(&["trainit", "check"]).status.code(), Some(111));
    assert_eq!(
        job.exec(&["sh", "-c", "mkdir -p /data && touch /data/x && trainit check --set checks.data.mounted=off"])
            .status
            .code(),
        Some(0)
    );
    // A session's orphan is reaped by who holds the container.
    job.exec(&["sh", "-c", "sleep 0.1 & exit"]);
    assert!(job.stop(60) < Duration::from_secs(20));
    job.ended().expect_code(111);
}

#[test]
fn a_session_gets_the_workloads_environment_also_where_the_entrypoint_was_replaced() {
    let Some(python) = image(Image::Python) else { return };
    let given = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(given.path().join("trainit.yaml"), "env: {ODD: \"it's $HOME\"}\n").expect("a file");
    let settings = format!("-v {}:/given:ro -e TRAINIT_CONFIG=/given/trainit.yaml", given.path().display());
    let script = "eval \"$(trainit env)\"; echo \"$ODD|${TRAINIT_RUN_DIR-none}\"";
    let job = Run::of(&python).with(&settings).command(&["sleep", "1000"]).start();
    wait_until_ready(&job);
    let session = job.exec(&["sh", "-c", script]);
    let said = String::from_utf8_lossy(&session.stdout);
    assert!(said.starts_with("it's $HOME|/run/trainit-0/"), "{session:?}");
    let replaced = Run::of(&python).with(&settings).with("--entrypoint sh").command(&["-c", script]).finish();
    replaced.expect_code(0).expect_text(&["it's $HOME|none"]);
}

#[test]
fn every_shell_of_an_image_that_installs_it_has_the_workloads_environment() {
    let Some(image) = image(Image::Installed) else { return };
    let given = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(given.path().join("trainit.yaml"), "env: {ODD: \"it's $HOME\"}\n").expect("a file");
    let settings = format!("-v {}:/given:ro -e TRAINIT_CONFIG=/given/trainit.yaml", given.path().display());
    let job = Run::of(&image).with(&settings).command(&["sleep", "1000"]).start();
    wait_until_ready(&job);
    let path = job.exec(&["sh", "-c", "echo $PATH"]);
    let expected = format!("it's $HOME|{}", String::from_utf8_lossy(&path.stdout));
    for shell in [&["bash", "-lc"][..], &["bash", "-c"], &["bash", "-ic"], &["sh", "-lc"]] {
        let session = job.exec(&[shell, &["echo \"$ODD|$PATH\""]].concat());
        assert_eq!(String::from_utf8_lossy(&session.stdout), expected, "{shell:?}: {session:?}");
    }
}

#[test]
fn a_second_trainit_in_a_session_leaves_the_first_alone() {
    let Some(python) = image(Image::Python) else { return };
    let job = Run::of(&python).command(&["sleep", "1000"]).start();
    wait_until_ready(&job);
    let inner = job.exec(&["trainit", "exec", "--", "echo", "inside"]);
    assert_eq!(String::from_utf8_lossy(&inner.stdout).trim(), "inside", "{inner:?}");
    assert!(job.exec(&["trainit", "health"]).status.success());
}
