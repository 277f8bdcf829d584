//! Checks whether the installed packages satisfy all requirements, and the requirements of those packages in turn: yes, no, or unknown.
//! The answer is yes only if both installers would find nothing to do; anything not understood is left to them. The module reads metadata
//! and starts nothing.

use crate::installed::metadata::MetadataHead;
use crate::installed::{Distribution, Installed, origin};
use crate::packaging::{MarkerEnvironment, Name, ProjectSource, Requirement, RequirementParts, Specifiers, Version};
use std::collections::{HashMap, HashSet};
use std::fmt;

/// One requirement, with its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestedBy {
    /// The file and line.
    pub place: String,
    /// The requirement without options.
    pub text: String,
}

/// The question whether requirements are satisfied.
pub struct Question<'a> {
    /// The requirements.
    pub asked: &'a [RequestedBy],
    /// The constraints on installed packages, whatever requires them.
    pub constraints: &'a [RequestedBy],
    /// The installed packages.
    pub installed: &'a Installed,
    /// The interpreter that markers are evaluated for.
    pub environment: &'a MarkerEnvironment,
    /// The test for distributions that are accepted in whatever version they have.
    pub stays: &'a dyn Fn(&Distribution) -> bool,
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Satisfaction {
    /// All of so many requirements are satisfied.
    Yes(usize),
    /// This requirement is not satisfied.
    No(Box<Unmet>),
    /// This requirement is not understood.
    Unknown(String),
}

/// A requirement that is not satisfied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// The origin of the requirement: a file and line, or the distribution that has it.
    pub by: String,
    /// The required project.
    pub name: Name,
    /// The version that is installed instead.
    pub found: Option<Version>,
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unmet { by, name, found } = self;
        match found {
            Some(version) => write!(f, "{by} needs another {name} than {version}"),
            None => write!(f, "{by} needs {name}, which is not installed"),
        }
    }
}

/// Lists the requirements of the question itself, without those of distributions, whose projects are not installed in any version.
pub fn absent(question: &Question<'_>) -> Vec<Unmet> {
    let walk = DependencyWalk::of(question);
    let named = question.asked.iter().filter_map(|ask| {
        let name = walk.counted(&ask.place, &ask.text, None).ok()??.name;
        Some(Unmet { by: ask.place.clone(), name, found: None })
    });
    named.filter(|unmet| question.installed.get(&unmet.name).is_none()).collect()
}

/// Answers a question.
pub fn answer(question: &Question<'_>) -> Satisfaction {
    DependencyWalk::of(question).all().map_or_else(|answer| answer, Satisfaction::Yes)
}

/// A required distribution, perhaps with one of its extras.
type Need = (Name, Option<Name>);

struct DependencyWalk<'a> {
    question: &'a Question<'a>,
    constraints: HashMap<Name, Vec<(&'a str, ProjectSource)>>,
    seen: HashSet<Need>,
    /// The distributions that are still to be looked into.
    open: Vec<Need>,
}

impl<'a> DependencyWalk<'a> {
    fn of(question: &'a Question<'a>) -> Self {
        DependencyWalk { question, constraints: HashMap::new(), seen: HashSet::new(), open: Vec::new() }
    }

    fn all(&mut self) -> Result<usize, Satisfaction> {
        let question = self.question;
        for ask in question.constraints {
            if let Some(constraint) = self.counted(&ask.place, &ask.text, None)? {
                self.constraints.entry(constraint.name).or_default().push((&ask.place, constraint.source));
            }
        }
        let (mut count, mut doubt) = (0, None);
        for ask in question.asked {
            let taken = self.counted(&ask.place, &ask.text, None).and_then(|requirement| match requirement {
                Some(requirement) => self.take(&ask.place, requirement).map(|()| 1),
                None => Ok(0),
            });
            count += or_doubt(taken, &mut doubt)?;
        }
        let mut head = MetadataHead::default();
        while let Some((name, extra)) = self.open.pop() {
            or_doubt(self.look_into(&name, extra.as_ref(), &mut head), &mut doubt)?;
        }
        doubt.map_or(Ok(count), Err)
    }

