//! Collects mistakes: reading continues after a mistake, so that users see all of them at once, each with its origin and the correct form.

use super::value_error::{NameError, ValueError};
use super::words::WordsError;
use super::{ConfigNode, ValueOrigin, key_name, suggest};
use crate::error::{Error, ErrorKind};

/// Largest number of kept mistakes of one kind: more are not read, and an invalid file must not cost a second.
const KEPT_MAX: usize = 50;

/// The mistakes so far.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    errors: ProblemList,
    unknown: ProblemList,
    warnings: Vec<Error>,
    /// Whether only one layer is read: another one may have what this one lacks.
    partial: bool,
}

impl Problems {
    /// Makes an empty list for reading a single layer.
    pub fn of_one_layer() -> Self {
        Problems { partial: true, ..Problems::default() }
    }

    /// Adds a mistake in the value of key `at`; `hint` says what to do, or is empty.
    pub fn wrong(&mut self, origin: &ValueOrigin, at: &str, what: &str, hint: &str) {
        self.errors.add(origin, with_hint(Error::config(format!("{}: {what}", heading(origin, at))), hint));
    }

    /// Adds an unusable line of a source, whatever its key; `hint` says what to do, or is empty.
    pub fn unreadable(&mut self, origin: &ValueOrigin, what: &str, hint: &str) {
        self.wrong(origin, "", what, hint);
    }

    /// Adds a complete error.
    pub fn failed(&mut self, error: Error) {
        self.errors.add(&ValueOrigin::Default, error);
    }

    /// Adds a text that cannot be split into items.
    pub fn unsplit(&mut self, origin: &ValueOrigin, at: &str, error: WordsError) {
        self.errors.add(origin, Error::config(heading(origin, at)).caused_by(error));
    }

    /// Adds an entry whose name is invalid.
    pub fn misnamed(&mut self, origin: &ValueOrigin, at: &str, error: NameError) {
        self.errors.add(origin, Error::config(heading(origin, at)).caused_by(error));
    }

    /// Adds a value of the wrong form.
    pub fn rejected(&mut self, node: &ConfigNode, at: &str, form: &str, error: ValueError) {
        let found = match node.as_text() {
            Some(_) if text::is_secret(at) => text::MASK.to_owned(),
            Some(text) => format!("`{}`", shown(text)),
            None => node.shape().to_owned(),
        };
        let rejected = Error::config(format!("{}: {found} is not {form}", heading(&node.origin, at)));
        self.errors.add(
            &node.origin,
            match error {
                ValueError::Form => rejected,
                error => rejected.caused_by(error),
            },
        );
    }

    /// Adds a required value that no layer has.
    pub fn missing(&mut self, origin: &ValueOrigin, at: &str, form: &str) {
        if !self.partial {
            self.wrong(origin, at, &format!("not set; it has to be {form}"), "");
        }
    }

    /// Adds an unknown name; `kind` says what it should name. Without a `hint` the nearest `known` name is suggested.
    pub fn unknown<'a>(
        &mut self,
        origin: &ValueOrigin,
        kind: &str,
        name: &str,
        hint: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) {
        if self.unknown.is_full() {
            // A suggestion costs time and would not be shown.
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

    /// Returns whether one more unknown name would be kept.
    pub fn takes_unknown(&self) -> bool {
        !self.unknown.is_full()
    }

    /// Adds a warning.
    pub fn warn(&mut self, warning: Error) {
        self.warnings.push(warning);
    }

    /// Returns whether there are mistakes other than unknown names.
    pub fn has_mistakes(&self) -> bool {
        !self.errors.kept.is_empty()
    }

    /// Reduces the mistakes to their places: a file that the log's readers may not read is not quoted.
    pub fn without_words(self) -> Self {
        let Problems { errors, unknown, partial, .. } = self;
        Problems { errors: errors.without_words(), unknown: unknown.without_words(), warnings: Vec::new(), partial }
    }

    /// Adds the mistakes of another list.
    pub fn absorb(&mut self, other: Problems) {
        self.errors.absorb(other.errors);
        self.unknown.absorb(other.unknown);
        self.warnings.extend(other.warnings);
    }

    /// Ends the collection; returns the warnings if there was no mistake.
    ///
    /// # Errors
    /// Every mistake in the order of layers and lines. Unknown names count if `unknown_is_error` is set, else they are warnings.
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

/// Mistakes with their sort keys.
#[derive(Clone, Debug, Default)]
struct ProblemList {
    kept: Vec<(ValueOrigin, Error)>,
    more: usize,
}

impl ProblemList {
    fn is_full(&self) -> bool {
        self.kept.len() >= KEPT_MAX
    }

    /// Adds a mistake, unless reading one layer has already found the same.
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

/// Formats the origin and the key. A variable or option that is named after its key stands for both.
fn heading(origin: &ValueOrigin, at: &str) -> String {
    let says_both = match origin {
        _ if at.is_empty() => true,
        ValueOrigin::Environment(name) => key_name::variable(at) == *name,
        ValueOrigin::CommandLine(option) => option.ends_with(at),
        _ => false,
    };
    if says_both { origin.to_string() } else { format!("{origin}: {}", shown(at)) }
}

/// Shortens a quoted value to one line without secrets. Secrets are masked before the cut, because half a URL is not recognised.
pub fn shown(text: &str) -> String {
    text::bytes(text::masked(text).as_bytes())
}

/// Combines several errors into the one that ends a start.
pub fn together(mut errors: Vec<Error>) -> Error {
    if errors.len() == 1 {
        return errors.remove(0);
    }
    // If only transient errors prevented reading, no mistake is known.
    let passing = errors.iter().map(|error| error.kind).find(|kind| matches!(kind, ErrorKind::Transient(_)));
    match passing.filter(|_| errors.iter().all(|error| matches!(error.kind, ErrorKind::Transient(_)))) {
        Some(kind) => Error::new(kind, "the configuration cannot be read at this moment").parts(errors),
        None => Error::config(format!("{} mistakes in the configuration", errors.len())).parts(errors),
    }
}
