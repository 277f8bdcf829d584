//! What is said, and with which code, when an index, a proxy or a machine misbehaves.

use crate::bench::{Bench, Report, Start};
use crate::failing::{closed_port, fails, with_each_installer};
use crate::server::{Index, Manner};
use crate::wheel::Wheel;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A password that is nowhere to be seen.
const SECRET: &str = "s3cr3t-index-pw";

/// A start that installs `needy` from this index.
fn from(bench: &Bench, installer: &str, url: &str) -> Start {
    bench.code("requirements.txt", "needy\n");
    let start = bench.start().installer(installer).without("PIP_NO_INDEX").without("PIP_FIND_LINKS");
    start.with("PIP_RETRIES", "0").with("PIP_DEFAULT_TIMEOUT", "60").set("deps.index", url)
}

fn url(index: &Index) -> String {
    format!("http://me:{SECRET}@127.0.0.1:{}/simple", index.port)
}

fn nothing_leaked(report: &Report, index: &Index) {
    assert!(!report.text().contains(SECRET), "{}", report.text());
    assert!(!index.leaked(), "a password was on a command line");
}

#[test]
fn each_answer_of_an_index_has_its_class() {
    with_each_installer(every_answer);
}

/// Every answer of an index that is none, with the class that it is told as.
pub fn every_answer(installer: &str, bench: &Bench) {
    let answers = [
        ("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"", 116, "refuses the user"),
        ("403 Forbidden", 116, "refuses the user"),
        ("404 Not Found", 116, "does not exist under this name"),
        ("429 Too Many Requests", 216, "is down or wants fewer questions"),
        ("500 Internal Server Error", 216, "is down or wants fewer questions"),
        ("503 Service Unavailable", 216, "is down or wants fewer questions"),
    ];
    for (status, code, says) in answers {
        let index = Index::serve(&bench.path("wheels"), Manner::Status(status), SECRET);
        let report = fails(&from(bench, installer, &url(&index)).with("UV_HTTP_RETRIES", "0"), code);
        let told = report.error.contains(says) && report.error.contains("→");
        assert!(told, "{installer} {status}: {}", report.text());
        nothing_leaked(&report, &index);
    }
}

#[test]
fn what_passes_is_got_over_and_what_does_not_is_asked_once() {
    with_each_installer(|installer, bench| {
        for manner in [Manner::DownFor(1), Manner::CutsOff(1)] {
            let index = Index::serve(&bench.path("wheels"), manner, SECRET);
            let mut start = from(bench, installer, &url(&index)).with("UV_HTTP_RETRIES", "0");
            start = start.with("PIP_NO_CACHE_DIR", "1").with("UV_NO_CACHE", "1");
            start.retries = 2;
            let report = start.run();
            assert_eq!(report.outcome, "installed", "{installer} {manner:?}: {}", report.text());
            // uv may get over a cut by itself.
            let tried = report.text().contains("try 2 of 3") || manner == Manner::CutsOff(1);
            assert!(tried, "{installer} {manner:?}: {}", report.text());
            nothing_leaked(&report, &index);
            bench.take_away(&["needy", "tiny"]);
        }
        let index = Index::serve(&bench.path("wheels"), Manner::Status("403 Forbidden"), SECRET);
        let mut start = from(bench, installer, &url(&index));
        start.retries = 3;
        fails(&start, 116);
        assert!(index.questions() <= 2, "{installer} asked {} times", index.questions());
    });
}

#[test]
fn a_password_goes_to_the_index_and_nowhere_else() {
    with_each_installer(|installer, bench| {
        let index = Index::serve(&bench.path("wheels"), Manner::Asks("me:s3cr3t-index-pw"), SECRET);
        let report = from(bench, installer, &url(&index)).run();
        assert_eq!(report.outcome, "installed", "{installer}: {}", report.text());
        nothing_leaked(&report, &index);
        let kept =
            Command::new("grep").args(["-rl", SECRET]).arg(bench.site()).arg(bench.path("home")).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&kept.stdout), "", "{installer}");
    });
}