    /// Evaluates the requirements of a distribution, each of which has to be understood.
    fn look_into(&mut self, name: &Name, extra: Option<&Name>, head: &mut MetadataHead) -> Result<(), Satisfaction> {
        let who = name.as_str();
        if !self.question.installed.get(name).is_some_and(|found| found.read(head)) {
            return Err(unknown(who, "its own metadata"));
        }
        for text in head.requires() {
            if let Some(requirement) = self.counted(who, &text, extra)? {
                self.take(who, requirement)?;
            }
        }
        Ok(())
    }

    /// Parses a requirement; `None` if its marker excludes it.
    fn counted(&self, who: &str, text: &str, extra: Option<&Name>) -> Result<Option<Requirement>, Satisfaction> {
        let not_understood = || unknown(who, text);
        let parts = RequirementParts::cut(text).ok_or_else(not_understood)?;
        let counts = parts.counts(self.question.environment, extra.map_or("", Name::as_str));
        match counts.ok_or_else(|| unknown(who, &format!("the condition for {}", parts.name())))? {
            true => parts.requirement().map(Some).ok_or_else(not_understood),
            false => parts.is_understood().then_some(None).ok_or_else(not_understood),
        }
    }

    /// Compares one requirement with the installed packages, and notes the distributions to look into because of it.
    fn take(&mut self, who: &str, requirement: Requirement) -> Result<(), Satisfaction> {
        let name = &requirement.name;
        let Some(found) = self.question.installed.get(name) else {
            return Err(unmet(who, name, None));
        };
        if found.ambiguous {
            return Err(unknown(who, &format!("{name}, which is installed twice")));
        }
        if !(self.question.stays)(found) {
            fits(who, found, &requirement.source)?;
            let constraints = self.constraints.get(name).map(Vec::as_slice).unwrap_or_default();
            constraints.iter().try_for_each(|(place, source)| fits(place, found, source))?;
        }
        let needs = std::iter::once(None).chain(requirement.extras.into_iter().map(Some));
        for need in needs.map(|extra| (name.clone(), extra)) {
            if self.seen.insert(need.clone()) {
                self.open.push(need);
            }
        }
        Ok(())
    }
}

fn fits(who: &str, found: &Distribution, source: &ProjectSource) -> Result<(), Satisfaction> {
    match source {
        ProjectSource::Versions(specifiers) => has_version(who, found, specifiers),
        ProjectSource::Url(url) if origin::is_from(&found.path, url) => Ok(()),
        ProjectSource::Url(_) => Err(unknown(who, &format!("where {} came from", found.name))),
    }
}

fn has_version(who: &str, found: &Distribution, specifiers: &Specifiers) -> Result<(), Satisfaction> {
    if specifiers.is_empty() {
        return Ok(());
    }
    let name = &found.name;
    let version = found.version.as_ref().ok_or_else(|| unknown(who, &format!("the version of {name}")))?;
    match specifiers.contains(version) {
        Some(true) => Ok(()),
        Some(false) => Err(unmet(who, name, Some(version))),
        None => Err(unknown(who, &format!("whether {version} is the {name} that is asked for"))),
    }
}

/// Passes on what is not satisfied, and keeps the first doubt for later: what is not satisfied says more than what is not understood.
fn or_doubt<T: Default>(taken: Result<T, Satisfaction>, doubt: &mut Option<Satisfaction>) -> Result<T, Satisfaction> {
    match taken {
        Err(Satisfaction::Unknown(why)) => {
            doubt.get_or_insert(Satisfaction::Unknown(why));
            Ok(T::default())
        }
        taken => taken,
    }
}

fn unmet(who: &str, name: &Name, found: Option<&Version>) -> Satisfaction {
    Satisfaction::No(Box::new(Unmet { by: who.to_owned(), name: name.clone(), found: found.cloned() }))
}

fn unknown(who: &str, what: &str) -> Satisfaction {
    Satisfaction::Unknown(format!("{who}: {what}"))
}

#[cfg(test)]
#[path = "satisfied/tests.rs"]
mod tests;
