//! Private indexes behind real TLS: passwords from a keyring and from .netrc, an authority of one's own, certificates of clients.

use crate::bench::{Bench, Report, Start};
use crate::failing::{fails, with_each_installer};
use crate::server::{Index, Manner};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The password of the index.
const SECRET: &str = "s3cr3t-index-pw";

/// A password that the index does not take.
const WRONG: &str = "s3cr3t-but-wrong";

/// The user and the password that the index asks for.
const WHO: Manner = Manner::Asks("me:s3cr3t-index-pw");

/// An authority with a certificate for the index and one for clients, and an index behind TLS.
struct Private {
    front: Child,
    port: u16,
    index: Index,
    directory: PathBuf,
}

impl Private {
    /// Starts one; `None` without openssl(1). `wants_client` asks for a client's certificate.
    fn start(bench: &Bench, manner: Manner, wants_client: bool) -> Option<Self> {
        let directory = bench.path("tmp");
        if !certificates(&directory) {
            crate::support::skip("there is no openssl here to make certificates");
            return None;
        }
        let index = Index::serve(&bench.path("wheels"), manner, SECRET);
        let mut python = Command::new(crate::bench::base()?);
        python.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/deps/tls_front.py"));
        python.arg(directory.join("server.pem"));
        python.arg(if wants_client { directory.join("authority.pem") } else { PathBuf::new() });
        python.arg(index.port.to_string()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut front = python.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(front.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Some(Private { front, port: line.trim().parse().unwrap(), index, directory })
    }

    fn file(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    /// The URL, with this before the host: nothing, or `user@`.
    fn url(&self, user: &str) -> String {
        format!("https://{user}127.0.0.1:{}/simple", self.port)
    }

    /// A start that installs `needy` from the index and knows nothing of certificates.
    fn start_of(&self, bench: &Bench, installer: &str, user: &str) -> Start {
        bench.code("requirements.txt", "needy\n");
        bench.take_away(&["needy", "tiny", ".trainit"]);
        let start = bench.start().installer(installer).without("PIP_NO_INDEX").without("PIP_FIND_LINKS");
        let start = start.with("PIP_RETRIES", "0").with("UV_HTTP_RETRIES", "0").with("PIP_NO_CACHE_DIR", "1");
        start.with("UV_NO_CACHE", "1").with("PIP_INDEX_URL", self.url(user))
    }

    /// The same, where the authority is known.
    fn trusted(&self, bench: &Bench, installer: &str, user: &str) -> Start {
        self.start_of(bench, installer, user).with("PIP_CERT", self.file("authority.pem"))
    }

    fn nothing_leaked(&self, report: &Report) {
        let text = report.text();
        assert!(!text.contains(SECRET) && !text.contains(WRONG), "{text}");
        assert!(!self.index.leaked(), "a password was on a command line");
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        let _ = self.front.kill();
        let _ = self.front.wait();
    }
}

/// Makes authority.pem, server.pem and client.pem, the latter two with their keys, and stranger.pem, which the authority did not sign.
fn certificates(directory: &Path) -> bool {
    let script = "
        new() { openssl req \"$@\" -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes; }
        new -x509 -days 2 -subj /CN=authority -keyout authority.key -out authority.pem
        new -x509 -days 2 -subj /CN=stranger -keyout stranger.key -out stranger.crt
        echo subjectAltName=IP:127.0.0.1,DNS:localhost >names
        for name in server client; do
            new -subj /CN=$name -keyout $name.key -out $name.csr
            openssl x509 -req -in $name.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 2 -extfile names -out $name.crt
        done
        for name in server client stranger; do cat $name.key $name.crt >$name.pem; done";
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", script]).current_dir(directory).stdout(Stdio::null()).stderr(Stdio::null());
    shell.status().is_ok_and(|status| status.success())
}

/// Writes a program.
fn program(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Puts a keyring on PATH that knows one password of `me`.
fn with_keyring(bench: &Bench, start: Start, password: &str) -> Start {
    // Newer pips ask for JSON, with the options first.
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in\n'get '*' me') echo '{password}' ;;\n\
         *json*' me') echo '{{\"username\": \"me\", \"password\": \"{password}\"}}' ;;\n*) exit 1 ;;\nesac\n"
    );
    program(&bench.path("tmp/keys/keyring"), &script);
    let path = format!("{}:{}", bench.path("tmp/keys").display(), start.environment["PATH"]);
    start.with("PATH", path)
}

#[test]
fn an_authority_of_ones_own_is_taken_from_every_usual_variable() {
    with_each_installer(|installer, bench| {
        let Some(index) = Private::start(bench, Manner::Fine, false) else { return };
        let report = fails(&index.start_of(bench, installer, ""), 116);
        assert!(report.error.contains("certificate of the index is not trusted"), "{installer}: {}", report.text());
        for variable in ["SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"] {
            let report = index.start_of(bench, installer, "").with(variable, index.file("authority.pem")).run();
            assert_eq!(report.outcome, "installed", "{installer} {variable}: {}", report.text());
            assert!(report.installer.starts_with(installer), "{variable}: {}", report.text());
        }
        let report = fails(&index.start_of(bench, installer, "").with("PIP_CERT", "/nowhere.pem"), 116);
        assert!(report.error.contains("PIP_CERT"), "{installer}: {}", report.text());
        let own = format!("mount --bind {} /etc/ssl/certs/ca-certificates.crt", index.file("authority.pem"));
        let image = index.start_of(bench, "uv", "").with("UV_NATIVE_TLS", "1").run_behind(&own);
        let installed = image.is_none_or(|report| report.outcome == "installed");
        assert!(installed, "the image's own authorities");
    });
}

#[test]
fn a_certificate_of_the_client_is_shown_and_a_missing_one_is_told() {
    with_each_installer(|installer, bench| {
        let Some(index) = Private::start(bench, Manner::Fine, true) else { return };
        for variable in ["PIP_CLIENT_CERT", "SSL_CLIENT_CERT"] {
            let report = index.trusted(bench, installer, "").with(variable, index.file("client.pem")).run();
            assert_eq!(report.outcome, "installed", "{installer} {variable}: {}", report.text());
        }
        let fails_with = |name: Option<&str>| {
            let mut start = index.trusted(bench, installer, "");
            start.retries = 3;
            fails(&name.into_iter().fold(start, |start, name| start.with("PIP_CLIENT_CERT", index.file(name))), 116)
        };
        for (name, says) in [
            (None, "wants a certificate of the client"),
            (Some("stranger.pem"), "does not take the certificate of the client"),
            (Some("client.crt"), "a file of certificates cannot be used"),
        ] {
            let report = fails_with(name);
            assert!(report.error.contains(says), "{installer} {name:?}: {}", report.text());
            assert!(report.error.contains("PIP_CLIENT_CERT"), "{installer} {name:?}: {}", report.text());
        }
        let report = fails_with(Some("gone.pem"));
        assert!(report.error.contains("PIP_CLIENT_CERT") && report.error.contains("gone.pem"), "{}", report.text());
    });
}

#[test]
fn a_keyring_is_asked_for_the_password() {
    with_each_installer(|installer, bench| {
        let Some(index) = Private::start(bench, WHO, false) else { return };
        for variable in ["PIP_KEYRING_PROVIDER", "UV_KEYRING_PROVIDER"] {
            let start = with_keyring(bench, index.trusted(bench, installer, "me@"), SECRET);
            let report = start.with(variable, "subprocess").run();
            assert_eq!(report.outcome, "installed", "{installer} {variable}: {}", report.text());
            assert!(report.installer.starts_with(installer), "{variable}: {}", report.text());
            index.nothing_leaked(&report);
        }
        // pip asks a keyring by itself, uv does not, with trainit as without.
        let report = with_keyring(bench, index.trusted(bench, installer, "me@"), SECRET).run();
        let expected = if installer == "pip" { ("installed", 0) } else { ("", 116) };
        assert_eq!((report.outcome.as_str(), report.code), expected, "{installer}: {}", report.text());
        let mut start = with_keyring(bench, index.trusted(bench, installer, "me@"), WRONG);
        start.retries = 3;
        let report = fails(&start.with("PIP_KEYRING_PROVIDER", "subprocess"), 116);
        assert!(report.error.contains("refuses the user"), "{installer}: {}", report.text());
        index.nothing_leaked(&report);
    });
}

#[test]
fn a_netrc_file_gives_the_password() {
    with_each_installer(|installer, bench| {
        let Some(index) = Private::start(bench, WHO, false) else { return };
        let (usual, other) = (bench.path("home/.netrc"), bench.path("tmp/other-netrc"));
        let line = |password: &str| format!("machine 127.0.0.1\nlogin me\npassword {password}\n");
        for (file, variable) in [(&usual, None), (&other, Some("NETRC"))] {
            std::fs::write(file, line(SECRET)).unwrap();
            let start = index.trusted(bench, installer, "");
            let start = variable.into_iter().fold(start, |start, name| start.with(name, file.display().to_string()));
            let report = start.run();
            assert_eq!(report.outcome, "installed", "{installer} {variable:?}: {}", report.text());
            index.nothing_leaked(&report);
        }
        std::fs::write(&usual, line(WRONG)).unwrap();
        let mut start = index.trusted(bench, installer, "");
        start.retries = 3;
        let report = fails(&start, 116);
        assert!(report.error.contains("refuses the user"), "{installer}: {}", report.text());
        index.nothing_leaked(&report);
    });
}
