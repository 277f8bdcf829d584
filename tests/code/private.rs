//! Private repositories: a token over HTTP, a key over ssh; what is secret is seen nowhere.

use crate::bench::{Bench, Server, TOKEN, run};
use crate::support::{Launch, has, skip};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

const TRAIN: [&str; 3] = ["--", "python3", "train.py"];

/// A server over TLS with a certificate of its own, which wants the token.
fn guarded(bench: &Bench, options: &[&str]) -> (Server, String) {
    let tls = bench.certificate();
    let tls: Vec<&str> = tls.iter().map(String::as_str).collect();
    let server = bench.http(&[&tls[..], &["--token", TOKEN], options].concat());
    let url = format!("https://localhost:{}/train.git", server.port);
    (server, url)
}

/// Looks for the token in the command lines of all processes until it is told to stop.
fn token_in_a_command_line(stop: &AtomicBool) -> bool {
    let mut seen = false;
    while !stop.load(Ordering::Relaxed) {
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            // The server of the test has the token in its own.
            seen |= line.contains(TOKEN) && !line.contains("server.py");
        }
    }
    seen
}

/// Whether a file, or one below a directory, holds the token.
fn token_in_a_file(directory: &Path) -> bool {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let holds = |path: &Path| fs::read(path).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(TOKEN));
    holds(directory) || entries.map(|entry| entry.path()).any(|path| token_in_a_file(&path))
}

#[test]
fn case_22_the_token_opens_the_repository_and_is_seen_nowhere() {
    let Some(bench) = Bench::new().filter(|_| has("openssl")) else { return };
    let (server, url) = guarded(&bench, &[]);
    let token = bench.token_file(TOKEN);
    let report = bench.text("report.json");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| token_in_a_command_line(&stop));
        for (token, code) in [(&token, Some(0)), (&bench.token_file_of("wrong", &format!("{TOKEN}-old")), Some(112))] {
            let _ = fs::remove_dir_all(bench.code());
            let start = bench.start(&url, &TRAIN).env("TRAINIT_REPORT_FILE", &report);
            let start = start.env("TRAINIT_CODE_TOKEN_FILE", token).env("GIT_SSL_CAINFO", &bench.text("tls.pem"));
            let ended = start.env("TRAINIT_LOG_LEVEL", "debug").finish();
            assert_eq!(ended.code, code, "{}", ended.err);
            assert!(!ended.err.contains(TOKEN) && !ended.out.contains(TOKEN), "{}", ended.err);
            assert!(!token_in_a_file(&bench.code()) && !token_in_a_file(Path::new(&report)));
            assert!(!token_in_a_file(&bench.path("state")) && !token_in_a_file(&bench.path("home")));
        }
        stop.store(true, Ordering::Relaxed);
        assert!(!watch.join().unwrap(), "the token was in a command line");
    });
    assert!(server.count("token") > 0);
}

#[test]
fn case_28_the_words_of_the_server_say_that_the_token_expired() {
    let Some(bench) = Bench::new().filter(|_| has("openssl")) else { return };
    let (_server, url) = guarded(&bench, &["--words", "The token expired on 2026-01-02"]);
    let start = bench.start(&url, &TRAIN).env("GIT_SSL_CAINFO", &bench.text("tls.pem"));
    let refused = start.env("TRAINIT_CODE_TOKEN_FILE", &bench.token_file("0f-last-year")).finish();
    assert_eq!(refused.code, Some(112), "{}", refused.err);
    assert!(refused.err.contains("The token expired on 2026-01-02"), "{}", refused.err);
    assert!(refused.err.contains("the token of") && refused.err.contains("was used"), "{}", refused.err);
}

#[test]
fn a_token_of_the_environment_is_offered_and_told() {
    let Some(bench) = Bench::new().filter(|_| has("openssl")) else { return };
    let (_server, url) = guarded(&bench, &[]);
    let start = || bench.start(&url, &TRAIN).env("GIT_SSL_CAINFO", &bench.text("tls.pem"));
    let none = start().finish();
    assert_eq!(none.code, Some(112), "{}", none.err);
    assert!(none.err.contains("no token was given"), "{}", none.err);
    // A token of a forge is not for this server.
    let forge = start().env("GITHUB_TOKEN", TOKEN).finish();
    assert!(forge.err.contains("no token was given"), "{}", forge.err);
    let ended = start().env("GIT_TOKEN", TOKEN).finish();
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "one\n"), "{}", ended.err);
}

#[test]
fn a_certificate_that_is_not_trusted_is_told() {
    let Some(bench) = Bench::new().filter(|_| has("openssl")) else { return };
    let (server, url) = guarded(&bench, &[]);
    let refused = bench.start(&url, &TRAIN).env("TRAINIT_CODE_TOKEN_FILE", &bench.token_file(TOKEN)).finish();
    assert_eq!(refused.code, Some(112), "{}", refused.err);
    assert!(refused.err.contains("the certificate of the server is not trusted"), "{}", refused.err);
    assert_eq!(server.count("token"), 0);
}

