//! FUSE servers that misbehave: one that hangs as a dead NFS does, and a small disk that can be slow, broken or gone. They speak
//! the kernel's protocol (fuse(4), linux/fuse.h, 7.31) and need no daemon and no library.

use std::fs::File;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

/// Tells whether /dev/fuse can be opened, and reports a skip if not.
pub fn is_there() -> bool {
    let there = File::options().read(true).write(true).open("/dev/fuse").is_ok();
    if !there {
        super::skip("/dev/fuse cannot be opened");
    }
    there
}

/// The server's end of a connection. When it is dropped, every process that hangs goes on.
pub struct Server(File);

impl Server {
    /// Opens a connection; its descriptor belongs into the mount's options.
    pub fn open() -> Self {
        Server(File::options().read(true).write(true).open("/dev/fuse").unwrap())
    }

    /// Returns the connection.
    pub fn file(&self) -> &File {
        &self.0
    }

    /// Answers FUSE_INIT, which comes before any request that can hang.
    pub fn answer_greeting(&mut self) {
        let request = self.request();
        let mut answer = [0u8; 16 + 64]; // room for fuse_out_header and fuse_init_out
        answer[0..4].copy_from_slice(&80u32.to_ne_bytes());
        answer[8..16].copy_from_slice(&request[8..16]); // the request's number
        answer[16..20].copy_from_slice(&7u32.to_ne_bytes());
        answer[20..24].copy_from_slice(&31u32.to_ne_bytes());
        answer[40..44].copy_from_slice(&4096u32.to_ne_bytes()); // max_write
        self.0.write_all(&answer).unwrap();
    }

    /// Takes a request and does not answer it: the process that asked waits in the kernel, and no signal wakes it. `refuse` ends
    /// that wait by the number that is returned; else the wait ends when every copy of the connection is closed.
    pub fn swallow_request(&mut self) -> [u8; 8] {
        let request = self.request();
        request.get(8..16).and_then(|number| number.try_into().ok()).unwrap_or_default()
    }

    /// Answers a swallowed request with an error.
    pub fn refuse(&mut self, number: [u8; 8]) {
        let answer = [16u32.to_ne_bytes(), (-libc::EIO).to_ne_bytes()].concat();
        let _ = self.0.write_all(&[answer.as_slice(), &number].concat());
    }

    fn request(&mut self) -> Vec<u8> {
        let mut room = vec![0; 1 << 18];
        let count = self.0.read(&mut room).unwrap();
        room.truncate(count);
        room
    }

    /// Reads the next request; `None` once the file system is gone. Before the mount there is nothing to read.
    fn next(&mut self) -> Option<Vec<u8>> {
        let mut room = vec![0; 1 << 18];
        let deadline = Instant::now() + super::LONG;
        loop {
            match self.0.read(&mut room) {
                Ok(count @ 40..) => {
                    room.truncate(count);
                    return Some(room);
                }
                Err(error) if error.raw_os_error() == Some(libc::EPERM) && Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                _ => return None,
            }
        }
    }
}

/// How the disk treats a request.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// The disk answers.
    Answer,
    /// The disk answers with this error.
    Fail(i32),
    /// The disk answers after this time.
    Late(Duration),
    /// The disk never answers.
    Hang,
    /// The server ends.
    Die,
}

/// The treatment of requests, by their opcodes.
pub type Manner = fn(u32) -> Act;

/// The requests that a test may treat in its own way (fuse_opcode).
pub mod op {
    pub const LOOKUP: u32 = 1;
    pub const GETATTR: u32 = 3;
    pub const SETATTR: u32 = 4;
    pub const UNLINK: u32 = 10;
    pub const OPEN: u32 = 14;
    pub const RENAME: u32 = 12;
    pub const READ: u32 = 15;
    pub const WRITE: u32 = 16;
    pub const STATFS: u32 = 17;
    pub const RELEASE: u32 = 18;
    pub const FSYNC: u32 = 20;
    pub const FLUSH: u32 = 25;
    pub const INIT: u32 = 26;
    pub const OPENDIR: u32 = 27;
    pub const READDIR: u32 = 28;
    pub const RELEASEDIR: u32 = 29;
    pub const CREATE: u32 = 35;
}

/// A disk with one directory of files. A file's node number is its index in the list plus 2.
pub struct Disk {
    pub files: Vec<(String, Vec<u8>)>,
    /// The treatment of requests.
    pub manner: Manner,
    /// Whether files can be opened for appending, which object stores refuse.
    pub appends: bool,
}

/// Reads a number of eight bytes in the machine's byte order.
fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap())
}

impl Disk {
    /// Serves until the file system is gone, and returns the opcodes of all requests in their order.
    pub fn serve(mut self, mut server: Server) -> std::thread::JoinHandle<Vec<u32>> {
        std::thread::spawn(move || {
            let (mut asked, mut held) = (Vec::new(), Vec::new());
            loop {
                let Some(request) = server.next() else { return asked };
                let request = &request[..];
                let code = u32::from_ne_bytes(request[4..8].try_into().unwrap());
                asked.push(code);
                match if code == op::INIT { Act::Answer } else { (self.manner)(code) } {
                    Act::Answer => self.answer(&mut server.0, code, request),
                    Act::Fail(errno) => reply(&mut server.0, request, Err(errno)),
                    Act::Late(time) => {
                        std::thread::sleep(time);
                        self.answer(&mut server.0, code, request);
                    }
                    Act::Hang => held.push(request.to_vec()),
                    Act::Die => return asked,
                }
            }
        })
    }

