//! How a check that takes long says that it goes on.

/// Reports how far a piece of work is; its deadline then begins anew.
pub type TaskProgress = Box<dyn FnMut(&str)>;
