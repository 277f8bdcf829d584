//! nvidia-smi, for systems that cannot execute the gpu-probe: it reports the same facts as text, but slower. An unknown field makes it
//! refuse the whole query, so the query is repeated without the fields of newer versions.

use super::super::facts::{GpuFacts, Memory, ModeState, Nvml, NvmlGpu, ProbeOutcome, ProbePath, ProbeStop, ProbeWait};
use super::run::WatchedProbe;
use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;
use sys::embedded_program::{EmbeddedProgram, Executable};
use sys::environment::Environment;
use sys::process;

/// A field of the query, and the function that stores its value.
type SmiField = (&'static str, fn(&mut NvmlGpu, &str));

/// Fields that every version since 450 knows.
const OLD: [SmiField; 12] = [
    ("index", |gpu, text| gpu.index = text.parse().unwrap_or_default()),
    ("uuid", |gpu, text| gpu.uuid = said(text)),
    ("pci.bus_id", |gpu, text| gpu.pci = said(text)),
    ("name", |gpu, text| gpu.name = said(text)),
    ("memory.total", |gpu, text| gpu.memory = mebibytes(text).map(|total| Memory { total, used: 0 })),
    ("memory.used", |gpu, text| {
        let used = mebibytes(text).unwrap_or_default();
        gpu.memory = gpu.memory.map(|memory| Memory { used, ..memory });
    }),
    ("compute_mode", |gpu, text| gpu.compute_mode = compute_mode(text)),
    ("persistence_mode", |gpu, text| gpu.persistence = on(text)),
    ("ecc.mode.current", |gpu, text| gpu.ecc = on(text).map(|current| ModeState { current, pending: current })),
    ("ecc.errors.uncorrected.volatile.total", |gpu, text| gpu.ecc_volatile = text.parse().ok()),
    ("ecc.errors.uncorrected.aggregate.total", |gpu, text| gpu.ecc_aggregate = text.parse().ok()),
    ("mig.mode.current", |gpu, text| gpu.mig = on(text).map(|current| ModeState { current, pending: current })),
];

/// Fields of newer versions.
const NEW: [SmiField; 3] = [
    ("compute_cap", |gpu, text| {
        let parts = text.split_once('.').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        gpu.capability = parts;
    }),
    ("pcie.link.width.current", |gpu, text| gpu.pcie_width = text.parse().ok().map(|now| (now, now))),
    ("pcie.link.width.max", |gpu, text| {
        gpu.pcie_width = gpu.pcie_width.zip(text.parse().ok()).map(|((now, _), most)| (now, most));
    }),
];

/// The exit code of nvidia-smi for an unknown field.
const UNKNOWN_FIELD: ProbeStop = ProbeStop::Exited(2);

/// Asks nvidia-smi; `None` if there is no such program.
pub fn ask(environment: &Environment, timeout: Duration) -> Option<GpuFacts> {
    let all = fields();
    let mut answer = query(environment, &all, timeout)?;
    let mut fields = all.as_slice();
    if answer.end().0 == UNKNOWN_FIELD {
        fields = &OLD;
        answer = query(environment, fields, timeout)?;
    }
    let ((stop, took), words) = (answer.end(), String::from_utf8_lossy(answer.said()));
    let nvml = Nvml { took, stderr: answer.complained(), ..read(&words, stop, answer.waits(), fields) };
    Some(GpuFacts { nvml, way: Some(ProbePath::Smi), ..GpuFacts::default() })
}

/// Runs one query to its end.
fn query(environment: &Environment, fields: &[SmiField], timeout: Duration) -> Option<WatchedProbe> {
    let path = environment.get("PATH").unwrap_or_else(|| OsStr::from_bytes(process::DEFAULT_PATH));
    let program = which::which_in("nvidia-smi", Some(path), "/").ok()?;
    let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let query = format!("--query-gpu=driver_version,{}", names.join(","));
    let words = [program.as_os_str().as_bytes(), query.as_bytes(), b"--format=csv,noheader,nounits"];
    let argv = words.iter().filter_map(|word| CString::new(*word).ok()).collect();
    let program =
        EmbeddedProgram { file: Executable::Named, argv, environment: environment.to_envp(), to_stdout: true };
    let mut watched = WatchedProbe::start(&program, timeout).ok()?;
    watched.finish();
    Some(watched)
}

/// Parses the output of a successful query.
pub fn parse(words: &str) -> Nvml {
    read(words, ProbeStop::Exited(0), None, &fields())
}

fn fields() -> Vec<SmiField> {
    OLD.into_iter().chain(NEW).collect()
}

/// Parses the output and the exit code, which is NVML's.
fn read(words: &str, stop: ProbeStop, waits: Option<ProbeWait>, fields: &[SmiField]) -> Nvml {
    let outcome = match stop {
        ProbeStop::Exited(_) => ProbeOutcome::Complete,
        how => ProbeOutcome::Stopped { at: None, how, waits },
    };
    let failure = words.lines().find_map(|line| line.strip_prefix("Failed to initialize NVML: "));
    let init = match (stop, failure) {
        (ProbeStop::Exited(0), None) => Some(0),
        (ProbeStop::Exited(code), _) => Some(i32::from(code)),
        _ => None,
    };
    let init_words = failure.map(str::to_owned).filter(|_| init != Some(0));
    let mut nvml = Nvml { outcome, init, init_words, ..Nvml::default() };
    if init == Some(0) {
        for line in words.lines() {
            let mut values = line.split(',').map(str::trim);
            let Some(driver) = values.next().filter(|driver| driver.starts_with(|c: char| c.is_ascii_digit())) else {
                continue;
            };
            nvml.driver = Some(driver.to_owned());
            let mut gpu = NvmlGpu { handle: Some(0), ..NvmlGpu::default() };
            fields.iter().zip(values).for_each(|((_, take), value)| take(&mut gpu, value));
            nvml.gpus.push(gpu);
        }
        nvml.count = u32::try_from(nvml.gpus.len()).ok();
    }
    nvml
}

/// Returns a field's text; `[N/A]`, `[Not Supported]` and `[Unknown Error]` count as no value.
fn said(text: &str) -> Option<String> {
    (!text.is_empty() && !text.starts_with('[')).then(|| text.to_owned())
}

fn on(text: &str) -> Option<bool> {
    match text {
        "Enabled" => Some(true),
        "Disabled" => Some(false),
        _ => None,
    }
}

fn mebibytes(text: &str) -> Option<u64> {
    text.parse::<u64>().ok()?.checked_mul(1 << 20)
}

fn compute_mode(text: &str) -> Option<u32> {
    match text {
        "Default" => Some(0),
        "Prohibited" => Some(2),
        "Exclusive_Process" => Some(3),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_it_says_of_each_gpu_is_understood() {
        let words = "570.172.08, 0, GPU-1, 00000000:1B:00.0, NVIDIA H200, 143771, 4, Default, Enabled, Enabled, 0, 2, Disabled, 9.0, 16, 16\n\
                     570.172.08, 1, GPU-2, [Unknown Error], NVIDIA H200, 143771, 9, Exclusive_Process, Disabled, [N/A], [N/A], [N/A], [N/A], 9.0, 8, 16\n";
        let all: Vec<SmiField> = OLD.into_iter().chain(NEW).collect();
        let nvml = read(words, ProbeStop::Exited(0), None, &all);
        assert_eq!((nvml.init, nvml.count, nvml.driver.as_deref()), (Some(0), Some(2), Some("570.172.08")));
        let [first, second] = &nvml.gpus[..] else { panic!("{nvml:?}") };
        assert_eq!(first.memory, Some(Memory { total: 143_771 << 20, used: 4 << 20 }));
        assert_eq!((first.capability, first.pcie_width, first.ecc_aggregate), (Some((9, 0)), Some((16, 16)), Some(2)));
        assert_eq!((second.index, second.pci.as_deref(), second.ecc, second.compute_mode), (1, None, None, Some(3)));
        assert_eq!(second.pcie_width, Some((8, 16)));
    }

    #[test]
    fn its_failure_is_nvmls() {
        let nvml = read(
            "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 570.195\n",
            ProbeStop::Exited(18),
            None,
            &OLD,
        );
        assert_eq!((nvml.init, nvml.init_words.as_deref()), (Some(18), Some("Driver/library version mismatch")));
        assert_eq!(nvml.outcome, ProbeOutcome::Complete);
        let hung = read("", ProbeStop::Overdue, None, &OLD);
        assert_eq!(
            (hung.init, hung.outcome),
            (None, ProbeOutcome::Stopped { at: None, how: ProbeStop::Overdue, waits: None })
        );
    }

    proptest! {
        #[test]
        fn any_words_are_taken(words in "(5[0-9]{2}[,. A-Za-z0-9\\[\\]/-]{0,60}\n?){0,6}") {
            read(&words, ProbeStop::Exited(0), None, &OLD);
        }
    }
}
