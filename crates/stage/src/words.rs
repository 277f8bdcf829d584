//! The words of an error: what happened, because of what, and what to type.

use super::error::{Failed, ObjectFailure, StageError};
use super::space::TooLittle;
use protocol::errno;
use std::path::Path;
use std::time::Duration;
use store::failed::{self, FailureMessage};

impl StageError {
    /// Returns the words; `target` is the path that the data is for.
    pub fn message(&self, target: &Path) -> FailureMessage {
        let shown = text::path(target);
        let [what, because] = self.sentences(&shown);
        let (what, because) = (text::masked(&what), (!because.is_empty()).then(|| text::masked(&because)));
        FailureMessage { what, because, hints: self.hints(&shown) }
    }

    fn sentences(&self, target: &str) -> [String; 2] {
        let none = String::new;
        match self {
            StageError::Io { error, .. } => [format!("{target} cannot be staged: {self}"), errno::words_of(error)],
            StageError::Missing { near, .. } | StageError::Empty { unwanted: false, near, .. } => {
                [self.to_string(), beside(near)]
            }
            StageError::Empty { unwanted: true, source_name, .. } => {
                [format!("{source_name} holds nothing that only= wants"), none()]
            }
            StageError::NoPart { source_name, files, nodes } => {
                let files = text::count(*files, "file");
                [format!("{source_name} has {files} for {nodes} nodes: none is left for this one"), none()]
            }
            StageError::Itself => [format!("{target}: {self}"), none()],
            StageError::Key { key, why } => {
                [format!("an object has a name that cannot be a file below {target}: {key}"), why.to_string()]
            }
            StageError::TwoForOne { key, path } => {
                [format!("two objects are for one path: {key}, and {path} is there"), none()]
            }
            StageError::LinksLeave { some, count } => {
                let links = text::count(*count, "link");
                [
                    format!("{links} lead out of the source: {}", some.join(", ")),
                    "a copy of them would lead elsewhere".into(),
                ]
            }
            StageError::Room { what, directory, largest } => {
                let most = if largest.is_empty() { none() } else { format!("largest there: {}", largest.join(", ")) };
                [too_little(what, &text::path(directory)), most]
            }
            StageError::NotOurs(path) => {
                let what = format!("{} is not empty, and trainit has not filled it", text::path(path));
                [what, "what others made is never touched".into()]
            }
            StageError::NoPlace { error, .. } => [self.to_string(), errno::words_of(error)],
            StageError::Changes { tags: [old, new], .. } => {
                [self.to_string(), format!("it was {old}, then {new}: a file would be a mixture of both")]
            }
            _ => self.other_sentences(target),
        }
    }

    /// Returns the words of what happened while objects were brought, or with other starts.
    fn other_sentences(&self, target: &str) -> [String; 2] {
        let none = String::new;
        match self {
            StageError::Objects { some, count, first } => {
                let objects = text::count(*count, "object");
                [format!("{objects} could not be fetched: {}", some.join(", ")), first.text.clone()]
            }
            StageError::Refused { source_name, failure } if !failure.text.contains(source_name) => {
                [format!("{source_name}: {}", failure.text), none()]
            }
            StageError::Refused { failure, .. } => [failure.text.clone(), none()],
            StageError::Damaged { found, .. } => [self.to_string(), found.clone()],
            StageError::Late { limit, bytes, brought, worked } => {
                let rate = *brought as f64 / worked.as_secs_f64().max(0.001);
                late(target, *limit, *bytes, rate)
            }
            StageError::NoMeans(source) => [format!("nothing here can fetch {source}"), none()],
            StageError::NoTransfer(source) => {
                [format!("{source} needs trainit-transfer, which is not in this image"), none()]
            }
            StageError::Transfer(words) => [format!("{target} cannot be staged"), words.clone()],
            StageError::Command { line, how, said, .. } => {
                [format!("stage.command {how}: {line}"), text::line(said).into_owned()]
            }
            StageError::Elsewhere(failed, _) => {
                let because = failed.because.iter().cloned().chain([format!("seen on {}", failed.host)]);
                [failed.what.clone(), because.collect::<Vec<_>>().join("; ")]
            }
            StageError::Waited(owner) => {
                let host = text::line(&owner.host).into_owned();
                [format!("{host} has not finished staging {target} in time"), text::line(&owner.doing).into_owned()]
            }
            StageError::TakenOver => {
                [format!("another start took this one for dead, and goes on staging {target}"), none()]
            }
            StageError::Store(error) => [format!("{target} cannot be staged: {self}"), chain(error)],
            _ => [format!("staging {target} was stopped"), none()],
        }
    }

