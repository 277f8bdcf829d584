//! Mistakes are gathered, not thrown: whoever reads a configuration goes on after one, so that a person sees all of them
//! at once, each with its origin and what to write instead.

use super::{ConfigNode, ValueOrigin, key_name, suggest};
use crate::error::Error;
use protocol::exit_code::Exit;

/// Most mistakes of one kind that are kept: nobody reads more, and a file of garbage must not cost a second.
const KEPT_MAX: usize = 50;

/// What was found wrong so far.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    errors: ProblemList,
    unknown: ProblemList,
    warnings: Vec<Error>,
    /// Only one layer is looked at: what it leaves out may stand in another.
    partial: bool,
}

impl Problems {
    /// For looking at one layer alone.
    pub fn of_one_layer() -> Self {
        Problems { partial: true, ..Problems::default() }
    }

    /// Something about the value of key `at` is wrong; `hint` is what to do, or empty.
    pub fn wrong(&mut self, origin: &ValueOrigin, at: &str, what: &str, hint: &str) {
        self.errors.add(origin, with_hint(Error::config(format!("{}: {what}", heading(origin, at))), hint));
    }

    /// A line of a source, whatever key it is for, cannot be used; `hint` is what to do, or empty.
    pub fn unreadable(&mut self, origin: &ValueOrigin, what: &str, hint: &str) {
        self.wrong(origin, "", what, hint);
    }

    /// A failure that has all its words already.
    pub fn failed(&mut self, error: Error) {
        self.errors.add(&ValueOrigin::Default, error);
    }

    /// The value of `at` is not of the right form; `reason` says more, or is empty.
    pub fn rejected(&mut self, node: &ConfigNode, at: &str, form: &str, reason: &str) {
        let found = match node.as_text() {
            Some(_) if text::is_secret(at) => text::MASK.to_owned(),
            Some(text) => format!("`{}`", shown(text)),
            None => node.shape().to_owned(),
        };
        let mut error = Error::config(format!("{}: {found} is not {form}", heading(&node.origin, at)));
        error.because = Some(reason.to_owned()).filter(|reason| !reason.is_empty());
        self.errors.add(&node.origin, error);
    }

    /// A value that must be there is not, in any layer.
    pub fn missing(&mut self, origin: &ValueOrigin, at: &str, form: &str) {
        if !self.partial {
            self.wrong(origin, at, &format!("not set; it has to be {form}"), "");
        }
    }

    /// A name that nothing is called; `kind` is what it should have been the name of. Without a `hint` the nearest of the
    /// `known` names is suggested.
    pub fn unknown<'a>(
        &mut self,
        origin: &ValueOrigin,
        kind: &str,
        name: &str,
        hint: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) {
        if self.unknown.is_full() {
            // Nobody is going to read what was meant, and to find that out takes its time.
            self.unknown.more += 1;
            return;
        }
        let error = Error::config(match origin {
            ValueOrigin::Environment(_) => format!("{origin}: unknown {kind}"),
            _ => format!("{origin}: unknown {kind} `{}`", shown(name)),
        });
        let meant = suggest::closest(name, known).map(|meant| format!("did you mean {meant}?"));
        let hint = if hint.is_empty() { meant.unwrap_or_default() } else { hint.to_owned() };
        self.unknown.add(origin, with_hint(error, &hint));
    }

    /// Whether words about one more unknown name would be kept.
    pub fn takes_unknown(&self) -> bool {
        !self.unknown.is_full()
    }

    /// Something to tell that is no mistake.
    pub fn warn(&mut self, warning: Error) {
        self.warnings.push(warning);
    }

    /// Whether anything is wrong, unknown names aside.
    pub fn has_mistakes(&self) -> bool {
        !self.errors.kept.is_empty()
    }

    /// The same mistakes with their places alone: of a file that the reader of a log may not read, nothing is repeated.
    pub fn without_words(self) -> Self {
        let Problems { errors, unknown, partial, .. } = self;
        Problems { errors: errors.without_words(), unknown: unknown.without_words(), warnings: Vec::new(), partial }
    }

    /// Takes over what another look found.
    pub fn absorb(&mut self, other: Problems) {
        self.errors.absorb(other.errors);
        self.unknown.absorb(other.unknown);
        self.warnings.extend(other.warnings);
    }

    /// The end: warnings if all went well.
    ///
    /// # Errors
    /// Every mistake in the order of layers and lines; unknown names count if `unknown_is_error`, else they are warnings.
    pub fn settle(mut self, unknown_is_error: bool) -> Result<Vec<Error>, Vec<Error>> {
        if unknown_is_error {
            self.errors.absorb(self.unknown);
        } else {
            self.warnings.extend(self.unknown.into_sorted());
        }
        match self.errors.into_sorted() {
            errors if errors.is_empty() => Ok(self.warnings),
            errors => Err(errors),
        }
    }
}

