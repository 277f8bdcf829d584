//! Which commit a name means, with servers of every age, and when the server is gone.

use crate::bench::{Bench, git};
use std::fs;

const TRAIN: [&str; 3] = ["--", "python3", "train.py"];

/// An address at which nobody listens: the port of a server that has ended.
fn gone(bench: &Bench, reference: &str) -> String {
    let port = bench.http(&[]).port;
    format!("http://127.0.0.1:{port}/train.git{reference}")
}

#[test]
fn case_25_a_commit_that_is_no_tip_comes_from_a_server_of_any_age() {
    let Some(bench) = Bench::new() else { return };
    let old = bench.publish("train.py", "print('old')\n");
    bench.publish("train.py", "print('new')\n");
    for options in [&[][..], &["--old"]] {
        let server = bench.http(options);
        let url = format!("http://127.0.0.1:{}/train.git@{old}", server.port);
        let ended = bench.start(&url, &TRAIN).finish();
        assert_eq!((ended.code, ended.out.as_str(), bench.head()), (Some(0), "old\n", old.clone()), "{}", ended.err);
        fs::remove_dir_all(bench.code()).unwrap();
    }
}

#[test]
fn case_26_a_commit_that_was_not_pushed_is_told_so() {
    let Some(bench) = Bench::new() else { return };
    let unpushed = bench.commit("train.py", "print('unpushed')\n");
    for options in [&[][..], &["--old"]] {
        let server = bench.http(options);
        let url = format!("http://127.0.0.1:{}/train.git@{unpushed}", server.port);
        let refused = bench.start(&url, &TRAIN).finish();
        assert_eq!((refused.code, refused.out.as_str()), (Some(112), ""), "{}", refused.err);
        let words = format!("the repository does not have the commit {unpushed}: was it pushed?");
        assert!(refused.err.contains(&words), "{}", refused.err);
        assert!(!bench.code().join("train.py").exists());
    }
}

#[test]
fn a_name_that_does_not_exist_is_told() {
    let Some(bench) = Bench::new() else { return };
    let refused = bench.start_here("@nosuch", &TRAIN).finish();
    assert_eq!(refused.code, Some(112));
    assert!(refused.err.contains("no branch and no tag nosuch"), "{}", refused.err);
}

#[test]
fn a_commit_at_hand_needs_no_server_and_a_branch_does() {
    let Some(bench) = Bench::new() else { return };
    let commit = bench.push();
    let address = |reference: &str| gone(&bench, reference);
    let refused = bench.start(&address("@main"), &TRAIN).finish();
    assert_eq!(refused.code, Some(212), "{}", refused.err);
    // The same repository, first by a server that answers.
    let server = bench.http(&[]);
    let url = format!("http://127.0.0.1:{}/train.git", server.port);
    for reference in ["@main", "@v1", &format!("@{commit}")] {
        assert_eq!(bench.start(&format!("{url}{reference}"), &TRAIN).finish().code, Some(0));
    }
    assert_eq!(bench.start(&format!("{url}@main"), &TRAIN).finish().code, Some(0));
    drop(server);
    let branch = bench.start(&format!("{url}@main"), &TRAIN).finish();
    assert_eq!(branch.code, Some(212), "{}", branch.err);
    assert!(branch.err.contains("cannot be asked, so"), "{}", branch.err);
    let built = bench.start(&format!("{url}@main"), &["--mode", "shell", "--", "true"]).finish();
    assert_eq!(built.code, Some(0), "{}", built.err);
    assert!(built.err.contains("ago it was main"), "{}", built.err);
    let pinned = bench.start(&format!("{url}@{commit}"), &TRAIN).finish();
    assert_eq!((pinned.code, pinned.out.as_str()), (Some(0), "one\n"), "{}", pinned.err);
}

#[test]
fn a_tag_at_hand_goes_on_with_a_warning() {
    let Some(bench) = Bench::new() else { return };
    let server = bench.http(&[]);
    let url = format!("http://127.0.0.1:{}/train.git@v1", server.port);
    assert_eq!(bench.start(&url, &TRAIN).finish().code, Some(0));
    drop(server);
    let ended = bench.start(&url, &TRAIN).finish();
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "one\n"), "{}", ended.err);
    assert!(ended.err.contains("cannot be asked, so"), "{}", ended.err);
}

#[test]
fn the_commit_of_the_environment_is_taken_in_place_of_the_branch() {
    let Some(bench) = Bench::new() else { return };
    let old = bench.push();
    bench.publish("train.py", "print('new')\n");
    let pinned = bench.start_here("@main", &TRAIN).env("TRAINIT_CODE_COMMIT", &old).finish();
    assert_eq!((pinned.out.as_str(), bench.head()), ("one\n", old.clone()), "{}", pinned.err);
    let short = bench.start_here("@main", &TRAIN).env("TRAINIT_CODE_COMMIT", &old[..7]).finish();
    assert_eq!(short.code, Some(78), "{}", short.err);
    assert!(short.err.contains("is not a whole commit"), "{}", short.err);
}

#[test]
fn submodules_come_only_when_asked_for() {
    let Some(bench) = Bench::new() else { return };
    git(&bench.path(""), "init -q -b main part");
    fs::write(bench.path("part/part.py"), "NAME = 'part'\n").unwrap();
    git(&bench.path("part"), "add -A");
    git(&bench.path("part"), "commit -q -m x");
    git(&bench.path(""), "clone -q --bare part served/part.git");
    git(&bench.path("train"), &format!("submodule --quiet add {} part", bench.path("served/part.git").display()));
    git(&bench.path("train"), "config -f .gitmodules submodule.part.url ../part.git");
    bench.publish("train.py", "import part.part; print(part.part.NAME)\n");
    let server = bench.http(&[]);
    let url = format!("http://127.0.0.1:{}/train.git", server.port);
    assert_eq!(bench.start(&url, &["--", "ls", "part"]).finish().out, "");
    let newer = bench.publish("other", "x");
    let ended = bench.start(&url, &TRAIN).env("TRAINIT_CODE_SUBMODULES", "on").finish();
    assert_eq!((ended.out.as_str(), bench.head()), ("part\n", newer), "{}", ended.err);
    let again = bench.start(&url, &TRAIN).env("TRAINIT_CODE_SUBMODULES", "on").finish();
    assert!(again.out == "part\n" && again.err.contains("unchanged"), "{}", again.err);
}
