//! Git LFS: contents are fetched, and pointers never pass for them.

use crate::bench::{Bench, TOKEN, git, run};
use crate::support::has;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

const CONTENT: &str = "the weights\n";
const SHOW: [&str; 3] = ["--", "cat", "w.pt"];

/// Publishes `w.pt` as a pointer, and its content on the server.
fn publish(bench: &Bench) {
    fs::write(bench.path("content"), CONTENT).unwrap();
    let sum = run(&bench.path(""), "sha256sum", &["content"]);
    let oid = sum.split(' ').next().unwrap();
    fs::create_dir_all(bench.path("served/lfs")).unwrap();
    fs::rename(bench.path("content"), bench.path("served/lfs").join(oid)).unwrap();
    bench.commit(".gitattributes", "*.pt filter=lfs diff=lfs merge=lfs -text\n");
    fs::write(
        bench.path("train/w.pt"),
        format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {}\n", CONTENT.len()),
    )
    .unwrap();
    git(&bench.path("train"), "-c filter.lfs.required=false -c filter.lfs.clean=cat add -A");
    git(&bench.path("train"), "commit -q -m x");
    bench.push();
}

/// A PATH with git, and without git-lfs.
fn path_without_lfs(bench: &Bench) -> String {
    fs::create_dir(bench.path("bin")).unwrap();
    for program in ["git", "cat", "sh"] {
        let found = run(Path::new("/"), "sh", &["-c", &format!("command -v {program}")]);
        symlink(found, bench.path("bin").join(program)).unwrap();
    }
    bench.text("bin")
}

#[test]
fn case_27_pointers_without_git_lfs_are_a_failure_and_no_data() {
    let Some(bench) = Bench::new() else { return };
    publish(&bench);
    let path = path_without_lfs(&bench);
    if Path::new("/usr/lib/git-core/git-lfs").exists() {
        return;
    }
    let refused = bench.start_here("", &SHOW).env("PATH", &path).finish();
    assert_eq!((refused.code, refused.out.as_str()), (Some(112), ""), "{}", refused.err);
    assert!(
        refused.err.contains("1 of its files is only a pointer of Git LFS, not the content: w.pt"),
        "{}",
        refused.err
    );
    assert!(refused.err.contains("install git-lfs"), "{}", refused.err);
    let accepted = bench.start_here("", &SHOW).env("PATH", &path).env("TRAINIT_CODE_LFS", "off").finish();
    assert!(accepted.code == Some(0) && accepted.out.starts_with("version https"), "{}", accepted.err);
}

#[test]
fn the_contents_come_with_the_token() {
    let Some(bench) = Bench::new().filter(|_| has("git-lfs") && has("openssl")) else { return };
    publish(&bench);
    let tls = bench.certificate();
    let server = bench.http(&[&tls[0], &tls[1], &tls[2], "--token", TOKEN]);
    let url = format!("https://localhost:{}/train.git", server.port);
    let token = bench.token_file(TOKEN);
    let start = || {
        let start = bench.start(&url, &SHOW).env("TRAINIT_CODE_TOKEN_FILE", &token);
        start.env("GIT_SSL_CAINFO", &bench.text("tls.pem"))
    };
    let ended = start().finish();
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), CONTENT), "{}\n{}", ended.err, server.log());
    let again = start().finish();
    assert!(again.out == CONTENT && again.err.contains("unchanged"), "{}", again.err);
}

#[test]
fn contents_that_the_server_does_not_have_are_a_failure() {
    let Some(bench) = Bench::new().filter(|_| has("git-lfs")) else { return };
    publish(&bench);
    fs::remove_dir_all(bench.path("served/lfs")).unwrap();
    let server = bench.http(&[]);
    let refused = bench.start(&format!("http://127.0.0.1:{}/train.git", server.port), &SHOW).finish();
    assert_eq!((refused.code, refused.out.as_str()), (Some(112), ""), "{}", refused.err);
    assert!(refused.err.contains("w.pt"), "{}", refused.err);
}
