//! A proxy in front of a server of a test, which fails as networks and stores do: each request is shown to a rule, which says what becomes
//! of it. It understands no more of HTTP than lengths.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It is passed on, and so is its answer.
    Pass,
    /// This whole answer is given instead.
    Answer(String),
    /// The connection is closed after so many bytes of the answer's body.
    CutAfter(usize),
    /// Nothing more comes after so many bytes of the answer's body, and the connection stays open.
    StallAfter(usize),
    /// The answer says that it is whole, and has only so many bytes of its body.
    Short(usize),
    /// It is passed on, and the answer is thrown away with the connection.
    LoseAnswer,
}

impl Fault {
    /// An answer with an error of S3.
    pub fn s3(status: u16, code: &str) -> Self {
        Fault::error(status, code, "")
    }

    /// The same with headers, each with its line's end.
    pub fn error(status: u16, code: &str, headers: &str) -> Self {
        let body = format!("<Error><Code>{code}</Code><Message>by the test</Message></Error>");
        let length = body.len();
        Fault::Answer(format!(
            "HTTP/1.1 {status} X\r\n{headers}Content-Type: application/xml\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        ))
    }
}

/// One request as the proxy sees it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `GET /bucket/key HTTP/1.1`.
    pub line: String,
    /// The whole head.
    pub head: String,
    /// Its number, from 0.
    pub number: usize,
}

type Rule = dyn Fn(&Asked) -> Fault + Send + Sync;

/// A running proxy; its threads end with the test's process.
pub struct Proxy {
    /// On 127.0.0.1.
    pub port: u16,
    log: Arc<Mutex<Vec<Asked>>>,
}

impl Proxy {
    /// Puts a proxy in front of a port.
    pub fn new(upstream: u16, rule: impl Fn(&Asked) -> Fault + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (log, rule): (Arc<Mutex<Vec<Asked>>>, Arc<Rule>) = (Arc::default(), Arc::new(rule));
        let kept = Arc::clone(&log);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (kept, rule) = (Arc::clone(&kept), Arc::clone(&rule));
                std::thread::spawn(move || serve(client, upstream, &kept, &*rule));
            }
        });
        Proxy { port, log }
    }

    /// The proxy's URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What was asked for until now.
    pub fn asked(&self) -> Vec<Asked> {
        self.log.lock().unwrap().clone()
    }
}

/// One request a connection.
fn serve(mut client: TcpStream, upstream: u16, log: &Mutex<Vec<Asked>>, rule: &Rule) -> io::Result<()> {
    let (head, rest) = read_head(&mut client)?;
    let line = head.lines().next().unwrap_or_default().to_owned();
    let asked = {
        let mut log = log.lock().unwrap();
        let asked = Asked { line, head: head.clone(), number: log.len() };
        log.push(asked.clone());
        asked
    };
    let body = read_body(&mut client, &head, rest)?;
    let fault = rule(&asked);
    if let Fault::Answer(answer) = &fault {
        return client.write_all(answer.as_bytes());
    }
    let mut server = TcpStream::connect(("127.0.0.1", upstream))?;
    let head = head.replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1);
    server.write_all(head.as_bytes())?;
    server.write_all(&body)?;
    let (head, rest) = read_head(&mut server)?;
    let bodyless = asked.line.starts_with("HEAD");
    let body = if bodyless { Vec::new() } else { read_body(&mut server, &head, rest)? };
    answer(&mut client, &head, &body, &fault)
}

fn answer(client: &mut TcpStream, head: &str, body: &[u8], fault: &Fault) -> io::Result<()> {
    let close = |head: &str| head.replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1);
    let (count, length) = match fault {
        Fault::LoseAnswer => return Ok(()),
        Fault::CutAfter(count) | Fault::StallAfter(count) => ((*count).min(body.len()), body.len()),
        Fault::Short(count) => ((*count).min(body.len()), (*count).min(body.len())),
        _ => (body.len(), body.len()),
    };
    let head = if matches!(fault, Fault::Short(_)) { with_length(head, length) } else { head.to_owned() };
    client.write_all(close(&head).as_bytes())?;
    client.write_all(&body[..count])?;
    client.flush()?;
    if matches!(fault, Fault::StallAfter(_)) {
        // Until the client gives up.
        client.set_read_timeout(Some(Duration::from_secs(300)))?;
        let _ = client.read(&mut [0]);
    }
    Ok(())
}

fn with_length(head: &str, length: usize) -> String {
    let lines = head.split("\r\n").map(|line| {
        if line.to_ascii_lowercase().starts_with("content-length:") {
            format!("Content-Length: {length}")
        } else {
            line.to_owned()
        }
    });
    lines.collect::<Vec<_>>().join("\r\n")
}

/// Reads to the empty line; returns what came behind it, too.
fn read_head(stream: &mut TcpStream) -> io::Result<(String, Vec<u8>)> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = bytes.split_off(at + 4);
            return Ok((String::from_utf8_lossy(&bytes).into_owned(), rest));
        }
        match stream.read(&mut piece)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => bytes.extend_from_slice(&piece[..count]),
        }
    }
}

/// Reads as much as the head says, or to the end where an answer says nothing.
fn read_body(stream: &mut TcpStream, head: &str, mut body: Vec<u8>) -> io::Result<Vec<u8>> {
    let lower = head.to_ascii_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    match length {
        None if lower.starts_with("http/") => {
            stream.read_to_end(&mut body)?;
        }
        length => {
            let missing = length.unwrap_or_default().saturating_sub(body.len());
            stream.take(missing as u64).read_to_end(&mut body)?;
        }
    }
    Ok(body)
}
