//! Compares the driver with the version that the image was built for, requires or asks for.

use super::GpuTarget;
use crate::check::Remedy;
use crate::check::step::{CheckResult, Failure};
use crate::config::{CudaVersion, ForwardCompat};
use gpu::VersionText;
use gpu::{self, Brand, Compat, ImageCuda, LibraryKind, Support, newest_cuda, own_driver, require, support};
use std::path::Path;

impl GpuTarget {
    /// Checks the libraries for forward compatibility: they must be right wherever a program finds them first.
    pub(super) fn compat_is_right(&mut self) -> CheckResult {
        if !self.has_nvidia() {
            return Ok(());
        }
        if self.wanted.compat == ForwardCompat::On && self.compat() == Compat::Absent {
            return self.found(
                Failure::new("gpu.compat is on, and the image has nothing for forward compatibility")
                    .advice("install cuda-compat-X-Y in the image, or leave gpu.compat at auto"),
            );
        }
        let first = self.libcuda().filter(|library| library.kind == LibraryKind::Compat);
        match (first, self.compat()) {
            (Some(library), Compat::Wrong { why, .. }) => self.found(
                Failure::new(format!(
                    "{} is that of forward compatibility, and does not work",
                    text::path(&library.path)
                ))
                .because(format!("{why} (errors 803 and 804)"))
                .advice(self.without(&library.path)),
            ),
            _ => Ok(()),
        }
    }

    fn without(&self, library: &Path) -> String {
        let directory = text::path(library.parent().unwrap_or(library));
        match self.environment.text("LD_LIBRARY_PATH").is_some_and(|path| path.contains("compat")) {
            true => format!("take {directory} out of LD_LIBRARY_PATH"),
            false => format!("take {directory} out of /etc/ld.so.conf.d, and run ldconfig"),
        }
    }

    pub(super) fn driver_is_new_enough(&mut self) -> CheckResult {
        let Some(wanted) = self.wanted.driver.clone().filter(|_| self.has_nvidia()) else { return Ok(()) };
        match self.driver_version() {
            Some(driver) if *driver >= wanted => Ok(()),
            Some(driver) => Failure::new(format!("driver {driver}, gpu.driver asks for {wanted}"))
                .because("the driver is the node's, no container can change it")
                .advice("choose a node with a newer driver")
                .found(),
            None => Failure::new(format!("the driver does not tell its version, gpu.driver asks for {wanted}"))
                .level(Some(crate::config::Severity::Warn))
                .found(),
        }
    }

    /// Checks that the driver supports the CUDA that the image was built for, or that a key asks for.
    pub(super) fn cuda_is_supported(&mut self) -> CheckResult {
        let Some(driver) = self.driver_version().cloned().filter(|_| self.has_nvidia()) else { return Ok(()) };
        if self.libcuda().is_some_and(|library| library.kind == LibraryKind::Compat) {
            return Ok(());
        }
        if let Some(CudaVersion::AtLeast(wanted)) = self.wanted.cuda.clone() {
            return match support(&driver, &wanted) {
                None | Some(Support::Full) => Ok(()),
                _ => self.too_old(&driver, &wanted, own_driver(&wanted), "gpu.cuda asks for it").found(),
            };
        }
        let demanded = self.wanted.cuda == Some(CudaVersion::Image);
        let Some(ImageCuda { version, from }) = self.image().cloned() else {
            let unknown = Failure::new("which CUDA the image was built for cannot be told (gpu.cuda: image)")
                .advice("set gpu.cuda to a version, or CUDA_VERSION in the image");
            return if demanded { unknown.found() } else { Ok(()) };
        };
        match support(&driver, &version) {
            Some(Support::TooOld(floor)) => {
                let failure = self.too_old(
                    &driver,
                    &version.short(),
                    Some(floor),
                    &format!("the image is built for it ({from})"),
                );
                if demanded { failure.found() } else { self.found(failure) }
            }
            _ => Ok(()),
        }
    }

    fn too_old(&self, driver: &VersionText, cuda: &VersionText, needs: Option<VersionText>, because: &str) -> Failure {
        let needs = needs.map(|needs| format!(", which needs {needs}")).unwrap_or_default();
        let failure = Failure::new(format!("driver {driver} is too old for CUDA {cuda}{needs}"));
        let newest =
            newest_cuda(driver).map(|newest| format!("an image for CUDA {newest} or older")).unwrap_or_default();
        let advice = format!("a node with a newer driver, or {newest}");
        let failure = failure.because(because).advice(advice.trim_end_matches(", or "));
        match self.compat() {
            Compat::Wrong { why, .. } => failure.advice(format!("forward compatibility does not help here: {why}")),
            Compat::Right { .. } => failure.advice("gpu.compat: auto uses the image's forward compatibility"),
            Compat::Absent if self.is_data_centre() => {
                let short = cuda.short().to_string().replace('.', "-");
                failure.remedy(Remedy::Do(format!("or install cuda-compat-{short} in the image: trainit uses it")))
            }
            _ => failure,
        }
    }

    fn is_data_centre(&self) -> bool {
        self.presence().nvidia().all(|node| node.model.as_deref().and_then(Brand::of) == Some(Brand::DataCentre))
    }

    pub(super) fn requirements_hold(&mut self) -> CheckResult {
        let Some(driver) = self.driver_version().cloned().filter(|_| self.has_nvidia()) else { return Ok(()) };
        if self.libcuda().is_some_and(|library| library.kind == LibraryKind::Compat) {
            return Ok(());
        }
        let facts = require::RequireFacts {
            cuda: newest_cuda(&driver),
            brand: self.presence().nvidia().find_map(|node| node.model.as_deref().and_then(Brand::of)),
            driver: Some(driver),
            ..require::RequireFacts::default()
        };
        let Some(unmet) = require::unmet(&self.environment, &facts) else { return Ok(()) };
        let first = unmet.text.split_whitespace().next().unwrap_or_default();
        let known = facts.driver.as_ref().map(VersionText::to_string).unwrap_or_default();
        self.found_mild(
            Failure::new(format!("the image asks for {} ({})", text::line(first), unmet.variable))
                .because(format!("driver {known} does not have it: programs may fail with errors 35, 222 or 803"))
                .advice("a node with a newer driver, or an older image; NVIDIA_DISABLE_REQUIRE=1 where it works all the same"),
        )
    }

    /// Judges forward compatibility on this machine.
    pub(super) fn compat(&self) -> Compat {
        gpu::compat(&self.root, &self.environment, || self.presence().clone(), || self.image().cloned())
    }
}
