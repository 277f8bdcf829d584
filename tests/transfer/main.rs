//! trainit-transfer against servers that speak as object stores do, and against a proxy that fails as they and networks do. The numbers
//! of cases are those of the public reports that the tests come from.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may")]
#![allow(dead_code, missing_docs, reason = "other tests use the rest of the support")]

#[path = "../support/mod.rs"]
mod support;

mod credentials;
mod faults;
mod files;
mod rules;
mod stores;
mod tls;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use support::object_stores::transfer;
use tempfile::TempDir;
use transfer_protocol::{Carrier, CarrierOptions, Done, Failure, FailureKind, Object, Reply, Task};

/// A running program, and a directory for it.
struct Program {
    carrier: Carrier,
    home: TempDir,
}

/// How a program is started.
#[derive(Default)]
struct Start {
    options: CarrierOptions,
    variables: Vec<(String, String)>,
    words: Vec<String>,
}

impl Start {
    /// With a server, and with keys that any server of these tests takes.
    fn at(endpoint: &str) -> Self {
        let start =
            Start::default().set("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE").set("AWS_SECRET_ACCESS_KEY", "example-secret");
        start.endpoint(endpoint)
    }

    fn endpoint(mut self, endpoint: &str) -> Self {
        self.options.endpoint = Some(endpoint.to_owned());
        self.options.retries = Some(3);
        self
    }

    fn set(mut self, name: &str, value: impl ToString) -> Self {
        self.variables.push((name.to_owned(), value.to_string()));
        self
    }

    fn word(mut self, words: [&str; 2]) -> Self {
        self.words.extend(words.map(str::to_owned));
        self
    }

    /// Starts it, in a directory of its own, which is its home, too.
    fn run(self) -> Option<Program> {
        let home = tempfile::tempdir().unwrap();
        self.run_in(home)
    }

    fn run_in(self, home: TempDir) -> Option<Program> {
        let program = transfer()?;
        let set = |command: &mut Command| {
            command.env_clear().env("HOME", home.path()).current_dir(home.path()).envs(self.variables).args(self.words);
        };
        let carrier = Carrier::start(&program, &self.options, set).unwrap();
        Some(Program { carrier, home })
    }
}

impl Program {
    fn call(&mut self, task: Task) -> Result<Done, Failure> {
        self.carrier.call(task, &mut |_| {}).unwrap()
    }

    /// Lists, and returns the keys, then the prefixes, sorted.
    fn list(&mut self, url: &str, flat: bool) -> Result<(Vec<String>, Vec<String>), Failure> {
        let (mut keys, mut prefixes) = (Vec::new(), Vec::new());
        self.objects(url, flat, &mut |reply| match reply {
            Reply::Object(object) => keys.push(object.key),
            Reply::Prefix(prefix) => prefixes.push(prefix),
            _ => {}
        })?;
        keys.sort();
        prefixes.sort();
        Ok((keys, prefixes))
    }

    fn objects(&mut self, url: &str, flat: bool, hear: &mut dyn FnMut(Reply)) -> Result<Done, Failure> {
        self.carrier.call(Task::List { url: url.to_owned(), flat }, hear).unwrap()
    }

    fn head(&mut self, url: &str) -> Result<Object, Failure> {
        let mut found = None;
        let mut hear = |reply| {
            if let Reply::Object(object) = reply {
                found = Some(object);
            }
        };
        self.carrier.call(Task::Head { url: url.to_owned() }, &mut hear).unwrap()?;
        Ok(found.unwrap())
    }

    fn put_text(&mut self, url: &str, text: &str) -> Result<Done, Failure> {
        self.call(Task::PutText { url: url.to_owned(), text: text.to_owned(), only_new: false })
    }

    fn read(&mut self, url: &str) -> Result<String, Failure> {
        self.call(Task::Read { url: url.to_owned(), most: 1 << 20 }).map(|done| done.text.unwrap())
    }

    fn put(&mut self, url: &str, bytes: &[u8]) -> Result<Done, Failure> {
        let path = self.home.path().join("sent");
        std::fs::write(&path, bytes).unwrap();
        self.call(Task::Put { url: url.to_owned(), path, offset: 0, length: bytes.len() as u64, only_new: false })
    }

    /// Fetches a range and returns it.
    fn get(&mut self, url: &str, tag: Option<&str>, range: std::ops::Range<u64>) -> Result<Vec<u8>, Failure> {
        let path = self.home.path().join("got");
        std::fs::write(&path, "").unwrap();
        self.fetch(url, tag, range, &path)?;
        Ok(std::fs::read(&path).unwrap())
    }

    fn fetch(
        &mut self,
        url: &str,
        tag: Option<&str>,
        range: std::ops::Range<u64>,
        path: &Path,
    ) -> Result<Done, Failure> {
        let (offset, length, tag) = (range.start, range.end - range.start, tag.map(str::to_owned));
        self.call(Task::Get { url: url.to_owned(), tag, offset, length, path: path.to_owned(), at: 0, sha256: true })
    }
}

/// Bytes that look like nothing, the same ones for the same length.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut next).flatten().take(length).collect()
}

fn kind(result: Result<impl Sized, Failure>) -> Option<FailureKind> {
    result.err().map(|failure| failure.kind)
}

/// A failure's words, with its hints.
fn words(failure: &Failure) -> String {
    format!("{} | {}", failure.text, failure.hints.join(" | "))
}

/// A directory with what a test wrote.
fn written(files: &[(&str, &str)]) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path: PathBuf = home.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    home
}

/// Long enough for a machine that is busy.
const LONG: Duration = Duration::from_secs(120);
