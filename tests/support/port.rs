//! Ports for servers of tests that take a number and cannot tell one that the kernel chose.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

/// Below the ports that Linux gives to outgoing connections (32768 and above by default): no client takes one before the server does,
/// and who waits for the server cannot connect to itself.
const FIRST: u16 = 12_000;
const COUNT: u16 = 18_000;

/// The ports of this process that are given out.
static GIVEN: AtomicU16 = AtomicU16::new(0);

/// A port that nobody listens on, which no other test gets: each process begins at a place of its own.
pub fn free_port() -> u16 {
    let begin = std::process::id().wrapping_mul(61) % u32::from(COUNT);
    let ports =
        (0..COUNT).map(|_| GIVEN.fetch_add(1, Relaxed)).map(|given| (begin + u32::from(given)) % u32::from(COUNT));
    let mut free =
        ports.map(|offset| FIRST + offset as u16).filter(|port| TcpListener::bind(("0.0.0.0", *port)).is_ok());
    free.next().expect("a free port")
}
