//! The table of remedies: how each starter says each change of a start. A column is a file, a row is a `StartPart`, and the compiler sees to
//! it that no cell is empty. A starter never gets an option of another one: where it has none, the cell is a sentence.

use super::cell::{Words, meant, quoted};
use super::{apptainer, docker, enroot, kubernetes, plain, slurm};
use crate::engine::{StartPart, Starter};
use std::ffi::OsString;

/// Returns the cell of a starter and a change.
pub(super) fn words(starter: Starter, change: &StartPart) -> Words {
    match (starter, change) {
        (_, StartPart::Word { .. }) => Words::Word,
        (Starter::Kubernetes, change) => kubernetes::words(change),
        (_, StartPart::Before(command)) => Words::Before(command.clone()),
        (Starter::Docker, change) => docker::words(docker::DOCKER, change),
        (Starter::Podman, change) => docker::words(docker::PODMAN, change),
        (Starter::Apptainer, change) => apptainer::words(change),
        (Starter::Enroot, change) => enroot::words(change),
        (Starter::Pyxis, change) => slurm::in_a_container(change),
        (Starter::Slurm, change) => slurm::on_the_node(change),
        (Starter::Other, change) => plain::of_an_engine(change),
        (Starter::Machine, change) => plain::of_a_machine(change),
    }
}

/// Returns the words of a starter's program before the options, and those between the options and the command; none where no command line
/// starts anything.
fn frame(starter: Starter) -> Option<(&'static str, &'static str)> {
    match starter {
        Starter::Docker => Some(("docker run", "IMAGE")),
        Starter::Podman => Some(("podman run", "IMAGE")),
        Starter::Apptainer => Some(("apptainer run", "IMAGE")),
        Starter::Enroot => Some(("enroot start", "NAME trainit")),
        Starter::Pyxis => Some(("srun", "--container-image=IMAGE trainit")),
        Starter::Slurm => Some(("srun", "trainit")),
        Starter::Kubernetes | Starter::Other | Starter::Machine => None,
    }
}

/// Returns the line below a row for one change.
pub(super) fn line(starter: Starter, change: &StartPart) -> String {
    let program = frame(starter).map_or("", |(program, _)| program);
    match words(starter, change) {
        Words::Option(option) => format!("{program} {option} …"),
        Words::Variable(variable) => format!("{variable} {program} …"),
        Words::Fragment(text) | Words::Sentence(text) | Words::Before(text) => text,
        Words::Word => did_you_mean(change),
    }
}

fn did_you_mean(change: &StartPart) -> String {
    match change {
        StartPart::Word { to, .. } => format!("did you mean {}?", text::line(to)),
        _ => String::new(),
    }
}

/// Returns whether a start with this change differs from one without it.
pub(super) fn changes_the_start(starter: Starter, change: &StartPart) -> bool {
    let starts = starter == Starter::Kubernetes || frame(starter).is_some();
    starts && !matches!(words(starter, change), Words::Sentence(_))
}

/// Returns the whole command line of a starter whose options cannot be seen from inside: the changes, and the words of the command.
pub(super) fn command_line(starter: Starter, changes: &[StartPart], command: &[OsString]) -> Option<String> {
    let (program, middle) = frame(starter)?;
    let (mut before, mut variables, mut options) = (Vec::new(), Vec::new(), Vec::new());
    for change in changes {
        match words(starter, change) {
            Words::Option(option) => options.push(option),
            Words::Variable(variable) => variables.push(variable),
            Words::Before(command) => before.push(command),
            Words::Fragment(_) | Words::Word | Words::Sentence(_) => {}
        }
    }
    options.dedup();
    let command = quoted(&meant(changes.iter(), command));
    let words = variables.into_iter().chain([program.to_owned()]).chain(joined(options));
    let line = words.chain([middle.to_owned(), command]).collect::<Vec<_>>().join(" ");
    before.push(line.trim_end().to_owned());
    Some(before.join(" && "))
}

/// Joins the mounts of pyxis, which takes one list.
fn joined(options: Vec<String>) -> Vec<String> {
    let (mounts, mut others): (Vec<String>, Vec<String>) =
        options.into_iter().partition(|option| option.starts_with(slurm::MOUNTS));
    let paths: Vec<&str> = mounts.iter().filter_map(|option| option.strip_prefix(slurm::MOUNTS)).collect();
    if !paths.is_empty() {
        others.push(format!("{}{}", slurm::MOUNTS, paths.join(",")));
    }
    others
}
