//! A web server with TLS for tests: certificates of an own CA, and a self-signed one.

use super::look::until_true;
use super::port::free_port;
use super::{has, skip};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// nginx with files, a certificate of an own CA on one port, and a self-signed one, as `openssl req -x509` makes it, on another.
pub struct Web {
    child: Child,
    home: TempDir,
    /// The port with a certificate of the CA `ca.pem`.
    pub by_ca: u16,
    /// The port with the certificate `own.pem`.
    pub by_itself: u16,
    /// The port without TLS.
    pub plain: u16,
}

impl Drop for Web {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn openssl(home: &Path, words: &str) {
    let done = Command::new("openssl").args(words.split(' ')).current_dir(home).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

impl Web {
    /// Starts it with an empty directory `files`; `None` where something is missing, which is told.
    pub fn start() -> Option<Self> {
        let Some(nginx) = ["/usr/sbin/nginx", "/usr/bin/nginx"].into_iter().find(|path| Path::new(path).is_file())
        else {
            skip("there is no nginx here");
            return None;
        };
        if !has("openssl") {
            return None;
        }
        let home = tempfile::tempdir().unwrap();
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
        openssl(
            home.path(),
            &format!(
                "req -x509 {key} -keyout own.key -out own.pem -subj /CN=localhost -addext subjectAltName=DNS:localhost"
            ),
        );
        openssl(home.path(), &format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=ca"));
        openssl(
            home.path(),
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout leaf.key -out leaf.csr -subj /CN=localhost",
        );
        std::fs::write(home.path().join("names"), "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n").unwrap();
        openssl(
            home.path(),
            "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out leaf.pem",
        );
        std::fs::create_dir(home.path().join("files")).unwrap();
        let (by_ca, by_itself, plain) = (free_port(), free_port(), free_port());
        let place = home.path().display();
        let tls = |port: u16, name: &str| {
            format!(
                "server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {place}/{name}.pem; ssl_certificate_key {place}/{name}.key; root {place}/files; }}\n"
            )
        };
        let servers = [
            tls(by_ca, "leaf"),
            tls(by_itself, "own"),
            format!("server {{ listen 127.0.0.1:{plain}; root {place}/files; }}\n"),
        ]
        .concat();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {place}/t;\n"))
            .concat();
        let text = format!(
            "user root;\ndaemon off;\nmaster_process off;\npid {place}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\nlog_format bytes '$request_method $uri $body_bytes_sent';\naccess_log {place}/log bytes;\n{temporary}{servers}}}\n"
        );
        std::fs::write(home.path().join("nginx.conf"), text).unwrap();
        let config = home.path().join("nginx.conf");
        let child =
            Command::new(nginx).arg("-c").arg(config).arg("-p").arg(home.path()).stderr(Stdio::null()).spawn().unwrap();
        until_true("nginx", || {
            [by_ca, by_itself, plain].iter().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok())
        });
        Some(Web { child, home, by_ca, by_itself, plain })
    }

    /// One of its files.
    pub fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The bytes of a file that were sent so far, of answers that have ended.
    pub fn sent(&self, name: &str) -> u64 {
        let log = std::fs::read_to_string(self.file("log")).unwrap_or_default();
        let begin = format!("GET /{name} ");
        log.lines().filter_map(|line| line.strip_prefix(&begin)?.parse::<u64>().ok()).sum()
    }
}
