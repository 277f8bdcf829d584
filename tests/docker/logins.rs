//! Logging in over the network, with OpenSSH's client, to sshd and to dropbear in a container: what a session sees, whose key the server
//! shows, and how a session ends.

use crate::harness::{Container, Run, docker_says, skipped, wait_for};
use crate::images::login_server;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// A PATH that no /etc/profile sets.
const PATH: &str = "/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Prints what a session has of the job. The quotes keep a terminal's echo from being taken for it.
const QUESTION: &str = "echo at''end \"$(id -un)|$ODD|$PATH|$JOB\"";

/// A container with a server, and a client's key for it.
struct Box {
    container: Container,
    given: TempDir,
    user: &'static str,
    port: String,
}

impl Box {
    /// Starts one whose workload is this user.
    fn start(image: &str, user: &'static str) -> Self {
        let given = tempfile::tempdir().expect("a temporary directory");
        let key = given.path().join("key");
        let words = ["-q", "-t", "ed25519", "-N", "", "-C", "me", "-f"];
        assert!(Command::new("ssh-keygen").args(words).arg(&key).status().expect("ssh-keygen is here").success());
        let public = std::fs::read_to_string(key.with_extension("pub")).expect("the key");
        let variables = format!("PUBLIC_KEY={public}PATH={PATH}\nJOB=two words\nTRAINIT_CONFIG=/given/trainit.yaml\n");
        std::fs::write(given.path().join("variables"), variables).expect("a file");
        std::fs::write(given.path().join("trainit.yaml"), "env: {ODD: \"it's $HOME\"}\n").expect("a file");
        let (inside, as_user) = if user == "root" { (22, "") } else { (2222, "--user 1000:1000") };
        let options = format!(
            "-p 127.0.0.1::{inside} --env-file {0}/variables -v {0}/trainit.yaml:/given/trainit.yaml:ro {as_user}",
            given.path().display()
        );
        let container = Run::of(image).with(&options).command(&["ssh"]).start();
        container.wait_for_text("log in: ssh -p");
        let published = docker_says(["port", &container.name, &inside.to_string()]);
        let port = published.rsplit(':').next().unwrap_or_default().to_owned();
        // Docker takes connections before the server does.
        wait_for("the server's greeting", || greets(&port).then_some(()), || container.text());
        Box { container, given, user, port }
    }

    fn ssh(&self) -> Command {
        let mut ssh = Command::new("timeout");
        ssh.args(["60", "ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=accept-new"]);
        ssh.args(["-o", "LogLevel=ERROR", "-o", &format!("UserKnownHostsFile={}", self.known().display())]);
        ssh.args(["-o", "IdentitiesOnly=yes", "-i"]).arg(self.given.path().join("key")).args(["-p", &self.port]);
        ssh
    }

    fn known(&self) -> std::path::PathBuf {
        self.given.path().join("known")
    }

    fn target(&self) -> String {
        format!("{}@127.0.0.1", self.user)
    }

    /// Runs a client with these options and this command; what is typed is its input.
    fn says(&self, options: &[&str], command: &[&str], typed: &str) -> Output {
        let mut ssh = self.ssh();
        ssh.args(options).arg(self.target()).args(command).stdin(Stdio::piped());
        let mut client = ssh.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("ssh is here");
        client.stdin.take().expect("a pipe").write_all(typed.as_bytes()).expect("ssh reads");
        client.wait_with_output().expect("ssh ends")
    }
}

/// Whether a server of SSH answers on this port.
fn greets(port: &str) -> bool {
    let mut greeting = [0; 4];
    let asked = TcpStream::connect(format!("127.0.0.1:{port}")).and_then(|mut server| {
        server.set_read_timeout(Some(Duration::from_secs(5)))?;
        server.read_exact(&mut greeting)
    });
    asked.is_ok() && greeting == *b"SSH-"
}

/// The fingerprints of a file of keys.
fn fingerprints(known: &Path) -> Vec<String> {
    let output = Command::new("ssh-keygen").args(["-l", "-f"]).arg(known).output().expect("ssh-keygen is here");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace().filter(|word| word.starts_with("SHA256:")).map(str::to_owned).collect()
}

/// Asks in every kind of session.
fn every_session_has_the_jobs_environment(here: &Box) {
    // A login shell of another user than root adds directories of /etc/profile behind.
    let expected = format!("atend {}|it's $HOME|{PATH}", here.user);
    let login = format!("bash -lc {}", quoted(QUESTION));
    let plain = format!("sh -c {}", quoted(QUESTION));
    let typed = format!("{QUESTION}; exit\n");
    for (options, command, typed) in [
        (&["-T"][..], &[QUESTION][..], ""),
        (&["-T"], &[&login], ""),
        (&["-T"], &[&plain], ""),
        (&["-tt"], &[QUESTION], ""),
        (&["-tt"], &[&login], ""),
        // A shell that logs in, at a terminal and without one.
        (&["-tt"], &[], &typed),
        (&["-T"], &[], &typed),
    ] {
        let output = here.says(options, command, typed);
        let text = String::from_utf8_lossy(&output.stdout);
        let log = here.container.text();
        assert!(
            text.contains(&expected) && text.contains("|two words"),
            "{options:?} {command:?}: no {expected} in {output:?}\n{log}"
        );
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Stops the container under a session.
fn a_session_ends_with_the_container(here: &Box) {
    let mut ssh = here.ssh();
    ssh.arg(here.target()).arg("touch /tmp/begun; sleep 1000").stdin(Stdio::null());
    let mut client = ssh.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("ssh is here");
    let begun = || here.container.exec(&["test", "-e", "/tmp/begun"]).status.success().then_some(());
    wait_for("the session", begun, || here.container.text());
    assert!(here.container.stop(60) < Duration::from_secs(30), "{}", here.container.text());
    assert_eq!(client.wait().expect("ssh ends").code(), Some(255));
}

#[test]
fn a_login_over_the_network_has_the_jobs_environment_and_ends_with_the_container() {
    if !["ssh", "ssh-keygen"].iter().all(|tool| Command::new(tool).arg("-?").output().is_ok()) {
        return skipped("there is no ssh client here");
    }
    for server in ["sshd", "dropbear"] {
        let Some(image) = login_server(server) else { return };
        for user in ["root", "dev"] {
            let here = Box::start(&image, user);
            every_session_has_the_jobs_environment(&here);
            let (log, shown) = (here.container.text(), fingerprints(&here.known()));
            assert!(!shown.is_empty() && shown.iter().all(|key| log.contains(key)), "{server}: {shown:?}\n{log}");
            assert!(log.contains(server) || server == "sshd", "{log}");
            a_session_ends_with_the_container(&here);
        }
    }
}
