//! The programs of `stage.command` that docs/staging.md names, each with a server of its own.

use crate::site::{Site, text};
use crate::support::look::until_true;
use crate::support::object_stores;
use crate::support::port::free_port;
use crate::support::{has, skip};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// rsync's server, which ends with its test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The value that the page gives to the key for a program.
fn command(program: &str) -> String {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/staging.md")).unwrap();
    let line = page.lines().find(|line| line.contains(&format!("TRAINIT_STAGE_COMMAND='{program}"))).unwrap();
    line.split('\'').nth(1).unwrap().to_owned()
}

/// Has the page's line bring a source, and asserts that the data is there and that the next start only finds it.
#[track_caller]
fn brings(site: &Site, program: &str, from: &str, variables: &[(&str, &str)]) {
    let wanted = format!("{}:from={from}", site.data().display());
    let command = command(program);
    let own = [("TRAINIT_DATA", wanted.as_str()), ("TRAINIT_STAGE_COMMAND", &command)];
    let variables = [&own[..], variables].concat();
    let output = site.command(&["stage"], &variables);
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&site.command(&["stage"], &variables)).contains("unchanged"));
}

/// PATH with a program that not every machine has; without it the test is skipped.
fn path_with(tool: &str) -> Option<String> {
    let tools = std::env::var("STAGE_TOOLS").into_iter();
    let path = tools.chain(std::env::var("PATH")).collect::<Vec<_>>().join(":");
    if !path.split(':').any(|directory| Path::new(directory).join(tool).is_file()) {
        skip(&format!("STAGE_TOOLS names no directory with {tool} (scripts/nightly staging sets it)"));
        return None;
    }
    Some(path)
}

#[test]
fn rsync_brings_a_module_of_its_server_as_the_page_says() {
    if !has("rsync") {
        return skip("there is no rsync here");
    }
    let (site, port) = (Site::new(), free_port());
    let settings = site.path().join("rsyncd.conf");
    let module = format!("use chroot = no\n[set]\npath = {}\n", site.source().display());
    fs::write(&settings, module).unwrap();
    let mut server = Command::new("rsync");
    server.args(["--daemon", "--no-detach", "--address=127.0.0.1", &format!("--port={port}")]);
    let _server = Server(server.arg(format!("--config={}", settings.display())).spawn().unwrap());
    until_true("rsync's server", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    brings(&site, "rsync", &format!("rsync://127.0.0.1:{port}/set/"), &[]);
    site.assert_whole(&site.data());
}

#[test]
fn rsync_brings_a_directory_over_ssh_as_the_page_says() {
    let is_there = Path::new("/usr/sbin/sshd").exists() && has("rsync") && has("ssh") && has("ssh-keygen");
    if !is_there || !nix::unistd::geteuid().is_root() {
        return skip("there is no sshd here, or this is not root");
    }
    let (site, port) = (Site::new(), free_port());
    let at = |name: &str| site.path().join(name).display().to_string();
    for name in ["id", "host_key"] {
        let made =
            Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &at(name)]).status().unwrap();
        assert!(made.success());
    }
    let _ = fs::create_dir("/run/sshd");
    let settings = format!(
        "HostKey {}\nAuthorizedKeysFile {}\nListenAddress 127.0.0.1:{port}\nPidFile none\nStrictModes no\nUsePAM no\n\
         PermitRootLogin yes\nPasswordAuthentication no\n",
        at("host_key"),
        at("id.pub")
    );
    fs::write(at("sshd_config"), settings).unwrap();
    let host = fs::read_to_string(at("host_key.pub")).unwrap();
    fs::write(at("known"), format!("[127.0.0.1]:{port} {host}")).unwrap();
    let _server = Server(
        Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f", &at("sshd_config")])
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    until_true("sshd", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    let ssh = format!("ssh -p {port} -i {} -o BatchMode=yes -o UserKnownHostsFile={}", at("id"), at("known"));
    brings(&site, "rsync", &format!("root@127.0.0.1:{}/", site.source().display()), &[("RSYNC_RSH", &ssh)]);
    site.assert_whole(&site.data());
}

#[test]
fn rclone_brings_a_bucket_of_a_remote_as_the_page_says() {
    let Some(path) = path_with("rclone") else { return };
    let Some(server) = object_stores::Server::s3(None) else { return };
    let site = Site::new();
    (0..5).for_each(|n| drop(server.ask("PUT", &format!("/bucket/set/{n}"), "1")));
    let url = server.url();
    let remote =
        [("TYPE", "s3"), ("PROVIDER", "Other"), ("ACCESS_KEY_ID", "a"), ("SECRET_ACCESS_KEY", "b"), ("ENDPOINT", &url)];
    let remote: Vec<(String, &str)> =
        remote.iter().map(|(name, value)| (format!("RCLONE_CONFIG_STORE_{name}"), *value)).collect();
    let mut variables: Vec<(&str, &str)> = remote.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    // Debian's rclone does not start with a CA of its own for AWS.
    variables.extend([("PATH", path.as_str()), ("AWS_CA_BUNDLE", "")]);
    brings(&site, "rclone", "store:bucket/set", &variables);
    assert_eq!(fs::read_to_string(site.data().join("4")).unwrap(), "1");
}

#[test]
fn s5cmd_brings_a_prefix_as_the_page_says() {
    let Some(path) = path_with("s5cmd") else { return };
    let Some(server) = object_stores::Server::s3(None) else { return };
    let site = Site::new();
    (0..5).for_each(|n| drop(server.ask("PUT", &format!("/bucket/set/{n}"), "1")));
    let url = server.url();
    let keys = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"), ("AWS_REGION", "us-east-1")];
    brings(&site, "s5cmd", "s5cmd:set", &[&keys[..], &[("S3_ENDPOINT_URL", &url), ("PATH", &path)]].concat());
    assert_eq!(fs::read_to_string(site.data().join("4")).unwrap(), "1");
}

#[test]
fn hf_brings_a_data_set_of_the_hub_as_the_page_says() {
    let Some(path) = path_with("hf") else { return };
    let site = Site::new();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stage/hub.py");
    let mut hub = Command::new("python3").arg(script).stdout(Stdio::piped()).spawn().unwrap();
    let mut port = String::new();
    BufReader::new(hub.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let _hub = Server(hub);
    let (url, home) = (format!("http://127.0.0.1:{}", port.trim()), site.path().join("home").display().to_string());
    brings(&site, "hf", "hf:team/digits", &[("HF_ENDPOINT", &url), ("HF_HOME", &home), ("PATH", &path)]);
    assert_eq!(fs::read_to_string(site.data().join("train/1.txt")).unwrap(), "one\n");
}
