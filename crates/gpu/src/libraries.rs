//! The driver's libraries as the workload will find them: by LD_LIBRARY_PATH, then the linker's cache, then the default directories
//! (ld.so(8)). Their names show what they are, so none is loaded.

use super::cache;
use crate::VersionText;
use std::cell::{OnceCell, RefCell};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use sys::Root;
use sys::environment::Environment;

/// CUDA's driver library.
pub const CUDA: &str = "libcuda.so.1";
/// NVML, the library of nvidia-smi.
pub const NVML: &str = "libnvidia-ml.so.1";
/// The compiler of PTX.
pub const PTX: &str = "libnvidia-ptxjitcompiler.so.1";

/// Directories that programs search without a variable or a cache. The last one stands in the programs of NixOS themselves.
const USUAL: [&str; 7] = [
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/lib64",
    "/lib",
    "/run/opengl-driver/lib",
];
/// Driver directories that programs do not search by default: old device plugins and GKE, WSL2.
const ASIDE: [&str; 3] = ["/usr/local/nvidia/lib64", "/usr/local/nvidia/lib", "/usr/lib/wsl/lib"];
/// Longest chain of links that is followed.
const LINKS: usize = 8;
/// Size limit of a stub; the driver's libcuda is a hundred times larger.
const STUB: u64 = 300_000;

/// The kind of a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LibraryKind {
    /// Part of the driver.
    Driver,
    /// A stub for linking.
    Stub,
    /// A newer driver's library for forward compatibility.
    Compat,
}

/// A library as a program finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadableLibrary {
    /// The path at which it is found.
    pub path: PathBuf,
    /// The file after following links.
    pub file: PathBuf,
    /// The version in the file's name.
    pub version: Option<VersionText>,
    /// The kind.
    pub kind: LibraryKind,
}

/// The search for libraries in one environment.
#[derive(Debug)]
pub struct Loader {
    root: Root,
    path: Vec<PathBuf>,
    cache: OnceCell<Vec<u8>>,
    /// Earlier results: several checks ask for the same libraries.
    found: RefCell<Vec<(String, Option<LoadableLibrary>)>>,
}

impl Loader {
    /// Makes the search of a program with this environment.
    pub fn of(root: &Root, environment: &Environment) -> Self {
        let path = environment.get("LD_LIBRARY_PATH").map(OsStr::as_bytes).unwrap_or_default();
        let path = path.split(|byte| matches!(byte, b':' | b';')).filter(|directory| directory.starts_with(b"/"));
        let path = path.map(|directory| PathBuf::from(OsStr::from_bytes(directory))).collect();
        Loader { root: root.clone(), path, cache: OnceCell::new(), found: RefCell::default() }
    }

    /// Returns the library that a program gets for this name.
    pub fn find(&self, name: &str) -> Option<LoadableLibrary> {
        let known = self.found.borrow().iter().find(|(known, _)| known == name).map(|(_, library)| library.clone());
        known.unwrap_or_else(|| {
            let library = self.search(name);
            self.found.borrow_mut().push((name.to_owned(), library.clone()));
            library
        })
    }

    fn search(&self, name: &str) -> Option<LoadableLibrary> {
        let in_directories = |directories: &mut dyn Iterator<Item = &Path>| {
            directories.map(|directory| directory.join(name)).find(|path| self.is_there(path))
        };
        let by_variable = in_directories(&mut self.path.iter().map(PathBuf::as_path));
        let by_cache = || cache::find(self.cache(), name).filter(|path| self.is_there(path)).map(Path::to_owned);
        let usual = || in_directories(&mut USUAL.iter().map(Path::new));
        by_variable.or_else(by_cache).or_else(usual).map(|path| self.library(path))
    }

    /// Returns a library of this name that exists but that no program finds: its directory is not searched, or its link is missing.
    pub fn stray(&self, name: &str, driver: Option<&VersionText>) -> Option<PathBuf> {
        let aside = ASIDE.iter().map(|directory| Path::new(directory).join(name));
        let file = driver.map(|version| format!("{}.{version}", name.trim_end_matches(".1")));
        let unlinked =
            file.iter().flat_map(|file| USUAL.iter().chain(&ASIDE).map(move |dir| Path::new(dir).join(file)));
        aside.chain(unlinked).find(|path| self.is_there(path))
    }

    /// Returns the library in a directory; `None` if it is missing.
    pub fn within(&self, directory: &Path, name: &str) -> Option<LoadableLibrary> {
        let path = directory.join(name);
        self.is_there(&path).then(|| self.library(path))
    }

    /// Returns whether a directory is searched before all others.
    pub fn is_first(&self, directory: &Path) -> bool {
        self.path.first().is_some_and(|first| first == directory)
    }

    fn cache(&self) -> &[u8] {
        self.cache.get_or_init(|| self.root.read("/etc/ld.so.cache").unwrap_or_default())
    }

    fn is_there(&self, path: &Path) -> bool {
        std::fs::metadata(self.root.path(self.resolved(path.to_owned()))).is_ok_and(|meta| meta.is_file())
    }

