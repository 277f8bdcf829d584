//! CUDA's forward compatibility: libraries of a newer driver in the image, for programs on an older kernel driver. It works only on
//! data-centre GPUs (error 804 elsewhere), and only for driver branches that the package supports (error 803). NVIDIA's own entrypoint
//! sets it up; trainit does so where it replaces that entrypoint.

use super::libraries::{CUDA, LibraryKind, LoadableLibrary, Loader};
use super::{Brand, GpuPresence, ImageCuda, Support, newest_cuda, require, support};
use crate::VersionText;
use std::path::{Path, PathBuf};
use sys::Root;
use sys::environment::Environment;

/// Directories of the libraries in NVIDIA's framework images and CUDA's base images.
const DIRECTORIES: [&str; 3] =
    ["/usr/local/cuda/compat/lib.real", "/usr/local/cuda/compat/lib", "/usr/local/cuda/compat"];

/// The judgement of forward compatibility on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compat {
    /// The image has no such libraries, or there is no GPU to use them on.
    Absent,
    /// The driver is new enough without them.
    Unneeded,
    /// The libraries have to be found before all others.
    Right {
        /// The directory of the libraries.
        directory: PathBuf,
        /// The driver version of the libraries.
        version: VersionText,
        /// Whether a program already searches there first.
        set: bool,
    },
    /// Whether the libraries work on GPUs of these names is not known: on some for workstations they do. Only CUDA can tell.
    Doubtful {
        /// The directory of the libraries.
        directory: PathBuf,
    },
    /// The libraries would not work.
    Wrong {
        /// The directory of the libraries.
        directory: PathBuf,
        /// The reason.
        why: &'static str,
    },
}

/// Returns whether the image may have the libraries, by one access to one directory.
pub fn may_have(root: &Root) -> bool {
    root.path("/usr/local/cuda/compat").exists()
}

/// Returns whether the libraries may be right here, without asking the driver, which may hang: sysfs shows the version of the kernel
/// module.
pub fn may_be_right(root: &Root, environment: &Environment) -> bool {
    let is_newer = || {
        let module = VersionText::of(root.text("/sys/module/nvidia/version").ok()?.trim())?;
        Some(library(&Loader::of(root, environment))?.1.version?.major() > module.major())
    };
    may_have(root) && is_newer().unwrap_or(true)
}

/// Finds the image's libraries for forward compatibility.
pub(crate) fn library(loader: &Loader) -> Option<(PathBuf, LoadableLibrary)> {
    DIRECTORIES.iter().map(Path::new).find_map(|directory| {
        let library = loader.within(directory, CUDA)?;
        Some((directory.to_owned(), library))
    })
}

/// Judges forward compatibility. `look` reads the GPUs only if the image has such libraries, and `image` reads its CUDA only if that
/// matters.
pub fn compat(
    root: &Root,
    environment: &Environment,
    look: impl FnOnce() -> GpuPresence,
    image: impl FnOnce() -> Option<ImageCuda>,
) -> Compat {
    if !may_have(root) {
        return Compat::Absent;
    }
    let loader = Loader::of(root, environment);
    let Some((directory, LoadableLibrary { version: Some(version), .. })) = library(&loader) else {
        return Compat::Absent;
    };
    let presence = look();
    let Some(driver) = presence.driver.as_ref().and_then(|driver| driver.version.clone()) else {
        return Compat::Absent;
    };
    let wrong = |why| Compat::Wrong { directory: directory.clone(), why };
    if version.major() <= driver.major() {
        return wrong("its libraries are not newer than the driver");
    }
    let image = image().map(|image| image.version);
    if image.as_ref().and_then(|image| support(&driver, image)) == Some(Support::Full) {
        return Compat::Unneeded;
    }
    let brand = |node: &super::DeviceNode| node.model.as_deref().and_then(Brand::of);
    let brands: Vec<Option<Brand>> = presence.nvidia().map(brand).collect();
    if brands.iter().flatten().any(|brand| brand.is_for_players()) {
        return wrong("it works on GPUs for data centres only");
    }
    if brands.is_empty() || brands.iter().any(|brand| *brand != Some(Brand::DataCentre)) {
        return Compat::Doubtful { directory };
    }
    let facts = require::RequireFacts {
        cuda: newest_cuda(&driver),
        driver: Some(driver),
        brand: Some(Brand::DataCentre),
        ..require::RequireFacts::default()
    };
    let named = environment.text("NVIDIA_REQUIRE_CUDA").filter(|text| text.contains("brand="));
    if named.is_some_and(|text| require::holds(text, &facts) == Some(false)) {
        return wrong("the image has none for this branch of the driver (NVIDIA_REQUIRE_CUDA)");
    }
    let set = loader.is_first(&directory) || loader.find(CUDA).is_some_and(|found| found.kind == LibraryKind::Compat);
    Compat::Right { directory, version, set }
}