#[test]
fn an_archive_that_is_not_what_its_hash_says_is_not_installed() {
    with_each_installer(|installer, bench| {
        let index = Index::serve(&bench.path("wheels"), Manner::WrongHash, SECRET);
        let report = fails(&from(bench, installer, &url(&index)), 116);
        assert!(report.error.contains("not what its hash says"), "{installer}: {}", report.text());
        assert!(!bench.site().join("needy").exists() && !bench.site().join("tiny").exists());
        // Once more with everything fetched anew, and no more.
        let mut start = from(bench, installer, &url(&index));
        start.retries = 3;
        let report = fails(&start, 116);
        assert!(report.text().contains("try 2 of") && !report.text().contains("try 3 of"), "{}", report.text());
    });
}

#[test]
fn a_name_that_nobody_knows_is_told_from_a_host_that_does_not_answer() {
    with_each_installer(|installer, bench| {
        let report = fails(&from(bench, installer, "https://no-such-host.invalid/simple"), 216);
        assert!(report.error.contains("cannot be looked up"), "{installer}: {}", report.text());
    });
}

#[test]
fn an_index_without_https_is_told_where_pip_passes_over_it() {
    with_each_installer(|installer, bench| {
        if installer == "pip" {
            let report = fails(&from(bench, installer, "http://no-such-host.invalid/simple"), 116);
            assert!(report.error.contains("without https"), "{}", report.text());
            assert!(report.error.contains("PIP_TRUSTED_HOST"), "{}", report.text());
        }
    });
}

#[test]
fn a_proxy_that_is_dead_or_wants_a_password_is_told_from_the_index() {
    with_each_installer(|installer, bench| {
        let index = "https://index.invalid/simple";
        let via = |proxy: String| {
            let start = from(bench, installer, index).with("UV_HTTP_RETRIES", "0");
            start
                .with("HTTP_PROXY", &proxy)
                .with("http_proxy", &proxy)
                .with("HTTPS_PROXY", &proxy)
                .with("https_proxy", proxy)
        };
        let report = fails(&via(format!("http://me:{SECRET}@127.0.0.1:{}", closed_port())), 216);
        assert!(report.error.contains("the proxy cannot be reached"), "{installer}: {}", report.text());
        assert!(!report.text().contains(SECRET));
        let proxy = Index::serve(&bench.path("wheels"), Manner::Status("407 Proxy Authentication Required"), SECRET);
        let report = fails(&via(format!("http://127.0.0.1:{}", proxy.port)), 116);
        assert!(report.error.contains("the proxy wants a password"), "{installer}: {}", report.text());
    });
}

/// A server with a certificate that nobody has signed.
struct Unsigned(Child, u16);

impl Unsigned {
    fn start(bench: &Bench) -> Option<Self> {
        let (key, certificate) = (bench.path("tmp").join("key.pem"), bench.path("tmp").join("certificate.pem"));
        let words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"];
        let mut openssl = Command::new("openssl");
        openssl.args(words).arg("-keyout").arg(&key).arg("-out").arg(&certificate).stderr(Stdio::null());
        if !openssl.status().is_ok_and(|status| status.success()) {
            crate::support::skip("there is no openssl here to make a certificate");
            return None;
        }
        let code = "import http.server, ssl, sys
server = http.server.HTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()";
        let mut python = Command::new(crate::bench::base()?);
        python.args(["-c", code]).arg(certificate).arg(key).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = python.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Some(Unsigned(child, line.trim().parse().unwrap()))
    }
}

