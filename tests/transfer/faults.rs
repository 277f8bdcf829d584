//! Networks and stores that fail in the middle.

use super::support::fault_proxy::{Asked, Fault, Proxy};
use super::support::object_stores::Server;
use super::{FailureKind, Program, Start, Task, kind, noise, words};
use std::sync::atomic::{AtomicUsize, Ordering};
use transfer_protocol::Failure;

const OBJECT: &str = "s3://bucket/object";

fn is_get(asked: &Asked) -> bool {
    asked.line.starts_with("GET /bucket/object")
}

/// The first so many requests for the object's bytes fail so; all others pass.
fn first(count: usize, fault: Fault) -> impl Fn(&Asked) -> Fault {
    let seen = AtomicUsize::new(0);
    move |asked| match is_get(asked) && seen.fetch_add(1, Ordering::Relaxed) < count {
        true => fault.clone(),
        false => Fault::Pass,
    }
}

/// A store with one object, and the program behind a proxy in front of it.
fn behind(
    rule: impl Fn(&Asked) -> Fault + Send + Sync + 'static,
    start: impl FnOnce(Start) -> Start,
) -> Option<(Server, Proxy, Program)> {
    let server = Server::s3(None)?;
    let proxy = Proxy::new(server.port, rule);
    Start::at(&server.url()).run()?.put(OBJECT, &noise(LENGTH as usize)).unwrap();
    let program = start(Start::at(&proxy.url())).run()?;
    Some((server, proxy, program))
}

const LENGTH: u64 = 3_000_000;

fn fetched_under(rule: impl Fn(&Asked) -> Fault + Send + Sync + 'static) -> Option<(Proxy, Result<Vec<u8>, Failure>)> {
    let (_server, proxy, mut program) = behind(rule, |start| start.word(["--stall", "2"]))?;
    let tag = program.head(OBJECT).unwrap().tag;
    let got = program.get(OBJECT, Some(&tag), 0..LENGTH);
    Some((proxy, got))
}

/// The ranges that were asked for.
fn ranges(proxy: &Proxy) -> Vec<String> {
    let line = |asked: &Asked| {
        let lower = asked.head.to_ascii_lowercase();
        lower.lines().find_map(|line| line.strip_prefix("range: bytes=").map(str::to_owned))
    };
    proxy.asked().iter().filter(|asked| is_get(asked)).filter_map(line).collect()
}

#[test]
fn a_connection_that_is_cut_goes_on_where_it_was() {
    let Some((proxy, got)) = fetched_under(first(2, Fault::CutAfter(1_200_000))) else { return };
    assert!(got.unwrap() == noise(LENGTH as usize));
    assert_eq!(ranges(&proxy), ["0-2999999", "1200000-2999999", "2400000-2999999"]);
}

#[test]
fn a_body_that_is_short_is_no_whole_one() {
    let Some((proxy, got)) = fetched_under(first(1, Fault::Short(1_000_000))) else { return };
    assert!(got.unwrap() == noise(LENGTH as usize));
    assert_eq!(ranges(&proxy).len(), 2);
}

#[test]
fn a_connection_that_sends_nothing_any_more_is_given_up() {
    let Some((proxy, got)) = fetched_under(first(1, Fault::StallAfter(1_000_000))) else { return };
    assert!(got.unwrap() == noise(LENGTH as usize));
    assert_eq!(ranges(&proxy).last().map(String::as_str), Some("1000000-2999999"));
}

#[test]
fn a_store_that_is_busy_is_asked_again_and_in_the_end_told() {
    let Some((_, got)) = fetched_under(first(2, Fault::s3(503, "SlowDown"))) else { return };
    assert!(got.unwrap() == noise(LENGTH as usize));
    let Some((proxy, got)) = fetched_under(first(9, Fault::s3(503, "SlowDown"))) else { return };
    let failure = got.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Later);
    assert!(words(&failure).contains("503 SlowDown") && words(&failure).contains("tried 4 times"), "{failure:?}");
    assert_eq!(ranges(&proxy).len(), 4);
}

