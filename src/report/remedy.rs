//! Changes to the start of a container in the syntax of Docker, Compose and Kubernetes: for one finding after its row, and for all
//! failures together as one start to copy.

mod compose;
mod docker;
mod kubernetes;
mod yaml;

use crate::check::{Change, Finding, Remedy, Status};
use crate::engine::{Platform, StartPart, TypedStart, corrected};
use serde::Serialize;

/// Placeholder for a path that only the user knows.
const SOURCE: &str = "/path/on/host";

/// A corrected start in three forms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Correction {
    /// The command line.
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
pub(crate) fn correction(findings: &[Finding], started: impl FnOnce() -> TypedStart) -> Option<Correction> {
    let failed = || findings.iter().filter(|finding| finding.status == Status::Fail);
    let changes: Vec<&Change> = failed().flat_map(changes_of).collect();
    if changes.is_empty() {
        return None;
    }
    let started = started();
    let parts = corrected(&started.parts, changes.iter().copied());
    let unmended = failed().filter(|finding| changes_of(finding).next().is_none()).map(name);
    Some(Correction {
        docker: docker::start(started.program, &parts, &started.command),
        compose: compose::start(&parts, &started.command),
        kubernetes: kubernetes::start(&parts, &started.command),
        unmended: unmended.collect(),
    })
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
    /// Formats the correction as a block of text.
    pub(crate) fn text(&self) -> String {
        let mut forms = vec![
            ("Docker", self.docker.clone()),
            ("Compose", self.compose.clone()),
            ("Kubernetes", self.kubernetes.clone()),
        ];
        forms.push(("Add", "what cannot be seen from inside: the image's name, -p, --network, other -e".to_owned()));
        if !self.unmended.is_empty() {
            forms.push(("Not mended", format!("{}: see above", self.unmended.join(", "))));
        }
        let form = |(name, text): &(&str, String)| {
            let lines: Vec<&str> = text.lines().collect();
            format!("  {name:<12}{}", lines.join(&format!("\n{:14}", "")))
        };
        forms.iter().map(form).collect::<Vec<_>>().join("\n")
    }
}

/// Formats one remedy as the line after its row.
pub(super) fn line(remedy: &Remedy, place: Platform) -> String {
    match (remedy, place) {
        (Remedy::Do(sentence), _) => sentence.clone(),
        (Remedy::Start(change), Platform::Pod) => kubernetes::change(change),
        (Remedy::Start(change), _) => format!("docker run {} …", docker::flags(std::slice::from_ref(change))),
    }
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
