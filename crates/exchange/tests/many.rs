//! Many processes of one job meet on one machine, through real sockets, while strangers disturb them. Each is a thread here: they share
//! nothing but the port. `MEMBERS=1000` for more of them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use exchange::{Agree, Hello, Outcome, Place, Resume, Saved, Stop, Unit, Verdict, host, join, open};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, socket};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle, scope};
use std::time::{Duration, Instant};

const WAIT: Duration = Duration::from_secs(120);

fn members() -> u32 {
    std::env::var("MEMBERS").ok().and_then(|count| count.parse().ok()).unwrap_or(200)
}

fn hello(index: u32, of: u32) -> Hello {
    Hello {
        unit: Unit::Node,
        of,
        index,
        name: format!("n{index}"),
        job: Some("42".into()),
        attempt: 0,
        instance: index.into(),
        version: "1".into(),
        commit: None,
        requirements: None,
        gpus: None,
        clock: 0,
        verdict: Verdict::Ready,
        checkpoints: None,
    }
}

fn agree() -> Agree {
    Agree { checks: true, resume: true, ..Agree::default() }
}

/// Opens a port; both ends of all connections are in this process.
fn listen(of: u32) -> (TcpListener, Place) {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(hard.min(u64::from(of) * 2 + 1000)), hard).unwrap();
    let listener = open(0).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, Place { name: "127.0.0.1".into(), port })
}

fn guest(place: &Place, own: Hello, wait: Duration, sees: Option<bool>) -> JoinHandle<Outcome> {
    let place = place.clone();
    let run = move || join(&place, own, wait, &mut |_| sees, &mut |_| {});
    Builder::new().stack_size(256 << 10).spawn(run).unwrap()
}

#[test]
fn many_meet_within_seconds_while_strangers_disturb_them() {
    let of = members();
    let (listener, place) = listen(of);
    let over = AtomicBool::new(false);
    scope(|scope| {
        let (port, until) = (place.port, &over);
        let disturbing = scope.spawn(move || disturb(port, until));
        let guests: Vec<_> = (1..of - 1).map(|index| guest(&place, hello(index, of), WAIT, None)).collect();
        let last = of - 1;
        let late = guest(&place, Hello { attempt: 3, ..hello(last, of) }, Duration::from_secs(1), None);
        let hosting = scope.spawn(move || host(listener, hello(0, of), agree(), None, WAIT, &mut |_| {}).unwrap());
        // A start that this host is too old for does not count as the last node.
        assert!(matches!(late.join().unwrap(), Outcome::Stop(Stop { code: 219, .. })));
        let begun = Instant::now();
        let last = guest(&place, hello(last, of), WAIT, None);
        let go = Outcome::Go(Resume::Own);
        assert_eq!(hosting.join().unwrap(), go);
        let took = begun.elapsed();
        assert_eq!(last.join().unwrap(), go);
        for guest in guests {
            assert_eq!(guest.join().unwrap(), go);
        }
        over.store(true, Ordering::Relaxed);
        let refused = disturbing.join().unwrap();
        assert!(refused > 0, "no stranger was there");
        println!("{of} processes: {took:?} from the last one's arrival to the host's end; {refused} strangers");
        assert!(took < Duration::from_secs(30), "{took:?}");
    });
}

/// Sends garbage, a start of another job, and nothing at all, until it is over; returns how many connections that were.
fn disturb(port: u16, over: &AtomicBool) -> u32 {
    let other = Hello { job: Some("41".into()), ..hello(1, 2) };
    let said: [&[u8]; 5] = [b"GET / HTTP/1.1\r\n\r\n", b"", &[0; 4096], b"trainit 1 hello\nof 3", &other.encode()];
    let (mut count, mut held) = (0, Vec::new());
    while !over.load(Ordering::Relaxed) {
        for words in said {
            let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { continue };
            let _ = stream.write_all(words);
            count += 1;
            held.push(stream);
        }
        held.drain(..held.len().saturating_sub(100));
        std::thread::sleep(Duration::from_millis(2));
    }
    count
}

#[test]
fn one_failure_reaches_all_and_nobody_waits() {
    let of = 20;
    let (listener, place) = listen(of);
    let mut guests: Vec<_> = (1..of - 1).map(|index| guest(&place, hello(index, of), WAIT, None)).collect();
    let verdict = Verdict::Failed { code: 111, line: "data: /mnt/data is not mounted".into() };
    guests.push(guest(&place, Hello { verdict, ..hello(of - 1, of) }, WAIT, None));
    let begun = Instant::now();
    let ended = host(listener, hello(0, of), agree(), None, WAIT, &mut |_| {}).unwrap();
    let stop = Outcome::Stop(Stop { code: 111, line: "node 19 of 20 (n19): data: /mnt/data is not mounted".into() });
    assert_eq!(ended, stop);
    for guest in guests {
        assert_eq!(guest.join().unwrap(), stop);
    }
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert!(open(place.port).is_ok(), "the port is free for the workload");
}

#[test]
fn the_port_is_free_at_once_after_a_go() {
    let (listener, place) = listen(2);
    let guest = guest(&place, hello(1, 2), WAIT, None);
    assert_eq!(host(listener, hello(0, 2), agree(), None, WAIT, &mut |_| {}), Ok(Outcome::Go(Resume::Own)));
    assert_eq!(guest.join().unwrap(), Outcome::Go(Resume::Own));
    // The last acknowledgement may be on its way; a connection that the host had closed first would be in the way for a minute.
    let begun = Instant::now();
    while !binds(place.port) {
        assert!(begun.elapsed() < Duration::from_secs(10), "the port is not free");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether a trainer that sets no SO_REUSEADDR gets the port.
fn binds(port: u16) -> bool {
    let fd = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(fd.as_raw_fd(), &SockaddrIn::new(0, 0, 0, 0, port)).is_ok()
}

#[test]
fn the_step_is_the_hosts_where_all_see_its_file() {
    for (sees, step) in [(Some(true), 300), (Some(false), 100)] {
        let saved = |step: u64| Saved { step: Some(step), name: format!("ckpt-{step}").into() };
        let with = |hello: Hello, steps: &[u64]| Hello {
            checkpoints: Some(steps.iter().copied().map(saved).collect()),
            ..hello
        };
        let (listener, place) = listen(2);
        let guest = guest(&place, with(hello(1, 2), &[100]), WAIT, sees);
        let own = with(hello(0, 2), &[300, 100]);
        let ended = host(listener, own, agree(), Some("mark".into()), WAIT, &mut |_| {}).unwrap();
        assert_eq!(ended, Outcome::Go(Resume::From(saved(step))));
        assert_eq!(guest.join().unwrap(), ended);
    }
}

#[test]
fn a_program_that_does_not_speak_as_trainit_does_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = Place { name: "127.0.0.1".into(), port: listener.local_addr().unwrap().port() };
    let guest = guest(&place, hello(1, 2), Duration::from_secs(1), None);
    let (mut stream, _) = listener.accept().unwrap();
    assert!(stream.read(&mut [0; 64]).unwrap() > 0);
    stream.write_all(b"HTTP/1.1 400 Bad Request\r\n").unwrap();
    drop((stream, listener));
    let Outcome::Stop(stop) = guest.join().unwrap() else { panic!("it goes") };
    assert_eq!(stop.code, 219);
    assert!(stop.line.starts_with("node 0 of 2 at 127.0.0.1:"), "{}", stop.line);
}
