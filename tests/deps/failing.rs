//! What is said, and with which code, when requirements cannot be installed.

use crate::bench::{Bench, Report, Start};
use crate::possible;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// A secret that must never be shown.
const SECRET: &str = "s3cr3t-t0k3n-value";

fn with_index(bench: &Bench, installer: &str, port: u16) -> Start {
    let start = bench.start().installer(installer).without("PIP_NO_INDEX").without("PIP_FIND_LINKS");
    let url = format!("http://me:{SECRET}@127.0.0.1:{port}/simple");
    start.with("PIP_INDEX_URL", url).with("PIP_RETRIES", "0").with("PIP_DEFAULT_TIMEOUT", "60")
}

/// The same with pip and with uv, each in an environment of its own.
pub fn with_each_installer(test: impl Fn(&str, &Bench)) {
    if possible(true) {
        ["pip", "uv"].into_iter().for_each(|installer| test(installer, &Bench::with_venv()));
    }
}

pub fn fails(start: &Start, code: u8) -> Report {
    let report = start.run();
    assert_eq!(report.code, code, "{}", report.text());
    assert!(!report.text().contains(SECRET), "{}", report.text());
    assert!(report.error.contains("→ "), "nothing says what to do: {}", report.text());
    report
}

/// A secret where no installer would look for one.
fn secret_path(port: u16) -> String {
    format!("tiny @ http://127.0.0.1:{port}/${{MY_TOKEN}}/tiny-1.0-py3-none-any.whl\n")
}

/// The SHA-256 of a file, in hexadecimal digits.
fn hash(file: &std::path::Path) -> String {
    let output = std::process::Command::new("sha256sum").arg(file).output().unwrap();
    String::from_utf8_lossy(&output.stdout).split(' ').next().unwrap().to_owned()
}

/// A port on which nobody listens.
pub fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_package_that_does_not_exist_is_named() {
    with_each_installer(|installer, bench| {
        bench.code("requirements.txt", "no-such-package-here==1.0\n");
        let report = fails(&bench.start().installer(installer), 116);
        assert!(report.error.contains("no-such-package-here"), "{}", report.error);
        assert!(report.error.contains("→"), "{}", report.error);
        bench.code("requirements.txt", "tiny==9.9\n");
        let report = fails(&bench.start().installer(installer), 116);
        assert!(report.error.contains("a version does not exist"), "{}", report.error);
    });
}

#[test]
fn requirements_that_contradict_each_other_are_told_as_such() {
    with_each_installer(|installer, bench| {
        crate::wheel::Wheel::new("picky", "1.0").requires("tiny<2").write(&bench.path("wheels"));
        bench.code("requirements.txt", "picky\ntiny==2.0\n");
        let report = fails(&bench.start().installer(installer), 116);
        assert!(report.error.contains("contradict"), "{}", report.error);
    });
}

#[test]
fn what_conda_or_apt_installed_cannot_be_replaced_but_installed_over() {
    if !possible(false) {
        return;
    }
    let bench = Bench::with_venv();
    bench.code("requirements.txt", "tiny==1.0\n");
    let start = bench.start().installer("pip");
    assert_eq!(start.run().outcome, "installed");
    std::fs::remove_dir_all(bench.site().join(".trainit")).unwrap();
    std::fs::remove_file(bench.site().join("tiny-1.0.dist-info/RECORD")).unwrap();
    bench.code("requirements.txt", "tiny==2.0\n");
    let report = fails(&start, 116);
    assert!(report.error.contains("what another tool installed") && report.error.contains("tiny"), "{}", report.error);
    assert!(report.error.contains("TRAINIT_DEPS_TARGET=layer"), "{}", report.error);
    let report = start.set("deps.target", "layer").run();
    assert_eq!(report.outcome, "installed", "{}", report.text());
    assert_eq!(bench.say(&bench.python(), &["-c", "import tiny; print(tiny.VERSION)"], &report), "2.0");
}

#[test]
fn a_failure_is_only_told_where_that_is_wanted() {
    use crate::support::{Launch, Place, Role};
    if !possible(false) {
        return;
    }
    let bench = Bench::with_venv();
    bench.code("requirements.txt", "no-such-package-here==1.0\n");
    for (on_error, code, out) in [("fail", 116, ""), ("warn", 0, "it ran\n")] {
        let mut launch = Launch::of(Role::Run, Place::Aside, &["--", "python", "-c", "print('it ran')"]);
        launch.command.current_dir(bench.path("code")).env_clear().envs(&bench.start().environment);
        let finished = launch.env("TRAINIT_DEPS_INSTALLER", "pip").env("TRAINIT_DEPS_ON_ERROR", on_error).finish();
        assert_eq!((finished.code, finished.out.as_str()), (Some(code), out), "{}", finished.err);
        assert!(finished.err.contains("does not exist under this name"), "{}", finished.err);
    }
}

