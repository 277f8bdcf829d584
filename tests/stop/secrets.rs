//! Secrets that stand in files: who gets them, and who may not.

use crate::job::Job;
use crate::support::{Place, Running, TRAINIT};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

const SECRET: &str = "s3cr3t-of-a-test";

/// A job with a secret of this mode, and a configuration that names it.
fn job(mode: u32) -> Job {
    let job = Job::new();
    std::fs::set_permissions(job.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let file = job.path().join("secret");
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    let settings = format!("env:\n  A_TOKEN: {{file: {}}}\n", file.display());
    std::fs::write(job.path().join("trainit.yaml"), settings).unwrap();
    job
}

fn print(job: &Job, user: &str) -> Running {
    let config = job.path().join("trainit.yaml");
    let launch = job.launch(Place::Aside, &["sh", "-c", "echo \"$A_TOKEN\""]);
    launch.env("TRAINIT_CONFIG", config.to_str().unwrap()).env("TRAINIT_USER", user).spawn()
}

#[test]
fn a_variable_in_a_file_reaches_the_workload_and_no_log() {
    let finished = print(&job(0o400), "keep").finish();
    assert_eq!(finished.out, format!("{SECRET}\n"), "{finished:?}");
    assert!(!finished.err.contains(SECRET), "{finished:?}");
}

#[test]
fn nobody_gets_a_secret_that_its_user_may_not_read() {
    if !nix::unistd::geteuid().is_root() {
        return crate::support::skip("only root can become another user");
    }
    assert_eq!(print(&job(0o440), "12345:0").finish().out, format!("{SECRET}\n"));
    let finished = print(&job(0o400), "12345:0").finish();
    assert_eq!((finished.code, finished.out.as_str()), (Some(78), ""), "{finished:?}");
    assert!(finished.err.contains("env.A_TOKEN") && finished.err.contains("12345:0"), "{finished:?}");
}

#[test]
fn a_variable_of_trainits_own_that_may_hold_a_password_may_stand_in_a_file() {
    let job = Job::new();
    let file = job.path().join("index");
    std::fs::write(&file, format!("https://me:{SECRET}@index.test/simple\n")).unwrap();
    let show = |variables: &[(&str, &str)]| {
        let mut command = Command::new(TRAINIT);
        command.args(["config", "show"]).current_dir("/").envs(variables.iter().copied()).output().unwrap()
    };
    let named = ("TRAINIT_DEPS_INDEX_FILE", file.to_str().unwrap());
    let shown = String::from_utf8(show(&[named]).stdout).unwrap();
    assert!(shown.contains("TRAINIT_DEPS_INDEX_FILE"), "{shown}");
    // Nothing of a file of secrets is shown, also not what looks like none.
    assert!(!shown.contains(SECRET) && !shown.contains("index.test"), "{shown}");
    assert_eq!(show(&[named, ("TRAINIT_DEPS_INDEX", "https://other.test")]).status.code(), Some(78));
    assert_eq!(show(&[("TRAINIT_DEPS_INDEX_FILE", "/no/such/file")]).status.code(), Some(78));
    // What is no password stays where it is.
    assert_eq!(show(&[("TRAINIT_WORKDIR_FILE", "/x")]).status.code(), Some(78));
}
