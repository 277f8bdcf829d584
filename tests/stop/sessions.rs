//! Asking for a checkpoint from inside the container: by `trainit checkpoint` and by a signal that means it.

use crate::job::{Job, assert_about, places, python, said, timed};
use crate::support::look::{state, until_true};
use crate::support::{Place, TRAINIT, copy_program, skip};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

const NOBODY: u32 = 65534;

#[test]
fn asking_makes_the_trainer_save_and_go_on() {
    if python().is_none() {
        return;
    }
    for place in places() {
        let job = Job::new().watched().with("CHECKPOINT_SIGNAL", "USR1");
        let running = job.start(place, &["on=USR1:save,TERM:exit0", "takes=0.5"]);
        job.is_in_phase("running");
        let mut asked = inside(&running, place, &job, &["checkpoint"]);
        assert_eq!(said(&asked.output().unwrap()), (Some(0), "asked for a checkpoint\n".into()));
        running.error_with("asked for a checkpoint by SIGUSR1");
        assert_eq!((running.line(), running.line()), ("USR1".into(), "saved 1".into()));
        job.is_in_phase("running");

        let (waited, took) =
            timed(|| inside(&running, place, &job, &["checkpoint", "--wait", "30s"]).output().unwrap());
        assert_about(took, 0.5);
        let newest = job.path().canonicalize().unwrap().join("ckpt-2.npz");
        assert_eq!(said(&waited), (Some(0), format!("checkpoint {} is complete\n", newest.display())));
        running.signal(libc::SIGTERM);
        assert_eq!(running.code(), 143);
    }
}

/// trainit as `docker exec` or a preStop hook starts it. In a namespace it finds the one instance by itself.
fn inside(running: &crate::support::Running, place: Place, job: &Job, words: &[&str]) -> Command {
    if place == Place::Aside {
        return job.asking(words);
    }
    let mut command = Command::new("nsenter");
    command.args(["-p", "-m", "-t", &running.pid.to_string(), TRAINIT]).args(words);
    command
}

#[test]
fn a_file_can_be_what_makes_it_save() {
    if python().is_none() {
        return;
    }
    let job = Job::new().watched();
    let file = job.path().join("SAVE").to_str().unwrap().to_owned();
    let job = job.with("CHECKPOINT_REQUEST_FILE", &file);
    let running = job.start_aside(&["on=TERM:exit0", &format!("file={file}")]);
    job.is_in_phase("running");
    assert_eq!(said(&job.ask(&["checkpoint", "--wait", "30s"])).0, Some(0));
    assert_eq!(running.line(), "saved 1");
    running.error_with("asked for a checkpoint by checkpoint.request_file");
    running.signal(libc::SIGTERM);
    assert_eq!(running.code(), 143);
}

#[test]
fn a_signal_can_mean_save_and_go_on() {
    if python().is_none() {
        return;
    }
    let job = Job::new().watched().with("STOP_ON", "USR1=checkpoint USR2=ignore HUP=forward");
    let running = job.start_aside(&["on=USR1:save,USR2:exit1,HUP:quiet,TERM:exit0"]);
    running.signal(libc::SIGUSR2);
    running.signal(libc::SIGUSR1);
    assert_eq!((running.line(), running.line()), ("USR1".into(), "saved 1".into()));
    running.error_with("ckpt-1.npz (step 1, 1000 B) is complete");
    running.signal(libc::SIGHUP);
    assert_eq!(running.line(), "HUP");
    running.signal(libc::SIGTERM);
    assert_eq!((running.line(), running.code()), ("TERM".into(), 143));
}

#[test]
fn a_signal_that_means_save_does_not_kill_who_has_no_handler_for_it() {
    if python().is_none() {
        return;
    }
    let job = Job::new().with("STOP_ON", "USR1=checkpoint");
    let running = job.start_aside(&["on=TERM:exit0"]);
    running.signal(libc::SIGUSR1);
    running.error_with("SIGUSR1 was not sent");
    running.signal(libc::SIGTERM);
    assert_eq!((running.line(), running.code()), ("TERM".into(), 143));
}

