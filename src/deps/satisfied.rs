//! Whether all that is asked for is installed, with all that it requires in turn: yes, no, or not known. Yes is said only if both
//! installers would find nothing to do; whatever is not understood is left to them. Reads metadata; starts nothing.

use super::inputs::Ask;
use super::installed::{Distribution, Installed, origin};
use super::packaging::{Environment, Name, Requirement, Source, Specifiers};
use std::collections::{HashMap, HashSet};

/// What is asked.
pub struct Question<'a> {
    /// The requirements.
    pub asked: &'a [Ask],
    /// What must hold for whatever is installed.
    pub constraints: &'a [Ask],
    /// What is installed.
    pub installed: &'a Installed,
    /// For which interpreter.
    pub environment: &'a Environment,
    /// What counts as right in whatever version it is.
    pub stays: &'a dyn Fn(&Name) -> bool,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// So many requirements are fulfilled.
    Yes(usize),
    /// This is missing.
    No(String),
    /// This is not understood.
    Unknown(String),
}

/// Answers.
pub fn answer(question: &Question<'_>) -> Answer {
    let mut walk = Walk { question, constraints: HashMap::new(), requires: HashMap::new(), seen: HashSet::new() };
    walk.all().map_or_else(|answer| answer, Answer::Yes)
}

/// A distribution that is needed, and perhaps one of its extras.
type Need = (Name, Option<Name>);

struct Walk<'a> {
    question: &'a Question<'a>,
    constraints: HashMap<Name, Vec<(&'a str, Source)>>,
    /// What distributions require, as far as it was read.
    requires: HashMap<Name, Vec<Requirement>>,
    seen: HashSet<Need>,
}

impl<'a> Walk<'a> {
    fn all(&mut self) -> Result<usize, Answer> {
        let question = self.question;
        for ask in question.constraints {
            let constraint = self.read(&ask.place, &ask.text)?;
            if self.counts(&ask.place, &constraint, None)? {
                self.constraints.entry(constraint.name).or_default().push((&ask.place, constraint.source));
            }
        }
        let (mut open, mut count) = (Vec::new(), 0);
        for ask in question.asked {
            let requirement = self.read(&ask.place, &ask.text)?;
            if self.counts(&ask.place, &requirement, None)? {
                count += 1;
                self.take(&ask.place, &requirement, &mut open)?;
            }
        }
        while let Some((name, extra)) = open.pop() {
            let who = name.to_string();
            let requires = self.requires(&name)?;
            let checked =
                requires.iter().try_for_each(|requirement| match self.counts(&who, requirement, extra.as_ref())? {
                    true => self.take(&who, requirement, &mut open),
                    false => Ok(()),
                });
            self.requires.insert(name, requires);
            checked?;
        }
        Ok(count)
    }

    fn read(&self, who: &str, text: &str) -> Result<Requirement, Answer> {
        Requirement::parse(text).ok_or_else(|| unknown(who, text))
    }

    fn counts(&self, who: &str, requirement: &Requirement, extra: Option<&Name>) -> Result<bool, Answer> {
        let Some(marker) = &requirement.marker else { return Ok(true) };
        let holds = marker.holds(self.question.environment, extra.map_or("", Name::as_str));
        holds.ok_or_else(|| unknown(who, &format!("the condition for {}", requirement.name)))
    }

    /// Holds one requirement against what is installed, and notes what has to be looked at because of it.
    fn take(&mut self, who: &str, requirement: &Requirement, open: &mut Vec<Need>) -> Result<(), Answer> {
        let name = &requirement.name;
        let Some(found) = self.question.installed.get(name) else {
            return Err(Answer::No(format!("{who} needs {name}, which is not installed")));
        };
        if found.ambiguous {
            return Err(unknown(who, &format!("{name}, which is installed twice")));
        }
        if !(self.question.stays)(name) {
            fits(who, found, &requirement.source)?;
            let constraints = self.constraints.get(name).map(Vec::as_slice).unwrap_or_default();
            constraints.iter().try_for_each(|(place, source)| fits(place, found, source))?;
        }
        let extras = requirement.extras.iter().cloned().map(Some);
        let needs = std::iter::once(None).chain(extras).map(|extra| (name.clone(), extra));
        open.extend(needs.filter(|need| self.seen.insert(need.clone())));
        Ok(())
    }

    /// What a distribution requires; every line of it has to be understood.
    fn requires(&mut self, name: &Name) -> Result<Vec<Requirement>, Answer> {
        if let Some(known) = self.requires.remove(name) {
            return Ok(known);
        }
        let metadata = self.question.installed.get(name).and_then(Distribution::metadata);
        let metadata = metadata.ok_or_else(|| unknown(name.as_str(), "its own metadata"))?;
        metadata.requires.iter().map(|text| self.read(name.as_str(), text)).collect()
    }
}

fn fits(who: &str, found: &Distribution, source: &Source) -> Result<(), Answer> {
    match source {
        Source::Versions(specifiers) => has_version(who, found, specifiers),
        Source::Url(url) if origin::is_from(&found.path, url) => Ok(()),
        Source::Url(_) => Err(unknown(who, &format!("where {} came from", found.name))),
    }
}

fn has_version(who: &str, found: &Distribution, specifiers: &Specifiers) -> Result<(), Answer> {
    if specifiers.is_empty() {
        return Ok(());
    }
    let name = &found.name;
    let version = found.version.as_ref().ok_or_else(|| unknown(who, &format!("the version of {name}")))?;
    match specifiers.contains(version) {
        Some(true) => Ok(()),
        Some(false) => Err(Answer::No(format!("{who} needs another {name} than {version}"))),
        None => Err(unknown(who, &format!("whether {version} is the {name} that is asked for"))),
    }
}

fn unknown(who: &str, what: &str) -> Answer {
    Answer::Unknown(format!("{who}: {what}"))
}

#[cfg(test)]
#[path = "satisfied/tests.rs"]
mod tests;
