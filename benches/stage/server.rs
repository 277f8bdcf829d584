//! A small S3 server for benches and tests: reads and lists one bucket, over plain HTTP, as anybody. What it serves lies in a directory
//! (`server INDEX DIRECTORY`, an index line is tag, size and key with tabs between them), or is made up, so that a million objects need no
//! disk. Bytes of files go from the page cache to the socket by sendfile(2), so that a client is measured, and not this server. One file
//! without dependencies: `rustc -O server.rs`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The longest page of a listing, as S3 has it.
const PAGE: usize = 1000;

/// Any time: no client compares it.
const MODIFIED: (&str, &str) = ("2026-01-02T03:04:05.000Z", "Fri, 02 Jan 2026 03:04:05 GMT");

/// What a bucket holds.
pub(crate) enum Objects {
    /// Files below a directory; tag and size of each by its key.
    #[allow(dead_code, reason = "a test makes its objects up")]
    Files(PathBuf, BTreeMap<String, (String, u64)>),
    /// So many objects, each of a size by its number.
    MadeUp(u64, fn(u64) -> u64),
}

/// A bucket, and what was asked of it.
pub(crate) struct Bucket {
    pub(crate) objects: Objects,
    /// Ranges that were asked for.
    pub(crate) gets: AtomicU64,
    /// Bytes of objects that were sent.
    pub(crate) sent: AtomicU64,
    /// Pages of listings.
    pub(crate) pages: AtomicU64,
}

/// One object.
struct Listed {
    key: String,
    tag: String,
    size: u64,
}

/// Returns the key of a made-up object. Keys sort as their numbers do.
pub(crate) fn made_up_key(number: u64) -> String {
    format!("set/{:05}/{number:08}.bin", number / 1000)
}

/// Returns the byte at a place of a made-up object.
pub(crate) fn made_up_byte(number: u64, at: u64) -> u8 {
    (number.wrapping_mul(31) ^ (at >> 9) ^ at.wrapping_mul(7)) as u8
}

fn number_of(key: &str) -> Option<u64> {
    key.rsplit('/').next()?.strip_suffix(".bin")?.parse().ok()
}

impl Bucket {
    pub(crate) fn new(objects: Objects) -> Arc<Self> {
        let zero = AtomicU64::default;
        Arc::new(Bucket { objects, gets: zero(), sent: zero(), pages: zero() })
    }

    /// Serves each connection in a thread of its own, for ever.
    pub(crate) fn serve(self: Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming().map_while(Result::ok) {
            let bucket = Arc::clone(&self);
            std::thread::spawn(move || _ = bucket.talk(stream));
        }
    }

    fn talk(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let (mut reader, mut to) = (BufReader::new(stream.try_clone()?), stream);
        while let Some(request) = Request::read(&mut reader)? {
            self.answer(&request, &mut to)?;
        }
        Ok(())
    }

    fn answer(&self, request: &Request, to: &mut TcpStream) -> io::Result<()> {
        let is_head = request.method == "HEAD";
        if request.method != "GET" && !is_head {
            return plain(to, "405 Method Not Allowed", "", false);
        }
        if request.key.is_empty() {
            let page = if request.word("location").is_some() {
                "<LocationConstraint>us-east-1</LocationConstraint>".to_owned()
            } else {
                self.page(request)
            };
            return plain(to, "200 OK", &page, is_head);
        }
        match self.find(&request.key) {
            Some(object) => self.send(request, &object, to, is_head),
            None => plain(to, "404 Not Found", "<Error><Code>NoSuchKey</Code></Error>", is_head),
        }
    }

    fn find(&self, key: &str) -> Option<Listed> {
        match &self.objects {
            Objects::Files(_, index) => {
                let (tag, size) = index.get(key)?;
                Some(Listed { key: key.to_owned(), tag: tag.clone(), size: *size })
            }
            Objects::MadeUp(count, size) => {
                let number = number_of(key).filter(|number| number < count && made_up_key(*number) == key)?;
                Some(made_up(number, *size))
            }
        }
    }

    /// Returns at most `most` objects behind a key, in order.
    fn after(&self, prefix: &str, after: &str, most: usize) -> Vec<Listed> {
        match &self.objects {
            Objects::Files(_, index) => {
                let from = if after < prefix { Bound::Included(prefix) } else { Bound::Excluded(after) };
                let found = index.range::<str, _>((from, Bound::Unbounded)).take(most);
                let found = found.take_while(|(key, _)| key.starts_with(prefix));
                found.map(|(key, (tag, size))| Listed { key: key.clone(), tag: tag.clone(), size: *size }).collect()
            }
            Objects::MadeUp(count, size) => {
                let from = number_of(after).map_or(0, |number| number + 1);
                let found = (from..*count).take(most).map(|number| made_up(number, *size));
                found.filter(|object| object.key.starts_with(prefix)).collect()
            }
        }
    }

