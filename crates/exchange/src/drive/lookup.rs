//! The addresses of the host's name. A name server that is dead keeps the C library waiting for long, so it is asked by a process that
//! can be killed.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;
use sys::killable_call::{self, NoAnswer};

/// How long a name server may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Looks a name up, within so much time.
///
/// # Errors
/// The reason why there is no address, in words.
pub(super) fn addresses(host: &str, port: u16, left: Duration) -> Result<Vec<SocketAddr>, String> {
    if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let patience = PATIENCE.min(left.max(Duration::from_millis(100)));
    let answer = killable_call::ask(patience, || answer(host, port)).map_err(|none| match none {
        NoAnswer::Overdue => format!("the name server gave no answer within {}", text::seconds(patience)),
        NoAnswer::Died => "the search for the name gave no answer".to_owned(),
        NoAnswer::NotStarted(errno) => format!("the name could not be looked up: {errno}"),
    })?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    match answer.strip_prefix("no ") {
        Some(why) => Err(why.to_owned()),
        None => Ok(answer.lines().filter_map(|line| line.parse().ok()).collect()),
    }
}

/// Returns the addresses, one a line, or `no ` and the reason.
fn answer(host: &str, port: u16) -> Vec<u8> {
    match (host, port).to_socket_addrs() {
        Ok(found) => found.map(|address| format!("{address}\n")).collect::<String>().into_bytes(),
        Err(error) => format!("no {}", plain(&error.to_string())).into_bytes(),
    }
}

/// Takes the frame of the standard library off an error's text.
fn plain(error: &str) -> &str {
    error.strip_prefix("failed to lookup address information: ").unwrap_or(error)
}
