//! Host facts that are looked up on first use and shared: the mount table, the platform, the names in /dev.
//!
//! None of the look-ups touches a file system that may hang.

use super::platform::{has_own_pids, named_by_variables, platform};
use super::starter::{NamedStarter, starter};
use super::{Platform, Starter};
use std::cell::OnceCell;
use std::path::Path;
use sys::environment::Environment;
use sys::mountinfo::Mounts;
use sys::{Root, stat};
use tracing::debug;

/// Cached facts about the machine.
#[derive(Clone, Debug)]
pub struct HostFacts {
    root: Root,
    named: Option<Platform>,
    named_starter: NamedStarter,
    mounts: Mounts,
    place: OnceCell<Platform>,
    devices: OnceCell<Vec<String>>,
    root_mount: OnceCell<Option<u64>>,
}

impl HostFacts {
    /// Returns facts that are not looked up yet, except the variables.
    pub fn of(root: &Root, environment: &Environment) -> Self {
        let named = named_by_variables(environment);
        let (root, mounts, named_starter) = (root.clone(), Mounts::of(root), NamedStarter::of(environment));
        HostFacts {
            root,
            named,
            named_starter,
            mounts,
            place: OnceCell::new(),
            devices: OnceCell::new(),
            root_mount: OnceCell::new(),
        }
    }

    /// Returns facts with a mount table that other code uses as well.
    pub fn over(root: &Root, environment: &Environment, mounts: Mounts) -> Self {
        HostFacts { mounts, ..HostFacts::of(root, environment) }
    }

    /// Returns the mount table of this process.
    pub fn mounts(&self) -> &Mounts {
        &self.mounts
    }

    /// Returns the mount id of the root directory, which in a container is that of its image.
    pub fn root_mount(&self) -> Option<u64> {
        *self.root_mount.get_or_init(|| Some(stat::row_of(Path::new("/"), self.mounts())?.id))
    }

    /// Returns the names in /dev.
    pub fn devices(&self) -> &[String] {
        self.devices.get_or_init(|| {
            let entries = std::fs::read_dir(self.root.path("/dev")).into_iter().flatten();
            entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
        })
    }

    /// Returns the program that started this container or process.
    pub fn starter(&self) -> Starter {
        starter(&self.root, self.named_starter, self.platform(), self.mounts())
    }

    /// Returns whether this looks like a machine, in a namespace of processes beside the machine's own: it may be a container all the same.
    pub fn is_unmarked_namespace(&self) -> bool {
        self.platform() == Platform::Host && has_own_pids(&self.root)
    }

    /// Returns the platform that this process runs on.
    pub fn platform(&self) -> Platform {
        *self.place.get_or_init(|| {
            let found = platform(&self.root, self.named, &|| self.mounts());
            debug!(target: "host", by_variables = ?self.named, "this is a {found:?}");
            found
        })
    }
}
