//! Changes to the start of a container in the words of the program that starts it: for one finding after its row, and for all failures
//! together as one command to copy. `words` is the table.

mod apptainer;
mod cell;
mod compose;
mod docker;
mod enroot;
mod kubernetes;
mod plain;
mod slurm;
mod words;
mod yaml;

use crate::check::{Change, Finding, Remedy, Status};
use crate::engine::{StartPart, Starter, TypedStart, corrected};
use serde::Serialize;

/// Placeholder for a path that only the user knows.
const SOURCE: &str = "/path/on/host";

/// A form of a corrected start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The command or manifest of this program.
    Of(Starter),
    /// A Compose file.
    Compose,
    /// A whole pod.
    Pod,
}

/// The forms that a user can ask for, by name.
const FORMS: [(&str, Form); 7] = [
    ("docker", Form::Of(Starter::Docker)),
    ("podman", Form::Of(Starter::Podman)),
    ("compose", Form::Compose),
    ("kubernetes", Form::Pod),
    ("apptainer", Form::Of(Starter::Apptainer)),
    ("srun", Form::Of(Starter::Pyxis)),
    ("enroot", Form::Of(Starter::Enroot)),
];

impl Form {
    /// Returns the form of a name.
    pub(crate) fn named(name: &str) -> Option<Form> {
        FORMS.iter().find(|(known, _)| *known == name).map(|(_, form)| *form)
    }

    /// Returns the names of all forms.
    pub(crate) fn names() -> String {
        FORMS.map(|(name, _)| name).join(", ")
    }
}

/// A corrected start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Correction {
    /// The start in the form of the place it runs in, or in the form that was asked for; none where no command starts anything.
    pub command: Option<String>,
    /// The command line of Docker, or of Podman where it starts containers.
    pub docker: String,
    /// The Compose file.
    pub compose: String,
    /// The pod's manifest.
    pub kubernetes: String,
    /// Failures that no other start fixes.
    pub unmended: Vec<String>,
}

/// Makes the correction from the known start and the failures; `None` if no start fixes any of them. `started` is called only if there is
/// something to correct.
pub(crate) fn correction(findings: &[Finding], form: Form, started: impl FnOnce() -> TypedStart) -> Option<Correction> {
    let failed = || findings.iter().filter(|finding| finding.status == Status::Fail);
    let starter = match form {
        Form::Of(starter) => starter,
        Form::Compose => Starter::Docker,
        Form::Pod => Starter::Kubernetes,
    };
    let mends = move |finding: &'_ Finding| changes_of(finding).any(|change| words::changes_the_start(starter, change));
    let changes: Vec<&Change> = failed().flat_map(changes_of).collect();
    if !failed().any(mends) {
        return None;
    }
    // What several checks ask for is asked for once.
    let asked = corrected(&[], changes.iter().copied());
    let started = started();
    let parts = corrected(&started.parts, changes.iter().copied());
    let dialect = if started.program == "podman" { docker::PODMAN } else { docker::DOCKER };
    let mut correction = Correction {
        command: None,
        docker: docker::start(dialect, &parts, &started.command),
        compose: compose::start(&parts, &started.command),
        kubernetes: kubernetes::start(&parts, &started.command),
        unmended: failed().filter(|finding| !mends(finding)).map(name).collect(),
    };
    correction.command = match form {
        Form::Of(Starter::Docker) => Some(docker::start(docker::DOCKER, &parts, &started.command)),
        Form::Of(Starter::Podman) => Some(docker::start(docker::PODMAN, &parts, &started.command)),
        Form::Of(Starter::Kubernetes) => Some(kubernetes::fragment(&asked, &started.command)),
        Form::Of(starter) => words::command_line(starter, &asked, &started.command),
        Form::Compose => Some(correction.compose.clone()),
        Form::Pod => Some(correction.kubernetes.clone()),
    };
    Some(correction)
}

fn changes_of(finding: &Finding) -> impl Iterator<Item = &Change> {
    finding.remedy.iter().filter_map(|remedy| match remedy {
        Remedy::Start(change) => Some(change),
        Remedy::Do(_) => None,
    })
}

fn name(finding: &Finding) -> String {
    let subject = finding.subject.as_ref().map_or(String::new(), |subject| format!(" ({subject})"));
    format!("{}{subject}", finding.check)
}

impl Correction {
    /// Formats the correction as text: what to fill in, and the command as the last lines.
    pub(crate) fn text(&self) -> Option<String> {
        let command = self.command.as_ref()?;
        let except = match self.unmended.is_empty() {
            true => String::new(),
            false => format!(", except for {}", self.unmended.join(", ")),
        };
        Some(format!("this start, corrected{except}{}:\n{}", self.to_fill_in(command), indented(command)))
    }

    /// Says what only a person knows.
    fn to_fill_in(&self, command: &str) -> String {
        match command {
            manifest if manifest.starts_with("spec:") => {
                " (to be added to the manifest; CONTAINER and CLAIM are names in it)".to_owned()
            }
            manifest if manifest.contains('\n') => String::new(),
            line => {
                let names = [SOURCE, "IMAGE", "NAME"].into_iter().filter(|name| line.contains(name));
                let names: Vec<&str> = names.collect();
                match names.is_empty() {
                    true => String::new(),
                    false => format!(" (put in {}, and {})", names.join(", "), unseen(line)),
                }
            }
        }
    }
}

/// Names the options that the line lacks because they cannot be seen from inside.
fn unseen(line: &str) -> &'static str {
    match line.contains("docker run") || line.contains("podman run") {
        true => "what cannot be seen from inside: -p, --network, other -e",
        false => "your other options",
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// Formats one remedy as the line after its row.
pub(super) fn line(remedy: &Remedy, starter: Starter) -> String {
    match remedy {
        Remedy::Do(sentence) => sentence.clone(),
        Remedy::Start(change) => words::line(starter, change),
    }
}

/// Replaces directories that have to belong to the user by a start as root, in which trainit gives them to the user and becomes the user.
fn given_by_root(parts: &[StartPart]) -> Vec<StartPart> {
    let mut targets = Vec::new();
    let mut user = None;
    let mut others: Vec<StartPart> = Vec::new();
    for part in parts {
        match part {
            StartPart::Owned { target, uid, gid } => {
                targets.push(target.as_str());
                user = Some(format!("{uid}:{gid}"));
            }
            other => others.push(other.clone()),
        }
    }
    let Some(user) = user else { return others };
    let variable = |name: &str, value: String| StartPart::Env { name: name.to_owned(), value: Some(value) };
    let root = StartPart::User { uid: 0, gid: 0 };
    let changes = [root, variable("TRAINIT_USER", user), variable("CHOWN_EXTRA", targets.join(","))];
    corrected(&others, &changes)
}

/// Returns the placeholder for a mount's source; several mounts get different ones.
fn source(target: &str, parts: &[StartPart]) -> String {
    let unknown = parts.iter().filter(|part| matches!(part, StartPart::Mount { .. })).count();
    match std::path::Path::new(target).file_name().filter(|_| unknown > 1) {
        Some(name) => format!("{SOURCE}/{}", name.to_string_lossy()),
        None => SOURCE.to_owned(),
    }
}

/// Formats a size as engines accept it, rounded up: `8g`, `512m`.
fn short_size(bytes: u64) -> String {
    match bytes {
        b if b.is_multiple_of(1 << 30) => format!("{}g", b >> 30),
        b => format!("{}m", b.div_ceil(1 << 20)),
    }
}

#[cfg(test)]
mod tests;
