//! Golden texts of every form, and the syntax that each reader requires.

use super::*;
use crate::check::FindingFacts;
use protocol::exit_code::{Exit, FailureFamily};
use std::time::Duration;

fn finding(check: &str, status: Status, changes: &[Change]) -> Finding {
    Finding {
        check: check.to_owned(),
        subject: None,
        status,
        what: String::new(),
        because: None,
        remedy: changes.iter().cloned().map(Remedy::Start).collect(),
        exit: Exit::Permanent(FailureFamily::Data),
        took: Duration::ZERO,
        facts: FindingFacts::new(),
    }
}

fn mount(target: &str, read_only: bool) -> Change {
    Change::Mount { target: target.to_owned(), read_only }
}

fn bind(source: &str, target: &str, read_only: bool) -> StartPart {
    StartPart::Bind { source: source.into(), target: target.into(), read_only }
}

/// Makes a start with most options and several failures.
fn correction() -> Correction {
    let env = |name: &str, value: Option<&str>| StartPart::Env { name: name.into(), value: value.map(str::to_owned) };
    let parts = vec![
        StartPart::Terminal,
        StartPart::User { uid: 1000, gid: 100 },
        StartPart::Workdir("/my code".into()),
        StartPart::ReadOnlyRoot,
        StartPart::CapAdd("SYS_PTRACE".into()),
        StartPart::NoNewPrivileges,
        StartPart::Ulimit { name: "memlock".into(), limit: None },
        bind("/home/me/code", "/my code", false),
        bind("cache", "/cache", false),
        bind("/srv/sets", "/sets", false),
        StartPart::Tmpfs { target: "/scratch".into(), bytes: Some(1 << 30) },
        env("TRAINIT_DATA", Some("/data /sets:ro")),
        env("HF_TOKEN", None),
    ];
    let command = ["python", "train.py", "--name", "it's $HOME", "--token", "abc"].map(Into::into).to_vec();
    let findings = [
        finding("gpu.count", Status::Fail, &[Change::Gpus { count: Some(2) }]),
        finding("data.mounted", Status::Fail, &[mount("/data", true), mount("/data", true)]),
        finding("data.access", Status::Fail, &[mount("/sets", true)]),
        finding("output.mounted", Status::Warn, &[mount("/out", false)]),
        finding("host.shm", Status::Fail, &[Change::Shm { bytes: 8 << 30 }]),
        Finding { subject: Some("train.py".into()), ..finding("code.entry", Status::Fail, &[]) },
    ];
    super::correction(&findings, || TypedStart { program: "docker", parts, command }).unwrap()
}

#[test]
fn a_corrected_start_has_every_form_with_what_was_there_and_what_was_missing() {
    insta::assert_snapshot!(correction().text());
}

#[test]
fn every_form_is_yaml_of_the_right_shape() {
    let correction = correction();
    let read = |text: &str| yaml_serde::from_str::<serde_json::Value>(text).unwrap();
    let compose = read(&correction.compose);
    assert_eq!(compose["services"]["train"]["volumes"][3], "/path/on/host:/data:ro");
    let pod = read(&correction.kubernetes);
    let container = &pod["spec"]["containers"][0];
    assert_eq!((pod["kind"].as_str(), container["args"][1].as_str()), (Some("Pod"), Some("train.py")));
    assert_eq!(container["resources"]["limits"]["nvidia.com/gpu"], 2);
    let names = |list: &serde_json::Value| {
        list.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let volumes = names(&pod["spec"]["volumes"]);
    assert_eq!(volumes, names(&container["volumeMounts"]));
    assert_eq!(volumes.len(), std::collections::BTreeSet::from_iter(&volumes).len());
}

#[test]
fn warnings_change_nothing() {
    assert!(!correction().text().contains("/out"));
    let warned = [finding("output.mounted", Status::Warn, &[mount("/out", false)])];
    assert_eq!(super::correction(&warned, TypedStart::default), None);
    assert_eq!(super::correction(&[finding("code.entry", Status::Fail, &[])], TypedStart::default), None);
}

#[test]
fn a_row_has_the_words_of_its_place() {
    assert_eq!(line(&Remedy::Start(mount("/out", false)), Platform::Container), "docker run -v /path/on/host:/out …");
    let pod = |change| line(&Remedy::Start(change), Platform::Pod);
    assert_eq!(pod(Change::Gpus { count: Some(2) }), "resources: {limits: {nvidia.com/gpu: 2}}");
    assert_eq!(
        pod(mount("/data", true)),
        "volumeMounts: [{mountPath: /data, name: data, readOnly: true}], \
         volumes: [{name: data, persistentVolumeClaim: {claimName: CLAIM}}]"
    );
}

#[test]
fn odd_names_are_quoted_for_whom_reads_them() {
    let flags = |target: &str| docker::flags(&[mount(target, true)]);
    assert_eq!(flags("/my data"), "-v '/path/on/host:/my data:ro'");
    assert_eq!(flags("/a:b"), "--mount type=bind,src=/path/on/host,dst=/a:b,readonly");
    assert_eq!(flags("/a,\"b"), "--mount 'type=bind,src=/path/on/host,\"dst=/a,\"\"b\",readonly'");
    assert_eq!(docker::flags(&[StartPart::GpuIds("0,1".into())]), "--gpus '\"device=0,1\"'");
    assert_eq!([kubernetes::label("/Große Daten/1/"), kubernetes::label("/..")], ["gro-e-daten-1", "data"]);
}
