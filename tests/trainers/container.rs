//! torchrun in a real container, stopped by `docker stop`. The image holds trainit and nothing else; Python and torch are this
//! machine's own, mounted.

use crate::harness::{Container, Run};
use crate::images::{Image, image};
use crate::job::{GRACE, Job, torch_is_here, torchrun, words};
use crate::support::has;

const RANKS: u32 = 2;

/// What a program of this machine needs, at the places where it looks for it.
const SYSTEM: &str =
    "-v /usr:/usr:ro -v /lib:/lib:ro -v /lib64:/lib64:ro -v /bin:/bin:ro -v /etc/alternatives:/etc/alternatives:ro";

/// Starts the job in a container that may have other options, and waits until it trains.
fn training(job: &Job, options: &str, first: &[&str]) -> Option<Container> {
    let image = image(Image::Scratch)?;
    let line = torchrun(job, RANKS);
    let code = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/trainers");
    let mounts = format!("{SYSTEM} -v {code}:{code}:ro -v {dir}:{dir} --shm-size 256m", dir = job.word());
    let settings = job.settings(&words(&line)).map(|(name, value)| format!(" -e {name}={value}")).concat();
    // A container without a network has only this interface to offer.
    let options = format!("{options} {mounts} --network none -e GLOO_SOCKET_IFNAME=lo{settings}");
    let container = Run::of(&image).with(&options).command(&[first, &words(&line)].concat()).start();
    job.wait_while(RANKS, |still| {
        let runs = container.field(".State.Status") == "running";
        assert!(still && runs, "no steps: running {runs}\n{}", container.text());
    });
    Some(container)
}

#[test]
fn docker_stop_leads_to_a_checkpoint() {
    if !torch_is_here() {
        return;
    }
    let job = Job::new();
    let Some(container) = training(&job, "", &["--"]) else { return };
    let took = container.stop(GRACE.as_secs() as u32);
    let ended = container.ended().expect_code(143);
    assert!(took < GRACE, "{took:?}: {}", ended.text);
    job.assert_ranks_saved(RANKS, &ended.text);
    job.assert_nobody_left();
}

#[test]
fn docker_stop_loses_it_under_an_init_that_signals_the_whole_session() {
    if !torch_is_here() || !has("dumb-init") {
        return;
    }
    let job = Job::new();
    let Some(container) = training(&job, "--entrypoint /usr/bin/dumb-init", &["--"]) else { return };
    container.stop(GRACE.as_secs() as u32);
    job.assert_lost(&container.ended().text);
}
