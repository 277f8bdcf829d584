//! The code of `code.from`: brought into the code directory before the project's configuration and its requirements are read, which come
//! with it. The crate `checkout` does the work; this module asks the settings, and makes words and exit codes.

mod words;

use crate::config::{EnvValue, Lfs, Settings, TrustedLayers};
use crate::error::{Error, ErrorKind, Result};
use crate::identity::{Entered, UserDestination};
use crate::ticker::{self, Ticker};
use checkout::{Access, Address, Brought, Progress, Request, TokenSource};
use protocol::exit_code::FailureFamily;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use sys::environment::Environment;
use sys::mountinfo::Mounts;
use sys::{Root, reach};

/// The variable that names the commit for all nodes of a job.
const COMMIT: &str = "TRAINIT_CODE_COMMIT";

/// The time until the first line about progress in a log.
const PATIENCE: Duration = Duration::from_secs(5);

/// The facts that the code depends on.
pub(crate) struct CodeQuestion<'a> {
    /// The layers of the configuration that may set `code.from`.
    pub settings: &'a Settings,
    /// The inherited environment.
    pub environment: &'a Environment,
    /// The code directory.
    pub directory: PathBuf,
    /// The mount table.
    pub mounts: &'a Mounts,
    /// The commit that another node of the job has found.
    pub told: Option<String>,
}

impl<'a> CodeQuestion<'a> {
    /// Makes the question of these layers.
    pub(crate) fn of(trusted: &'a TrustedLayers<'_>, settings: &'a Settings) -> Self {
        let environment = trusted.sources().environment;
        CodeQuestion { settings, environment, directory: trusted.code(), mounts: trusted.mounts(), told: None }
    }

    /// Returns whether the environment names the commit.
    pub(crate) fn is_pinned(&self) -> bool {
        given(self.environment).is_some()
    }
}

/// The code that was brought.
#[derive(Debug)]
pub(crate) struct BroughtCode {
    address: Address,
    directory: PathBuf,
    brought: Brought,
    /// The time that it took.
    pub(crate) took: Duration,
}

impl BroughtCode {
    /// Describes it in a few words.
    pub(crate) fn words(&self) -> String {
        words::brought(&self.directory, &self.address, &self.brought)
    }

    /// Decides whether a workload may start on what is there: an unattended one runs the commit that was asked for, or nothing.
    ///
    /// # Errors
    /// Somebody changed the code (112), or the server could not be asked for a branch (212).
    pub(crate) fn judge(&self, unattended: bool) -> Result<Option<Error>> {
        let Some((error, lasts)) = words::doubt(&self.directory, &self.address, &self.brought) else { return Ok(None) };
        if unattended && lasts { Err(error) } else { Ok(Some(error)) }
    }
}

/// Brings the code that the settings name, as the workload's user; `None` if they name none. `found` hears the commit before it is fetched.
pub(crate) fn bring(
    question: &CodeQuestion<'_>,
    entered: &Entered,
    found: &mut dyn FnMut(&str),
    tell: &mut dyn FnMut(&str),
) -> Option<Result<BroughtCode>> {
    let address = question.settings.code_from.value.as_ref()?;
    Some(bring_from(address, question, entered, found, tell))
}

fn bring_from(
    address: &Address,
    question: &CodeQuestion<'_>,
    entered: &Entered,
    found: &mut dyn FnMut(&str),
    tell: &mut dyn FnMut(&str),
) -> Result<BroughtCode> {
    let began = Instant::now();
    let pinned = pinned(address, question.environment)?;
    answers(question)?;
    let environment = surroundings(question, entered);
    let settings = question.settings;
    let access = access(address, settings, &environment);
    let mut ticker = Ticker::new(ticker::draws(settings), PATIENCE);
    let mut show = |progress: &Progress| ticker.tick(None, || words::progress(address, progress), tell);
    let request = Request {
        directory: &question.directory,
        far: reach::far(question.mounts, &question.directory).is_some(),
        address,
        pinned: pinned.as_deref(),
        told: question.told.as_deref(),
        depth: settings.code_depth.value,
        submodules: settings.code_submodules.value,
        contents: settings.code_lfs.value == Lfs::Auto,
        access: &access,
        environment: &environment,
    };
    let brought = checkout::bring(&request, found, &mut show);
    drop(ticker);
    let brought = brought.map_err(|failure| words::failed(&question.directory, address, &access, failure))?;
    Ok(BroughtCode { address: address.clone(), directory: question.directory.clone(), brought, took: began.elapsed() })
}

/// Says what a start would bring, without asking the server; `None` without `code.from`.
pub(crate) fn outlook(settings: &Settings, directory: &Path) -> Option<String> {
    let address = settings.code_from.value.as_ref()?;
    Some(words::outlook(directory, address, checkout::held(directory)))
}

