//! A file system that hangs, as a dead NFS does: a FUSE server that greets the kernel, takes one request, and never answers it.

use std::fs::File;
use std::io::{Read, Write};

/// Whether /dev/fuse can be opened; if not, says so.
pub fn is_there() -> bool {
    let there = File::options().read(true).write(true).open("/dev/fuse").is_ok();
    if !there {
        super::skip("/dev/fuse cannot be opened");
    }
    there
}

/// The server's end; dropped, everything that hangs is let go.
pub struct Server(File);

impl Server {
    /// Opens a connection; its descriptor goes into the mount's options.
    pub fn open() -> Self {
        Server(File::options().read(true).write(true).open("/dev/fuse").unwrap())
    }

    /// The connection.
    pub fn file(&self) -> &File {
        &self.0
    }

    /// Answers FUSE_INIT, without which nobody gets far enough to hang for good.
    pub fn answer_greeting(&mut self) {
        let request = self.request();
        let mut answer = [0u8; 16 + 64]; // fuse_out_header and fuse_init_out
        answer[0..4].copy_from_slice(&80u32.to_ne_bytes());
        answer[8..16].copy_from_slice(&request[8..16]); // the request's number
        answer[16..20].copy_from_slice(&7u32.to_ne_bytes());
        answer[20..24].copy_from_slice(&31u32.to_ne_bytes());
        answer[40..44].copy_from_slice(&4096u32.to_ne_bytes()); // max_write
        self.0.write_all(&answer).unwrap();
    }

    /// Takes a request and leaves it: whoever asked now waits in the kernel, and no signal wakes it.
    pub fn swallow_request(&mut self) {
        self.request();
    }

    fn request(&mut self) -> Vec<u8> {
        let mut room = vec![0; 1 << 18];
        let count = self.0.read(&mut room).unwrap();
        room.truncate(count);
        room
    }
}