    fn hints(&self, target: &str) -> Vec<String> {
        let one = |hint: &str| vec![hint.to_owned()];
        match self {
            StageError::Missing { .. } | StageError::Empty { unwanted: false, .. } => {
                one("correct the source behind from=")
            }
            StageError::Empty { .. } => one("correct the patterns behind only="),
            StageError::NoPart { .. } => {
                one("fewer nodes, more and smaller files, or all of them on each node: leave part=node out")
            }
            StageError::Itself => one("name another directory as the path, or another source"),
            StageError::Key { .. } => one("only=PATTERN leaves it out"),
            StageError::TwoForOne { .. } => one("only=PATTERN leaves one of them out"),
            StageError::LinksLeave { .. } => one("name the directory that holds what they lead to, or copy it there"),
            StageError::Room { what: TooLittle::Half { .. }, .. } => {
                one("a volume for it: -v /nvme:/stage, and TRAINIT_STAGE_STORE=/stage")
            }
            StageError::Room { .. } => one("another volume as TRAINIT_STAGE_STORE; only=PATTERN brings a part"),
            StageError::NotOurs(_) => one("name an empty directory, or one that is not there yet"),
            StageError::NoPlace { store: false, .. } => {
                one("a volume for it: -v /nvme:/stage, and TRAINIT_STAGE_STORE=/stage")
            }
            StageError::NoPlace { .. } => {
                vec![format!("name a path in a directory that this user may write; or make {target} a volume")]
            }
            StageError::Objects { first: failure, .. } | StageError::Refused { failure, .. } => hints_of(failure),
            StageError::Late { .. } => one("a longer time: TRAINIT_STAGE_TIMEOUT=2h; the next start goes on from here"),
            StageError::NoMeans(_) => {
                one("a program that can: TRAINIT_STAGE_COMMAND='rsync -a --partial {from} {into}'")
            }
            StageError::NoTransfer(_) => {
                one("COPY trainit-transfer beside trainit; `trainit inject DIR` brings both; docs/packages.md")
            }
            StageError::Command { is_there: false, .. } => one("install it in the image, or name its whole path"),
            StageError::Elsewhere(failed, file) => {
                let minutes = failed::HOLDS.as_secs() / 60;
                let again = format!("to try again before {minutes} minutes are over: rm {}", file.display());
                failed.hints.iter().cloned().chain([again]).collect()
            }
            StageError::Waited(_) => one("a longer time: TRAINIT_STAGE_TIMEOUT=2h"),
            _ => Vec::new(),
        }
    }
}

fn hints_of(failure: &ObjectFailure) -> Vec<String> {
    let resumes =
        matches!(failure.kind, Failed::Later | Failed::Changed).then(|| "the next start goes on from here".to_owned());
    failure.hints.iter().map(|hint| text::masked(hint)).chain(resumes).collect()
}

fn beside(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("beside it: {}", near.join(", ")) }
}

fn too_little(what: &TooLittle, directory: &str) -> String {
    let size = text::size;
    match *what {
        TooLittle::Bytes { needs, free } => format!("needs {}, {directory} has {} free", size(needs), size(free)),
        TooLittle::Inodes { needs, free } => format!("needs {needs} inodes, {directory} has {free} free"),
        TooLittle::Half { needs, free, memory } => {
            let place = if memory {
                "is memory, which counts to the container's limit"
            } else {
                "is the container's own layer"
            };
            format!(
                "needs {}, {directory} has {} free and {place}: at most half of it is taken",
                size(needs),
                size(free)
            )
        }
    }
}

fn late(target: &str, limit: Duration, [done, all]: [u64; 2], rate: f64) -> [String; 2] {
    let what = format!(
        "{target} is not staged after {} (stage.timeout): {} of {}",
        text::time(limit),
        text::size(done),
        text::size(all)
    );
    if rate < 1.0 {
        return [what, "no byte came".to_owned()];
    }
    let left = text::span(Duration::from_secs_f64(all.saturating_sub(done) as f64 / rate));
    [what, format!("at {}/s it needs {left} more", text::size(rate as u64))]
}

fn chain(error: &dyn std::error::Error) -> String {
    let words = |error: &dyn std::error::Error| error.to_string();
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(words).filter(|words| !words.is_empty()).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_room_is_told_with_both_numbers() {
        let what = TooLittle::Bytes { needs: 3 << 30, free: 1 << 30 };
        let error = StageError::Room { what, directory: "/local".into(), largest: vec!["s3://b/x 2 GiB".into()] };
        let message = error.message(Path::new("/data"));
        assert_eq!(message.what, "needs 3 GiB, /local has 1 GiB free");
        assert_eq!(message.because.as_deref(), Some("largest there: s3://b/x 2 GiB"));
        assert!(!error.may_pass());
    }

    #[test]
    fn a_late_start_says_how_long_the_rest_takes() {
        let error = StageError::Late {
            limit: Duration::from_secs(60),
            bytes: [1 << 30, 3 << 30],
            brought: 1 << 30,
            worked: Duration::from_secs(64),
        };
        let message = error.message(Path::new("/data"));
        assert!(message.what.contains("1 GiB of 3 GiB"), "{}", message.what);
        assert!(message.because.unwrap().starts_with("at 16 MiB/s it needs 2"), "");
        assert!(error.may_pass());
    }

    #[test]
    fn a_secret_in_a_failure_is_masked() {
        let failure = Box::new(ObjectFailure {
            kind: Failed::Denied,
            text: "GET https://h/x?X-Amz-Signature=t0psecret: 403".into(),
            hints: vec!["see https://h/x?X-Amz-Security-Token=t0psecret".into()],
            skew: None,
        });
        let error = StageError::Refused { source_name: "s3://b/x".into(), failure };
        let message = format!("{:?}", error.message(Path::new("/data")));
        assert!(!message.contains("t0psecret"), "{message}");
    }
}
