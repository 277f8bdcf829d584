//! The program's command line.

use std::ffi::OsString;
use std::path::PathBuf;

/// Options for all requests of one process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CarrierOptions {
    /// The server that is asked instead of the cloud's (`http://minio:9000`).
    pub endpoint: Option<String>,
    /// A file with certificates that are trusted besides the system's; a server's own certificate in it is pinned.
    pub ca: Option<PathBuf>,
    /// How many requests are worked on at a time.
    pub parallel: Option<u32>,
    /// Bytes a second, for all requests together.
    pub limit: Option<u64>,
    /// How often a request that may pass is tried again.
    pub retries: Option<u32>,
}

impl CarrierOptions {
    /// Returns the words behind the program's name.
    pub fn words(&self) -> Vec<OsString> {
        let numbers = [
            ("--parallel", self.parallel.map(u64::from)),
            ("--limit", self.limit),
            ("--retries", self.retries.map(u64::from)),
        ];
        let texts =
            [("--endpoint", self.endpoint.clone().map(OsString::from)), ("--ca", self.ca.clone().map(OsString::from))];
        let numbers = numbers.into_iter().map(|(name, value)| (name, value.map(|value| value.to_string().into())));
        let given = texts.into_iter().chain(numbers).filter_map(|(name, value)| Some([name.into(), value?]));
        given.flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_given_becomes_a_word() {
        assert!(CarrierOptions::default().words().is_empty());
        let options = CarrierOptions { ca: Some("/ca.pem".into()), retries: Some(0), ..CarrierOptions::default() };
        assert_eq!(options.words(), ["--ca", "/ca.pem", "--retries", "0"]);
    }
}
