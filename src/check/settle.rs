//! Settles who the workload's user is before root reads anything that others may have written. Until then root reads only files of the
//! image and the platform (/etc/trainit*), accounts, variables, arguments and the kernel's files. From then on this process is that user,
//! and reads the rest with the workload's permissions.

use super::{HostFacts, path_facts};
use crate::config::{self, ConfigSources, FileLook, Loaded, Settings, TrustedLayers, UnusableConfig};
use crate::error::Result;
use crate::identity::{self, Caller, Entered, UserQuestion, WorkloadIdentity};
use std::path::Path;
use std::rc::Rc;
use sys::mountinfo::{LOCAL, Mount, Mounts};
use sys::{credentials, killable_call, process, reach};
use tracing::debug;

/// The workload's user, and the layers that decided it.
#[derive(Debug)]
pub struct SettledUser<'a> {
    trusted: TrustedLayers<'a>,
    /// The merged values of the layers that may name the user.
    pub settings: Box<Settings>,
    /// The user.
    pub identity: WorkloadIdentity,
}

/// Reads the layers that may name the user, and decides. A named file may still change the user. It is read with the permissions of the
/// user known so far, with root's only if no user is known.
///
/// # Errors
/// Mistakes in the layers (78); for root they end the start here, since they may hide the user. The errors of `identity::decide` (78,
/// 115).
pub fn settle<'a>(sources: &ConfigSources<'a>) -> Result<SettledUser<'a>, Box<UnusableConfig>> {
    let mut trusted = TrustedLayers::read(sources);
    match decide(&mut trusted) {
        Ok((settings, identity)) => {
            told(&settings, &identity);
            Ok(SettledUser { trusted, settings, identity })
        }
        Err(error) => Err(Box::new(UnusableConfig { error, settings: trusted.settings() })),
    }
}

fn told(settings: &Settings, identity: &WorkloadIdentity) {
    debug!(
        target: "user",
        own = credentials::own_uid(),
        asked = ?settings.user.value,
        origin = %settings.user.origin,
        by = identity.switch.as_ref().map_or("nobody", |switch| &switch.by),
        "the workload is {}:{}",
        identity.uid,
        identity.gid
    );
}

fn decide(trusted: &mut TrustedLayers<'_>) -> Result<(Box<Settings>, WorkloadIdentity)> {
    if let Some(path) = trusted.named() {
        let (_, so_far) = who(trusted)?;
        let look = look_as(&so_far, &path, trusted);
        trusted.add_named(look);
    }
    who(trusted)
}

/// Decides the user by the layers that were read so far.
fn who(trusted: &TrustedLayers<'_>) -> Result<(Box<Settings>, WorkloadIdentity)> {
    let settings = trusted.settings();
    if credentials::own_uid() == 0 {
        trusted.verify(&settings)?;
    }
    let identity = asked(trusted, &settings, identity::decide)?;
    Ok((settings, identity))
}

fn asked<T>(trusted: &TrustedLayers<'_>, settings: &Settings, answer: impl FnOnce(&UserQuestion<'_>) -> T) -> T {
    let (sources, mounts) = (trusted.sources(), trusted.mounts().clone());
    let host_facts = Rc::new(HostFacts::over(sources.root, sources.environment, mounts));
    answer(&UserQuestion {
        settings,
        environment: sources.environment,
        root: sources.root,
        caller: Caller::own(),
        container: &|| host_facts.platform().is_container(),
        owner: &|| path_facts::owner(&trusted.code(), &host_facts),
    })
}

/// Reads a file with a user's permissions. For another user a second process reads it, which is abandoned at its deadline.
fn look_as(identity: &WorkloadIdentity, path: &Path, trusted: &TrustedLayers<'_>) -> FileLook {
    let Some(switch) = &identity.switch else { return trusted.look(path) };
    let look = || match credentials::become_user(identity.uid, identity.gid, &switch.groups) {
        Ok(()) => config::look(path),
        Err(errno) => {
            FileLook::failed(format!("it cannot be read as {}: {}", identity.uid, protocol::errno::words(errno)), errno)
        }
    };
    let answer =
        killable_call::ask(patience(trusted.mounts(), path), || postcard::to_allocvec(&look()).unwrap_or_default());
    answer.ok().and_then(|answer| postcard::from_bytes(&answer).ok()).unwrap_or_else(FileLook::silent)
}

fn patience(mounts: &Mounts, path: &Path) -> std::time::Duration {
    reach::far(mounts, path).map_or(LOCAL, Mount::patience)
}

impl SettledUser<'_> {
    /// Becomes the workload's user permanently, and reads the other layers as that user.
    ///
    /// # Errors
    /// The kernel refuses the switch (115); any mistake in the configuration (78); a code directory whose file system does not answer
    /// (212).
    pub fn load(self) -> Result<(Loaded, Entered), Box<UnusableConfig>> {
        self.load_after(|_, _, _| {})
    }

    /// Does the same, but first does something as that user. What it brings into the code directory is read.
    ///
    /// # Errors
    /// Those of `load`.
    pub fn load_after(
        self,
        first: impl FnOnce(&TrustedLayers<'_>, &Settings, &Entered),
    ) -> Result<(Loaded, Entered), Box<UnusableConfig>> {
        let SettledUser { trusted, settings, identity } = self;
        match enter(identity, &trusted) {
            Ok(entered) => {
                first(&trusted, &settings, &entered);
                Ok((trusted.finish()?, entered))
            }
            Err(error) => Err(Box::new(UnusableConfig { error, settings })),
        }
    }

    /// Becomes the workload's user permanently, without reading more.
    ///
    /// # Errors
    /// The kernel refuses the switch (115).
    pub fn enter(self) -> Result<(Box<Settings>, Entered)> {
        let entered = enter(self.identity, &self.trusted)?;
        Ok((self.settings, entered))
    }

    /// Returns the workload's user id, if it is known and differs from this process's.
    pub fn another(&self) -> Option<u32> {
        let meant = || asked(&self.trusted, &self.settings, identity::meant);
        let switched = self.identity.switch.as_ref().map(|_| self.identity.uid);
        switched.or_else(meant).filter(|uid| *uid != credentials::own_uid())
    }
}

fn enter(identity: WorkloadIdentity, trusted: &TrustedLayers<'_>) -> Result<Entered> {
    identity.enter(trusted.sources().root, trusted.mounts(), process::is_of_first())
}
