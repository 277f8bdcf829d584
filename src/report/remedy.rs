//! What to change about the start of a container, as Docker, Compose and Kubernetes write it: for one finding behind its row, and
//! for all findings together as one command line to copy.

use crate::check::{Change, Finding, Remedy, Status};
use crate::engine::Place;
use crate::show;
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// What stands for the directory on the host, which cannot be known from inside.
const SOURCE: &str = "/path/on/host";

/// How to start the container so that what is wrong is right: one `docker run` line, and the same for Compose and Kubernetes.
/// None when nothing about the start has to change.
pub fn remedies(findings: &[Finding], command: &[OsString]) -> Option<String> {
    let changes = changes(findings);
    if changes.is_empty() {
        return None;
    }
    let docker = format!("docker run {} IMAGE {}", docker_flags(&changes), show::command(command));
    let forms = [
        ("Docker", docker.trim_end().to_owned()),
        ("Compose", compose(&changes)),
        ("Kubernetes", kubernetes(&changes)),
    ];
    let form = |(name, text): &(&str, String)| {
        let lines: Vec<&str> = text.lines().collect();
        format!("  {name:<12}{}", lines.join(&format!("\n{:14}", "")))
    };
    Some(forms.iter().map(form).collect::<Vec<_>>().join("\n"))
}

/// Every change that failures ask for, and with them what warnings do, once each.
fn changes(findings: &[Finding]) -> Vec<&Change> {
    if !findings.iter().any(|finding| finding.status == Status::Fail) {
        return Vec::new();
    }
    let mut changes: Vec<&Change> = Vec::new();
    for remedy in findings.iter().flat_map(|finding| &finding.remedy) {
        if let Remedy::Start(change) = remedy
            && !changes.contains(&change)
        {
            changes.push(change);
        }
    }
    changes
}

/// One remedy as the line behind its row.
pub fn line(remedy: &Remedy, place: Place) -> String {
    match (remedy, place) {
        (Remedy::Do(sentence), _) => sentence.clone(),
        (Remedy::Start(change), Place::Pod) => {
            kubernetes(&[change]).lines().map(str::trim).collect::<Vec<_>>().join(", ")
        }
        (Remedy::Start(change), _) => format!("docker run {} …", docker_flags(&[change])),
    }
}

fn docker_flags(changes: &[&Change]) -> String {
    let flag = |change: &&Change| match change {
        Change::Mount { target, read_only } => docker_mount(target, *read_only, &source(target, changes)),
        Change::Gpus { count: Some(count) } => format!("--gpus {count}"),
        Change::Gpus { count: None } => "--gpus all".to_owned(),
        Change::Shm { bytes } => format!("--shm-size={}", short_size(*bytes)),
        Change::User { uid, gid } => format!("--user {uid}:{gid}"),
    };
    changes.iter().map(flag).collect::<Vec<_>>().join(" ")
}

/// `-v` splits at colons, so a target that has one needs the long form.
fn docker_mount(target: &str, read_only: bool, source: &str) -> String {
    let long = target.contains([':', ',']);
    let word = match (long, read_only) {
        (true, read_only) => {
            format!("type=bind,src={source},\"dst={target}\"{}", if read_only { ",readonly" } else { "" })
        }
        (false, true) => format!("{source}:{target}:ro"),
        (false, false) => format!("{source}:{target}"),
    };
    format!("{} {}", if long { "--mount" } else { "-v" }, show::quoted(OsStr::new(&word)))
}

/// With several mounts each source needs a name of its own.
fn source(target: &str, changes: &[&Change]) -> String {
    let mounts = changes.iter().filter(|change| matches!(change, Change::Mount { .. })).count();
    match Path::new(target).file_name().filter(|_| mounts > 1) {
        Some(name) => format!("{SOURCE}/{}", name.to_string_lossy()),
        None => SOURCE.to_owned(),
    }
}

fn compose(changes: &[&Change]) -> String {
    let mut lines = Vec::new();
    let mut volumes = Vec::new();
    for change in changes {
        match change {
            Change::Mount { target, read_only } => {
                let read_only = if *read_only { ":ro" } else { "" };
                volumes.push(yaml(&format!("{}:{target}{read_only}", source(target, changes))));
            }
            Change::Gpus { count } => {
                let count = count.map_or("all".to_owned(), |count| count.to_string());
                lines.push(format!(
                    "deploy: {{resources: {{reservations: {{devices: [{{driver: nvidia, count: {count}, capabilities: [gpu]}}]}}}}}}"
                ));
            }
            Change::Shm { bytes } => lines.push(format!("shm_size: {}", short_size(*bytes))),
            Change::User { uid, gid } => lines.push(format!("user: \"{uid}:{gid}\"")),
        }
    }
    if !volumes.is_empty() {
        lines.push(format!("volumes: [{}]", volumes.join(", ")));
    }
    lines.join("\n")
}

