//! What is looked up once, for the first who asks, and shared by all: the mount table and the place. Nothing of it touches a file
//! system that may hang.

use super::Place;
use super::place::{named_by_variables, place};
use crate::environment::Environment;
use crate::sys::Root;
use crate::sys::mountinfo::{self, Mount};
use std::cell::OnceCell;
use std::rc::Rc;

/// The ground that everything stands on.
#[derive(Clone, Debug)]
pub struct Ground {
    root: Root,
    named: Option<Place>,
    mounts: OnceCell<Rc<[Mount]>>,
    place: OnceCell<Place>,
}

impl Ground {
    /// Looks at nothing yet but the variables.
    pub fn of(root: &Root, environment: &Environment) -> Self {
        let named = named_by_variables(environment);
        Ground { root: root.clone(), named, mounts: OnceCell::new(), place: OnceCell::new() }
    }

    /// With a mount table that has been read already.
    pub fn over(root: &Root, environment: &Environment, mounts: Rc<[Mount]>) -> Self {
        Ground { mounts: OnceCell::from(mounts), ..Ground::of(root, environment) }
    }

    /// The mount table of this process.
    pub fn mounts(&self) -> &[Mount] {
        let read = || mountinfo::parse(&self.root.read("/proc/self/mountinfo").unwrap_or_default()).into();
        self.mounts.get_or_init(read)
    }

    /// Where this runs.
    pub fn place(&self) -> Place {
        *self.place.get_or_init(|| place(&self.root, self.named, &|| self.mounts()))
    }
}
