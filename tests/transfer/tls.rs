//! Web servers with TLS, certificates of an own CA, and proxies (case 20).

use super::support::fault_proxy::{Fault, Proxy};
use super::support::look::until_true;
use super::support::port::free_port;
use super::support::{has, skip};
use super::{FailureKind, Program, Start, kind, noise, words};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// nginx with files, a certificate of an own CA on one port, and a self-signed one, as `openssl req -x509` makes it, on another.
struct Web {
    child: Child,
    home: TempDir,
    by_ca: u16,
    by_itself: u16,
    plain: u16,
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
    fn start() -> Option<Self> {
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
        std::fs::write(home.path().join("files/data.bin"), noise(2_000_000)).unwrap();
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
            "user root;\ndaemon off;\nmaster_process off;\npid {place}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}{servers}}}\n"
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

    fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }
}

fn url(port: u16) -> String {
    format!("https://localhost:{port}/data.bin")
}

#[track_caller]
fn is_fetched(program: &mut Program, url: &str) {
    let found = program.head(url).unwrap();
    assert_eq!((found.size, found.key.as_str()), (2_000_000, "data.bin"));
    assert!(program.get(url, Some(&found.tag), 0..2_000_000).unwrap() == noise(2_000_000));
    assert!(program.get(url, Some(&found.tag), 10..1010).unwrap() == noise(2_000_000)[10..1010]);
}

#[test]
fn case_20_an_own_ca_is_trusted_where_it_is_named_in_any_way() {
    let Some(web) = Web::start() else { return };
    let by_option = || {
        let mut start = Start::default();
        start.options.ca = Some(web.file("ca.pem"));
        start
    };
    let Some(mut program) = by_option().run() else { return };
    is_fetched(&mut program, &url(web.by_ca));
    for variable in ["AWS_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"] {
        let Some(mut program) = Start::default().set(variable, web.file("ca.pem").display()).run() else { return };
        is_fetched(&mut program, &url(web.by_ca));
    }
    let Some(mut program) = Start::default().run() else { return };
    let failure = program.head(&url(web.by_ca)).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Bad, "no other try mends that: {failure:?}");
    assert!(words(&failure).contains("no CA that is trusted") && words(&failure).contains("stage.ca"), "{failure:?}");
}

#[test]
fn case_20_a_servers_own_certificate_that_is_a_cas_is_taken_where_it_is_named() {
    let Some(web) = Web::start() else { return };
    let mut start = Start::default();
    start.options.ca = Some(web.file("own.pem"));
    let Some(mut program) = start.run() else { return };
    is_fetched(&mut program, &url(web.by_itself));
    assert_eq!(kind(program.head(&url(web.by_ca))), Some(FailureKind::Bad), "it vouches for nobody else");
    let Some(mut program) = Start::default().run() else { return };
    let failure = program.head(&url(web.by_itself)).unwrap_err();
    assert!(words(&failure).contains("stage.ca"), "{failure:?}");
}

#[test]
fn a_web_server_is_read_through_a_proxy_where_one_is_named() {
    let Some(web) = Web::start() else { return };
    let proxy = Proxy::new(web.plain, |_| Fault::Pass);
    let plain = format!("http://files.example:{}/data.bin", web.plain);
    let Some(mut program) = Start::default().set("http_proxy", proxy.url()).run() else { return };
    assert_eq!(program.head(&plain).unwrap().size, 2_000_000);
    assert!(proxy.asked().iter().any(|asked| asked.line.contains("http://files.example")));
    let direct = format!("http://127.0.0.1:{}/data.bin", web.plain);
    let start = Start::default().set("http_proxy", "http://127.0.0.1:1").set("no_proxy", "127.0.0.1");
    let Some(mut program) = start.run() else { return };
    is_fetched(&mut program, &direct);
}

#[test]
fn a_file_on_the_web_that_changes_is_another_version_and_one_that_is_gone_is_gone() {
    let Some(web) = Web::start() else { return };
    let url = format!("http://127.0.0.1:{}/data.bin?sig=secret-signature", web.plain);
    let Some(mut program) = Start::default().run() else { return };
    let tag = program.head(&url).unwrap().tag;
    std::fs::write(web.file("files/data.bin"), noise(2_000_001)).unwrap();
    let failure = program.get(&url, Some(&tag), 0..1000).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Changed);
    std::fs::remove_file(web.file("files/data.bin")).unwrap();
    let failure = program.head(&url).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Gone);
    assert!(!words(&failure).contains("secret-signature"), "{failure:?}");
}
