//! Exit codes: what the workload ends with is what the container ends with.

use crate::support::{Launch, Place, Role, ways};
use std::ffi::c_int;
use std::os::unix::fs::PermissionsExt;

fn no_core_dumps() -> std::io::Result<()> {
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, 0, 0).map_err(Into::into)
}

fn code(role: Role, place: Place, words: &[&str]) -> Option<i32> {
    let words: Vec<&str> = ["--"].iter().chain(words).copied().collect();
    Launch::of(role, place, &words).before_exec(no_core_dumps).finish().code
}

#[test]
fn every_exit_code_passes_through() {
    for (role, place) in ways() {
        let codes: Vec<c_int> = match role {
            Role::Init => (0..=255).collect(),
            Role::Run => vec![0, 1, 2, 64, 70, 78, 110, 118, 126, 127, 137, 143, 210, 255],
        };
        for expected in codes {
            assert_eq!(
                code(role, place, &["sh", "-c", &format!("exit {expected}")]),
                Some(expected),
                "{role:?} {place:?}"
            );
        }
    }
}

#[test]
fn every_death_by_signal_is_128_and_its_number() {
    let harmless = [libc::SIGCHLD, libc::SIGCONT, libc::SIGURG, libc::SIGWINCH];
    let stops = [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
    let deadly: Vec<c_int> = (1..=64).filter(|number| !harmless.contains(number) && !stops.contains(number)).collect();
    for (role, place) in ways() {
        let some: Vec<c_int> =
            deadly.iter().copied().filter(|n| role == Role::Init || [1, 9, 11, 15, 37, 64].contains(n)).collect();
        for number in some {
            let found = code(role, place, &["sh", "-c", &format!("kill -{number} $$")]);
            assert_eq!(found, Some(128 + number), "{role:?} {place:?}");
        }
    }
}

#[test]
fn what_cannot_be_started_is_named_and_has_the_shells_codes() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode: u32| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let cases = [
        ("no-such-program".to_owned(), 127),
        ("/no/such/program".to_owned(), 127),
        (file("not-executable", "#!/bin/sh\n", 0o644), 126),
        (file("no-interpreter", "#!/no/such/interpreter\n", 0o755), 127),
        (file("other-machine", "\x7fELF\0\0", 0o755), 126),
        (directory.path().to_str().unwrap().to_owned(), 126),
    ];
    for (role, place) in ways() {
        for (name, expected) in &cases {
            let finished = Launch::of(role, place, &["--", name]).finish();
            assert_eq!(finished.code, Some(*expected), "{role:?} {place:?} {name}: {}", finished.err);
            assert!(finished.err.contains(name.as_str()), "{role:?} {place:?} {name}: {}", finished.err);
        }
        let script = file("without-its-first-line", "exit 9\n", 0o755);
        assert_eq!(code(role, place, &[&script]), Some(9), "{role:?} {place:?}");
    }
}

#[test]
fn words_are_bytes_and_an_environment_is_passed_on_as_it_is() {
    use std::os::unix::ffi::OsStrExt;
    let odd = std::ffi::OsStr::from_bytes(b"not \xff utf-8");
    for (role, place) in ways() {
        let mut launch =
            Launch::of(role, place, &["--", "sh", "-c", "printf '%s|%s' \"$1\" \"$ODD\" | od -An -c", "sh"]);
        launch.command.arg(odd).env("ODD", odd);
        let finished = launch.finish();
        assert_eq!(finished.out.matches("377").count(), 2, "{role:?} {place:?} {}", finished.out);
    }
}
