//! Asks a service from inside its container whether it answers: by a connection, or by an HTTP GET whose status line is enough. The time
//! limit is that of a Kubernetes probe (a second).
//!
//! `trainit health` asks at each call, and a helper at the start until there is an answer.

use protocol::handover::Service;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;
use sys::ip;

/// Longest wait for each of connecting, sending and receiving; their sum is below the second of Kubernetes.
const PATIENCE: Duration = Duration::from_millis(300);

/// Length of `HTTP/1.1 200`.
const STATUS_LINE: usize = 12;

/// The reason why a service does not answer, in a few words: engines show one line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotReady {
    #[error("{0} is no address")]
    NoAddress(String),
    #[error("port {port}: {}", in_words(.error))]
    Silent { port: u16, error: io::Error },
    #[error("port {port} answers {status} for {path}")]
    Status { port: u16, status: u16, path: String },
    #[error("port {port} does not answer as HTTP does")]
    NoHttp { port: u16 },
}

/// Asks a service that starts whether it is up, without a connection where one would be enough: sshd logs one that says nothing as an
/// error (kex_exchange_identification), and the kernel's tables tell the same.
///
/// # Errors
/// The reason why it is not.
pub(crate) fn is_up(service: &Service) -> Result<(), NotReady> {
    match ip::is_listening(service.port).filter(|_| service.path.is_none()) {
        Some(true) => Ok(()),
        Some(false) => Err(NotReady::Silent { port: service.port, error: io::ErrorKind::ConnectionRefused.into() }),
        None => ask(service),
    }
}

/// Asks whether the service answers.
///
/// # Errors
/// The reason why it does not.
pub(crate) fn ask(service: &Service) -> Result<(), NotReady> {
    let port = service.port;
    let address: IpAddr = service.address.parse().map_err(|_| NotReady::NoAddress(service.address.clone()))?;
    let silent = |error| NotReady::Silent { port, error };
    let stream = TcpStream::connect_timeout(&SocketAddr::new(address, port), PATIENCE).map_err(silent)?;
    let Some(path) = &service.path else { return Ok(()) };
    match status(stream, path, address) {
        Ok(Some(status)) if status < 500 => Ok(()),
        Ok(Some(status)) => Err(NotReady::Status { port, status, path: path.clone() }),
        Ok(None) => Err(NotReady::NoHttp { port }),
        Err(error) => Err(silent(error)),
    }
}

/// Returns the status of an HTTP answer (RFC 9112, section 4).
fn status(mut stream: TcpStream, path: &str, address: IpAddr) -> std::io::Result<Option<u16>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let host = SocketAddr::new(address, 0).ip();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut line = [0; STATUS_LINE];
    stream.read_exact(&mut line)?;
    Ok(parse_status(&line))
}

/// Parses the number in a status line.
fn parse_status(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.")?.split_first()?.1.strip_prefix(b" ")?;
    std::str::from_utf8(rest).ok()?.parse().ok()
}

fn in_words(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind::{ConnectionRefused, TimedOut, WouldBlock};
    match error.kind() {
        ConnectionRefused => "no process listens there",
        TimedOut | WouldBlock => "it does not answer in time",
        _ => "it does not answer",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// Asks a server that answers a request with `says`, and a plain connection with nothing.
    fn asked(says: &'static str, path: Option<&str>) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let service = Service { path: path.map(str::to_owned), ..Service::on(listener.local_addr().unwrap().port()) };
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let length = stream.read(&mut request).unwrap();
            let _ = stream.write_all(says.as_bytes());
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let answer = ask(&service);
        let request = server.join().unwrap();
        assert_eq!(
            request.lines().next().unwrap_or_default(),
            path.map_or(String::new(), |path| format!("GET {path} HTTP/1.1"))
        );
        answer.map_err(|error| error.to_string().replace(&service.port.to_string(), "PORT"))
    }

    #[test]
    fn a_connection_is_enough_where_no_path_is_known() {
        assert_eq!(asked("", None), Ok(()));
    }

    #[test]
    fn http_is_ready_when_it_answers_with_anything_but_a_failure_of_its_own() {
        assert_eq!(asked("HTTP/1.1 200 OK\r\n\r\n", Some("/api")), Ok(()));
        assert_eq!(asked("HTTP/1.0 403 Forbidden\r\n\r\n", Some("/")), Ok(()));
        assert_eq!(asked("HTTP/1.1 503 Busy\r\n\r\n", Some("/")), Err("port PORT answers 503 for /".into()));
        assert_eq!(asked("SSH-2.0-OpenSSH_9.2\r\n", Some("/")), Err("port PORT does not answer as HTTP does".into()));
        assert_eq!(asked("", Some("/")), Err("port PORT: it does not answer".into()));
    }

    #[test]
    fn nobody_there_is_said_at_once() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        for asked in [ask(&Service::on(port)), is_up(&Service::on(port))] {
            assert_eq!(asked.unwrap_err().to_string(), format!("port {port}: no process listens there"));
        }
    }
}
