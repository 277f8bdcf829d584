//! The limit of open files, raised for as long as many connections are open. The workload inherits the limit that trainit inherited.

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

/// Descriptors that the process needs beside its connections.
const OTHERS: u64 = 64;

/// A raised limit, which is lowered again when it is dropped.
pub(super) struct OpenFiles {
    before: Option<(rlim_t, rlim_t)>,
}

impl OpenFiles {
    /// Raises the soft limit for so many connections, as far as the hard limit lets it.
    pub(super) fn raise(connections: u64) -> Self {
        let wanted = connections.saturating_add(OTHERS);
        let now = getrlimit(Resource::RLIMIT_NOFILE).ok();
        let before = now.filter(|(soft, hard)| {
            *soft < wanted && setrlimit(Resource::RLIMIT_NOFILE, wanted.min(*hard), *hard).is_ok()
        });
        OpenFiles { before }
    }
}

impl Drop for OpenFiles {
    fn drop(&mut self) {
        if let Some((soft, hard)) = self.before {
            let _ = setrlimit(Resource::RLIMIT_NOFILE, soft, hard);
        }
    }
}
