use super::*;
use crate::check::{Change, FindingFacts, Remedy};
use protocol::exit_code::{Exit, FailureFamily};

fn console(format: LogFormat, level: LogLevel) -> Console {
    Console { format, level, ..Console::in_memory(None) }
}

fn told(console: &Console) -> String {
    console.written()
}

fn finding(check: &str, status: Status, what: &str) -> Finding {
    Finding {
        check: check.to_owned(),
        subject: None,
        status,
        what: what.to_owned(),
        because: None,
        remedy: Vec::new(),
        exit: Exit::Permanent(FailureFamily::Data),
        took: Duration::from_millis(41),
        facts: FindingFacts::new(),
    }
}

fn all(console: &mut Console) {
    console.banner("train", &["python".into(), "train.py".into(), "--api-key=abc".into()]);
    console.finding(&finding("gpu.count", Status::Ok, "2 × NVIDIA H200, driver 580.159"));
    console.finding(&Finding {
        because: Some("checkpoints are lost with the container".to_owned()),
        remedy: vec![Remedy::Start(Change::Mount { target: "/out".to_owned(), read_only: false })],
        took: Duration::ZERO,
        ..finding("output.mounted", Status::Warn, "/out is a directory of the image, not a mount")
    });
    console.row(Status::Ok, "deps", "62 requirements already satisfied", Duration::from_millis(4));
    console.error(
        &Error::new(crate::error::ErrorKind::NotFound, "cannot run pyhton")
            .because("No such file")
            .hint("it is not on PATH"),
    );
    console.start(&["python".into(), "train.py".into()], || "1000:1000".to_owned(), Duration::from_millis(60));
}

#[test]
fn the_lines_are_those_of_the_design() {
    let mut console = console(LogFormat::Text, LogLevel::Info);
    all(&mut console);
    insta::assert_snapshot!(told(&console).replace(env!("CARGO_PKG_VERSION"), "VERSION"));
}

#[test]
fn several_failures_in_one_are_a_row_each() {
    let mut console = console(LogFormat::Text, LogLevel::Info);
    let parts = vec![Error::config("a: unknown variable").hint("did you mean b?"), Error::config("f:2: not a size")];
    console.error(&Error::config("2 mistakes").parts(parts));
    let expected =
        "  fail  config  a: unknown variable\n                → did you mean b?\n  fail  config  f:2: not a size\n";
    assert_eq!(told(&console), expected);
}

#[test]
fn the_level_leaves_out_what_is_less() {
    let mut console = console(LogFormat::Text, LogLevel::Error);
    all(&mut console);
    assert!(told(&console).starts_with("  fail") && !told(&console).contains("warn"));
}

#[test]
fn json_is_one_object_a_line_without_secrets() {
    let mut console = console(LogFormat::Json, LogLevel::Info);
    all(&mut console);
    let lines: Vec<Value> = told(&console).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events: Vec<&str> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["banner", "finding", "finding", "row", "fail", "start"]);
    assert_eq!(lines[2]["finding"]["remedy"][0], "docker run -v /path/on/host:/out …");
    assert_eq!((&lines[4]["exit"], &lines[4]["level"]), (&json!(127), &json!("error")));
    assert!(!told(&console).contains("abc"));
}

#[test]
fn odd_words_break_no_line() {
    let mut console = console(LogFormat::Text, LogLevel::Info);
    console.line("a\nb https://u:p@h/");
    console.banner("x\n", &["\n\x1b[2J".into()]);
    console.finding(&finding("a.b\nc", Status::Ok, "x\ny"));
    assert_eq!(told(&console).lines().count(), 3, "{}", told(&console));
    assert!(!told(&console).contains('\x1b') && told(&console).contains("https://***@h/"));
}