impl Drop for Unsigned {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_certificate_that_is_not_trusted_is_told_as_such() {
    with_each_installer(|installer, bench| {
        let Some(server) = Unsigned::start(bench) else { return };
        let report = fails(&from(bench, installer, &format!("https://127.0.0.1:{}/simple", server.1)), 116);
        assert!(report.error.contains("certificate of the index is not trusted"), "{installer}: {}", report.text());
        assert!(report.error.contains("SSL_CERT_FILE"), "{}", report.error);
    });
}

/// A source package whose build runs this Python; it needs nothing from an index.
fn source(bench: &Bench, build: &str) {
    source_with(bench, build, "");
}

/// The same; before it is built, this is installed for it.
fn source_with(bench: &Bench, build: &str, requires: &str) {
    let directory = bench.path("code/native");
    std::fs::create_dir_all(&directory).unwrap();
    let project = format!(
        "[project]\nname = \"native\"\nversion = \"1.0\"\n[build-system]\nrequires = [{requires}]\nbuild-backend = \"own\"\nbackend-path = [\".\"]\n"
    );
    std::fs::write(directory.join("pyproject.toml"), project).unwrap();
    let backend = format!(
        "import os, subprocess, sys\n\ndef build_wheel(directory, settings=None, metadata=None):\n    {build}\n"
    );
    std::fs::write(directory.join("own.py"), backend).unwrap();
    bench.code("requirements.txt", "./native\n");
}

#[test]
fn a_package_that_cannot_be_compiled_is_told_with_what_the_compiler_said() {
    with_each_installer(|installer, bench| {
        source(bench, "sys.stderr.write(\"error: command 'gcc' failed: No such file or directory\\n\"); sys.exit(1)");
        let report = fails(&bench.start().installer(installer), 116);
        assert!(report.error.contains("has to be compiled"), "{installer}: {}", report.text());
        assert!(report.error.contains("gcc"), "{installer}: {}", report.error);
        assert!(report.lines.iter().any(|line| line.contains("error: command 'gcc' failed")), "{}", report.text());
        source(bench, "import torch");
        let report = fails(&bench.start().installer(installer), 116);
        assert!(report.error.contains("needs the module torch"), "{installer}: {}", report.text());
        assert!(report.error.contains("No module named 'torch'"), "{installer}: {}", report.error);
    });
}

#[test]
fn what_a_build_needs_and_no_index_gives_is_the_indexs_failure() {
    with_each_installer(|installer, bench| {
        let start = from(bench, installer, &format!("http://127.0.0.1:{}/simple", closed_port()));
        source_with(bench, "pass", "\"some-build-tool\"");
        let report = fails(&start.with("UV_HTTP_RETRIES", "0"), 216);
        assert!(report.error.contains("the index cannot be reached"), "{installer}: {}", report.text());
    });
}

#[test]
fn an_installer_that_runs_out_of_memory_is_told_as_such() {
    with_each_installer(|installer, bench| {
        let events = bench.path("container/sys/fs/cgroup/memory.events");
        std::fs::create_dir_all(events.parent().unwrap()).unwrap();
        std::fs::write(&events, "oom_kill 3\n").unwrap();
        // The kernel counts, and kills the installer: here this is done by the package that it builds.
        source(
            bench,
            &format!("open({:?}, 'w').write('oom_kill 4\\n'); os.kill(os.getppid(), 9)", events.display().to_string()),
        );
        let report = fails(&bench.start().installer(installer), 116);
        assert!(report.error.contains("more memory than the container has"), "{installer}: {}", report.text());
        assert!(report.error.contains("MAX_JOBS"), "{installer}: {}", report.error);
    });
}

#[test]
fn a_package_for_a_newer_python_is_told_as_such() {
    with_each_installer(|installer, bench| {
        Wheel::new("modern", "1.0").python(">=3.99").write(&bench.path("wheels"));
        let index = Index::serve(&bench.path("wheels"), Manner::Fine, SECRET);
        let start = from(bench, installer, &url(&index));
        bench.code("requirements.txt", "modern\n");
        let report = fails(&start, 116);
        assert!(report.error.contains("no version fits this Python"), "{installer}: {}", report.text());
    });
}

#[test]
fn a_full_disk_is_told_as_such() {
    with_each_installer(|installer, bench| {
        let many = (0..40)
            .fold(Wheel::new("large", "1.0"), |wheel, n| wheel.file(&format!("large/{n}.bin"), &[b'x'; 100_000]));
        many.write(&bench.path("wheels"));
        bench.code("requirements.txt", "large\n");
        let mounts = format!("mkdir -p {0}/large; mount -t tmpfs -o size=1m none {0}/large", bench.site().display());
        let start = bench.start().installer(installer).with("UV_LINK_MODE", "copy");
        let Some(report) = start.run_behind(&mounts) else { return };
        assert_eq!(report.code, 116, "{}", report.text());
        assert!(report.error.contains("no space is left"), "{installer}: {}", report.text());
    });
}
