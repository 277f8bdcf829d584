//! The CUDA that the image's programs were built for: by the installed PyTorch, by the package of CUDA's runtime that other frameworks
//! install, or by the image's variables and files. No program runs for this.

use crate::VersionText;
use std::path::{Path, PathBuf};
use sys::Root;
use sys::environment::Environment;

/// A CUDA version and its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageCuda {
    /// The version that the image was built for.
    pub version: VersionText,
    /// The variable or file that says so.
    pub from: String,
}

/// Searches all sources.
pub fn image_cuda(root: &Root, environment: &Environment) -> Option<ImageCuda> {
    let said = |version: Option<VersionText>, from: &str| Some(ImageCuda { version: version?, from: from.to_owned() });
    let variable =
        |name: &str, read: fn(&str) -> Option<VersionText>| said(environment.text(name).and_then(read), name);
    let file =
        |path: &str, read: fn(&str) -> Option<VersionText>| said(root.text(path).ok().and_then(|t| read(&t)), path);
    by_packages(root, environment)
        .or_else(|| variable("CUDA_VERSION", VersionText::of))
        .or_else(|| variable("NVIDIA_REQUIRE_CUDA", parse_require))
        .or_else(|| file("/usr/local/cuda/version.json", parse_json))
        .or_else(|| file("/usr/local/cuda/version.txt", parse_text))
        .or_else(|| by_library(root, environment))
}

/// Parses `cuda>=12.8 brand=tesla,driver>=535,…`.
pub(crate) fn parse_require(text: &str) -> Option<VersionText> {
    let atoms = text.split([' ', ',']);
    atoms.filter_map(|atom| atom.strip_prefix("cuda>=")).find_map(VersionText::of)
}

/// Parses /usr/local/cuda/version.json, which exists since CUDA 11.1.
pub(crate) fn parse_json(text: &str) -> Option<VersionText> {
    let json: serde_json::Value = serde_json::from_str(text).ok()?;
    VersionText::of(json.get("cuda")?.get("version")?.as_str()?)
}

/// Parses `CUDA Version 10.2.89`.
pub(crate) fn parse_text(text: &str) -> Option<VersionText> {
    VersionText::of(text.lines().next()?.strip_prefix("CUDA Version")?.trim())
}

/// Parses `cuda: Optional[str] = '12.8'` of torch/version.py; a build for CPUs has `None` there.
pub(crate) fn parse_torch(text: &str) -> Option<VersionText> {
    let line = text.lines().find(|line| line.starts_with("cuda") && !line.starts_with("cuda_"))?;
    VersionText::of(line.split_once('=')?.1.trim().trim_matches(['\'', '"']))
}

/// Parses `nvidia_cuda_runtime_cu12-12.4.127.dist-info` and `nvidia_cuda_runtime-13.0.96.dist-info` as CUDA 12.4 and 13.0.
pub(crate) fn parse_wheel(name: &str) -> Option<VersionText> {
    let (package, version) = name.strip_suffix(".dist-info")?.split_once('-')?;
    let tag = package.strip_prefix("nvidia_cuda_runtime")?;
    let is_it = tag.is_empty() || tag.strip_prefix("_cu").is_some_and(|tag| tag.bytes().all(|b| b.is_ascii_digit()));
    is_it.then(|| release(version)).flatten()
}

/// Parses `libcudart.so.12.4.127` as CUDA 12.4. Shorter names are ambiguous links: `libcudart.so.11.0` may be any 11.
pub(crate) fn parse_library(name: &str) -> Option<VersionText> {
    let version = name.strip_prefix("libcudart.so.")?;
    (version.split('.').count() == 3).then(|| release(version)).flatten()
}

/// Parses a release of CUDA; numbers after the second count builds of one library.
fn release(version: &str) -> Option<VersionText> {
    let mut parts = version.split('.');
    VersionText::of(&format!("{}.{}", parts.next()?, parts.next()?))
}

/// Searches the installed PyTorch, then the package with CUDA's runtime for JAX and other frameworks.
fn by_packages(root: &Root, environment: &Environment) -> Option<ImageCuda> {
    let packages: Vec<PathBuf> = packages(root, environment);
    let torch = |directory: &PathBuf| {
        let file = directory.join("torch/version.py");
        let version = parse_torch(&root.text(&file).ok()?)?;
        Some(ImageCuda { version, from: file.display().to_string() })
    };
    packages
        .iter()
        .find_map(torch)
        .or_else(|| packages.iter().find_map(|directory| named(root, directory, parse_wheel)))
}

/// Searches the file of CUDA's runtime, for images with no other source.
fn by_library(root: &Root, environment: &Environment) -> Option<ImageCuda> {
    let conda = environment.text("CONDA_PREFIX").map(|prefix| Path::new(prefix).join("lib"));
    let toolkit =
        ["/usr/local/cuda/lib64", "/usr/local/cuda/targets/x86_64-linux/lib", "/usr/local/cuda/targets/sbsa-linux/lib"];
    let mut places = toolkit.map(PathBuf::from).into_iter().chain(conda);
    places.find_map(|directory| named(root, &directory, parse_library))
}

/// Returns the first version among the names in a directory.
fn named(root: &Root, directory: &Path, read: fn(&str) -> Option<VersionText>) -> Option<ImageCuda> {
    let names = super::names(root, &directory.to_string_lossy());
    names
        .iter()
        .find_map(|name| Some(ImageCuda { version: read(name)?, from: directory.join(name).display().to_string() }))
}