#[test]
fn a_checkpoint_that_comes_too_late_or_never_is_a_failure() {
    if python().is_none() {
        return;
    }
    let job = Job::new().watched().with("CHECKPOINT_SIGNAL", "USR1");
    let running = job.start_aside(&["on=USR1:save,TERM:exit0", "takes=3"]);
    job.is_in_phase("running");
    let (late, took) = timed(|| said(&job.ask(&["checkpoint", "--wait", "1s"])));
    assert_about(took, 1.0);
    assert!(late.0 == Some(1) && late.1.contains("no new checkpoint is complete after 1s"), "{late:?}");
    running.signal(libc::SIGKILL);

    let job = Job::new().watched().with("CHECKPOINT_SIGNAL", "USR1");
    let running = job.start_aside(&["on=TERM:exit0"]);
    job.is_in_phase("running");
    let (unready, took) = timed(|| said(&job.ask(&["checkpoint", "--wait", "60s"])));
    assert_about(took, 0.0);
    assert!(unready.0 == Some(1) && unready.1.contains("no handler for checkpoint.signal"), "{unready:?}");
    running.signal(libc::SIGTERM);
    assert_eq!(running.code(), 143);
}

#[test]
fn who_cannot_save_says_so_with_a_code_of_its_own() {
    if python().is_none() {
        return;
    }
    // Nothing is configured that makes it save.
    let job = Job::new();
    let running = job.start_aside(&["on=TERM:exit0"]);
    job.is_in_phase("running");
    let (code, text) = said(&job.ask(&["checkpoint"]));
    assert!(code == Some(78) && text.contains("checkpoint.signal: USR1"), "{code:?} {text}");
    running.signal(libc::SIGTERM);
    assert_eq!(running.code(), 143);

    // Nobody could see it appear; it is being stopped; it is gone.
    let job = Job::new().with("CHECKPOINT_SIGNAL", "USR1");
    let running = job.start_aside(&["on=USR1:save,TERM:quiet"]);
    job.is_in_phase("running");
    let (code, text) = said(&job.ask(&["checkpoint", "--wait", "5s"]));
    assert!(code == Some(78) && text.contains("checkpoint.dir"), "{code:?} {text}");
    running.signal(libc::SIGTERM);
    job.is_in_phase("stopping");
    let (code, text) = said(&job.ask(&["checkpoint"]));
    assert!(code == Some(1) && text.contains("nothing runs that could save: stopping"), "{code:?} {text}");
    let mut asking = job.asking(&["checkpoint"]);
    let supervisor = running.supervisor();
    running.signal(libc::SIGKILL);
    assert_eq!(running.finish().signal, Some(libc::SIGKILL));
    until_true("the supervisor has ended, too", || state(supervisor).is_none());
    let (code, text) = said(&asking.output().unwrap());
    assert!(code == Some(1) && text.contains("the supervisor is gone"), "{code:?} {text}");
}

#[test]
fn only_the_workloads_user_and_root_may_ask() {
    if python().is_none() {
        return;
    }
    if !nix::unistd::geteuid().is_root() {
        return skip("only root can ask as another user");
    }
    let job = Job::new().with("CHECKPOINT_SIGNAL", "USR1");
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(job.path(), open.clone()).unwrap();
    // The build directory may be one that others cannot enter.
    let copy = job.path().join("trainit");
    copy_program(TRAINIT, &copy);
    std::fs::set_permissions(&copy, open).unwrap();
    let running = job.start_aside(&["on=USR1:exit9,TERM:exit0"]);
    job.is_in_phase("running");
    let run_dir = job.run_dir();
    let asked = |words: &[&str]| {
        let mut command = Command::new(&copy);
        command.args(words).arg("--instance").arg(&run_dir).uid(NOBODY).gid(NOBODY).current_dir("/");
        said(&command.output().unwrap())
    };
    let (code, text) = asked(&["checkpoint"]);
    assert!(code == Some(1) && text.contains("ask as the user that the job runs as, or as root"), "{code:?} {text}");
    // Reading is for everybody.
    assert_eq!(asked(&["health", "--live"]).0, Some(0));
    running.signal(libc::SIGTERM);
    assert_eq!((running.line(), running.code()), ("TERM".into(), 143));
}
