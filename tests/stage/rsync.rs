//! The program of `stage.command` that docs/staging.md names first, with its own server.

use crate::site::{Site, text};
use crate::support::look::until_true;
use crate::support::port::free_port;
use crate::support::{has, skip};
use std::fs;
use std::net::TcpStream;
use std::process::{Child, Command};

/// rsync's server, which ends with its test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The value that the page gives to the key.
fn command() -> String {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/staging.md")).unwrap();
    let line = page.lines().find(|line| line.contains("TRAINIT_STAGE_COMMAND='rsync")).unwrap();
    line.split('\'').nth(1).unwrap().to_owned()
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
    let wanted = format!("{}:from=rsync://127.0.0.1:{port}/set/", site.data().display());
    let variables = [("TRAINIT_DATA", wanted.as_str()), ("TRAINIT_STAGE_COMMAND", &command())];
    let output = site.command(&["stage"], &variables);
    assert!(output.status.success(), "{}", text(&output));
    site.assert_whole(&site.data());
    assert!(text(&site.command(&["stage"], &variables)).contains("unchanged"));
}
