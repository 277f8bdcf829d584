//! Whether a GPU computes: what AMD's driver writes in a file, and what nvidia-smi is told by NVIDIA's.

use crate::program;
use std::process::Command;
use std::time::{Duration, Instant};

/// Percent of its time; below it a GPU only shows a picture.
const BUSY: u32 = 5;

/// The device that there is wherever NVIDIA's driver is.
const NVIDIA: &str = "/dev/nvidiactl";

/// nvidia-smi takes seconds where the driver has to be loaded for it.
const PATIENCE: Duration = Duration::from_secs(8);

/// The one that computes most, in words.
pub fn busy() -> Option<String> {
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

/// One number a line; a GPU that does not tell (MIG) says `[N/A]`.
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
