//! Golden texts of every form, and the syntax that each reader requires.

use super::*;
use crate::check::FindingFacts;
use protocol::exit_code::{Exit, FailureFamily};
use std::ffi::OsString;
use std::time::Duration;

mod pod_shape;

const DOCKER: Form = Form::Of(Starter::Docker);

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

/// Makes a start with most options and several failures, in one form.
fn correction(form: Form) -> Correction {
    let env = |name: &str, value: Option<&str>| StartPart::Env { name: name.into(), value: value.map(str::to_owned) };
    let parts = vec![
        StartPart::Terminal,
        StartPart::User { uid: 1000, gid: 100 },
        StartPart::Workdir("/my code".into()),
        StartPart::ReadOnlyRoot,
        StartPart::CapAdd("SYS_PTRACE".into()),
        StartPart::NoNewPrivileges,
        StartPart::NoLabel,
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
    super::correction(&findings, form, || TypedStart { program: "docker", parts, command }).unwrap()
}

#[test]
fn a_corrected_start_has_every_form_with_what_was_there_and_what_was_missing() {
    let forms = FORMS.map(|(name, form)| format!("{name}\n{}", correction(form).text().unwrap()));
    insta::assert_snapshot!(forms.join("\n\n"));
}

#[test]
fn every_form_is_yaml_of_the_right_shape() {
    let correction = correction(DOCKER);
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
    assert!(!correction(DOCKER).text().unwrap().contains("/out"));
    let warned = [finding("output.mounted", Status::Warn, &[mount("/out", false)])];
    assert_eq!(super::correction(&warned, DOCKER, TypedStart::default), None);
    assert_eq!(super::correction(&[finding("code.entry", Status::Fail, &[])], DOCKER, TypedStart::default), None);
}

#[test]
fn a_row_has_the_words_of_its_place() {
    assert_eq!(line(&Remedy::Start(mount("/out", false)), Starter::Docker), "docker run -v /path/on/host:/out …");
    let pod = |change| line(&Remedy::Start(change), Starter::Kubernetes);
    assert_eq!(pod(Change::Gpus { count: Some(2) }), "resources: {limits: {nvidia.com/gpu: 2}}");
    assert_eq!(
        pod(mount("/data", true)),
        "volumeMounts: [{mountPath: /data, name: data, readOnly: true}], \
         volumes: [{name: data, persistentVolumeClaim: {claimName: CLAIM}}]"
    );
}

#[test]
fn odd_names_are_quoted_for_whom_reads_them() {
    let flags = |target: &str| docker::flags(docker::DOCKER, &[mount(target, true)]);
    assert_eq!(flags("/my data"), "-v '/path/on/host:/my data:ro'");
    assert_eq!(flags("/a:b"), "--mount type=bind,src=/path/on/host,dst=/a:b,readonly");
    assert_eq!(flags("/a,\"b"), "--mount 'type=bind,src=/path/on/host,\"dst=/a,\"\"b\",readonly'");
    assert_eq!(docker::flags(docker::DOCKER, &[StartPart::GpuIds("0,1".into())]), "--gpus '\"device=0,1\"'");
    assert_eq!([kubernetes::label("/Große Daten/1/"), kubernetes::label("/..")], ["gro-e-daten-1", "data"]);
}

/// One change of every kind that a check asks for.
fn changes() -> Vec<Change> {
    let text = str::to_owned;
    vec![
        mount("/data", true),
        bind("/home/me/set", "/set", false),
        Change::Tmpfs { target: text("/scratch"), bytes: Some(1 << 30) },
        Change::Scratch { target: text("/tmp") },
        Change::Gpus { count: Some(2) },
        Change::GpuIds(text("0,1")),
        Change::Device(text("/dev/kfd")),
        Change::Device(text("/dev/infiniband")),
        Change::GroupAdd(44),
        Change::KeepGroups,
        Change::NoLabel,
        Change::Shm { bytes: 8 << 30 },
        Change::HostIpc,
        Change::User { uid: 1000, gid: 100 },
        Change::KeepId { uid: 1000, gid: 100 },
        Change::Owned { target: text("/out"), uid: 1000, gid: 100 },
        Change::Ulimit { name: text("nofile"), limit: Some(65536) },
        Change::Ulimit { name: text("memlock"), limit: None },
        Change::Memory { bytes: 64 << 30 },
        Change::Pids(16384),
        Change::Privileged,
        Change::CapAdd(text("IPC_LOCK")),
        Change::CapDrop(text("ALL")),
        Change::NoNewPrivileges,
        Change::ReadOnlyRoot,
        Change::Terminal,
        Change::Hostname(text("n1")),
        Change::HostAlias(text("n1")),
        Change::Workdir(text("/code")),
        Change::Env { name: text("TRAINIT_DATA"), value: Some(text("/data")) },
        Change::Before(text("mkdir -p /home/me/out")),
        Change::Word { from: text("trian.py"), to: text("train.py") },
    ]
}

const STARTERS: [Starter; 9] = [
    Starter::Docker,
    Starter::Podman,
    Starter::Kubernetes,
    Starter::Apptainer,
    Starter::Enroot,
    Starter::Pyxis,
    Starter::Slurm,
    Starter::Other,
    Starter::Machine,
];

#[test]
fn every_starter_has_its_own_words_for_every_change() {
    let row = |starter: Starter| {
        let lines = changes().into_iter().map(|change| format!("  {}", words::line(starter, &change)));
        format!("{starter:?}\n{}", lines.collect::<Vec<_>>().join("\n"))
    };
    insta::assert_snapshot!(STARTERS.map(row).join("\n"));
}

#[test]
fn no_starter_is_told_an_option_of_another() {
    let foreign = |starter: Starter| -> &[&str] {
        match starter {
            Starter::Docker => {
                &["podman run", "srun", "apptainer", "fsGroup", "--bind", "--container-", "enroot", ":U"]
            }
            Starter::Podman => {
                &["docker", "srun", "apptainer", "fsGroup", "--bind", "--container-", "enroot", "--gpus"]
            }
            Starter::Apptainer => &[
                "docker",
                "podman",
                "--shm-size",
                "--gpus",
                "--ulimit",
                "-v ",
                "--tmpfs",
                "--user ",
                "srun",
                "fsGroup",
            ],
            _ => {
                &["docker", "podman", "--shm-size", "--gpus ", "--ulimit", "-v /", "--tmpfs", "--user ", "--pids-limit"]
            }
        }
    };
    for starter in STARTERS {
        for change in changes() {
            let line = words::line(starter, &change);
            assert!(!line.is_empty(), "{starter:?} {change:?}");
            for word in foreign(starter) {
                assert!(!line.contains(word), "{starter:?}: {line}");
            }
        }
    }
}

#[test]
fn a_directory_that_has_to_be_the_users_is_given_by_a_start_as_root() {
    let owned = |target: &str| Change::Owned { target: target.into(), uid: 1000, gid: 100 };
    let parts = vec![StartPart::User { uid: 1000, gid: 100 }, bind("runs", "/out", false)];
    let findings = [finding("output.writable", Status::Fail, &[owned("/out"), owned("/log")])];
    let line = |form| {
        let start = || TypedStart { program: "docker", parts: parts.clone(), command: vec!["true".into()] };
        super::correction(&findings, form, start).unwrap().command.unwrap()
    };
    assert_eq!(
        line(DOCKER),
        "docker run --user 0:0 -v runs:/out -e TRAINIT_USER=1000:100 -e CHOWN_EXTRA=/out,/log IMAGE true"
    );
    let podman = line(Form::Of(Starter::Podman));
    assert_eq!(podman, "podman run --user 1000:100 -v runs:/out:U -v /path/on/host:/log:U IMAGE true");
}

#[test]
fn what_is_typed_before_and_what_was_meant_make_one_command() {
    let changes = [
        Change::Before("mkdir -p '/home/me/my runs'".into()),
        Change::Word { from: "trian.py".into(), to: "train.py".into() },
    ];
    let command: Vec<OsString> = ["python", "trian.py"].map(Into::into).to_vec();
    let line = |starter| {
        let start = || TypedStart { program: "docker", parts: Vec::new(), command: command.clone() };
        let findings = [finding("output.exists", Status::Fail, &changes)];
        super::correction(&findings, Form::Of(starter), start).and_then(|correction| correction.command)
    };
    let start = |rest: &str| Some(format!("mkdir -p '/home/me/my runs' && {rest}"));
    assert_eq!(line(Starter::Docker), start("docker run IMAGE python train.py"));
    assert_eq!(line(Starter::Apptainer), start("apptainer run IMAGE python train.py"));
    assert_eq!(line(Starter::Slurm), start("srun trainit python train.py"));
    assert_eq!((line(Starter::Machine), line(Starter::Other)), (None, None));
}

#[test]
fn every_group_that_is_missing_is_in_the_corrected_start() {
    let asked = |gid| finding("gpu.access", Status::Fail, &[Change::GroupAdd(gid)]);
    let findings = [asked(44), asked(109), asked(44)];
    let command = |form| super::correction(&findings, form, TypedStart::default).and_then(|it| it.command).unwrap();
    assert_eq!(command(DOCKER), "docker run --group-add 44 --group-add 109 IMAGE");
    let groups = |form| {
        let manifest: serde_json::Value = yaml_serde::from_str(&command(form)).unwrap();
        manifest["spec"]["securityContext"]["supplementalGroups"].clone()
    };
    for form in [Form::Pod, Form::Of(Starter::Kubernetes)] {
        assert_eq!(groups(form), serde_json::json!([44, 109]));
    }
    let compose: serde_json::Value = yaml_serde::from_str(&command(Form::Compose)).unwrap();
    assert_eq!(compose["services"]["train"]["group_add"], serde_json::json!(["44", "109"]));
}
