//! Jupyter and SSH in one container: `jupyter,ssh`.

use super::world::{PATH, World};
use crate::lab;
use crate::support::TRAINIT;
use crate::support::look::until_true;
use crate::support::port::free_port;
use nix::sys::signal::Signal;

#[test]
fn jupyter_and_ssh_serve_side_by_side_and_end_together() {
    let Some((world, bin)) = World::new().zip(lab::bin()) else { return };
    let port = free_port();
    let world = world
        .set("PATH", &format!("{}:{PATH}", bin.display()))
        .set("TRAINIT_JUPYTER_PORT", &port.to_string())
        .set("JUPYTER_TOKEN", "word-of-the-test")
        .set("DATASET", "a b");
    let served = world.container().serve_mode("jupyter,ssh");
    served.running.error_with("Jupyter: http");
    served.running.error_with("log in: ssh -p ");
    let answers = format!("(port {port} answers)");
    until_true("a Jupyter that answers", || {
        let health = served.health();
        health.status.success() && String::from_utf8_lossy(&health.stdout).contains(&answers)
    });
    // The sidecar has the container's variables, and the way to both is one.
    assert_eq!(served.says("echo \"$DATASET\"; command -v jupyter-lab").lines().count(), 2);
    let status = served.says(&format!("{TRAINIT} status"));
    assert!(status.contains("jupyter") && !status.contains("word-of-the-test"), "{status}");
    served.running.signal(Signal::SIGTERM as i32);
    let finished = served.running.finish();
    assert_eq!(finished.code, Some(0), "{}", finished.err);
}