/// Mistakes with what they sort by.
#[derive(Clone, Debug, Default)]
struct ProblemList {
    kept: Vec<(ValueOrigin, Error)>,
    more: usize,
}

impl ProblemList {
    fn is_full(&self) -> bool {
        self.kept.len() >= KEPT_MAX
    }

    /// The same mistake, met again when layers are read together, is told once.
    fn add(&mut self, origin: &ValueOrigin, error: Error) {
        if self.is_full() {
            self.more += 1;
        } else if !self.kept.iter().any(|(_, known)| known.what == error.what) {
            self.kept.push((origin.clone(), error));
        }
    }

    fn without_words(self) -> ProblemList {
        let mut list = ProblemList { kept: Vec::new(), more: self.more };
        for (origin, _) in self.kept {
            let what = format!("{origin}: not valid; only root can read this file, so nothing of it is repeated");
            list.add(&origin, Error::config(what).hint("trainit config check FILE says what is wrong"));
        }
        list
    }

    fn absorb(&mut self, other: ProblemList) {
        self.more += other.more;
        other.kept.into_iter().for_each(|(origin, error)| self.add(&origin, error));
    }

    fn into_sorted(mut self) -> Vec<Error> {
        self.kept.sort_by(|a, b| a.0.cmp(&b.0));
        let more = (self.more > 0).then(|| Error::config(format!("and {} more", self.more)));
        self.kept.into_iter().map(|(_, error)| error).chain(more).collect()
    }
}

fn with_hint(error: Error, hint: &str) -> Error {
    if hint.is_empty() { error } else { error.hint(hint) }
}

/// Where and what a message is about; a variable or option that is named after its key says both at once.
fn heading(origin: &ValueOrigin, at: &str) -> String {
    let says_both = match origin {
        _ if at.is_empty() => true,
        ValueOrigin::Environment(name) => key_name::variable(at) == *name,
        ValueOrigin::CommandLine(option) => option.ends_with(at),
        _ => false,
    };
    if says_both { origin.to_string() } else { format!("{origin}: {}", shown(at)) }
}

/// A piece of a value as a message repeats it: short, on one line, without secrets. Masked before it is cut, because half a URL does
/// not look like one.
pub fn shown(text: &str) -> String {
    text::bytes(text::masked(text).as_bytes())
}

/// Several errors as the one that a start fails with.
pub fn together(mut errors: Vec<Error>) -> Error {
    if errors.len() == 1 {
        return errors.remove(0);
    }
    // Where nothing but passing troubles kept it from being read, nothing is known to be wrong with it.
    let passing = errors.iter().map(|error| error.exit).find(|exit| matches!(exit, Exit::Transient(_)));
    match passing.filter(|_| errors.iter().all(|error| matches!(error.exit, Exit::Transient(_)))) {
        Some(exit) => Error::new(exit, "the configuration cannot be read at this moment").parts(errors),
        None => Error::config(format!("{} mistakes in the configuration", errors.len())).parts(errors),
    }
}