#[test]
fn a_store_that_says_slow_down_gets_fewer_requests_at_a_time() {
    let most = std::sync::Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let kept = std::sync::Arc::clone(&most);
    let asked = AtomicUsize::new(0);
    // The first burst is refused; how many are there at a time afterwards is what a semaphore of the store would see.
    let rule = move |request: &Asked| {
        if !is_get(request) {
            return Fault::Pass;
        }
        let early = asked.fetch_add(1, Ordering::Relaxed) < 8;
        let now = kept[0].fetch_add(1, Ordering::Relaxed) + 1;
        if !early {
            kept[1].fetch_max(now, Ordering::Relaxed);
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
        kept[0].fetch_sub(1, Ordering::Relaxed);
        if early { Fault::s3(503, "SlowDown") } else { Fault::Pass }
    };
    let Some((_server, _proxy, mut program)) = behind(rule, |mut start| {
        start.options.parallel = Some(8);
        start.options.retries = Some(10);
        start
    }) else {
        return;
    };
    let path = program.home.path().join("got");
    std::fs::write(&path, "").unwrap();
    for number in 0..8 {
        let (url, path) = (OBJECT.to_owned(), path.clone());
        program
            .carrier
            .send(Task::Get { url, tag: None, offset: number, length: 1, path, at: 0, sha256: false })
            .unwrap();
    }
    while program.carrier.open() > 0 {
        let answer = program.carrier.next(super::LONG).unwrap();
        assert!(!matches!(answer.map(|answer| answer.reply), Some(transfer_protocol::Reply::Failed(_))));
    }
    let at_a_time = most[1].load(Ordering::Relaxed);
    assert!((1..=4).contains(&at_a_time), "{at_a_time} at a time after SlowDown to eight");
}

#[test]
fn case_1_an_object_that_changes_between_two_ranges_is_never_mixed() {
    let Some(server) = Server::s3(None) else { return };
    let Some(mut program) = Start::at(&server.url()).run() else { return };
    program.put(OBJECT, &noise(2_000_000)).unwrap();
    let tag = program.head(OBJECT).unwrap().tag;
    program.get(OBJECT, Some(&tag), 0..1_000_000).unwrap();
    program.put(OBJECT, &noise(2_000_001)[1..]).unwrap();
    assert_eq!(kind(program.get(OBJECT, Some(&tag), 1_000_000..2_000_000)), Some(FailureKind::Changed));
}

#[test]
fn case_1_an_object_that_changes_within_a_range_is_never_mixed() {
    let Some(server) = Server::s3(None) else { return };
    let port = server.port;
    let seen = AtomicUsize::new(0);
    let rule = move |asked: &Asked| match is_get(asked).then(|| seen.fetch_add(1, Ordering::Relaxed)) {
        Some(0) => Fault::CutAfter(500_000),
        Some(1) => {
            change(port);
            Fault::Pass
        }
        _ => Fault::Pass,
    };
    let proxy = Proxy::new(port, rule);
    let Some(mut program) = Start::at(&proxy.url()).run() else { return };
    program.put(OBJECT, &noise(2_000_000)).unwrap();
    let tag = program.head(OBJECT).unwrap().tag;
    assert_eq!(kind(program.get(OBJECT, Some(&tag), 0..2_000_000)), Some(FailureKind::Changed));
}

/// Writes the object beside the proxy, with keys, since nobody else may replace it.
fn change(port: u16) {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let keys = "Authorization: AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
    write!(
        stream,
        "PUT /bucket/object HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{keys}\r\nContent-Length: 3\r\nConnection: close\r\n\r\nnew"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn case_16_a_tag_per_part_is_no_sum_and_ranges_of_bytes_work() {
    let Some(server) = Server::s3(None) else { return };
    let Some(mut program) = Start::at(&server.url()).run() else { return };
    let bytes = noise(6 << 20);
    std::fs::write(program.home.path().join("sent"), &bytes).unwrap();
    let upload = program.call(Task::Begin { url: OBJECT.into() }).unwrap().upload.unwrap();
    for (number, offset, length) in [(1, 0, 5 << 20), (2, 5 << 20, 1 << 20)] {
        let (url, upload, path) = (OBJECT.into(), upload.clone(), "sent".into());
        program.call(Task::Part { url, upload, number, path, offset, length }).unwrap();
    }
    program.call(Task::Complete { url: OBJECT.into(), upload, parts: Vec::new() }).unwrap();
    let found = program.head(OBJECT).unwrap();
    assert!(found.tag.contains("-2") && found.md5.is_none(), "{found:?}");
    assert!(program.get(OBJECT, Some(&found.tag), 0..6 << 20).unwrap() == bytes);
    assert!(program.get(OBJECT, Some(&found.tag), 5 << 20..6 << 20).unwrap() == bytes[5 << 20..]);
}

#[test]
fn what_was_written_although_its_answer_was_lost_is_not_taken_for_anothers() {
    let seen = AtomicUsize::new(0);
    let rule = move |asked: &Asked| match asked.line.starts_with("PUT /bucket/manifest")
        && seen.fetch_add(1, Ordering::Relaxed) == 0
    {
        true => Fault::LoseAnswer,
        false => Fault::Pass,
    };
    let Some((_server, _proxy, mut program)) = behind(rule, |start| start) else { return };
    let write = |text: &str| Task::PutText { url: "s3://bucket/manifest".into(), text: text.into(), only_new: true };
    program.call(write("mine")).unwrap();
    assert_eq!(kind(program.call(write("other"))), Some(FailureKind::Changed));
    assert_eq!(program.read("s3://bucket/manifest").unwrap(), "mine");
}

#[test]
fn a_bucket_in_another_region_is_asked_there() {
    let rule = |asked: &Asked| match asked.head.contains("/eu-central-1/s3/") {
        true => Fault::Pass,
        false => Fault::error(301, "PermanentRedirect", "x-amz-bucket-region: eu-central-1\r\n"),
    };
    let Some((_server, _proxy, mut program)) = behind(rule, |start| start) else { return };
    assert_eq!(program.head(OBJECT).unwrap().size, LENGTH);
}

#[test]
fn a_clock_that_is_off_is_told_with_the_seconds() {
    let header = "Date: Tue, 15 Nov 1994 08:12:31 GMT\r\n";
    let rule = move |_: &Asked| Fault::error(403, "RequestTimeTooSkewed", header);
    let Some((_server, _proxy, mut program)) = behind(rule, |start| start) else { return };
    let failure = program.read(OBJECT).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Bad);
    assert!(failure.skew.unwrap() < -900_000_000 && failure.text.contains("clock"), "{failure:?}");
}

#[test]
fn a_rate_is_kept() {
    let Some((_server, _proxy, mut program)) = behind(
        |_| Fault::Pass,
        |mut start| {
            start.options.limit = Some(1_000_000);
            start
        },
    ) else {
        return;
    };
    let begun = std::time::Instant::now();
    assert!(program.get(OBJECT, None, 0..LENGTH).unwrap() == noise(LENGTH as usize));
    assert!(begun.elapsed().as_secs_f64() > 2.5, "{:?} for three seconds' bytes", begun.elapsed());
}
