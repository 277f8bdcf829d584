use super::*;

use protocol::exit_code::FailureFamily;
use std::path::PathBuf;
use sys::Root;
use sys::environment::Environment;

fn context() -> CheckContext {
    CheckContext {
        inherited_home: None,
        root: Root::at("/no/such/root"),
        settings: Default::default(),
        environment: Environment::default(),
        workdir: PathBuf::from("/"),
        code: PathBuf::from("/"),
        command: vec!["python".into(), "--token".into(), "abc".into()],
        mounts: Default::default(),
        user: None,
        host_facts: Default::default(),
    }
}

fn finding(status: Status) -> Finding {
    Finding {
        check: "data.empty".to_owned(),
        subject: Some("/data".to_owned()),
        status,
        what: "/data is empty".to_owned(),
        because: None,
        remedy: vec![crate::check::Remedy::Do("look".to_owned())],
        exit: Exit::Permanent(FailureFamily::Data),
        took: Duration::from_micros(1500),
        facts: crate::check::FindingFacts::new(),
    }
}

fn parsed(report: &Report) -> serde_json::Value {
    serde_json::from_str(&report.to_json()).unwrap()
}

#[test]
fn it_tells_the_verdict_and_every_finding() {
    let report =
        Report::new(&context(), Some("train"), &[finding(Status::Warn), finding(Status::Fail)], SystemTime::now());
    let json = parsed(&report.with_dependencies("2 requirements installed", Duration::from_millis(7)));
    assert_eq!(
        (json["schema"].as_u64(), json["verdict"].as_str(), json["exit"].as_u64()),
        (Some(1), Some("fail"), Some(111))
    );
    assert_eq!((json["findings"][0]["exit"].as_u64(), json["findings"][1]["exit"].as_u64()), (None, Some(111)));
    assert_eq!(json["findings"][0]["took_ms"].as_f64(), Some(1.5));
    assert_eq!(json["dependencies"]["took_ms"].as_u64(), Some(7));
    assert_eq!(json["place"].as_str(), Some("host"));
}

#[test]
fn it_holds_no_secret() {
    let text = Report::new(&context(), None, &[], SystemTime::now()).to_json();
    assert!(!text.contains("abc") && text.contains("***"), "{text}");
}

#[test]
fn another_end_than_the_checks_verdict_can_be_told() {
    let report = Report::new(&context(), None, &[], SystemTime::now()).with_exit(Exit::Transient(FailureFamily::Deps));
    let json = parsed(&report);
    assert_eq!((json["verdict"].as_str(), json["exit"].as_u64()), (Some("fail"), Some(216)));
}

#[test]
fn it_is_saved_whole_and_readable_by_others() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.json");
    Report::new(&context(), None, &[], SystemTime::now()).save(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}