#[test]
fn a_line_that_is_no_requirement_is_told_as_such() {
    with_each_installer(|installer, bench| {
        bench.code("requirements.txt", "tiny==1.0\n<<<<<<< HEAD\n");
        let report = fails(&bench.start().installer(installer), 116);
        assert!(report.error.contains("cannot be understood"), "{}", report.error);
    });
}

#[test]
fn an_index_that_is_down_may_be_up_later() {
    with_each_installer(|installer, bench| {
        bench.code("requirements.txt", "tiny\n");
        let report = fails(&with_index(bench, installer, closed_port()), 216);
        assert!(report.error.contains("cannot be reached"), "{}", report.error);
        assert!(!bench.site().join("tiny").exists());
    });
}

#[test]
fn what_may_pass_is_tried_again() {
    if !possible(true) {
        return;
    }
    let bench = Bench::with_venv();
    bench.code("requirements.txt", "tiny\n");
    let mut start = with_index(&bench, "uv", closed_port());
    start.retries = 1;
    let report = fails(&start, 216);
    assert!(report.text().contains("try 2 of 2"), "{}", report.text());
    assert!(report.error.contains("2 times"), "{}", report.error);
}

#[test]
fn an_index_that_refuses_the_user_is_not_tried_again() {
    if !possible(true) {
        return;
    }
    for installer in ["pip", "uv"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            answer_all(&listener, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        });
        let bench = Bench::with_venv();
        bench.code("requirements.txt", "tiny\n");
        let mut start = with_index(&bench, installer, port);
        start.retries = 3;
        let report = fails(&start, 116);
        assert!(report.error.contains("refuses the user"), "{}", report.error);
    }
}

fn answer_all(listener: &TcpListener, answer: &str) {
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(answer.as_bytes());
    }
}

