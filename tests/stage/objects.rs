//! Data from an S3 server, by the real trainit-transfer.

use crate::support::object_stores::{python, transfer};
use crate::support::{TRAINIT, copy_program};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};

/// The server, and a directory with trainit-transfer in it.
struct Store {
    server: Child,
    port: String,
    directory: tempfile::TempDir,
}

impl Store {
    /// Starts the server; `None` where something is missing, which is told.
    fn start() -> Option<Self> {
        let (transfer, python) = (transfer()?, python()?);
        let directory = tempfile::Builder::new().prefix("trainit-objects-").tempdir().unwrap();
        copy_program(transfer, directory.path().join("trainit-transfer"));
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stage/store.py");
        let requests = fs::File::create(directory.path().join("requests")).unwrap();
        let mut command = Command::new(python);
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(requests);
        let mut server = command.spawn().unwrap();
        let lines = BufReader::new(server.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = lines.filter_map(|line| Some(line.strip_prefix("port ")?.to_owned())).next();
        let said = || fs::read_to_string(directory.path().join("requests")).unwrap();
        let port = port.unwrap_or_else(|| panic!("no server: {}", said()));
        Some(Store { server, port, directory })
    }

    fn command(&self, data: &str, from: &str) -> Command {
        let mut command = Command::new(TRAINIT);
        let path = format!("{}:{}", self.directory.path().display(), std::env::var("PATH").unwrap());
        let data = format!("{}:from={from}", self.directory.path().join(data).display());
        command.arg("stage").env("TRAINIT_DATA", data).env("PATH", path).current_dir("/").stderr(Stdio::piped());
        command.env("TRAINIT_STAGE_ENDPOINT", format!("http://127.0.0.1:{}", self.port)).env("AWS_REGION", "us-east-1");
        command.env("AWS_ACCESS_KEY_ID", "a").env("AWS_SECRET_ACCESS_KEY", "b");
        command
    }

    fn told(&self, data: &str, from: &str) -> (Option<i32>, String) {
        told(&self.command(data, from).output().unwrap())
    }

    /// The number of ranges of an object that were asked for.
    fn gets(&self, key: &str) -> usize {
        let requests = fs::read_to_string(self.directory.path().join("requests")).unwrap();
        requests.lines().filter(|line| *line == format!("GET /bkt/{key}")).count()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn told(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn sixteen_containers_of_a_node_fetch_each_object_once() {
    let Some(store) = Store::start() else { return };
    let shared = store.directory.path().join("store");
    let start = |n: usize| {
        let mut command = store.command(&format!("data{n}"), "s3://bkt/imagenet/");
        command.env("TRAINIT_STAGE_STORE", &shared).spawn().unwrap()
    };
    let all: Vec<Child> = (0..16).map(start).collect();
    for child in all {
        let (code, words) = told(&child.wait_with_output().unwrap());
        assert_eq!(code, Some(0), "{words}");
    }
    assert_eq!(
        (store.gets("imagenet/train/7.bin"), store.gets("imagenet/big")),
        (1, 3),
        "the large one in pieces of 16 MiB"
    );
    let mut big = Vec::new();
    fs::File::open(store.directory.path().join("data15/big")).unwrap().read_to_end(&mut big).unwrap();
    assert!(big.len() == 40 << 20 && big.iter().all(|byte| *byte == b'x'));
    assert_eq!(fs::read(store.directory.path().join("data3/train/7.bin")).unwrap(), [7; 1000]);
}

#[test]
fn what_a_bucket_cannot_give_is_told_with_what_to_correct() {
    let Some(store) = Store::start() else { return };
    for (from, words) in [
        ("s3://bkt/imagnet/", "s3://bkt/imagnet/ holds nothing: beside it: coco/, imagenet/"),
        ("s3://bkt/two/", "two objects are for one path: a/b, and a is there"),
        ("s3://bkt/out/", "../../x"),
        ("s3://nobucket/x/", "there is no bucket nobucket"),
    ] {
        let (code, said) = store.told("data", from);
        assert!(code == Some(111) && said.contains(words), "{from}: {code:?} {said}");
    }
    assert!(fs::read_dir(store.directory.path()).unwrap().flatten().all(|entry| entry.file_name() != "x"));
    let (code, said) = store.told("one", "s3://bkt/coco/a");
    assert!(code == Some(0) && store.directory.path().join("one/a").is_file(), "{said}");
}
