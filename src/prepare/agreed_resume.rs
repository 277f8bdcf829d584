//! The checkpoint that the nodes of a job have agreed on, in place of the one that this node has found.

use super::preparation::PreparedWorkload;
use super::resume::{ResumeWords, Resumed, given};
use crate::config::Settings;
use crate::error::{Error, ErrorKind, Result};
use checkpoint::Checkpoint;
use exchange::{Checkpoints, Resume, Saved};
use protocol::exit_code::FailureFamily;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path};
use std::time::SystemTime;

/// The variables that name the checkpoint.
const VARIABLES: [&str; 2] = ["TRAINIT_RESUME_PATH", "TRAINIT_RESUME_STEP"];

/// A workload that is ready, and what it resumes from.
pub(super) struct Resuming {
    /// The workload.
    pub workload: PreparedWorkload,
    /// What was found here.
    pub resumed: Resumed,
}

impl Resuming {
    /// Returns the checkpoints that this node has; `None` where the configuration does not resume.
    pub(super) fn checkpoints(&self, settings: &Settings) -> Option<Checkpoints> {
        settings.checkpoint_dir.value.as_ref().filter(|_| resumes(settings))?;
        let saved = self.resumed.saved.iter();
        Some(saved.map(|saved| Saved { step: saved.step, name: saved.name.as_bytes().to_vec() }).collect())
    }

    /// Takes what was agreed. Returns the line for the log where that is not what was found here.
    ///
    /// # Errors
    /// The checkpoint is not here, and its name leads out of `checkpoint.dir` (119).
    pub(super) fn take(&mut self, settings: &Settings, agreed: &Resume) -> Result<Option<String>> {
        let (words, from) = match agreed {
            // This node does not resume, whatever the others do.
            _ if !resumes(settings) => return Ok(None),
            Resume::Own => return Ok(None),
            Resume::Nothing => ((Vec::new(), Vec::new()), "nothing".to_owned()),
            Resume::From(saved) => (self.given(settings, saved).ok_or_else(|| not_here(saved))?, named(saved)),
        };
        let (arguments, variables) = words;
        if variables == self.resumed.variables && arguments == self.resumed.arguments {
            return Ok(None);
        }
        let PreparedWorkload { command, environment } = &mut self.workload;
        // These words were added at the end.
        command.truncate(command.len().saturating_sub(self.resumed.arguments.len()));
        command.extend(arguments.iter().cloned());
        VARIABLES.iter().for_each(|name| environment.remove(name));
        variables.iter().for_each(|(name, value)| environment.set(name, value));
        (self.resumed.arguments, self.resumed.variables) = (arguments, variables);
        Ok(Some(format!("resume: from {from} instead, the newest that all nodes have")))
    }

    /// Returns the words for a checkpoint. In a directory that is shared, one that this node does not see yet is there all the same.
    fn given(&self, settings: &Settings, saved: &Saved) -> Option<ResumeWords> {
        let like = |here: &Saved| here.is_like(saved);
        let here = self
            .resumed
            .saved
            .iter()
            .find(|here| like(&Saved { step: here.step, name: here.name.as_bytes().to_vec() }));
        if let Some(here) = here {
            return Some((here.arguments.clone(), here.variables.clone()));
        }
        let dir = std::path::absolute(settings.checkpoint_dir.value.as_ref()?).ok()?;
        let name = below(&saved.name)?;
        let found = Checkpoint {
            path: dir.join(name),
            step: saved.step,
            size: 0,
            modified: SystemTime::UNIX_EPOCH,
            family: "plain",
            others: Vec::new(),
            stands: true,
            unread: 0,
        };
        Some(given(&settings.checkpoint_resume.value, Some(&found)))
    }
}

/// Returns whether the workload is to resume.
pub(super) fn resumes(settings: &Settings) -> bool {
    settings.checkpoint_resume.value != crate::config::Resume::Off
}

/// Returns a path that stays below the directory that it is joined to.
fn below(name: &[u8]) -> Option<&Path> {
    let path = Path::new(OsStr::from_bytes(name));
    path.components().all(|part| matches!(part, Component::Normal(_))).then_some(path)
}

