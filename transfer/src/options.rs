//! The command line.

use std::path::PathBuf;
use std::time::Duration;

/// What the command line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// The server that is asked instead of the cloud's.
    pub(crate) endpoint: Option<String>,
    /// A file with certificates that are trusted, too.
    pub(crate) ca: Option<PathBuf>,
    /// How many requests are worked on at a time.
    pub(crate) parallel: usize,
    /// Bytes a second.
    pub(crate) limit: Option<u64>,
    /// How often a try that may pass is repeated.
    pub(crate) retries: u32,
    /// How long nothing may move before a try has failed.
    pub(crate) stall: Duration,
}

impl Default for Options {
    fn default() -> Self {
        let stall = Duration::from_secs(60);
        Options { endpoint: None, ca: None, parallel: 16, limit: None, retries: 5, stall }
    }
}

/// The words for `--help`.
pub(crate) const USAGE: &str = "usage: trainit-transfer [--endpoint URL] [--ca FILE] [--parallel N] [--limit BYTES_PER_SECOND] \
[--retries N] [--stall SECONDS]
Moves bytes between files and object stores for trainit, which starts it: a JSON request a line on stdin, answers on stdout.";

impl Options {
    /// Reads the words behind the program's name.
    ///
    /// # Errors
    /// The word that cannot be used.
    pub(crate) fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let (mut options, mut words) = (Options::default(), words.into_iter());
        while let Some(name) = words.next() {
            let value = words.next().ok_or_else(|| format!("{name}: a value is missing"))?;
            let number = || value.parse::<u64>().ok().filter(|number| *number > 0 || name == "--retries");
            let number = || number().ok_or_else(|| format!("{name}: {value} is no number that can be used"));
            match name.as_str() {
                "--endpoint" => options.endpoint = Some(value),
                "--ca" => options.ca = Some(value.into()),
                "--parallel" => options.parallel = number()?.min(1024) as usize,
                "--limit" => options.limit = Some(number()?),
                "--retries" => options.retries = number()?.min(1000) as u32,
                "--stall" => options.stall = Duration::from_secs(number()?),
                _ => return Err(format!("{name}: there is no such option")),
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use transfer_protocol::CarrierOptions;

    fn parse(words: &[&str]) -> Result<Options, String> {
        Options::parse(words.iter().map(|word| (*word).to_owned()))
    }

    #[test]
    fn the_words_that_trainit_writes_are_read() {
        let sent = CarrierOptions {
            endpoint: Some("http://minio:9000".into()),
            ca: Some("/ca.pem".into()),
            parallel: Some(4),
            limit: Some(1 << 20),
            retries: Some(0),
        };
        let words = sent.words().into_iter().map(|word| word.into_string().unwrap());
        let read = Options::parse(words).unwrap();
        assert_eq!((read.parallel, read.limit, read.retries), (4, Some(1 << 20), 0));
        assert_eq!((read.endpoint.as_deref(), read.ca), (Some("http://minio:9000"), Some("/ca.pem".into())));
        assert_eq!(parse(&[]).unwrap(), Options::default());
    }

    #[test]
    fn a_word_that_cannot_be_used_is_named() {
        for words in [&["--parallel", "0"][..], &["--limit", "x"], &["--ca"], &["--fast", "1"]] {
            assert!(parse(words).unwrap_err().starts_with(words[0]));
        }
    }
}