/// Returns the package directories of all Pythons.
fn packages(root: &Root, environment: &Environment) -> Vec<PathBuf> {
    let of_python = |directory: &Path, python: &str| {
        ["site-packages", "dist-packages"].map(|packages| directory.join(python).join(packages))
    };
    let of_prefix = |directory: PathBuf| {
        let mut pythons = super::names(root, &directory.to_string_lossy());
        pythons.retain(|name| name.starts_with("python3"));
        pythons.iter().flat_map(|python| of_python(&directory, python)).collect::<Vec<_>>()
    };
    libraries(root, environment).flat_map(of_prefix).collect()
}

/// Returns the library directories of Pythons: the active environment's, the first one's on PATH, the system's.
fn libraries(root: &Root, environment: &Environment) -> impl Iterator<Item = PathBuf> {
    let active = ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(|name| environment.text(name));
    let path = environment.text("PATH").unwrap_or_default().split(':').filter(|directory| directory.starts_with('/'));
    let has_python = |directory: &&str| root.path(Path::new(directory).join("python3")).exists();
    let prefix = path.into_iter().find(has_python).and_then(|directory| Path::new(directory).parent());
    let mut all: Vec<PathBuf> = Vec::new();
    for prefix in active.map(Path::new).chain(prefix).chain(["/usr/local", "/usr"].map(Path::new)) {
        let directory = prefix.join("lib");
        if !all.contains(&directory) {
            all.push(directory);
        }
    }
    all.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(files: &[(&str, &str)], variables: &[(&str, &str)]) -> Option<(String, String)> {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        for (path, text) in files {
            std::fs::create_dir_all(root.path(path).parent().unwrap()).unwrap();
            std::fs::write(root.path(path), text).unwrap();
        }
        let found = image_cuda(&root, &variables.iter().copied().collect())?;
        Some((found.version.to_string(), found.from))
    }

    const JSON: (&str, &str) =
        ("/usr/local/cuda/version.json", r#"{"cuda": {"name": "CUDA SDK", "version": "12.8.1"}, "cuda_cudart": {}}"#);
    const TORCH: &str = "/opt/venv/lib/python3.12/site-packages/torch/version.py";

    #[test]
    fn torchs_own_word_counts_most() {
        let torch = (TORCH, "__version__ = '2.9.0+cu130'\ndebug = False\ncuda: Optional[str] = '13.0'\ngit = 'x'\n");
        let venv = [("VIRTUAL_ENV", "/opt/venv"), ("CUDA_VERSION", "12.8.1")];
        assert_eq!(told(&[torch, JSON], &venv), Some(("13.0".into(), TORCH.into())));
        let path = [("PATH", "/usr/bin:/opt/venv/bin")];
        assert_eq!(told(&[torch, ("/opt/venv/bin/python3", "")], &path).unwrap().0, "13.0");
        let cpu = (TORCH, "cuda = None\n");
        assert_eq!(told(&[cpu], &venv), Some(("12.8.1".into(), "CUDA_VERSION".into())));
    }

    #[test]
    fn the_runtimes_package_counts_where_there_is_no_torch() {
        const PLACE: &str = "/opt/venv/lib/python3.12/site-packages";
        let venv = [("VIRTUAL_ENV", "/opt/venv"), ("CUDA_VERSION", "12.8.1")];
        let file = |name: &str| format!("{PLACE}/{name}.dist-info/METADATA");
        let runtime = file("nvidia_cuda_runtime_cu12-12.4.127");
        let other = file("nvidia_cuda_runtime_extras-1.0");
        assert_eq!(
            told(&[(&other, ""), (&runtime, "")], &venv),
            Some(("12.4".into(), runtime.replace("/METADATA", "")))
        );
        assert_eq!(told(&[(&file("nvidia_cuda_runtime-13.0.96"), "")], &venv).unwrap().0, "13.0");
        assert_eq!(told(&[(&other, "")], &venv).unwrap().1, "CUDA_VERSION");
        let cpu = (TORCH, "cuda = None\n");
        assert_eq!(told(&[cpu, (&runtime, "")], &venv).unwrap().0, "12.4", "a torch without CUDA says nothing");
    }

    #[test]
    fn the_runtimes_library_counts_where_nothing_else_says_it() {
        let library = ("/usr/local/cuda/lib64/libcudart.so.12.4.127", "");
        assert_eq!(told(&[("/usr/local/cuda/lib64/libcudart.so.12", ""), library], &[]).unwrap().0, "12.4");
        assert_eq!(told(&[library, JSON], &[]).unwrap().0, "12.8.1");
        let conda = ("/opt/conda/lib/libcudart.so.11.8.89", "");
        assert_eq!(
            told(&[conda, ("/opt/conda/lib/libcudart.so.11.0", "")], &[("CONDA_PREFIX", "/opt/conda")]).unwrap().0,
            "11.8"
        );
        assert_eq!(told(&[("/usr/local/cuda/lib64/libcudart.so.11.0", "")], &[]), None);
    }

    #[test]
    fn then_variables_and_files_of_the_image() {
        assert_eq!(told(&[JSON], &[]).unwrap().0, "12.8.1");
        assert_eq!(told(&[("/usr/local/cuda/version.txt", "CUDA Version 10.2.89\n")], &[]).unwrap().0, "10.2.89");
        let require = [("NVIDIA_REQUIRE_CUDA", "brand=tesla,driver>=535 cuda>=12.8 x")];
        assert_eq!(told(&[], &require), Some(("12.8".into(), "NVIDIA_REQUIRE_CUDA".into())));
        assert_eq!(told(&[], &[("CUDA_VERSION", "nonsense")]), None);
    }
}
