//! Checks whether a GPU computes: from a file of AMD's driver, and from nvidia-smi for NVIDIA's.

use crate::program;
use std::process::Command;
use std::time::{Duration, Instant};

/// Utilization in percent below which a GPU only shows a picture.
const BUSY: u32 = 5;

/// The device that exists wherever NVIDIA's driver is loaded.
const NVIDIA: &str = "/dev/nvidiactl";

/// Time limit of nvidia-smi, which takes seconds where the driver has to be loaded for it.
const PATIENCE: Duration = Duration::from_secs(8);

/// Returns the busiest GPU, in words.
pub(super) fn busy() -> Option<String> {
    let most = amd().chain(nvidia()).max()?;
    (most >= BUSY).then(|| format!("a GPU computes ({most} %)"))
}

fn amd() -> impl Iterator<Item = u32> {
    let cards = glob::glob("/sys/class/drm/card*/device/gpu_busy_percent").into_iter().flatten().flatten();
    cards.filter_map(|card| std::fs::read_to_string(card).ok()?.trim().parse().ok())
}

fn nvidia() -> Vec<u32> {
    let Some(program) = which::which("nvidia-smi").ok().filter(|_| std::path::Path::new(NVIDIA).exists()) else {
        return Vec::new();
    };
    let mut command = Command::new(program);
    command.args(["--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]);
    let answer = program::capture(command, Some(Instant::now() + PATIENCE));
    answer.map_or(Vec::new(), |answer| percents(&answer.output))
}

/// Parses one number per line; a GPU without a value (MIG) prints `[N/A]`.
fn percents(output: &str) -> Vec<u32> {
    output.lines().filter_map(|line| line.trim().parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_a_line_and_what_is_none_is_none() {
        assert_eq!(percents("0\n 97 \n[N/A]\nNo devices were found\n"), [0, 97]);
    }
}
