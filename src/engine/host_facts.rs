//! What is looked up once, for the first who asks, and shared by all: the mount table, the place, the names in /dev. Nothing of it touches a
//! file system that may hang.

use super::Platform;
use super::platform::{named_by_variables, platform};
use std::cell::OnceCell;
use std::path::Path;
use sys::environment::Environment;
use sys::mountinfo::Mounts;
use sys::{Root, stat};
use tracing::debug;

/// The ground that everything stands on.
#[derive(Clone, Debug)]
pub struct HostFacts {
    root: Root,
    named: Option<Platform>,
    mounts: Mounts,
    place: OnceCell<Platform>,
    devices: OnceCell<Vec<String>>,
    root_mount: OnceCell<Option<u64>>,
}

impl HostFacts {
    /// Looks at nothing yet but the variables.
    pub fn of(root: &Root, environment: &Environment) -> Self {
        let named = named_by_variables(environment);
        let (root, mounts) = (root.clone(), Mounts::of(root));
        HostFacts { root, named, mounts, place: OnceCell::new(), devices: OnceCell::new(), root_mount: OnceCell::new() }
    }

    /// With a mount table that others look into as well.
    pub fn over(root: &Root, environment: &Environment, mounts: Mounts) -> Self {
        HostFacts { mounts, ..HostFacts::of(root, environment) }
    }

    /// The mount table of this process.
    pub fn mounts(&self) -> &Mounts {
        &self.mounts
    }

    /// The id of the mount that the root directory is; in a container that is its image.
    pub fn root_mount(&self) -> Option<u64> {
        *self.root_mount.get_or_init(|| Some(stat::row_of(Path::new("/"), self.mounts())?.id))
    }

    /// The names in /dev.
    pub fn devices(&self) -> &[String] {
        self.devices.get_or_init(|| {
            let entries = std::fs::read_dir(self.root.path("/dev")).into_iter().flatten();
            entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
        })
    }

    /// Where this runs.
    pub fn platform(&self) -> Platform {
        *self.place.get_or_init(|| {
            let found = platform(&self.root, self.named, &|| self.mounts());
            debug!(target: "host", by_variables = ?self.named, "this is a {found:?}");
            found
        })
    }
}
