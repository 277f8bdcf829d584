//! Jupyter options that the user gave, and the values that can be read from them.
//!
//! The options are traits of classes (`--ServerApp.port=8888`, `--NotebookApp.port 8888`), with short names for a few (`--port`).

use crate::config::{JupyterAuth, Settings, words};
use crate::error::{Error, Result};
use std::ffi::OsString;
use sys::environment::Environment;

/// The words, in ascending order of priority.
#[derive(Clone, Debug, Default)]
pub(super) struct Arguments {
    /// The words in the order of the command line.
    pub words: Vec<OsString>,
}

impl Arguments {
    /// Collects the options of the configuration, of NOTEBOOK_ARGS (docker-stacks), and of the command line.
    ///
    /// # Errors
    /// NOTEBOOK_ARGS cannot be split into words, or a token is empty (78).
    pub(super) fn of(settings: &Settings, environment: &Environment, typed: &[OsString]) -> Result<Self> {
        let own = || environment.text("NOTEBOOK_ARGS").filter(|_| !is_locked(settings));
        let given = own().unwrap_or_default();
        let given =
            words::split(given).map_err(|error| Error::config("NOTEBOOK_ARGS cannot be read").caused_by(error))?;
        let words = settings.jupyter_args.iter().chain(&given).map(OsString::from).chain(typed.iter().cloned());
        let arguments = Arguments { words: words.collect() };
        match settings.jupyter_auth.value {
            JupyterAuth::Token if arguments.say_no_token() => Err(open()),
            JupyterAuth::Proxy if platform(environment).is_none() => Err(nothing_in_front()),
            _ => Ok(arguments),
        }
    }

    /// Returns whether an option empties the token.
    pub(super) fn say_no_token(&self) -> bool {
        self.value("token", &[]).is_some_and(|token| token.trim_matches(['"', '\'']).is_empty())
    }

    /// Returns the value of a trait, by its name in any class or by one of its short names.
    pub(super) fn value(&self, name: &str, short: &[&str]) -> Option<String> {
        let texts: Vec<&str> = self.words.iter().map(|word| word.to_str().unwrap_or_default()).collect();
        let found = |(at, text): (usize, &&str)| {
            let (option, value) = match text.split_once('=') {
                Some((option, value)) => (option, Some(value)),
                None => (*text, texts.get(at + 1).copied().filter(|next| !next.starts_with('-'))),
            };
            is_option(option, name, short).then(|| value.unwrap_or_default().to_owned())
        };
        texts.iter().enumerate().filter_map(found).next_back()
    }

    /// Returns whether a trait is given, with any value.
    pub(super) fn has(&self, name: &str, short: &[&str]) -> bool {
        self.value(name, short).is_some()
    }
}

/// Returns whether the image's author has locked a setting that options could override.
fn is_locked(settings: &Settings) -> bool {
    let said = ["address", "args", "auth", "base_url", "certificate", "port", "root"];
    said.iter().any(|name| settings.lock_of(&format!("jupyter.{name}")).is_some())
}

fn is_option(text: &str, name: &str, short: &[&str]) -> bool {
    let Some(option) = text.strip_prefix("--") else { return false };
    let is_trait = option.rsplit_once('.').is_some_and(|(class, of)| !class.is_empty() && of == name);
    is_trait || short.contains(&option)
}

/// Variables of platforms whose proxy logs in for its users, and is the only way to the server. (SageMaker Studio's is read by Amazon's
/// own JupyterLab extension, sagemaker_jupyterlab_extension 0.6.1, utils/request_logger.py, and by its toolkit for VS Code, env.ts.)
const PLATFORMS: [&str; 5] =
    ["NB_PREFIX", "RUNAI_JOB_NAME", "JUPYTERHUB_API_TOKEN", "SAGEMAKER_APP_TYPE", "CODESPACES"];

/// Returns the variable by which such a platform is known.
pub(super) fn platform(environment: &Environment) -> Option<&'static str> {
    PLATFORMS.into_iter().find(|name| environment.get(name).is_some_and(|value| !value.is_empty()))
}

fn nothing_in_front() -> Error {
    Error::config("jupyter.auth is `proxy`, and no platform is known here that logs in for its users")
        .because(format!("none of {} is set, and everybody who reaches the port could run code", PLATFORMS.join(", ")))
        .hint("leave it at `token`: a token is made and told once")
        .hint("jupyter.auth: none, where something else lets in only who may use this container")
}

fn open() -> Error {
    Error::config("an option for Jupyter says that its token is empty")
        .because("then everybody who reaches the port could run code in here")
        .hint("leave it away: a token is made and told once; or set JUPYTER_TOKEN or JUPYTER_PASSWORD")
        .hint("where a platform's proxy logs in for its users: TRAINIT_JUPYTER_AUTH=proxy")
}
