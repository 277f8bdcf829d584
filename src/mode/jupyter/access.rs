//! Who may log in: always by a token or a password, where an empty one counts as not set.
//!
//! Neither ever stands on a command line. They travel in a file that only the user may read, and are removed from the environment, so
//! that kernels do not inherit them.

use super::arguments::{self, Arguments};
use super::{ServerContext, file};
use crate::config::JupyterAuth;
use crate::error::{Error, ErrorKind, Result};
use crate::mode::server_setup::{KeptFile, PrivateFile};
use protocol::errno;
use protocol::exit_code::FailureFamily;
use sha2::{Digest, Sha256};
use std::path::Path;

/// Variables that bring secrets.
pub(super) const VARIABLES: [&str; 3] = [TOKEN, TOKEN_FILE, PASSWORD];

const TOKEN: &str = "JUPYTER_TOKEN";
const TOKEN_FILE: &str = "JUPYTER_TOKEN_FILE";
const PASSWORD: &str = "JUPYTER_PASSWORD";

/// The file with the token, for the next start and for helpers that ask the server on the user's behalf.
const FILE: &str = "token";

/// Characters of the secret that become a password's salt.
const SALT: usize = 12;

/// How a person logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum JupyterAccess {
    /// With a token that was made for this start, and has to be printed.
    Made(String),
    /// With a token that was made, and printed, at an earlier start of this container.
    MadeBefore(String),
    /// With a token that the user chose, and the place where it was set.
    Given(String, &'static str),
    /// With the password only.
    Password,
    /// As options on the command line say.
    ByHand,
    /// Without any proof: something in front has asked for one, such as the platform of this variable.
    Open(Option<&'static str>),
}

/// The token and the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Access {
    /// How a person logs in.
    pub way: JupyterAccess,
    /// The hashed password that Jupyter compares with.
    pub hashed: Option<String>,
}

impl Access {
    /// Takes the token or password that was given, or makes a token.
    ///
    /// # Errors
    /// A token file that cannot be read (78).
    pub(super) fn of(around: &ServerContext<'_>, arguments: &Arguments) -> Result<Self> {
        let given = |name| around.environment.text(name).map(str::trim).filter(|value| !value.is_empty());
        let password = given(PASSWORD);
        let by_hand = ["token", "password", "hashed_password"].iter().any(|name| arguments.has(name, &[]));
        // RunPod opens its pages with this variable's value, so there it is a token to its users.
        let is_token = around.environment.get("RUNPOD_POD_ID").is_some();
        let auth = around.settings.jupyter_auth.value;
        let way = match (given(TOKEN), given(TOKEN_FILE), password) {
            (Some(token), ..) => JupyterAccess::Given(token.to_owned(), TOKEN),
            (None, Some(path), _) => JupyterAccess::Given(read(around, path)?, TOKEN_FILE),
            (None, None, Some(password)) if is_token => JupyterAccess::Given(password.to_owned(), PASSWORD),
            (None, None, Some(_)) => JupyterAccess::Password,
            _ if by_hand && !arguments.say_no_token() => JupyterAccess::ByHand,
            _ if auth == JupyterAuth::Proxy => JupyterAccess::Open(arguments::platform(around.environment)),
            _ if auth == JupyterAuth::None => JupyterAccess::Open(None),
            _ => made(around),
        };
        Ok(Access { way, hashed: password.map(|password| hashed(password, around.secret)) })
    }

    /// Returns the token, if there is a known one.
    pub(super) fn token(&self) -> Option<&str> {
        match &self.way {
            JupyterAccess::Made(token) | JupyterAccess::MadeBefore(token) | JupyterAccess::Given(token, _) => {
                Some(token)
            }
            JupyterAccess::Open(_) => Some(""),
            JupyterAccess::Password | JupyterAccess::ByHand => None,
        }
    }

    /// Returns how to log in, for a person who does not get the token with the address.
    pub(super) fn how_to_log_in(&self) -> Option<String> {
        match &self.way {
            JupyterAccess::Made(_) | JupyterAccess::ByHand => None,
            JupyterAccess::MadeBefore(_) => {
                Some("the token is the one that was told at this container's first start".to_owned())
            }
            JupyterAccess::Open(Some(platform)) => {
                Some(format!("no token is asked for: the platform in front ({platform}) decides who may log in"))
            }
            JupyterAccess::Open(None) => {
                Some("no token is asked for (jupyter.auth: none): who reaches the port can run code in here".to_owned())
            }
            JupyterAccess::Given(_, from) => Some(format!("log in with the token of {from}")),
            JupyterAccess::Password => Some(format!("log in with the password of {PASSWORD}")),
        }
    }

    /// Returns the copy of a token that was made, for the next start of this container.
    pub(super) fn kept(&self, around: &ServerContext<'_>) -> Option<KeptFile> {
        let is_made = matches!(self.way, JupyterAccess::Made(_));
        is_made.then(|| around.keep_secret(&around.private.join(FILE))).flatten()
    }

    /// Returns the file with the token.
    pub(super) fn files(&self, around: &ServerContext<'_>) -> Vec<PrivateFile> {
        self.token()
            .filter(|token| !token.is_empty())
            .map(|token| file(around.private.join(FILE), token))
            .into_iter()
            .collect()
    }
}

fn made(around: &ServerContext<'_>) -> JupyterAccess {
    match around.earlier_secret(&around.private.join(FILE)) {
        Some(token) => JupyterAccess::MadeBefore(token),
        None => JupyterAccess::Made(around.secret.to_owned()),
    }
}

fn read(around: &ServerContext<'_>, path: &str) -> Result<String> {
    let what = format!("{TOKEN_FILE}: {path} cannot be read");
    let bytes = match (around.read)(Path::new(path)) {
        Err(error) if errno::cause_of(&error).is_some() => {
            return Err(Error::new(ErrorKind::Transient(FailureFamily::Host), what).caused_by(error));
        }
        Err(error) => return Err(Error::config(what).caused_by(error)),
        Ok(bytes) => bytes,
    };
    match String::from_utf8(bytes).as_deref().map(str::trim) {
        Err(_) => Err(Error::config(what).because("it is no text")),
        Ok("") => Err(Error::config(what).because("the file is empty")),
        Ok(text) => Ok(text.to_owned()),
    }
}

/// Returns a password as Jupyter keeps it: `sha256:SALT:DIGEST`, which every version understands. A hash stays as it is.
fn hashed(password: &str, secret: &str) -> String {
    let is_hashed = ["argon2:", "sha1:", "sha256:"].iter().any(|scheme| password.starts_with(scheme));
    if is_hashed {
        return password.to_owned();
    }
    let salt: String = secret.chars().rev().take(SALT).collect();
    let digest = Sha256::digest([password.as_bytes(), salt.as_bytes()].concat());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{salt}:{digest}")
}