    fn answer(&mut self, to: &mut File, code: u32, request: &[u8]) {
        const SILENT: [u32; 4] = [2, 36, 38, 42]; // forget, interrupt, destroy, forget many: requests without an answer
        let (node, body) = (number(request, 16), &request[40..]);
        let name =
            |from: usize| String::from_utf8_lossy(body[from..].split(|byte| *byte == 0).next().unwrap()).into_owned();
        let find = |name: &str| self.files.iter().position(|(known, _)| known == name);
        let answer = match code {
            _ if SILENT.contains(&code) => return,
            op::INIT => Ok(numbers(&[7 | 31 << 32, 0, 4096 << 32, 1, 0, 0, 0, 0])),
            op::GETATTR | op::SETATTR => Ok([numbers(&[0, 0]), self.attributes(node)].concat()),
            op::LOOKUP => find(&name(0)).map(|at| self.entry(at)).ok_or(libc::ENOENT),
            op::OPEN | op::CREATE if !self.appends && is_to_append(body) => Err(libc::EOPNOTSUPP),
            op::OPEN | op::OPENDIR => Ok(numbers(&[0, 0])),
            op::READ => Ok(window(&self.files[node as usize - 2].1, body)),
            op::READDIR => Ok(window(&self.listing(), body)),
            // Half of 64 GiB is free; the number of files is not given.
            op::STATFS => Ok(numbers(&[1 << 24, 1 << 23, 1 << 23, 0, 0, 4096 | 255 << 32, 4096, 0, 0, 0])),
            op::CREATE => {
                self.files.push((name(16), Vec::new()));
                Ok([self.entry(self.files.len() - 1), numbers(&[0, 0])].concat())
            }
            op::WRITE => {
                let (from, size) = (number(body, 8) as usize, (number(body, 16) & 0xffff_ffff) as usize);
                let content = &mut self.files[node as usize - 2].1;
                content.resize(content.len().max(from + size), 0);
                content[from..from + size].copy_from_slice(&body[40..40 + size]);
                Ok(numbers(&[size as u64]))
            }
            op::UNLINK => {
                if let Some(at) = find(&name(0)) {
                    self.files[at].0.clear();
                }
                Ok(Vec::new())
            }
            op::RENAME => {
                let old = name(8);
                let new = name(8 + old.len() + 1);
                find(&old).map(|at| self.files[at].0 = new).map(|()| Vec::new()).ok_or(libc::ENOENT)
            }
            op::RELEASE | op::RELEASEDIR | op::FLUSH | op::FSYNC => Ok(Vec::new()),
            _ => Err(libc::ENOSYS),
        };
        reply(to, request, answer);
    }

    fn attributes(&self, node: u64) -> Vec<u8> {
        let (size, mode): (u64, u64) = match self.files.get((node as usize).wrapping_sub(2)) {
            Some((_, content)) => (content.len() as u64, 0o100_644),
            None => (0, 0o40_755),
        };
        numbers(&[node, size, 0, 0, 0, 0, 0, mode << 32, 1, 0, 4096])
    }

    fn entry(&self, at: usize) -> Vec<u8> {
        let node = at as u64 + 2;
        [numbers(&[node, 0, 0, 0, 0]), self.attributes(node)].concat()
    }

    fn listing(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (at, (name, _)) in self.files.iter().enumerate().filter(|(_, (name, _))| !name.is_empty()) {
            let length = (24 + name.len()).next_multiple_of(8);
            bytes.extend(numbers(&[at as u64 + 2, (bytes.len() + length) as u64, name.len() as u64 | 8 << 32]));
            bytes.extend(name.as_bytes());
            bytes.resize(bytes.len().next_multiple_of(8), 0);
        }
        bytes
    }
}

/// Returns whether the flags of fuse_open_in or fuse_create_in have O_APPEND.
fn is_to_append(body: &[u8]) -> bool {
    body.first_chunk().is_some_and(|flags| u32::from_ne_bytes(*flags) & libc::O_APPEND as u32 != 0)
}

/// Returns the part of a file or listing that fuse_read_in asks for.
fn window(all: &[u8], request: &[u8]) -> Vec<u8> {
    let (from, size) = (number(request, 8) as usize, number(request, 16) as u32 as usize);
    all.iter().skip(from).take(size).copied().collect()
}

fn numbers(fields: &[u64]) -> Vec<u8> {
    fields.iter().flat_map(|field| field.to_ne_bytes()).collect()
}

fn reply(to: &mut File, request: &[u8], answer: Result<Vec<u8>, i32>) {
    let (body, errno) = answer.map_or_else(|errno| (Vec::new(), -errno), |body| (body, 0));
    let length = 16 + body.len() as u32;
    let frame = [&length.to_ne_bytes()[..], &errno.to_ne_bytes(), &request[8..16], &body].concat();
    // The process that asked may be gone.
    let _ = to.write_all(&frame);
}
