//! Asks Jupyter servers whether a kernel computes.
//!
//! Every server that runs here is asked, however it was started. It leaves its address and token in a file for its user alone
//! (jupyter_server, `jpserver-PID.json`; the classic notebook, `nbserver-PID.json`).
use crate::program::ProgramTrace;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use sys::{Pid, process};

/// Time limit for each of connecting, asking and one read of the answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest answer that is read; a server with a thousand kernels sends less.
const ANSWER_MAX: u64 = 1 << 20;
const FILES: [&str; 2] = ["jpserver", "nbserver"];

/// A server, as its file describes it.
#[derive(Debug, PartialEq)]
struct JupyterServer {
    secure: bool,
    host: String,
    port: u16,
    base: String,
    token: String,
}

/// Returns the first server with kernels that compute, or that cannot be asked, in words.
pub(super) fn busy(processes: &[Pid]) -> Option<String> {
    let file = |pid: &Pid| Some((*pid, std::fs::read(file_of(*pid)?).ok()?));
    let servers = processes.iter().filter_map(file).filter_map(|(pid, text)| Some((pid, parse(&text)?)));
    servers.map(|(pid, server)| (ask(&server, pid), server)).find_map(|(answer, server)| match answer {
        Ok(kernels) => (kernels > 0).then(|| format!("{} computing", text::count(kernels, "kernel"))),
        // No process listens: the server has just started, or is about to end.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => None,
        Err(error) => Some(format!(
            "Jupyter's kernels on port {} cannot be asked for ({})",
            server.port,
            protocol::errno::words_of(&error)
        )),
    })
}

/// Returns the server file of a process, if the process is a server.
fn file_of(pid: Pid) -> Option<PathBuf> {
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    // The words are an interpreter, its option, and the program or module.
    let names = |word: &[u8], name: &[u8]| word.windows(name.len()).any(|part| part == name);
    let is_one = |word: &[u8]| names(word, b"jupyter") || names(word, b"notebook");
    words.split(|byte| *byte == 0).take(4).any(is_one).then_some(())?;
    let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let directory = runtime_directory(&environment)?;
    FILES.iter().map(|name| directory.join(format!("{name}-{pid}.json"))).find(|file| file.exists())
}

/// Returns jupyter_core's directory for such files, by a process's environment.
fn runtime_directory(environment: &[u8]) -> Option<PathBuf> {
    let variable = |name: &str| {
        let pairs = environment.split(|byte| *byte == 0);
        let values = pairs.filter_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="));
        values.filter(|value| !value.is_empty()).map(|value| PathBuf::from(OsStr::from_bytes(value))).next()
    };
    let data = || {
        let home = || variable("HOME").map(|home| home.join(".local/share"));
        variable("JUPYTER_DATA_DIR").or_else(|| Some(variable("XDG_DATA_HOME").or_else(home)?.join("jupyter")))
    };
    variable("JUPYTER_RUNTIME_DIR").or_else(|| Some(data()?.join("runtime")))
}

/// Parses a server's file.
fn parse(text: &[u8]) -> Option<JupyterServer> {
    let server: Value = serde_json::from_slice(text).ok()?;
    let word = |name: &str| server.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    // A server that listens on all addresses or on the loopback device answers here in both cases.
    let host = match word("hostname") {
        anywhere if ["", "0.0.0.0", "::", "*"].contains(&anywhere.as_str()) => "localhost".to_owned(),
        host => host,
    };
    let base = word("base_url");
    Some(JupyterServer {
        secure: server.get("secure").and_then(Value::as_bool).unwrap_or(false),
        host,
        port: server.get("port")?.as_u64()?.try_into().ok()?,
        base: if base.is_empty() { "/".to_owned() } else { base },
        token: word("token"),
    })
}

/// Returns the number of kernels that compute.
fn ask(server: &JupyterServer, pid: Pid) -> io::Result<u64> {
    if server.secure {
        let body = get_by_its_interpreter(server, pid)?;
        return count_busy(&body).ok_or_else(|| io::Error::other("it does not answer over TLS"));
    }
    let stream = connect(&server.host, server.port)?;
    let answer = get(stream, server)?;
    let (status, body) = split(&answer).ok_or_else(|| io::Error::other("it does not answer as HTTP does"))?;
    match status {
        200 => count_busy(body).ok_or_else(|| io::Error::other("its answer is no list of kernels")),
        401 | 403 => Err(io::Error::other("its token does not open it")),
        other => Err(io::Error::other(format!("it answers {other}"))),
    }
}

fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let addresses: Vec<SocketAddr> = match host {
        "localhost" => vec![(Ipv4Addr::LOCALHOST, port).into()],
        host => (host, port).to_socket_addrs()?.collect(),
    };
    let address = addresses.first().ok_or(io::ErrorKind::AddrNotAvailable)?;
    let stream = TcpStream::connect_timeout(address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Sends a request by HTTP/1.0, so that the answer comes whole and ends with the connection.
fn get(mut stream: TcpStream, server: &JupyterServer) -> io::Result<Vec<u8>> {
    let JupyterServer { base, token, port, .. } = server;
    let request =
        format!("GET {base}api/kernels HTTP/1.0\r\nHost: localhost:{port}\r\nAuthorization: token {token}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer)?;
    Ok(answer)
}

/// Sends the request through the server's own interpreter, because trainit does not speak TLS.
///
/// The interpreter reads the request from its input, so that the token is on no command line. The certificate is not verified: it is most
/// likely self-signed, and the server is on this machine.
fn get_by_its_interpreter(server: &JupyterServer, pid: Pid) -> io::Result<Vec<u8>> {
    const SCRIPT: &str = r#"
import json, ssl, sys, urllib.request as request
asked = json.load(sys.stdin)
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
opener = request.build_opener(request.ProxyHandler({}), request.HTTPSHandler(context=context))
question = request.Request(asked["url"], headers={"Authorization": "token " + asked["token"]})
sys.stdout.buffer.write(opener.open(question, timeout=5).read(1 << 20))
"#;
    let JupyterServer { host, port, base, token, .. } = server;
    let asked = json!({"url": format!("https://{host}:{port}{base}api/kernels"), "token": token});
    // The interpreter's own path and not the link, because it finds its library from there.
    let mut command = Command::new(std::fs::read_link(format!("/proc/{pid}/exe"))?);
    command.args(["-I", "-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    process::die_with_parent(&mut command);
    let trace = ProgramTrace::begin(|| vec![command.get_program().to_owned(), "-I".into(), "-c".into(), "…".into()]);
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(asked.to_string().as_bytes())?;
    }
    let output = child.wait_with_output()?;
    trace.end(&output.status);
    Ok(output.stdout)
}

/// Splits an answer into its status and its body.
fn split(answer: &[u8]) -> Option<(u16, &[u8])> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, body) = answer.split_at_checked(end + 4)?;
    let status = head.split(|byte| *byte == b' ').nth(1)?;
    Some((std::str::from_utf8(status).ok()?.parse().ok()?, body))
}

fn count_busy(body: &[u8]) -> Option<u64> {
    let kernels: Value = serde_json::from_slice(body).ok()?;
    let busy = |kernel: &&Value| kernel.get("execution_state").and_then(Value::as_str) == Some("busy");
    Some(kernels.as_array()?.iter().filter(busy).count() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::TcpListener;

    const FILE: &str = r#"{"base_url": "/nb/", "hostname": "0.0.0.0", "password": false, "pid": 7, "port": 8888,
        "root_dir": "/w", "secure": false, "sock": "", "token": "abc", "url": "http://host:8888/nb/", "version": "2.14.2"}"#;

    fn server(port: u16) -> JupyterServer {
        JupyterServer { secure: false, host: "localhost".into(), port, base: "/nb/".into(), token: "abc".into() }
    }

    /// Returns the result for a server with this answer, and the request that the server got.
    fn asked(says: &'static str) -> (Result<u64, String>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let answers = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let length = stream.read(&mut request).unwrap();
            stream.write_all(says.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let answer = ask(&server(port), Pid::own()).map_err(|error| error.to_string());
        (answer, answers.join().unwrap())
    }

    #[test]
    fn a_servers_file_tells_where_it_answers_and_to_whom() {
        assert_eq!(parse(FILE.as_bytes()), Some(server(8888)));
        assert_eq!(parse(b"{}"), None);
        assert_eq!(parse(b"{\"port\": 99999}"), None);
    }

    #[test]
    fn its_place_follows_from_the_servers_own_environment() {
        let place = |text: &str| runtime_directory(text.replace(' ', "\0").as_bytes());
        assert_eq!(place("HOME=/home/x"), Some("/home/x/.local/share/jupyter/runtime".into()));
        assert_eq!(place("HOME=/home/x XDG_DATA_HOME=/d"), Some("/d/jupyter/runtime".into()));
        assert_eq!(place("HOME=/home/x JUPYTER_DATA_DIR=/d"), Some("/d/runtime".into()));
        assert_eq!(place("HOME=/home/x JUPYTER_RUNTIME_DIR=/r"), Some("/r".into()));
        assert_eq!(place("HOME= A=b"), None);
    }

    #[test]
    fn kernels_that_compute_are_counted() {
        let (answer, request) = asked(
            "HTTP/1.1 200 OK\r\nA: b\r\n\r\n[{\"execution_state\": \"busy\"}, {\"execution_state\": \"idle\"}, {}]",
        );
        assert_eq!(answer, Ok(1));
        assert!(request.starts_with("GET /nb/api/kernels HTTP/1.0\r\n"), "{request}");
        assert!(request.contains("\r\nAuthorization: token abc\r\n"), "{request}");
        assert_eq!(asked("HTTP/1.1 200 OK\r\n\r\n[]").0, Ok(0));
    }

    #[test]
    fn who_does_not_let_itself_be_asked_says_why() {
        assert_eq!(asked("HTTP/1.1 403 Forbidden\r\n\r\n").0, Err("its token does not open it".into()));
        assert_eq!(asked("SSH-2.0\r\n").0, Err("it does not answer as HTTP does".into()));
        assert_eq!(asked("HTTP/1.1 200 OK\r\n\r\n{}").0, Err("its answer is no list of kernels".into()));
        let ended = Pid::new(4_000_000).unwrap(); // hardly any machine gets there
        assert!(ask(&JupyterServer { secure: true, ..server(1) }, ended).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_parsers(bytes: Vec<u8>) {
            let _ = (parse(&bytes), split(&bytes), count_busy(&bytes), runtime_directory(&bytes));
        }
    }
}