    fn library(&self, path: PathBuf) -> LoadableLibrary {
        let file = self.resolved(path.clone());
        let version = version_of(&file);
        let has = |word: &str| [&path, &file].iter().any(|path| path.iter().any(|part| part == word));
        let size = || std::fs::metadata(self.root.path(&file)).map_or(u64::MAX, |meta| meta.len());
        let is_stub = has("stubs") || path.ends_with(CUDA) && version.is_none() && size() < STUB;
        let kind = match (is_stub, has("compat")) {
            (true, _) => LibraryKind::Stub,
            (_, true) => LibraryKind::Compat,
            _ => LibraryKind::Driver,
        };
        LoadableLibrary { path, file, version, kind }
    }

    /// Follows the links of a file below the root.
    fn resolved(&self, mut path: PathBuf) -> PathBuf {
        for _ in 0..LINKS {
            let Ok(target) = std::fs::read_link(self.root.path(&path)) else { break };
            path = path.parent().unwrap_or(Path::new("/")).join(target);
        }
        path
    }
}

/// Parses `libcuda.so.570.172.08`: a driver's version starts with three digits.
fn version_of(file: &Path) -> Option<VersionText> {
    let (_, version) = file.file_name()?.to_str()?.split_once(".so.")?;
    VersionText::of(version).filter(|version| version.major() >= 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    const DIRECTORY: &str = "/usr/lib/x86_64-linux-gnu";

    struct Image {
        _directory: tempfile::TempDir,
        root: Root,
    }

    impl Image {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let root = Root::at(directory.path());
            Image { _directory: directory, root }
        }

        fn file(self, path: &str) -> Self {
            std::fs::create_dir_all(self.root.path(path).parent().unwrap()).unwrap();
            std::fs::write(self.root.path(path), "x").unwrap();
            self
        }

        fn link(self, path: &str, target: &str) -> Self {
            symlink(target, self.root.path(path)).unwrap();
            self
        }

        fn found(&self, variable: &str) -> Option<(String, Option<String>, LibraryKind)> {
            let environment = [("LD_LIBRARY_PATH", variable)].into_iter().collect();
            let library = Loader::of(&self.root, &environment).find(CUDA)?;
            Some((library.path.display().to_string(), library.version.map(|v| v.to_string()), library.kind))
        }
    }

    #[test]
    fn a_links_target_tells_the_version() {
        let image = Image::new().file(&format!("{DIRECTORY}/libcuda.so.570.172.08"));
        let image = image.link(&format!("{DIRECTORY}/libcuda.so.1"), "libcuda.so.570.172.08");
        let (path, version, kind) = image.found("").unwrap();
        assert_eq!(
            (path, version.unwrap().as_str(), kind),
            (format!("{DIRECTORY}/{CUDA}"), "570.172.08", LibraryKind::Driver)
        );
    }

    #[test]
    fn the_variable_comes_before_the_cache_and_that_before_the_usual_directories() {
        let image = Image::new().file("/a/libcuda.so.1").file("/opt/libcuda.so.1").file("/usr/lib/libcuda.so.1");
        assert_eq!(image.found("").unwrap().0, "/usr/lib/libcuda.so.1");
        std::fs::create_dir_all(image.root.path("/etc")).unwrap();
        std::fs::write(image.root.path("/etc/ld.so.cache"), cache::written(&[(CUDA, "/opt/libcuda.so.1")])).unwrap();
        assert_eq!(image.found("").unwrap().0, "/opt/libcuda.so.1");
        assert_eq!(image.found("/none:/a").unwrap().0, "/a/libcuda.so.1");
    }

    #[test]
    fn stubs_and_compat_libraries_are_told() {
        let image = Image::new().file("/usr/local/cuda/lib64/stubs/libcuda.so").file("/usr/lib/libcuda.so.1");
        let image = image.link("/usr/local/cuda/lib64/stubs/libcuda.so.1", "libcuda.so");
        let image = image.file("/usr/local/cuda/compat/libcuda.so.595.45.04");
        let image = image.link("/usr/local/cuda/compat/libcuda.so.1", "libcuda.so.595.45.04");
        assert_eq!(image.found("/usr/local/cuda/lib64/stubs").unwrap().2, LibraryKind::Stub);
        assert_eq!(image.found("").unwrap().2, LibraryKind::Stub, "one that was copied has no version and is small");
        let (_, version, kind) = image.found("/usr/local/cuda/compat").unwrap();
        assert_eq!((version.unwrap().as_str(), kind), ("595.45.04", LibraryKind::Compat));
    }

    #[test]
    fn what_no_program_finds_is_found() {
        let image = Image::new().file(&format!("{DIRECTORY}/libcuda.so.570.172.08"));
        let loader = Loader::of(&image.root, &Environment::default());
        let version = VersionText::of("570.172.08");
        assert_eq!(loader.find(CUDA), None);
        assert!(loader.stray(CUDA, version.as_ref()).unwrap().ends_with("libcuda.so.570.172.08"));
        assert_eq!(loader.stray(CUDA, None), None);
        let image = image.file("/usr/local/nvidia/lib64/libcuda.so.1");
        assert!(Loader::of(&image.root, &Environment::default()).stray(CUDA, None).unwrap().ends_with(CUDA));
    }

    #[test]
    fn a_link_that_leads_nowhere_is_no_library() {
        let image = Image::new().file("/usr/lib/x").link("/usr/lib/libcuda.so.1", "libcuda.so.1");
        assert_eq!(image.found(""), None);
    }
}
