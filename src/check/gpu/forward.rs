//! CUDA's forward compatibility for the workload: its directory is put first in LD_LIBRARY_PATH if it works here. NVIDIA's own entrypoint
//! does this, and trainit replaces that entrypoint.

use super::super::CheckContext;
use crate::config::ForwardCompat;
use gpu::{self, Compat};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;
use sys::environment::Environment;
use sys::killable_call;

const VARIABLE: &str = "LD_LIBRARY_PATH";

/// Longest wait for the driver's files in /proc: a machine where they hang has no use for this.
const PATIENCE: Duration = Duration::from_secs(5);

/// The directory and the driver version of its libraries; `None` if it would not work.
type ForwardVerdict = Option<(PathBuf, Option<String>)>;

/// Sets up forward compatibility in the workload's environment, and returns a log line; `None` if nothing was done.
pub fn forward_compat(context: &mut CheckContext) -> Option<String> {
    let choice = context.settings.gpu_compat.value;
    let may_matter = match choice {
        ForwardCompat::Off => false,
        ForwardCompat::On => gpu::may_have_compat(&context.root),
        ForwardCompat::Auto => gpu::compat_may_be_right(&context.root, &context.environment),
    };
    let (directory, version) = may_matter.then(|| judged(context)).flatten()?;
    match version {
        Some(version) => {
            put_first(&mut context.environment, &directory);
            Some(format!(
                "CUDA's forward compatibility: libraries of driver {version} from {} (gpu.compat)",
                directory.display()
            ))
        }
        None if choice == ForwardCompat::On && !is_first(&context.environment, &directory) => {
            put_first(&mut context.environment, &directory);
            Some(format!("CUDA's forward compatibility from {}, because gpu.compat is on", directory.display()))
        }
        None => None,
    }
}

/// Judges it in a killable process, only where there are GPUs of NVIDIA's: reading the files of a hanging driver cannot be interrupted.
fn judged(context: &CheckContext) -> ForwardVerdict {
    let (root, environment, host_facts) = (&context.root, &context.environment, context.host_facts());
    if !gpu::has_nvidia(host_facts.devices()) {
        return None;
    }
    let answer = killable_call::ask(PATIENCE, || {
        let look = || gpu::look(root, host_facts.devices());
        let judged: ForwardVerdict = match gpu::compat(root, environment, look, || gpu::image_cuda(root, environment)) {
            Compat::Right { directory, version, set: false } => Some((directory, Some(version.to_string()))),
            Compat::Wrong { directory, .. } | Compat::Doubtful { directory } => Some((directory, None)),
            _ => None,
        };
        serde_json::to_vec(&judged).unwrap_or_default()
    });
    serde_json::from_slice(&answer.ok()?).ok()?
}

fn is_first(environment: &Environment, directory: &Path) -> bool {
    let path = environment.text(VARIABLE).unwrap_or_default();
    path.split(':').next().is_some_and(|first| Path::new(first) == directory)
}

fn put_first(environment: &mut Environment, directory: &Path) {
    let mut path = OsString::from(directory);
    if let Some(before) = environment.get(VARIABLE) {
        path.push(":");
        path.push(before);
    }
    environment.set_over_pin(VARIABLE, path);
}