    fn page(&self, request: &Request) -> String {
        self.pages.fetch_add(1, Ordering::Relaxed);
        let (prefix, token) = (request.word("prefix").unwrap_or_default(), request.word("continuation-token"));
        let most = request.word("max-keys").and_then(|most| most.parse().ok()).unwrap_or(PAGE).min(PAGE);
        let after = token.or_else(|| request.word("start-after")).unwrap_or_default();
        let found = self.after(&prefix, &after, most);
        let mut xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <Name>bench</Name><Prefix>{prefix}</Prefix><KeyCount>{}</KeyCount><MaxKeys>{most}</MaxKeys>",
            found.len()
        );
        match found.last().filter(|_| found.len() == most) {
            Some(last) => {
                _ = write!(
                    xml,
                    "<IsTruncated>true</IsTruncated><NextContinuationToken>{}</NextContinuationToken>",
                    last.key
                )
            }
            None => xml.push_str("<IsTruncated>false</IsTruncated>"),
        }
        for Listed { key, tag, size } in found {
            let _ = write!(
                xml,
                "<Contents><Key>{key}</Key><LastModified>{}</LastModified><ETag>&quot;{tag}&quot;</ETag><Size>{size}</Size>\
                 <StorageClass>STANDARD</StorageClass></Contents>",
                MODIFIED.0
            );
        }
        xml.push_str("</ListBucketResult>");
        xml
    }

    fn send(&self, request: &Request, object: &Listed, to: &mut TcpStream, is_head: bool) -> io::Result<()> {
        let tag = format!("\"{}\"", object.tag);
        if request.if_match.as_ref().is_some_and(|wanted| *wanted != tag) {
            return plain(to, "412 Precondition Failed", "<Error><Code>PreconditionFailed</Code></Error>", is_head);
        }
        let (first, end) = request.range.map_or((0, object.size), |(first, last)| {
            (first, last.map_or(object.size, |last| (last + 1).min(object.size)))
        });
        if request.range.is_some() && first >= end {
            return plain(to, "416 Range Not Satisfiable", "<Error><Code>InvalidRange</Code></Error>", is_head);
        }
        let (status, range) = match request.range {
            Some(_) => ("206 Partial Content", format!("Content-Range: bytes {first}-{}/{}\r\n", end - 1, object.size)),
            None => ("200 OK", String::new()),
        };
        let length = end - first;
        let mut head = format!(
            "HTTP/1.1 {status}\r\nETag: {tag}\r\nLast-Modified: {}\r\nAccept-Ranges: bytes\r\nContent-Length: {length}\r\n{range}\
             Content-Type: binary/octet-stream\r\n\r\n",
            MODIFIED.1
        )
        .into_bytes();
        if is_head {
            return to.write_all(&head);
        }
        self.gets.fetch_add(1, Ordering::Relaxed);
        match &self.objects {
            Objects::Files(directory, _) => {
                let mut file = File::open(directory.join(&object.key))?;
                file.seek(SeekFrom::Start(first))?;
                if length <= 64 << 10 {
                    file.take(length).read_to_end(&mut head)?;
                    to.write_all(&head)?;
                } else {
                    to.write_all(&head)?;
                    io::copy(&mut file.take(length), to)?;
                }
                self.sent.fetch_add(length, Ordering::Relaxed);
            }
            Objects::MadeUp(..) => {
                let number = number_of(&object.key).unwrap_or_default();
                to.write_all(&head)?;
                let mut at = first;
                while at < end {
                    let piece: Vec<u8> = (at..end.min(at + (64 << 10))).map(|at| made_up_byte(number, at)).collect();
                    to.write_all(&piece)?;
                    at += piece.len() as u64;
                    self.sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
                }
            }
        }
        Ok(())
    }
}

fn made_up(number: u64, size: fn(u64) -> u64) -> Listed {
    Listed { key: made_up_key(number), tag: format!("{number:032x}-1"), size: size(number) }
}

fn plain(to: &mut TcpStream, status: &str, body: &str, is_head: bool) -> io::Result<()> {
    let mut text =
        format!("HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {}\r\n\r\n", body.len());
    if !is_head {
        text.push_str(body);
    }
    to.write_all(text.as_bytes())
}

/// One request. Whoever asks is not looked at.
struct Request {
    method: String,
    /// Empty for the bucket itself.
    key: String,
    query: Vec<(String, String)>,
    /// The first byte and the last one.
    range: Option<(u64, Option<u64>)>,
    if_match: Option<String>,
}

impl Request {
    fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace();
        let (method, target) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let key = path.trim_start_matches('/').split_once('/').map_or(String::new(), |(_, key)| decoded(key));
        let query = query.split('&').filter(|word| !word.is_empty());
        let query = query.map(|word| word.split_once('=').unwrap_or((word, "")));
        let query = query.map(|(name, value)| (decoded(name), decoded(value))).collect();
        let mut request = Request { method, key, query, range: None, if_match: None };
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
                return Ok(Some(request));
            }
            let Some((name, value)) = line.trim().split_once(':') else { continue };
            match name.to_ascii_lowercase().as_str() {
                "range" => request.range = range_of(value.trim()),
                "if-match" => request.if_match = Some(value.trim().to_owned()),
                _ => {}
            }
        }
    }

    fn word(&self, name: &str) -> Option<String> {
        self.query.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone())
    }
}

fn range_of(value: &str) -> Option<(u64, Option<u64>)> {
    let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()))
}

fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        let digits = (byte == b'%').then(|| [rest.next().unwrap_or(b'0'), rest.next().unwrap_or(b'0')]);
        let value = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok());
        bytes.push(value.unwrap_or(if byte == b'+' { b' ' } else { byte }));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[allow(
    dead_code,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench's program, which a test includes as a module"
)]
fn main() {
    let mut words = std::env::args().skip(1);
    let (index, directory) = (words.next().expect("an index"), words.next().expect("a directory"));
    let mut objects = BTreeMap::new();
    for line in std::fs::read_to_string(index).expect("the index").lines() {
        let mut parts = line.split('\t');
        let mut part = || parts.next().expect("tag, size and key").to_owned();
        let (tag, size, key) = (part(), part(), part());
        objects.insert(key, (tag, size.parse().expect("a size")));
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    println!("port {}", listener.local_addr().expect("an address").port());
    Bucket::new(Objects::Files(directory.into(), objects)).serve(&listener);
}
