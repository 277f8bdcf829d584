//! trainit-transfer: moves bytes between files and object stores for trainit, which starts it as the workload's user and speaks
//! `transfer_protocol` on its pipes. It plans nothing and keeps nothing: what it is told to move, it moves.

mod aws;
mod aws_files;
mod aws_profile;
mod azure;
mod classify;
mod cloud;
mod directory;
mod engine;
mod gcs;
mod job;
mod location;
mod objects;
mod options;
mod output;
mod pace;
mod range;
mod seen;
mod service;
mod tls;
mod tries;
mod uploads;
mod watch;
mod web;

use engine::Engine;
use options::{Options, USAGE};
use output::Output;
use std::io::{Read, Write};
use std::process::ExitCode;
use std::rc::Rc;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::{JoinSet, LocalSet};
use transfer_protocol::{Failure, FailureKind, Fault, LineReader, Reply, Request, decode_request};

/// Requests that are read ahead.
const AHEAD: usize = 64;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let shown = match words.first().map(String::as_str) {
        Some("--help" | "-h") => Some(USAGE.to_owned()),
        Some("--version" | "-V") => Some(concat!("trainit-transfer ", env!("CARGO_PKG_VERSION")).to_owned()),
        _ => None,
    };
    if let Some(text) = shown {
        return if writeln!(std::io::stdout(), "{text}").is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let output = Rc::new(Output::new());
    let engine = Options::parse(words).map_err(|fault| (64, fault));
    let engine = engine.and_then(|options| Engine::new(options, Rc::clone(&output)).map_err(|fault| (1, fault)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match (engine, runtime) {
        (Ok(engine), Ok(runtime)) => {
            LocalSet::new().block_on(&runtime, serve(Rc::new(engine), &output));
            ExitCode::SUCCESS
        }
        (Err((code, fault)), _) => complain(code, &fault),
        (_, Err(error)) => complain(1, &error.to_string()),
    }
}

fn complain(code: u8, fault: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "trainit-transfer: {fault}");
    ExitCode::from(code)
}

/// Works until no more requests come and all are done.
async fn serve(engine: Rc<Engine>, output: &Output) {
    let (sender, mut requests) = channel(AHEAD);
    std::thread::spawn(move || read(&sender));
    let mut open = JoinSet::new();
    while let Some(request) = next(&mut requests, output).await {
        let engine = Rc::clone(&engine);
        open.spawn_local(async move { engine.serve(request).await });
        while open.try_join_next().is_some() {}
    }
    while open.join_next().await.is_some() {}
}

/// Returns the next request; what is none is answered here.
async fn next(requests: &mut Receiver<Result<Vec<u8>, Fault>>, output: &Output) -> Option<Request> {
    loop {
        let fault = match requests.recv().await?.and_then(|line| decode_request(&line)) {
            Ok(request) => return Some(request),
            Err(fault) => fault,
        };
        let id = if let Fault::Unknown { id, .. } = &fault { id.unwrap_or_default() } else { 0 };
        let text = format!("this request is not understood: {fault}");
        output.say(id, Reply::Failed(Failure::new(FailureKind::Bad, text::line(&text))));
    }
}

/// Reads stdin in a thread of its own, because a pipe that is another process's, too, must not be made non-blocking.
fn read(sender: &Sender<Result<Vec<u8>, Fault>>) {
    let (mut reader, mut bytes) = (LineReader::default(), [0; 16 << 10]);
    while let Ok(count @ 1..) = std::io::stdin().read(&mut bytes) {
        reader.push(bytes.get(..count).unwrap_or_default());
        while let Some(line) = reader.next_line() {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    }
}
