//! The driver's libraries as the workload will find them: present, real, and of the kernel driver's version.

use super::GpuTarget;
use crate::check::step::{CheckResult, Failure};
use crate::check::{Change, Remedy};
use crate::engine::Platform;
use gpu::VersionText;
use gpu::{CUDA, LibraryKind, LoadableLibrary, NVML, PTX};
use std::path::Path;
use sys::mountinfo;

impl GpuTarget {
    pub(super) fn has_libcuda(&mut self) -> CheckResult {
        if !self.has_nvidia() || self.loader().find(CUDA).is_some() {
            return Ok(());
        }
        let failure = Failure::new(format!("{CUDA} is not found: no program can use the GPUs"));
        self.found(self.why_missing(CUDA, "compute", failure))
    }

    pub(super) fn has_nvml(&mut self) -> CheckResult {
        if !self.has_nvidia() || self.loader().find(NVML).is_some() {
            return Ok(());
        }
        let failure = Failure::new(format!("{NVML} is not found: nvidia-smi, and what asks like it, does not work"));
        self.found_mild(self.why_missing(NVML, "utility", failure))
    }

    /// Explains why a library is not found: it is hidden, it was not requested, or the container has no part of the driver.
    fn why_missing(&self, name: &str, capability: &str, failure: Failure) -> Failure {
        let stray = self.loader().stray(name, self.driver_version());
        match (stray, self.with_capabilities(capability)) {
            (Some(path), _) if path.ends_with(name) => {
                let directory = path.parent().unwrap_or(Path::new("/"));
                failure
                    .because(format!("it lies in {}, where no program looks", text::path(directory)))
                    .remedy(self.look_into(directory))
            }
            (Some(path), _) => failure
                .because(format!(
                    "{} is here, the link to it is not: the container's runtime could not run ldconfig",
                    text::path(&path)
                ))
                .advice(
                    "start it with a writable root, in an image with ldconfig; or run ldconfig before the workload",
                ),
            (None, Some(remedy)) => failure
                .because(format!(
                    "NVIDIA_DRIVER_CAPABILITIES asks for `{}` only",
                    self.environment.text("NVIDIA_DRIVER_CAPABILITIES").unwrap_or_default()
                ))
                .remedy(remedy),
            (None, None) => failure
                .because("devices were given to the container, and not the driver's libraries")
                .remedy(self.give(None)),
        }
    }

    fn look_into(&self, directory: &Path) -> Remedy {
        let before = self.environment.text("LD_LIBRARY_PATH").map(|path| format!(":{path}")).unwrap_or_default();
        let value = Some(format!("{}{before}", directory.display()));
        Remedy::Start(Change::Env { name: "LD_LIBRARY_PATH".to_owned(), value })
    }

    pub(super) fn is_no_stub(&mut self) -> CheckResult {
        match self.libcuda() {
            Some(library) if library.kind == LibraryKind::Stub => self.found(
                Failure::new(format!("{} is a stub: CUDA fails with error 34", text::path(&library.path)))
                    .because("it is made to link programs with, and is found before the driver's own")
                    .advice("take the directory `stubs` out of LD_LIBRARY_PATH, or the file out of the image"),
            ),
            _ => Ok(()),
        }
    }

    pub(super) fn libraries_match(&mut self) -> CheckResult {
        let Some(driver) = self.driver_version().cloned().filter(|_| self.has_nvidia()) else { return Ok(()) };
        let differs = |library: &LoadableLibrary| {
            library.kind == LibraryKind::Driver && library.version.as_ref().is_some_and(|version| *version != driver)
        };
        let libraries = [CUDA, NVML].into_iter().filter_map(|name| self.loader().find(name));
        match libraries.into_iter().find(differs) {
            Some(library) => self.found(self.mismatch(&library, &driver)),
            None => Ok(()),
        }
    }

    fn mismatch(&self, library: &LoadableLibrary, driver: &VersionText) -> Failure {
        let version = library.version.as_ref().map(VersionText::to_string).unwrap_or_default();
        let path = text::path(&library.path);
        let failure = Failure::new(format!("{path} is of driver {version}, the kernel's driver is {driver}"));
        match self.is_from_the_host(&library.file) {
            true => failure
                .because("the host's packages were upgraded under a loaded driver (`Driver/library version mismatch`)")
                .advice("restart the node, or unload and load its driver; then recreate the container")
                .passing(true),
            false => failure
                .because("the image brings libraries of the driver, which belong to the host (error 803)")
                .advice(
                    "take libnvidia-*, libcuda1 and nvidia-utils out of the image; the container's runtime adds them",
                ),
        }
    }

    /// Returns whether a file is mounted from the host and is not part of the image.
    fn is_from_the_host(&self, file: &Path) -> bool {
        let mount = mountinfo::covering(self.host_facts.mounts(), file);
        self.platform() == Platform::Host || mount.is_some_and(|mount| mount.path() != Path::new("/"))
    }

    pub(super) fn compiles(&mut self) -> CheckResult {
        // An earlier step reported a missing libcuda.
        let Some(cuda) = self.libcuda().filter(|library| library.kind == LibraryKind::Driver) else { return Ok(()) };
        if self.loader().find(PTX).is_some() {
            return Ok(());
        }
        self.found_mild(
            Failure::new(format!("{PTX} is not found: what is compiled for the GPU at run time fails with error 221"))
                .because(format!("{} is here without it", text::path(&cuda.path)))
                .remedy(self.with_capabilities("compute").unwrap_or_else(|| self.give(None))),
        )
    }

    /// Returns libcuda, if the workload needs it.
    pub(super) fn libcuda(&self) -> Option<LoadableLibrary> {
        self.has_nvidia().then(|| self.loader().find(CUDA)).flatten()
    }
}
