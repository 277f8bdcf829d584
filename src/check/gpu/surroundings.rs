//! Variables and limits that change what programs see of the GPUs.

use super::GpuTarget;
use crate::check::step::{CheckResult, Failure};
use crate::check::{Change, Remedy};
use crate::engine::Platform;
use gpu::{ListFault, VisibleEntry};
use std::path::Path;
use sys::limits::{LimitedResource, limit};

/// Soft limit of open files above which the driver's tools take gigabytes and half a minute: they allocate an entry for each possible
/// file.
const MANY_FILES: u64 = 1 << 24;
/// The variable that names the directory of the MPS daemon.
const MPS: &str = "CUDA_MPS_PIPE_DIRECTORY";

impl GpuTarget {
    pub(super) fn list_is_valid(&mut self) -> CheckResult {
        if self.demand.is_none() {
            return Ok(());
        }
        let Some(selection) = self.selection().filter(|selection| !selection.is_empty()) else { return Ok(()) };
        let old = selection.text.split(',').find(|entry| matches!(VisibleEntry::of(entry), VisibleEntry::OldMig(_)));
        if let Some(old) = old {
            return self.found_mild(
                Failure::new(format!(
                    "{}: `{}` is how drivers before R470 named instances",
                    selection.variable,
                    text::line(old)
                ))
                .because("newer drivers do not know it, and show none")
                .advice("write MIG-<UUID>, as `nvidia-smi -L` lists it"),
            );
        }
        let Some(fault) = selection.fault else { return Ok(()) };
        let here = self.presence().devices();
        let told = format!("{}={}: {}", selection.variable, text::line(&selection.text), fault_words(&fault));
        let failure = Failure::new(told).because(format!("{} of {here} shown", selection.shown));
        self.found_mild(match fault {
            ListFault::Cut(entry) if entry.starts_with(['"', '\'']) => {
                failure.advice("write the list without quotes: an env-file and a pod's `value` keep them")
            }
            ListFault::Repeated(_) => failure.advice("name each device once"),
            ListFault::Misread(..) => failure.advice("write numbers, with commas between them"),
            ListFault::Cut(_) if here == 0 => failure.advice(format!("unset {}", selection.variable)),
            ListFault::Cut(_) => failure.advice(format!("list devices from 0 to {}, or unset it", here - 1)),
        })
    }

    pub(super) fn service_answers(&mut self) -> CheckResult {
        let Some(directory) = self.environment.get(MPS).filter(|_| self.has_nvidia()) else { return Ok(()) };
        if self.root.path(Path::new(directory).join("control")).exists() {
            return Ok(());
        }
        self.found_mild(
            Failure::new(format!("{MPS} is set, and no daemon of MPS is there ({})", text::os(directory)))
                .because("programs run without it, or fail with errors 805 to 807")
                .advice(format!("mount the daemon's directory and start with --ipc=host; or unset {MPS}")),
        )
    }

    pub(super) fn few_files(&mut self) -> CheckResult {
        if !self.has_nvidia() {
            return Ok(());
        }
        let soft = *self.files.get_or_init(|| limit(LimitedResource::Files).map(|limit| limit.soft));
        let Some(soft) = soft.filter(|soft| *soft > MANY_FILES) else { return Ok(()) };
        let remedy = match self.platform() {
            Platform::Container => Remedy::Start(Change::Ulimit { name: "nofile".to_owned(), limit: Some(65536) }),
            Platform::Pod => Remedy::Do("lower LimitNOFILE of the container runtime's service on the node".to_owned()),
            Platform::Host => Remedy::Do("ulimit -Sn 65536".to_owned()),
        };
        self.found_mild(
            Failure::new(format!("{soft} files may be open at once: nvidia-smi takes half a minute and gigabytes"))
                .because("the driver's library makes room for each of them when it talks to nvidia-persistenced")
                .remedy(remedy),
        )
    }
}

/// Tells what the driver makes of a list.
pub(super) fn fault_words(fault: &ListFault) -> String {
    match fault {
        ListFault::Cut(entry) => format!("it ends at `{}`, which names no device that is here", text::line(entry)),
        ListFault::Repeated(entry) => format!("`{}` names a device twice, so that CUDA shows none", text::line(entry)),
        ListFault::Misread(entry, index) => format!("the driver reads `{}` as {index}", text::line(entry)),
    }
}