fn not_here(saved: &Saved) -> Error {
    let what = format!("the nodes resume from {}, which is not in this node's checkpoint.dir", named(saved));
    Error::new(ErrorKind::Permanent(FailureFamily::Cluster), what)
        .because("a link leads out of checkpoint.dir there")
        .hint("checkpoint.dir: the directory itself, on all nodes")
}

fn named(saved: &Saved) -> String {
    match saved.step {
        Some(step) => format!("step {step}"),
        None => text::os(&OsString::from_vec(saved.name.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prepare::resume::SavedHere;

    fn settings(template: Option<&str>) -> Settings {
        let mut settings = Settings::default();
        settings.checkpoint_dir.value = Some("/ck".into());
        let words = template.map(|word| crate::config::Resume::Arguments(vec!["--from".into(), word.into()]));
        settings.checkpoint_resume.value = words.unwrap_or(crate::config::Resume::Env);
        settings
    }

    fn resuming(settings: &Settings, steps: &[u64]) -> Resuming {
        let saved = |step: &u64| {
            let path = format!("/ck/ckpt-{step}");
            let variables = vec![
                ("TRAINIT_RESUME_PATH".to_owned(), OsString::from(&path)),
                ("TRAINIT_RESUME_STEP".to_owned(), step.to_string().into()),
            ];
            let arguments = match settings.checkpoint_resume.value {
                crate::config::Resume::Arguments(_) => vec!["--from".into(), path.clone().into()],
                _ => Vec::new(),
            };
            SavedHere { name: format!("ckpt-{step}").into(), step: Some(*step), arguments, variables }
        };
        let all: Vec<SavedHere> = steps.iter().map(saved).collect();
        let first = steps.first().map(saved);
        let (arguments, variables) = first.map(|first| (first.arguments, first.variables)).unwrap_or_default();
        let command = [vec![OsString::from("train")], arguments.clone()].concat();
        let environment = variables.iter().map(|(name, value)| (OsString::from(name), value.clone())).collect();
        let resumed = Resumed { arguments, variables, lines: Vec::new(), saved: all };
        Resuming { workload: PreparedWorkload { command, environment }, resumed }
    }

    fn taken(settings: &Settings, steps: &[u64], agreed: &Resume) -> (Option<String>, String, String) {
        let mut resuming = resuming(settings, steps);
        let line = resuming.take(settings, agreed).unwrap_or_else(|error| Some(error.what));
        let words = resuming.workload.command.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
        (line, words, resuming.workload.environment.text("TRAINIT_RESUME_STEP").unwrap_or("-").to_owned())
    }

    fn from(step: u64, name: &str) -> Resume {
        Resume::From(Saved { step: Some(step), name: name.into() })
    }

    #[test]
    fn what_was_agreed_replaces_what_was_found() {
        let settings = settings(Some("{path}"));
        let same = taken(&settings, &[300, 200], &from(300, "ckpt-300"));
        assert_eq!(same, (None, "train --from /ck/ckpt-300".into(), "300".into()));
        let older = taken(&settings, &[300, 200], &from(200, "other-name"));
        let line = "resume: from step 200 instead, the newest that all nodes have".to_owned();
        assert_eq!(older, (Some(line), "train --from /ck/ckpt-200".into(), "200".into()));
        assert_eq!(taken(&settings, &[300], &Resume::Own).1, "train --from /ck/ckpt-300");
        assert_eq!(taken(&settings, &[300], &Resume::Nothing).1, "train");
    }

    #[test]
    fn a_checkpoint_of_a_shared_directory_need_not_be_seen_here() {
        let late = taken(&settings(None), &[], &from(300, "run/ckpt-300"));
        assert_eq!((late.1, late.2), ("train".to_owned(), "300".to_owned()));
        for elsewhere in ["../ckpt-300", "/etc/passwd"] {
            let refused = resuming(&settings(None), &[]).take(&settings(None), &from(300, elsewhere));
            assert_eq!(refused.unwrap_err().exit().code(), 119, "{elsewhere}");
        }
    }
}