fn kubernetes(changes: &[&Change]) -> String {
    let mut lines = Vec::new();
    let (mut mounts, mut volumes) = (Vec::new(), Vec::new());
    for change in changes {
        match change {
            Change::Mount { target, read_only } => {
                let name = volume_name(target);
                let read_only = if *read_only { ", readOnly: true" } else { "" };
                mounts.push(format!("{{name: {name}, mountPath: {}{read_only}}}", yaml(target)));
                volumes.push(format!("{{name: {name}, persistentVolumeClaim: {{claimName: CLAIM}}}}"));
            }
            Change::Gpus { count } => {
                lines.push(format!("resources: {{limits: {{nvidia.com/gpu: {}}}}}", count.unwrap_or(1)))
            }
            Change::Shm { bytes } => {
                mounts.push("{name: shm, mountPath: /dev/shm}".to_owned());
                volumes.push(format!(
                    "{{name: shm, emptyDir: {{medium: Memory, sizeLimit: {}i}}}}",
                    short_size(*bytes).to_uppercase()
                ));
            }
            Change::User { uid, gid } => {
                lines.push(format!("securityContext: {{runAsUser: {uid}, runAsGroup: {gid}}}"))
            }
        }
    }
    if !mounts.is_empty() {
        lines.push(format!("volumeMounts: [{}]", mounts.join(", ")));
        lines.push(format!("volumes: [{}]", volumes.join(", ")));
    }
    lines.join("\n")
}

/// A volume's name is a DNS label.
fn volume_name(target: &str) -> String {
    let label = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = target.chars().map(label).take(60).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "data".to_owned() } else { name.to_owned() }
}

/// A YAML scalar, in quotes where it needs them. JSON's strings are YAML's.
fn yaml(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:".contains(c);
    if text.starts_with('/') && text.chars().all(plain) && !text.ends_with(':') {
        return text.to_owned();
    }
    serde_json::Value::from(text).to_string()
}

/// `8g`, `512m`: rounded up to what engines take.
fn short_size(bytes: u64) -> String {
    match bytes {
        b if b.is_multiple_of(1 << 30) => format!("{}g", b >> 30),
        b => format!("{}m", b.div_ceil(1 << 20)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Facts;
    use crate::exit::{Exit, Family};
    use std::time::Duration;

    fn finding(status: Status, changes: &[Change]) -> Finding {
        Finding {
            check: "data.mounted".to_owned(),
            subject: None,
            status,
            what: String::new(),
            because: None,
            remedy: changes.iter().cloned().map(Remedy::Start).collect(),
            exit: Exit::Permanent(Family::Data),
            took: Duration::ZERO,
            facts: Facts::new(),
        }
    }

    fn mount(target: &str, read_only: bool) -> Change {
        Change::Mount { target: target.to_owned(), read_only }
    }

    #[test]
    fn all_flags_come_in_one_command_line() {
        let findings = [
            finding(Status::Fail, &[Change::Gpus { count: None }]),
            finding(Status::Fail, &[mount("/data", true), mount("/data", true)]),
            finding(Status::Warn, &[mount("/out", false), Change::Shm { bytes: 8 << 30 }]),
        ];
        let text = remedies(&findings, &["python".into(), "my train.py".into()]).unwrap();
        let expected = "  Docker      docker run --gpus all -v /path/on/host/data:/data:ro -v /path/on/host/out:/out --shm-size=8g IMAGE python 'my train.py'
  Compose     deploy: {resources: {reservations: {devices: [{driver: nvidia, count: all, capabilities: [gpu]}]}}}
              shm_size: 8g
              volumes: [/path/on/host/data:/data:ro, /path/on/host/out:/out]
  Kubernetes  resources: {limits: {nvidia.com/gpu: 1}}
              volumeMounts: [{name: data, mountPath: /data, readOnly: true}, {name: out, mountPath: /out}, {name: shm, mountPath: /dev/shm}]
              volumes: [{name: data, persistentVolumeClaim: {claimName: CLAIM}}, {name: out, persistentVolumeClaim: {claimName: CLAIM}}, {name: shm, emptyDir: {medium: Memory, sizeLimit: 8Gi}}]";
        assert_eq!(text, expected);
    }

    #[test]
    fn warnings_alone_are_told_behind_their_rows_only() {
        assert_eq!(remedies(&[finding(Status::Warn, &[mount("/out", false)])], &[]), None);
        assert_eq!(line(&Remedy::Start(mount("/out", false)), Place::Container), "docker run -v /path/on/host:/out …");
        let pod = line(&Remedy::Start(Change::Gpus { count: Some(2) }), Place::Pod);
        assert_eq!(pod, "resources: {limits: {nvidia.com/gpu: 2}}");
    }

    #[test]
    fn odd_targets_are_quoted_for_whom_reads_them() {
        let line = |target| line(&Remedy::Start(mount(target, true)), Place::Container);
        assert_eq!(line("/my data"), "docker run -v '/path/on/host:/my data:ro' …");
        assert_eq!(line("/a:b"), "docker run --mount 'type=bind,src=/path/on/host,\"dst=/a:b\",readonly' …");
        assert_eq!(compose(&[&mount("/my \"data\"", false)]), r#"volumes: ["/path/on/host:/my \"data\""]"#);
        assert_eq!(volume_name("/Große Daten/1/"), "gro-e-daten-1");
    }
}
