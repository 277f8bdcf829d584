//! Uploads to and restores from a real S3 server that are killed at a request, before it arrives or before it is answered: what is restored
//! is whole, and is the newest that is whole. A change tries some of the requests, `scripts/nightly mirror` each one.

use crate::support::object_stores::{Server, transfer};
use mirror::{Attempt, Facts, FetchError, MirrorUrl, Snapshot, Store, UploadError, Uploader};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use transfer_protocol::{Carrier, CarrierOptions, Done, Failure, FailureKind, Object, Reply, Task};

/// S3 refuses shorter parts, but the last.
const PART: u64 = 5 << 20;

/// Lies between a client and the server, and cuts all connections from some request on.
struct Wire {
    port: u16,
    seen: Arc<AtomicU64>,
    /// Twice the last request, and one more if that one still arrives.
    last: Arc<AtomicU64>,
}

impl Wire {
    fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, last) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(u64::MAX)));
        let wire = Wire { port, seen: Arc::clone(&seen), last: Arc::clone(&last) };
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (seen, last) = (Arc::clone(&seen), Arc::clone(&last));
                thread::spawn(move || carry(client, server, &seen, &last));
            }
        });
        wire
    }

    /// Counts from here, and cuts with this request; `None` cuts nothing.
    fn cut(&self, at: Option<(u64, bool)>) {
        let last = at.map_or(u64::MAX, |(at, arrives)| at * 2 + u64::from(arrives));
        self.last.store(last, Ordering::SeqCst);
        self.seen.store(0, Ordering::SeqCst);
    }

    fn seen(&self) -> u64 {
        self.seen.load(Ordering::SeqCst)
    }
}

/// Carries one request and its answer.
fn carry(mut client: TcpStream, server: u16, seen: &AtomicU64, last: &AtomicU64) {
    let Some(request) = whole_request(&mut client) else { return };
    let number = seen.fetch_add(1, Ordering::SeqCst) + 1;
    let last = last.load(Ordering::SeqCst);
    let (arrives, is_answered) = (number * 2 < last, number < last / 2);
    if !arrives {
        return;
    }
    let mut onward = TcpStream::connect(("127.0.0.1", server)).unwrap();
    let mut answer = Vec::new();
    if onward.write_all(&request).is_ok() && onward.read_to_end(&mut answer).is_ok() && is_answered {
        let _ = client.write_all(&answer);
    }
    let _ = client.shutdown(Shutdown::Both);
}

/// Reads a request, and asks the server to close the connection after it.
fn whole_request(client: &mut TcpStream) -> Option<Vec<u8>> {
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        let head = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(head) = head {
            let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            if bytes.len() >= head + 4 + length.unwrap_or(0usize) {
                bytes.splice(head..head, b"\r\nConnection: close".iter().copied());
                return Some(bytes);
            }
        }
        match client.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

/// The real program, killed when it is dropped.
struct Program(Carrier);

impl Program {
    /// Starts it with what it has to inherit.
    fn start(wire: &Wire, taken: Option<&Snapshot>) -> Self {
        let inherited = taken.into_iter().flat_map(Snapshot::descriptors);
        inherited.for_each(|fd| assert!(fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty())).is_ok()));
        let options = CarrierOptions {
            endpoint: Some(format!("http://127.0.0.1:{}", wire.port)),
            parallel: Some(1),
            retries: Some(0),
            ..CarrierOptions::default()
        };
        let keys = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"), ("AWS_REGION", "us-east-1")];
        let started = Carrier::start(&transfer().unwrap(), &options, |command| {
            command.envs(keys);
        });
        Program(started.unwrap())
    }

    fn call(&mut self, task: Task, hear: &mut dyn FnMut(Reply)) -> Result<Done, Failure> {
        let done = self.0.call(task, hear);
        done.unwrap_or_else(|error| Err(Failure::new(FailureKind::Later, error.to_string())))
    }
}

impl Store for Program {
    fn run(&mut self, tasks: Vec<Task>, moved: &mut dyn FnMut(u64)) -> Result<Vec<Done>, Failure> {
        let one = |task| self.call(task, &mut |_| ()).inspect(|done| moved(done.bytes));
        tasks.into_iter().map(one).collect()
    }

    fn list(&mut self, url: &str) -> Result<Vec<Object>, Failure> {
        let mut found = Vec::new();
        let mut hear = |reply| {
            if let Reply::Object(object) = reply {
                found.push(object);
            }
        };
        self.call(Task::List { url: url.to_owned(), flat: true }, &mut hear)?;
        Ok(found)
    }
}

/// A machine with a directory of checkpoints.
struct Node {
    dir: tempfile::TempDir,
    id: String,
}

impl Node {
    fn new(id: &str) -> Self {
        Node { dir: tempfile::tempdir().unwrap(), id: id.to_owned() }
    }

    fn path(&self, step: u64) -> PathBuf {
        self.dir.path().join(format!("ckpt-{step}"))
    }