/// Tells whether the code is going to be brought, and is not there yet: nothing can be said about its files.
pub(crate) fn is_missing(settings: &Settings, directory: &Path) -> bool {
    settings.code_from.value.is_some() && checkout::held(directory).is_none()
}

/// Returns the commit of the environment. One that an outer trainit found belongs to that one's code.
fn given(environment: &Environment) -> Option<&str> {
    let outer = environment.text("TRAINIT") == Some("1");
    environment.text(COMMIT).filter(|commit| !commit.is_empty() && !outer)
}

fn pinned(address: &Address, environment: &Environment) -> Result<Option<String>> {
    let Some(given) = given(environment) else { return Ok(None) };
    if !checkout::is_commit(given) {
        let what = format!("{COMMIT}: `{}` is not a whole commit", text::line(given));
        let hint = "with code.from it says which commit all nodes take: git rev-parse HEAD, 40 digits";
        return Err(Error::config(what).hint(hint));
    }
    match address.commit() {
        Some(named) if named != given => {
            Err(Error::config(format!("{COMMIT} is {given}, and code.from names {named}"))
                .hint("set one of them alone"))
        }
        _ => Ok(Some(given.to_owned())),
    }
}

/// Checks that the file system of the code directory answers, which may hang for ever.
fn answers(question: &CodeQuestion<'_>) -> Result<()> {
    let directory = &question.directory;
    let look = || -> u8 { directory.exists().into() };
    if reach::far(question.mounts, directory).is_none() || reach::look(question.mounts, directory, look).is_ok() {
        return Ok(());
    }
    let what = format!("{} does not answer", text::path(directory));
    Err(Error::new(ErrorKind::Transient(FailureFamily::Code), what).hint("look at the mount on the host"))
}

/// Returns the environment of git: that of the workload as far as it is known before the project's file.
fn surroundings(question: &CodeQuestion<'_>, entered: &Entered) -> Environment {
    let mut environment = question.environment.clone();
    question.settings.pin(&mut environment);
    let configured = &question.settings.env.value;
    EnvValue::add_all(configured, &mut environment);
    let root = Root::real();
    let destination = UserDestination { root: &root, environment: &environment, mounts: question.mounts };
    let assumed = entered.clone().at_home(&destination);
    assumed.add_to(&mut environment, &|name| Some(configured.get(name)?.value.clone().into()));
    environment
}

fn access(address: &Address, settings: &Settings, environment: &Environment) -> Access {
    let origin = address.http_origin();
    let file = settings.code_token_file.value.clone().map(TokenSource::File);
    let is_set = |name: &str| environment.text(name).is_some_and(|value| !value.is_empty());
    let token = file.or_else(|| TokenSource::offered(origin.as_deref()?, is_set));
    Access {
        token: token.filter(|_| origin.is_some()),
        origin,
        program: std::env::current_exe().ok().filter(|path| path.is_file()),
        ssh_key: settings.code_ssh_key.value.clone().filter(|_| address.is_ssh()),
        known_hosts: settings.code_known_hosts.value.clone().filter(|_| address.is_ssh()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "0123456789abcdef0123456789abcdef01234567";

    fn pin(url: &str, variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let address = Address::parse(url).unwrap();
        pinned(&address, &variables.iter().copied().collect()).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_commit_of_the_environment_is_for_all_nodes() {
        assert_eq!(pin("https://h/x@main", &[]), Ok(None));
        assert_eq!(pin("https://h/x@main", &[(COMMIT, "")]), Ok(None));
        assert_eq!(pin("https://h/x@main", &[(COMMIT, ONE)]), Ok(Some(ONE.to_owned())));
        assert_eq!(pin("https://h/x@main", &[(COMMIT, ONE), ("TRAINIT", "1")]), Ok(None));
        assert!(
            pin("https://h/x@main", &[(COMMIT, "0123456")]).is_err_and(|error| error.contains("not a whole commit"))
        );
        let other = format!("https://h/x@{}", ONE.replace('0', "1"));
        assert!(pin(&other, &[(COMMIT, ONE)]).is_err_and(|error| error.contains("set one of them alone")));
    }

    #[test]
    fn a_token_goes_to_a_server_over_http_only_and_a_key_over_ssh_only() {
        let mut settings = Settings::default();
        settings.code_token_file.value = Some("/t".into());
        settings.code_ssh_key.value = Some("/k".into());
        let of = |url: &str| access(&Address::parse(url).unwrap(), &settings, &[("A", "1")].into_iter().collect());
        let http = of("https://h/x");
        assert_eq!((http.token, http.ssh_key), (Some(TokenSource::File("/t".into())), None));
        let ssh = of("git@h:x");
        assert_eq!((ssh.token, ssh.ssh_key), (None, Some("/k".into())));
    }
}
