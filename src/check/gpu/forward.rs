//! CUDA's forward compatibility for the workload: its directory goes in front of LD_LIBRARY_PATH where it is right. NVIDIA's own
//! entrypoint does that; where trainit stands in its place it has to.

use super::super::Scene;
use crate::config::ForwardCompat;
use crate::environment::Environment;
use crate::gpu::{self, Compat};
use std::ffi::OsString;
use std::path::Path;

const VARIABLE: &str = "LD_LIBRARY_PATH";

/// Sets it up in the workload's environment, and gives the line about what was done; none: nothing.
pub fn forward_compat(scene: &mut Scene) -> Option<String> {
    let choice = scene.settings.gpu_compat.value;
    if choice == ForwardCompat::Off {
        return None;
    }
    let (root, environment) = (&scene.root, &scene.environment);
    let compat = gpu::compat(root, environment, || gpu::look(root), || gpu::image_cuda(root, environment));
    match compat {
        Compat::Right { directory, version, set: false } => {
            put_first(&mut scene.environment, &directory);
            Some(format!(
                "CUDA's forward compatibility: libraries of driver {version} from {} (gpu.compat)",
                directory.display()
            ))
        }
        Compat::Wrong { directory, .. } if choice == ForwardCompat::On && !is_first(&scene.environment, &directory) => {
            put_first(&mut scene.environment, &directory);
            Some(format!("CUDA's forward compatibility from {}, because gpu.compat is on", directory.display()))
        }
        _ => None,
    }
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
    environment.set(VARIABLE, path);
}
