//! What opens a private repository: a token over HTTP, or a key over ssh. The token itself goes into no argument and no file: git asks
//! trainit for it.

use super::askpass::{self, TokenSource};
use std::path::PathBuf;
use sys::environment::Environment;

/// The ways into a repository that were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// `SCHEME://HOST[:PORT]` of the only server that gets the token.
    pub origin: Option<String>,
    /// Where the token comes from.
    pub token: Option<TokenSource>,
    /// The program that git asks: trainit, whose role `is_question` tells.
    pub program: Option<PathBuf>,
    /// The private key of ssh.
    pub ssh_key: Option<PathBuf>,
    /// The keys of servers that are known.
    pub known_hosts: Option<PathBuf>,
}

impl Access {
    /// Tells whether git is going to be answered.
    pub(crate) fn has_token(&self) -> bool {
        self.origin.is_some() && self.token.is_some() && self.program.is_some()
    }

    /// Adds the variables by which git asks, and the asked trainit knows what to answer.
    pub(crate) fn add_to(&self, environment: &mut Environment) {
        let (Some(origin), Some(token), Some(program)) = (&self.origin, &self.token, &self.program) else { return };
        environment.set("GIT_ASKPASS", program);
        environment.set(askpass::ORIGIN, origin);
        match token {
            TokenSource::File(path) => environment.set(askpass::FILE, path),
            TokenSource::Variable(name) => environment.set(askpass::VARIABLE, name),
        }
    }

    /// Returns the token, to take it out of messages.
    pub(crate) fn secret(&self, environment: &Environment) -> Option<String> {
        let text = self.token.as_ref()?.read(|name| environment.text(name).map(str::to_owned)).ok()?;
        Some(text.split_once(':').map_or(text.clone(), |(_, token)| token.to_owned()))
    }
}
