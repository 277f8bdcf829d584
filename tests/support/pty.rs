//! A terminal for tests, with the end at which a user would sit.

use super::look::until_true;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex};

/// The user's end of a terminal, and all that was shown so far.
pub struct Pty {
    person: File,
    shown: Arc<Mutex<String>>,
    read: Mutex<usize>,
}

/// Makes a terminal, and returns the user's end and the program's end.
pub fn open() -> (Pty, OwnedFd) {
    let pty = nix::pty::openpty(None, None).unwrap();
    let person = File::from(pty.master);
    let shown = Arc::new(Mutex::new(String::new()));
    let (mut reader, screen) = (person.try_clone().unwrap(), shown.clone());
    std::thread::spawn(move || {
        let mut room = [0; 4096];
        while let Ok(count @ 1..) = reader.read(&mut room) {
            screen.lock().unwrap().push_str(&String::from_utf8_lossy(&room[..count]));
        }
    });
    (Pty { person, shown, read: Mutex::new(0) }, pty.slave)
}

impl Pty {
    /// Types a text.
    pub fn types(&self, text: &str) {
        (&self.person).write_all(text.as_bytes()).unwrap();
    }

    /// Waits until a text is shown behind the texts that earlier calls waited for.
    #[track_caller]
    pub fn shows(&self, text: &str) {
        let mut read = self.read.lock().unwrap();
        let begun = std::time::Instant::now();
        loop {
            let shown = self.shown.lock().unwrap();
            if let Some(at) = shown[*read..].find(text) {
                *read += at + text.len();
                return;
            }
            assert!(begun.elapsed() < super::LONG, "{text:?} is not shown after byte {}: {shown:?}", *read);
            drop(shown);
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }

    /// Returns all that was shown.
    pub fn screen(&self) -> String {
        self.shown.lock().unwrap().clone()
    }

    /// Changes the window's size.
    pub fn resize(&self, rows: u16, columns: u16) {
        let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the structure outlives the call.
        assert_eq!(unsafe { libc::ioctl(self.person.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) }, 0);
    }

    /// Returns the process group in the foreground.
    pub fn foreground(&self) -> i32 {
        let mut group = 0;
        // SAFETY: the number outlives the call. Linux answers the call at the user's end, too.
        assert_eq!(unsafe { libc::ioctl(self.person.as_raw_fd(), libc::TIOCGPGRP, &raw mut group) }, 0);
        group
    }

    /// Waits until this group is in the foreground.
    #[track_caller]
    pub fn foreground_is(&self, group: i32) {
        until_true("the foreground", || self.foreground() == group);
    }
}

/// Returns a function for `before_exec`: the child gets a new session with this terminal as its controlling one, and as 0, 1 and 2.
pub fn sit_at(terminal: &OwnedFd) -> impl FnMut() -> std::io::Result<()> + Send + Sync + use<> {
    let fd = terminal.as_raw_fd();
    move || {
        // SAFETY: these are plain system calls on a descriptor that the parent keeps open.
        let done = unsafe {
            libc::ioctl(fd, libc::TIOCSCTTY, 0) == 0 && (0..3).all(|standard| libc::dup2(fd, standard) == standard)
        };
        if done { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    }
}
