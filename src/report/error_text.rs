//! The words of an error, made here alone: what happened, the chain of causes, and what to type. It decides nothing.

use crate::error::Error;
use nix::errno::Errno;
use protocol::errno;
use std::error::Error as StdError;
use std::fmt;
use std::io;

/// `{}` is what happened alone. `{:#}` is the whole text: what happened, why, the hints, and the parts of a combined error.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if !f.alternate() {
            return Ok(());
        }
        if let Some(because) = because(self) {
            write!(f, ": {because}")?;
        }
        self.hints.iter().try_for_each(|hint| write!(f, "\n    → {hint}"))?;
        self.parts.iter().try_for_each(|part| write!(f, "\n  {}", format!("{part:#}").replace('\n', "\n  ")))
    }
}

/// Returns why it happened: the causes from the nearest to the first, then the reason that the error itself has.
pub(crate) fn because(error: &Error) -> Option<String> {
    let causes = error.source.as_deref().map(chain);
    let reasons: Vec<String> =
        causes.into_iter().chain(error.because.clone()).filter(|text| !text.is_empty()).collect();
    (!reasons.is_empty()).then(|| reasons.join(": "))
}

/// Returns the words of an error and of the errors behind it.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    causes.map(words).filter(|words| !words.is_empty()).collect::<Vec<_>>().join(": ")
}

/// Returns the words of one error. Those for an errno come from one table, whichever type carries it.
fn words(error: &(dyn StdError + 'static)) -> String {
    match (error.downcast_ref::<Errno>(), error.downcast_ref::<io::Error>()) {
        (Some(number), _) => errno::words(*number).to_owned(),
        (_, Some(error)) => errno::words_of(error),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Unpublished(io::Error);

    impl std::fmt::Display for Unpublished {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("the entry cannot be published")
        }
    }

    impl StdError for Unpublished {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn every_cause_reaches_the_text_once_and_without_numbers() {
        let cause = Unpublished(io::Error::from_raw_os_error(nix::libc::ESTALE));
        let error = Error::config("deps.store").caused_by(cause).because("its export moved").hint("mount it again");
        let text =
            "deps.store: the entry cannot be published: Stale file handle: its export moved\n    → mount it again";
        assert_eq!((format!("{error:#}").as_str(), error.to_string().as_str()), (text, "deps.store"));
    }

    #[test]
    fn an_errno_has_the_same_words_in_every_type() {
        let of_io = io::Error::from_raw_os_error(nix::libc::ENOENT);
        assert_eq!((chain(&of_io), chain(&Errno::ENOENT)), (errno::words(Errno::ENOENT).into(), chain(&of_io)));
        assert_eq!(chain(&io::Error::other("the file is empty")), "the file is empty");
    }

    #[test]
    fn an_error_without_a_cause_has_no_reason() {
        assert_eq!(because(&Error::usage("x")), None);
        let parts = vec![Error::config("a").hint("b"), Error::config("c")];
        assert_eq!(format!("{:#}", Error::config("2 mistakes").parts(parts)), "2 mistakes\n  a\n      → b\n  c");
    }
}