#[test]
fn a_secret_in_the_url_is_refused_and_not_repeated() {
    let Some(bench) = Bench::new() else { return };
    for url in [format!("https://me:{TOKEN}@host/x.git"), format!("https://{TOKEN}@host/x.git@v1")] {
        let refused = bench.start(&url, &TRAIN).finish();
        assert_eq!(refused.code, Some(78), "{}", refused.err);
        assert!(!refused.err.contains(TOKEN) && refused.err.contains("code.token_file"), "{}", refused.err);
    }
}

/// A real sshd for each connection, which lets this user in with the key.
fn sshd(bench: &Bench) -> Option<(Server, String)> {
    let is_there = Path::new("/usr/sbin/sshd").exists() && has("ssh") && has("ssh-keygen");
    if !is_there || !nix::unistd::geteuid().is_root() {
        skip("there is no sshd here, or this is not root");
        return None;
    }
    for name in ["id", "host_key"] {
        run(&bench.path(""), "ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", name]);
    }
    let _ = fs::create_dir("/run/sshd");
    let config = format!(
        "HostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\n",
        bench.text("host_key"),
        bench.text("id.pub")
    );
    fs::write(bench.path("sshd_config"), config).unwrap();
    let server = bench.server(&["ssh", &bench.text("log"), &bench.text("sshd_config")]);
    let url = format!("ssh://root@127.0.0.1:{}{}", server.port, bench.text("served/train.git"));
    Some((server, url))
}

fn with_key(bench: &Bench, url: &str, key: &str) -> Launch {
    bench.start(url, &TRAIN).env("TRAINIT_CODE_SSH_KEY", key)
}

#[test]
fn case_23_a_key_as_kubernetes_mounts_it_opens_the_repository() {
    let Some(bench) = Bench::new() else { return };
    let Some((server, url)) = sshd(&bench) else { return };
    // A secret's file is a link, and its group may read it.
    fs::create_dir(bench.path("..data")).unwrap();
    fs::rename(bench.path("id"), bench.path("..data/id")).unwrap();
    fs::set_permissions(bench.path("..data/id"), fs::Permissions::from_mode(0o440)).unwrap();
    std::os::unix::fs::symlink("..data/id", bench.path("id")).unwrap();
    let host = fs::read_to_string(bench.path("host_key.pub")).unwrap();
    fs::write(bench.path("known hosts"), format!("[127.0.0.1]:{} {host}", server.port)).unwrap();
    let ended =
        with_key(&bench, &url, &bench.text("id")).env("TRAINIT_CODE_KNOWN_HOSTS", &bench.text("known hosts")).finish();
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "one\n"), "{}", ended.err);
    let left = fs::read_dir("/dev/shm")
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("trainit-ssh-"));
    assert_eq!(left.filter(|entry| entry.path().join("key").exists()).count(), 0, "the copy of the key is left");
}

#[test]
fn case_24_a_server_that_is_not_known_is_never_believed() {
    let Some(bench) = Bench::new() else { return };
    let Some((server, url)) = sshd(&bench) else { return };
    fs::write(bench.path("known"), "").unwrap();
    let start = || with_key(&bench, &url, &bench.text("id")).env("TRAINIT_CODE_KNOWN_HOSTS", &bench.text("known"));
    let unknown = start().finish();
    assert_eq!(unknown.code, Some(112), "{}", unknown.err);
    let advice = format!("ssh-keyscan -p {} 127.0.0.1", server.port);
    assert!(unknown.err.contains("the ssh server is not known") && unknown.err.contains(&advice), "{}", unknown.err);
    assert_eq!(fs::read_to_string(bench.path("known")).unwrap(), "");
    // The advice, typed as it is printed.
    let begin = unknown.err.find("ssh-keyscan").unwrap();
    let line = unknown.err[begin..].split(';').next().unwrap().replace("known_hosts", "known");
    run(&bench.path(""), "sh", &["-c", &line]);
    let known = start().finish();
    assert_eq!(known.code, Some(0), "{line}: {}", known.err);
    let other = fs::read_to_string(bench.path("id.pub")).unwrap();
    fs::write(bench.path("known"), format!("[127.0.0.1]:{} {other}", server.port)).unwrap();
    let changed = start().finish();
    assert_eq!(changed.code, Some(112), "{}", changed.err);
    assert!(changed.err.contains("another key than the known one"), "{}", changed.err);
}

#[test]
fn a_key_that_the_server_does_not_take_is_told() {
    let Some(bench) = Bench::new() else { return };
    let Some((server, url)) = sshd(&bench) else { return };
    let host = fs::read_to_string(bench.path("host_key.pub")).unwrap();
    fs::write(bench.path("known"), format!("[127.0.0.1]:{} {host}", server.port)).unwrap();
    run(&bench.path(""), "ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", "other"]);
    let refused =
        with_key(&bench, &url, &bench.text("other")).env("TRAINIT_CODE_KNOWN_HOSTS", &bench.text("known")).finish();
    assert_eq!(refused.code, Some(112), "{}", refused.err);
    assert!(refused.err.contains("the server refuses access") && refused.err.contains("deploy key"), "{}", refused.err);
}
