//! An index of the tests' own: it serves wheels of a directory, and misbehaves as asked.

use sha2::{Digest, Sha256};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// How it misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Not at all.
    Fine,
    /// It answers every question with this.
    Status(&'static str),
    /// The first so many questions are answered with 503.
    DownFor(usize),
    /// The first so many archives end in the middle.
    CutsOff(usize),
    /// The hash that it names is not the archive's.
    WrongHash,
    /// Who does not name this user and password gets 401.
    Asks(&'static str),
}

/// A running index.
pub struct Index {
    pub port: u16,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    questions: AtomicUsize,
    archives: AtomicUsize,
    leaked: AtomicBool,
}

impl Index {
    /// Serves the wheels of a directory. `secret` is looked for in the command lines of this machine at every question.
    pub fn serve(wheels: &Path, manner: Manner, secret: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let index = Index { port: listener.local_addr().unwrap().port(), seen: Arc::default() };
        let (wheels, seen) = (wheels.to_owned(), index.seen.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (wheels, seen) = (wheels.clone(), seen.clone());
                std::thread::spawn(move || {
                    seen.leaked.fetch_or(is_on_a_command_line(secret), Ordering::SeqCst);
                    let _ = answer(stream, &wheels, manner, &seen);
                });
            }
        });
        index
    }

    /// How many questions there were.
    pub fn questions(&self) -> usize {
        self.seen.questions.load(Ordering::SeqCst)
    }

    /// Whether anybody could have read the secret with ps(1).
    pub fn leaked(&self) -> bool {
        self.seen.leaked.load(Ordering::SeqCst)
    }
}

fn is_on_a_command_line(secret: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.into_iter().any(|line| String::from_utf8_lossy(&line).contains(secret))
}

fn answer(mut stream: TcpStream, wheels: &Path, manner: Manner, seen: &Seen) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let question = question(&mut stream)?;
    let number = seen.questions.fetch_add(1, Ordering::SeqCst);
    let path = question.split(' ').nth(1).unwrap_or_default();
    match manner {
        Manner::Status(status) => return send(&mut stream, status, b""),
        Manner::DownFor(times) if number < times => return send(&mut stream, "503 Service Unavailable", b""),
        Manner::Asks(who)
            if !question.to_lowercase().contains(&format!("authorization: basic {}", base64(who)).to_lowercase()) =>
        {
            return send(&mut stream, "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"", b"");
        }
        _ => {}
    }
    match path.strip_prefix("/files/") {
        Some(name) => {
            let bytes = std::fs::read(wheels.join(name))?;
            match manner {
                Manner::CutsOff(times) if seen.archives.fetch_add(1, Ordering::SeqCst) < times => {
                    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", bytes.len())?;
                    stream.write_all(&bytes[..bytes.len() / 2])
                }
                _ => send(&mut stream, "200 OK", &bytes),
            }
        }
        None => page(&mut stream, wheels, path, manner),
    }
}

fn question(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        bytes.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn send(stream: &mut TcpStream, status: &str, bytes: &[u8]) -> std::io::Result<()> {
    let kind = if bytes.starts_with(b"<") { "text/html" } else { "application/octet-stream" };
    let length = bytes.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(bytes)
}

/// The page of a package (PEP 503).
fn page(stream: &mut TcpStream, wheels: &Path, path: &str, manner: Manner) -> std::io::Result<()> {
    let package = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default().replace('-', "_");
    let files = std::fs::read_dir(wheels)?.flatten().map(|entry| entry.path());
    let links: String = files.filter(|file| is_of(file, &package)).map(|file| link(&file, manner)).collect();
    match links.is_empty() {
        true => send(stream, "404 Not Found", b""),
        false => send(stream, "200 OK", format!("<!DOCTYPE html><html><body>{links}</body></html>").as_bytes()),
    }
}

fn is_of(file: &Path, package: &str) -> bool {
    file.file_name().unwrap().to_string_lossy().split('-').next() == Some(package)
}

fn link(file: &Path, manner: Manner) -> String {
    let name = file.file_name().unwrap().to_string_lossy();
    let bytes = std::fs::read(file).unwrap();
    let hash = Sha256::digest(if manner == Manner::WrongHash { b"another" } else { bytes.as_slice() });
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("<a href=\"/files/{name}#sha256={hash}\">{name}</a>\n")
}

fn base64(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |bytes: &[u8]| {
        let all = bytes.iter().fold(0u32, |all, byte| all << 8 | u32::from(*byte)) << (8 * (3 - bytes.len()));
        let letter =
            |n: usize| if n <= bytes.len() { LETTERS[(all >> (18 - 6 * n) & 63) as usize] as char } else { '=' };
        (0..4).map(letter).collect::<String>()
    };
    text.as_bytes().chunks(3).map(group).collect()
}