    fn upload(&self, wire: &Wire, url: &MirrorUrl, steps: &[u64]) -> Result<(), UploadError> {
        let me = Attempt { run: "run".into(), id: self.id.clone(), host: self.id.clone() };
        let begun = Uploader::begin(&mut Program::start(wire, None), url.clone(), me, 2)?;
        let mut uploader = begun.with_pieces(|size| if size <= PART { PART + 1 } else { PART });
        for step in steps {
            fs::create_dir_all(self.path(*step)).unwrap();
            content(*step).iter().for_each(|(name, bytes)| fs::write(self.path(*step).join(name), bytes).unwrap());
            let taken = Snapshot::open(self.dir.path(), &self.path(*step), &[]).unwrap();
            let facts = Facts { step: Some(*step), saved: *step as f64, ..Facts::default() };
            let mut store = Program::start(wire, Some(&taken));
            // What is not tidied up is left to the next start.
            uploader.upload(&mut store, &taken, &facts, &mut |_| {})?;
        }
        Ok(())
    }

    /// Restores the newest checkpoint, as the next start would, and returns its step.
    fn restore(&self, wire: &Wire, url: &MirrorUrl) -> Result<u64, FetchError> {
        let mut store = Program::start(wire, None);
        let (found, notes) = mirror::newest_first(&mut store, url)?;
        assert!(notes.is_empty(), "{notes:?}");
        let newest = &found.first().expect("a checkpoint").manifest;
        let into = self.dir.path().join(".fetched");
        mirror::fetch(&mut store, url, newest, &into, &mut |_| {})?;
        mirror::publish(newest, &into, self.dir.path(), "1").unwrap();
        let step = newest.step.unwrap();
        for (name, bytes) in content(step) {
            assert!(fs::read(self.path(step).join(name)).unwrap() == bytes, "{name} of step {step}");
        }
        Ok(step)
    }
}

/// The files of a checkpoint: one goes up in two parts.
fn content(step: u64) -> [(&'static str, Vec<u8>); 3] {
    let byte = (step / 100) as u8;
    [("model", vec![byte; PART as usize + 9]), ("meta", vec![byte; 3]), ("empty", Vec::new())]
}

/// Tries one kill; returns whether that request was reached.
fn try_kill(server: &Server, wire: &Wire, at: u64, arrives: bool) -> bool {
    let place = format!("kills/{at}-{arrives}");
    let url = MirrorUrl::new(&format!("s3://bucket/{place}"));
    let whose = format!("request {at}, {arrives}");
    wire.cut(None);
    Node::new("a").upload(wire, &url, &[100]).unwrap();
    wire.cut(Some((at, arrives)));
    let done = Node::new("b").upload(wire, &url, &[200]).is_ok();
    let reached = wire.seen() >= at;

    let reader = Node::new("r");
    wire.cut(Some((at % 5 + 1, arrives)));
    let first = reader.restore(wire, &url).ok();
    wire.cut(None);
    let restored = first.unwrap_or_else(|| reader.restore(wire, &url).unwrap());
    assert!(restored == 200 || restored == 100 && !done, "{whose}: {restored}");

    Node::new("c").upload(wire, &url, &[200, 300]).unwrap();
    assert_eq!(Node::new("r").restore(wire, &url).unwrap(), 300, "{whose}");
    let uploads = server.ask("GET", &format!("/bucket?uploads&prefix={place}/"), "");
    // One that was begun and whose answer never came cannot be known, and has no bytes.
    let with_bytes: Vec<&str> = uploads
        .split("<UploadId>")
        .skip(1)
        .filter_map(|one| one.split('<').next())
        .filter(|id| has_parts(server, &place, id))
        .collect();
    assert!(with_bytes.is_empty(), "{whose}: {with_bytes:?}");
    let listed = server.ask("GET", &format!("/bucket?list-type=2&prefix={place}/"), "");
    let left: Vec<&str> = listed.split("<Key>").skip(1).filter_map(|one| one.split('<').next()).collect();
    // Two are kept, each with three files and a manifest.
    assert!(left.len() == 8 && !left.iter().any(|key| key.contains("/uploads/")), "{whose}: {left:?}");
    reached
}

fn has_parts(server: &Server, place: &str, upload: &str) -> bool {
    let steps = [100, 200, 300].into_iter();
    let ask = |step| server.ask("GET", &format!("/bucket/{place}/ckpt-{step}/model?uploadId={upload}"), "");
    steps.map(ask).any(|answer| answer.contains("<PartNumber>"))
}

#[test]
fn what_is_restored_from_an_s3_server_is_whole_wherever_the_upload_was_killed() {
    let (Some(_), Some(server)) = (transfer(), Server::s3(None)) else { return };
    let wire = Wire::to(server.port);
    if std::env::var("MIRROR_KILLS").is_ok_and(|which| which == "all") {
        let points = (1..).flat_map(|at| [(at, false), (at, true)]);
        let count = points.take_while(|(at, arrives)| try_kill(&server, &wire, *at, *arrives)).count();
        assert!(count > 20, "an upload has only {count} moments");
        return println!("{count} moments");
    }
    // Other ones each day, among those that every upload reaches.
    let day = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() / 86_400;
    for (at, arrives) in [(1 + day % 5, true), (6 + day % 5, day.is_multiple_of(2))] {
        assert!(try_kill(&server, &wire, at, arrives), "an upload has no request {at}");
    }
}