#[test]
fn an_index_that_never_answers_ends_at_the_deadline() {
    if !possible(true) {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    for installer in ["pip", "uv"] {
        let bench = Bench::with_venv();
        bench.code("requirements.txt", "tiny\n");
        let mut start = with_index(&bench, installer, listener.local_addr().unwrap().port());
        start.timeout = Some(4.0);
        let began = Instant::now();
        let report = fails(&start, 216);
        assert!(report.error.contains("deps.timeout"), "{}", report.error);
        assert!(began.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn a_stop_ends_the_installer_with_the_start() {
    if !possible(true) {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    for installer in ["pip", "uv"] {
        let bench = Bench::with_venv();
        bench.code("requirements.txt", "tiny\n");
        let mut start = with_index(&bench, installer, listener.local_addr().unwrap().port()).spawn();
        // The installer asks the index now; it will wait for an answer for ever.
        let (question, _) = listener.accept().unwrap();
        let _ =
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(start.id() as i32), nix::sys::signal::Signal::SIGTERM);
        start.wait().unwrap();
        // Its end of the connection closes when it dies.
        question.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let reads = std::iter::from_fn(|| Some((&question).read(&mut [0; 4096])));
        let end = reads.into_iter().find(|read| !matches!(read, Ok(1..)));
        let waited = end.is_some_and(|read| read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock));
        assert!(!waited, "{installer} lives on");
    }
}

/// A stop of trainit itself while so many files of a package are there; the next start goes on from there.
fn stopped_at(at: usize, installer: &str, bench: &Bench) {
    use crate::support::{Launch, Place, Role, look};
    let start = bench.start().installer(installer);
    let mut launch = Launch::of(Role::Run, Place::Aside, &["--", "python", "-c", "print('it ran')"]);
    launch.command.current_dir(bench.path("code")).env_clear().envs(&start.environment);
    let launch = launch
        .env("TRAINIT_DEPS_INSTALLER", installer)
        .env("TRAINIT_DEPS_TARGET", "system")
        .env("TRAINIT_CHECKS", "{}");
    let running = launch.spawn();
    let written = || std::fs::read_dir(bench.site().join("large")).map_or(0, Iterator::count);
    let begun = bench.site().join(".trainit/installing");
    look::until_true("files of the package", || begun.exists() && written() >= at);
    running.signal(libc::SIGTERM);
    let finished = running.finish();
    assert!(finished.code == Some(143) && !finished.out.contains("it ran"), "{at}: {}", finished.err);
    let python = bench.python().display().to_string();
    look::until_true("the end of all that it began", || look::with_word(&python).is_empty());
    let again = start.run();
    // A fast installer may have finished before the signal came.
    let told = again.outcome == "installed" || at > 1 && again.outcome == "satisfied";
    assert!(told, "{at}: {}", again.text());
    assert_eq!(start.run().outcome, "unchanged");
    let modules = std::fs::read_dir(bench.site().join("large")).unwrap().flatten();
    let modules = modules.filter(|entry| entry.path().extension().is_some_and(|end| end == "py")).count();
    assert_eq!(modules, 801, "stopped after {at} files");
    bench.take_away(&["large", ".trainit"]);
}

#[test]
fn a_stop_in_the_middle_of_an_installation_leaves_nobody_and_is_mended() {
    with_each_installer(|installer, bench| {
        let many = (0..800)
            .fold(crate::wheel::Wheel::new("large", "1.0"), |w, n| w.file(&format!("large/m{n}.py"), b"X = 1\n"));
        many.write(&bench.path("wheels"));
        bench.code("requirements.txt", "large\n");
        [0, 1, 400].iter().for_each(|at| stopped_at(*at, installer, bench));
    });
}

#[test]
fn on_a_terminal_the_installers_own_words_are_shown_without_secrets() {
    with_each_installer(|installer, bench| {
        // Installers mask passwords of URLs themselves, but nothing else.
        let port = closed_port();
        bench.code("requirements.txt", secret_path(port));
        let start = with_index(bench, installer, port).with("MY_TOKEN", SECRET).with("TERM", "xterm");
        let (person, screen) = crate::support::pty::open();
        start.command(&[]).stderr(screen).status().unwrap();
        person.shows("/***/tiny");
        assert!(!person.screen().contains(SECRET), "{}", person.screen());
    });
}

#[test]
fn on_a_terminal_a_silent_installer_is_counted_on() {
    if !possible(false) {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let bench = Bench::with_venv();
    bench.code("requirements.txt", "tiny\n");
    let start = with_index(&bench, "pip", listener.local_addr().unwrap().port()).with("TERM", "xterm");
    let (person, screen) = crate::support::pty::open();
    let mut child = start.command(&[]).stderr(screen).spawn().unwrap();
    person.shows("resolving, 0:0");
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id() as i32), nix::sys::signal::Signal::SIGTERM);
    child.wait().unwrap();
}

#[test]
fn secrets_that_installers_do_not_know_are_masked_in_what_they_say() {
    with_each_installer(|installer, bench| {
        let port = closed_port();
        bench.code("requirements.txt", secret_path(port));
        let report = fails(&with_index(bench, installer, port).with("MY_TOKEN", SECRET), 216);
        assert!(report.text().contains("/***/tiny"), "{}", report.text());
    });
}

#[test]
fn a_setting_that_uv_does_not_know_makes_pip_install_and_a_line_says_so() {
    if !possible(true) {
        return;
    }
    let bench = Bench::with_venv();
    bench.code("requirements.txt", "tiny\n");
    let report = bench.start().with_uv().with("PIP_UPGRADE_STRATEGY", "eager").run();
    assert!(report.installer.starts_with("pip "), "{}", report.text());
    assert!(report.text().contains("PIP_UPGRADE_STRATEGY"), "{}", report.text());
}

#[test]
fn a_setting_that_asks_for_a_virtual_environment_is_named_and_an_overlay_is_one() {
    if !possible(true) || !crate::places::is_root() {
        return;
    }
    let bench = Bench::with_venv();
    bench.code("requirements.txt", "tiny\n");
    let file = bench.path("home/.config/pip/pip.conf");
    let base = crate::bench::base().unwrap().display().to_string();
    let start = || bench.start().with_uv().starting(&[&base, "train.py"]);
    let by_file = || {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "[global]\nrequire-virtualenv = yes\n").unwrap();
        start()
    };
    for (start, named) in [
        (start().with("PIP_REQUIRE_VIRTUALENV", "1"), "PIP_REQUIRE_VIRTUALENV".to_owned()),
        (by_file(), file.display().to_string()),
    ] {
        let report = fails(&start, 116);
        assert!(report.error.contains(&format!("set by {named}")), "{}", report.error);
        assert!(report.error.contains("PIP_REQUIRE_VIRTUALENV=0"), "{}", report.error);
        let report = start.set("deps.target", "layer").run();
        assert_eq!(report.outcome, "installed", "{}", report.text());
        std::fs::remove_dir_all(bench.path("home/.cache")).unwrap();
    }
    // A virtual environment is what it asks for, to uv as well.
    let report = bench.start().with_uv().run();
    assert_eq!((report.outcome.as_str(), &report.installer[..3]), ("installed", "uv "), "{}", report.text());
}

#[test]
fn a_constraint_of_the_image_holds_with_uv_too() {
    if !possible(true) {
        return;
    }
    let bench = Bench::with_venv();
    bench.code("requirements.txt", "tiny\n");
    let pins = bench.path("constraint.txt");
    std::fs::write(&pins, "tiny==1.0\n").unwrap();
    let start = bench.start().installer("uv").with("PIP_CONSTRAINT", pins.display().to_string());
    assert_eq!(start.run().outcome, "installed");
    assert!(bench.site().join("tiny-1.0.dist-info").exists());
    std::fs::write(&pins, "tiny==2.0\n").unwrap();
    assert_eq!(start.run().outcome, "installed");
    assert!(bench.site().join("tiny-2.0.dist-info").exists());
}

#[test]
fn a_line_that_no_installer_understands_is_named_before_one_is_started() {
    with_each_installer(|installer, bench| {
        for (line, meant) in [
            ("tiny=1.0", "write tiny==1.0"),
            ("<<<<<<< HEAD", "keep one of the two sides"),
            ("tiny 1.0", "write tiny==1.0"),
        ] {
            bench.code("requirements.txt", format!("needy\n\n{line}\n"));
            let report = fails(&bench.start().installer(installer), 116);
            assert!(report.error.contains("requirements.txt:3 cannot be understood"), "{}", report.error);
            assert!(report.error.contains(meant) && report.lines.is_empty(), "{}", report.text());
        }
    });
}

#[test]
fn the_cause_of_a_missing_wheel_or_file_is_told_with_both_installers() {
    with_each_installer(|installer, bench| {
        crate::wheel::Wheel::new("elsewhere", "1.0")
            .tag("cp39-cp39-manylinux_2_17_x86_64")
            .write(&bench.path("wheels"));
        bench.code("requirements.txt", "elsewhere\n");
        let report = fails(&bench.start().installer(installer), 116);
        assert!(
            report.error.contains("no wheel fits this Python") && report.error.contains("cp39"),
            "{}",
            report.error
        );
        bench.code("requirements.txt", "tiny @ file:///croot/tiny_1690978916802/work\n");
        let report = fails(&bench.start().installer(installer), 116);
        assert!(report.error.contains("pip list --format=freeze"), "{}", report.error);
        bench.code("requirements.txt", "tiny\n");
        let variable = if installer == "pip" { "PIP_CONSTRAINT" } else { "UV_CONSTRAINT" };
        let report = fails(&bench.start().installer(installer).with(variable, "/nowhere/pins.txt"), 116);
        assert!(report.error.contains(&format!("{variable} names it")), "{}", report.error);
    });
}

#[test]
fn with_one_hash_every_requirement_needs_one_with_both_installers() {
    with_each_installer(|installer, bench| {
        let hash = hash(&bench.path("wheels").join("tiny-1.0-py3-none-any.whl"));
        bench.code("requirements.txt", format!("tiny==1.0 --hash=sha256:{hash}\nneedy\n"));
        let report = fails(&bench.start().installer(installer), 116);
        assert!(report.error.contains("hashes are missing"), "{}", report.error);
        bench.code("requirements.txt", format!("tiny==1.0 --hash=sha256:{hash}\n"));
        assert_eq!(bench.start().installer(installer).run().outcome, "installed");
    });
}

#[test]
fn two_packages_with_one_module_are_told() {
    with_each_installer(|installer, bench| {
        for (name, text) in [("vision", "owner = 1\n"), ("vision_headless", "owner = 2\n")] {
            crate::wheel::Wheel::new(name, "1.0")
                .file("seen/__init__.py", text.as_bytes())
                .write(&bench.path("wheels"));
        }
        bench.code("requirements.txt", "vision\nvision_headless\n");
        let report = bench.start().installer(installer).run();
        assert!(report.outcome == "installed", "{}", report.text());
        assert!(report.text().contains("both install seen"), "{}", report.text());
    });
}

#[test]
fn requirements_in_other_places_are_told_and_not_installed() {
    with_each_installer(|installer, bench| {
        bench.code("src/requirements.txt", "tiny\n");
        bench.code("src/train.py", "");
        let start = bench.start().installer(installer).starting(&["python3", "src/train.py"]);
        let report = start.run();
        assert!(
            report.outcome == "nothing" && report.text().contains("src/requirements.txt is left alone"),
            "{}",
            report.text()
        );
    });
}
