//! `docker run -it` at a real terminal: what a person types and sees.

use crate::harness::{Container, DEADLINE, Run, unique_name};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{OpenptyResult, Winsize, openpty};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A terminal with a container at its other end.
pub struct Terminal {
    screen: File,
    client: Child,
    unread: String,
    all: String,
    /// Removes it at the end.
    _container: Container,
}

impl Terminal {
    /// Starts the container with this terminal as its stdin, stdout and stderr.
    pub fn open(run: Run) -> Self {
        let size = Winsize { ws_row: 40, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };
        let OpenptyResult { master, slave } = openpty(&size, None).expect("a pseudo-terminal");
        let name = unique_name();
        let end = || Stdio::from(slave.try_clone().expect("a descriptor"));
        let words = run.words(&name, "-it");
        let client = Command::new("docker").args(words).stdin(end()).stdout(end()).stderr(end()).spawn();
        Terminal {
            screen: File::from(master),
            client: client.expect("docker is here"),
            unread: String::new(),
            all: String::new(),
            _container: Container { name },
        }
    }

    /// Types these characters.
    pub fn types(&mut self, text: &str) {
        self.screen.write_all(text.as_bytes()).expect("the terminal is open");
    }

    /// Waits until this appears after what was last waited for.
    #[track_caller]
    pub fn sees(&mut self, wanted: &str) {
        let start = Instant::now();
        loop {
            if let Some(at) = self.unread.find(wanted) {
                self.unread.drain(..at + wanted.len());
                return;
            }
            assert!(start.elapsed() < DEADLINE, "no {wanted:?} on the terminal:\n{}\n{:?}", self.all, self.unread);
            self.read_some();
        }
    }

    /// Waits for the end of `docker run` and gives its exit code and all that was shown.
    pub fn ended(mut self) -> (Option<i32>, String) {
        let start = Instant::now();
        loop {
            self.read_some();
            if let Some(status) = self.client.try_wait().expect("docker can be waited for") {
                self.read_some();
                return (status.code(), std::mem::take(&mut self.all));
            }
            assert!(start.elapsed() < DEADLINE, "docker run does not end:\n{}", self.all);
        }
    }

    /// Reads what is there within a tenth of a second.
    fn read_some(&mut self) {
        let mut waiting = [PollFd::new(self.screen.as_fd(), PollFlags::POLLIN)];
        let ready = poll(&mut waiting, PollTimeout::from(100u8)).expect("poll works");
        if ready == 0 {
            return;
        }
        let mut bytes = [0; 4096];
        match self.screen.read(&mut bytes) {
            Ok(count) => {
                let text = String::from_utf8_lossy(&bytes[..count]);
                self.unread.push_str(&text);
                self.all.push_str(&text);
            }
            // EIO: nobody holds the other end any more. The caller's deadline decides.
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.client.kill();
        let _ = self.client.wait();
    }
}
