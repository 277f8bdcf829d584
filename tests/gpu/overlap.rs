//! The driver is asked while dependencies are installed, by two that wait for each other: an index that serves its package only when the
//! driver has been asked, and a driver that answers only when the package was served. One after the other they would wait for ever.

use super::fakes::fakes;
use super::starts::Machine;
use super::wheel::Wheel;
use super::{LONG, skip};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// What happened so far, one word a line.
#[derive(Clone)]
struct Log(PathBuf);

impl Log {
    fn has(&self, line: &str) -> bool {
        std::fs::read_to_string(&self.0).unwrap_or_default().lines().any(|one| one == line)
    }

    fn add(&self, line: &str) {
        let mut file = std::fs::File::options().create(true).append(true).open(&self.0).unwrap();
        file.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}

/// An index with one package, `tiny`.
fn serve(wheel: &Path, log: &Log) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (name, bytes) = (wheel.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(wheel).unwrap());
    let log = log.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (name, bytes, log) = (name.clone(), bytes.clone(), log.clone());
            std::thread::spawn(move || answer(stream, &name, &bytes, &log));
        }
    });
    port
}

/// Answers one question and hangs up.
fn answer(mut stream: TcpStream, name: &str, bytes: &[u8], log: &Log) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines().map_while(Result::ok);
    let question = lines.next().unwrap_or_default();
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    let page = format!("<a href=\"/{name}\">{name}</a>");
    let (kind, body) = match question.contains(".whl") {
        true => ("application/zip", bytes),
        false => ("text/html", page.as_bytes()),
    };
    let is_served = kind == "application/zip" && question.starts_with("GET");
    if is_served {
        log.add("installation begins");
        let deadline = Instant::now() + LONG;
        while !log.has("driver begins") && Instant::now() < deadline {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    if !question.starts_with("HEAD") {
        stream.write_all(body)?;
    }
    if is_served {
        log.add("package served");
    }
    Ok(())
}

fn on_path(name: &str) -> Option<PathBuf> {
    let output = Command::new("sh").args(["-c", "command -v \"$1\"", "sh", name]).output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!path.is_empty()).then(|| path.into())
}

#[test]
fn the_driver_is_asked_while_dependencies_are_installed_and_the_workload_waits_for_both() {
    let Some(fakes) = fakes() else { return };
    let Some(uv) = on_path("uv") else { return skip("uv is not installed") };
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    let made = Command::new(&uv).args(["venv", "-q", "--no-project"]).arg(at("venv")).output().unwrap();
    if !made.status.success() {
        return skip(&format!("uv finds no Python here: {}", String::from_utf8_lossy(&made.stderr).trim()));
    }
    std::fs::write(at("requirements.txt"), "tiny==1.0\n").unwrap();
    std::fs::create_dir(at("wheels")).unwrap();
    let log = Log(at("log"));
    let port = serve(&Wheel::new("tiny", "1.0").write(&at("wheels")), &log);
    let text = |path: PathBuf| path.display().to_string();
    let path = format!("{}:{}:/usr/bin:/bin", text(at("venv/bin")), text(uv.parent().unwrap().to_owned()));
    let (index, report) = (format!("http://127.0.0.1:{port}/simple"), text(at("report.json")));
    let own = [text(at("log")), text(at("venv")), text(at("requirements.txt")), text(at("home")), text(at("cache"))];
    let variables = [
        ("FAKE_AT", "cuInit"),
        ("FAKE_DO", "meet"),
        ("FAKE_MEET", own[0].as_str()),
        ("VIRTUAL_ENV", own[1].as_str()),
        ("TRAINIT_DEPS_REQUIREMENTS", own[2].as_str()),
        ("HOME", own[3].as_str()),
        ("UV_CACHE_DIR", own[4].as_str()),
        ("TRAINIT_DEPS_INSTALLER", "uv"),
        ("TRAINIT_DEPS_INDEX", index.as_str()),
        ("TRAINIT_REPORT_FILE", report.as_str()),
        ("NO_PROXY", "127.0.0.1"),
        ("PATH", path.as_str()),
    ];
    let script = "python -c 'import tiny' && echo 'workload starts' >>\"$FAKE_MEET\"";
    let Some(start) = Machine::new(fakes, &["exec", "--", "sh", "-c", script], &variables).start() else { return };
    assert_eq!(start.code, 0, "{}{}", start.out, start.err);
    let lines = std::fs::read_to_string(&log.0).unwrap();
    let when = |line: &str| lines.lines().position(|one| one == line).unwrap_or_else(|| panic!("no {line:?}: {lines}"));
    assert!(when("driver begins") < when("package served"), "{lines}");
    assert!(when("installation begins") < when("driver answers"), "{lines}");
    assert!(when("driver answers").max(when("package served")) < when("workload starts"), "{lines}");
    // Both have their own time, on the console and in the report.
    for family in ["  gpu   ", "  deps  "] {
        let has_time = |line: &&str| line.contains(family) && [" ms", " s"].iter().any(|unit| line.ends_with(unit));
        assert!(start.err.lines().any(|line| has_time(&line)), "{family}: {}", start.err);
    }
    let report: Value = serde_json::from_slice(&std::fs::read(at("report.json")).unwrap()).unwrap();
    let took = |value: &Value| value["took_ms"].as_f64().unwrap_or_default();
    let driver = report["findings"].as_array().unwrap().iter().find(|one| one["facts"]["driver_facts"].is_object());
    assert!(driver.is_some_and(|driver| took(driver) > 0.0), "{report:#}");
    assert!(took(&report["dependencies"]) > 0.0, "{report:#}");
}
