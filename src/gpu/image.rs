//! The CUDA that the image's programs were built for: by PyTorch's own word, where it is installed, because its packages bring their
//! own toolkit; else by the image's variables and files. Nothing is run.

use crate::config::Version;
use crate::environment::Environment;
use crate::sys::Root;
use std::path::{Path, PathBuf};

/// A version and who says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageCuda {
    /// What the image was built for.
    pub version: Version,
    /// The variable or file that says so.
    pub from: String,
}

/// Looks.
pub fn image_cuda(root: &Root, environment: &Environment) -> Option<ImageCuda> {
    let said = |version: Option<Version>, from: &str| Some(ImageCuda { version: version?, from: from.to_owned() });
    let variable = |name: &str, read: fn(&str) -> Option<Version>| said(environment.text(name).and_then(read), name);
    let file = |path: &str, read: fn(&str) -> Option<Version>| said(root.text(path).ok().and_then(|t| read(&t)), path);
    torch(root, environment)
        .or_else(|| variable("CUDA_VERSION", Version::of))
        .or_else(|| variable("NVIDIA_REQUIRE_CUDA", parse_require))
        .or_else(|| file("/usr/local/cuda/version.json", parse_json))
        .or_else(|| file("/usr/local/cuda/version.txt", parse_text))
}

/// `cuda>=12.8 brand=tesla,driver>=535,…`.
fn parse_require(text: &str) -> Option<Version> {
    let atoms = text.split([' ', ',']);
    atoms.filter_map(|atom| atom.strip_prefix("cuda>=")).find_map(Version::of)
}

/// /usr/local/cuda/version.json, since CUDA 11.1.
pub fn parse_json(text: &str) -> Option<Version> {
    let json: serde_json::Value = serde_json::from_str(text).ok()?;
    Version::of(json.get("cuda")?.get("version")?.as_str()?)
}

/// `CUDA Version 10.2.89`.
pub fn parse_text(text: &str) -> Option<Version> {
    Version::of(text.lines().next()?.strip_prefix("CUDA Version")?.trim())
}

/// `cuda: Optional[str] = '12.8'` in torch/version.py; `None` in a build for CPUs.
pub fn parse_torch(text: &str) -> Option<Version> {
    let line = text.lines().find(|line| line.starts_with("cuda") && !line.starts_with("cuda_"))?;
    Version::of(line.split_once('=')?.1.trim().trim_matches(['\'', '"']))
}

fn torch(root: &Root, environment: &Environment) -> Option<ImageCuda> {
    let packages = libraries(root, environment).flat_map(|directory| {
        let pythons = super::names(root, &directory.to_string_lossy());
        let pythons = pythons.into_iter().filter(|name| name.starts_with("python3")).collect::<Vec<_>>();
        pythons.into_iter().flat_map(move |python| {
            ["site-packages", "dist-packages"].map(|packages| directory.join(&python).join(packages))
        })
    });
    let read = |directory: PathBuf| {
        let file = directory.join("torch/version.py");
        let version = parse_torch(&root.text(&file).ok()?)?;
        Some(ImageCuda { version, from: file.display().to_string() })
    };
    packages.filter_map(read).next()
}

/// Where Pythons keep their packages: of the active environment, of the first Python on PATH, of the system.
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
    fn then_variables_and_files_of_the_image() {
        assert_eq!(told(&[JSON], &[]).unwrap().0, "12.8.1");
        assert_eq!(told(&[("/usr/local/cuda/version.txt", "CUDA Version 10.2.89\n")], &[]).unwrap().0, "10.2.89");
        let require = [("NVIDIA_REQUIRE_CUDA", "brand=tesla,driver>=535 cuda>=12.8 x")];
        assert_eq!(told(&[], &require), Some(("12.8".into(), "NVIDIA_REQUIRE_CUDA".into())));
        assert_eq!(told(&[], &[("CUDA_VERSION", "nonsense")]), None);
    }
}
