//! Builds the gpu-probe with the same rustc, for the same target, with core alone, and always dynamically linked. It is linked against
//! stand-ins of glibc's libraries, which export the few names it uses, with the versions of glibc's first release on the architecture. So
//! it runs with every glibc, and the build needs none. rust-lld of rustup's toolchains links it for any architecture; the system's ld does
//! so for its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{fmt, fs, io};

/// The inputs and outputs of the build.
pub struct Build {
    /// The directory of the sources.
    pub source: PathBuf,
    /// The directory of intermediate files.
    pub out: PathBuf,
    /// The resulting file.
    pub helper: PathBuf,
    /// `x86_64` or `aarch64`.
    pub architecture: String,
    /// The target triple.
    pub target: String,
    /// The host triple.
    pub host: String,
    /// The path of rustc.
    pub rustc: String,
}

/// A linker.
struct Linker {
    path: PathBuf,
    /// rustc's name for the linker's command line syntax.
    flavor: &'static str,
    /// Leading arguments of a program that contains several linkers.
    first: &'static [&'static str],
}

/// The reason why the probe cannot be built.
#[derive(Debug)]
pub enum BuildError {
    /// There is no driver for this architecture.
    NoDriver(String),
    /// No linker for the target was found.
    NoLinker,
    /// This file or directory cannot be written.
    Write(PathBuf, io::Error),
    /// This command line cannot be started.
    NotStarted(String, io::Error),
    /// This command line failed, and wrote this.
    Failed(String, String),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::NoDriver(architecture) => write!(f, "NVIDIA has no driver for {architecture}"),
            BuildError::NoLinker => {
                write!(f, "no linker for it: rust-lld is not in Rust's sysroot, ld.lld not on PATH")
            }
            BuildError::Write(path, _) => write!(f, "{} cannot be written", path.display()),
            BuildError::NotStarted(command, _) => write!(f, "{command} cannot be started"),
            BuildError::Failed(command, said) => write!(f, "{command}: {}", said.replace('\n', " ")),
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            BuildError::Write(_, error) | BuildError::NotStarted(_, error) => Some(error),
            BuildError::NoDriver(_) | BuildError::NoLinker | BuildError::Failed(..) => None,
        }
    }
}

/// Builds the probe, or returns the reason why it cannot be built.
pub fn build(build: &Build) -> Result<(), BuildError> {
    fs::create_dir_all(&build.out).map_err(|error| BuildError::Write(build.out.clone(), error))?;
    build.stand_in("c", "libc.so.6")?;
    build.stand_in("dl", "libdl.so.2")?;
    build.link(&build.linker()?)
}

impl Build {
    /// Returns the name of glibc's loader, and glibc's first version on the architecture.
    fn glibc(&self) -> (&'static str, &'static str) {
        match self.architecture.as_str() {
            "aarch64" => ("/lib/ld-linux-aarch64.so.1", "GLIBC_2.17"),
            _ => ("/lib64/ld-linux-x86-64.so.2", "GLIBC_2.2.5"),
        }
    }

    fn linker(&self) -> Result<Linker, BuildError> {
        let sysroot = output(Command::new(&self.rustc).args(["--print", "sysroot"]))?;
        let sysroot = PathBuf::from(String::from_utf8_lossy(&sysroot.stdout).trim());
        let own = sysroot.join("lib/rustlib").join(&self.host).join("bin/rust-lld");
        let lld = |path| Linker { path, flavor: "ld.lld", first: &["-flavor", "gnu"] };
        if own.is_file() {
            return Ok(lld(own));
        }
        if let Some(path) = on_path("ld.lld") {
            return Ok(Linker { first: &[], ..lld(path) });
        }
        let plain = on_path("ld").filter(|_| self.host.starts_with(&self.architecture));
        plain.map(|path| Linker { path, flavor: "ld", first: &[] }).ok_or(BuildError::NoLinker)
    }

    fn rustc(&self) -> Command {
        let mut rustc = Command::new(&self.rustc);
        rustc.args(["--edition", "2024", "--target", &self.target]);
        rustc.args(["-Cpanic=abort", "-Ccodegen-units=1", "-Crelocation-model=pic", "-Ctarget-feature=-crt-static"]);
        rustc
    }

    /// Builds a library that exports the names of another one without an implementation.
    fn stand_in(&self, name: &str, known_as: &str) -> Result<(), BuildError> {
        let script = self.out.join("version.map");
        let versions = format!("{} {{ global: *; }};\n", self.glibc().1);
        fs::write(&script, versions).map_err(|error| BuildError::Write(script.clone(), error))?;
        let source = self.source.join(format!("stand_in_{name}.rs"));
        self.library(&source, known_as, Some(&script), &self.out.join(format!("lib{name}.so")))
    }

    /// Builds a library with this soname from one file that needs core alone; a linker script adds symbol versions.
    pub fn library(
        &self,
        source: &Path,
        known_as: &str,
        script: Option<&Path>,
        library: &Path,
    ) -> Result<(), BuildError> {
        let object = library.with_extension("o");
        let mut rustc = self.rustc();
        rustc.args(["--crate-type=lib", "--emit=obj", "-Copt-level=s", "-o"]).arg(&object);
        run(rustc.arg(source))?;
        let linker = self.linker()?;
        let mut ld = Command::new(&linker.path);
        ld.args(linker.first).args(["-shared", "-soname", known_as]);
        script.iter().for_each(|script| _ = ld.arg("--version-script").arg(script));
        run(ld.arg("-o").arg(library).arg(&object))
    }

    fn link(&self, linker: &Linker) -> Result<(), BuildError> {
        let mut rustc = self.rustc();
        rustc.args(["--crate-name", "gpu_helper", "--crate-type=bin", "-Copt-level=s", "-Clto=fat", "-Cstrip=symbols"]);
        rustc.arg(format!("-Clinker={}", linker.path.display())).arg(format!("-Clinker-flavor={}", linker.flavor));
        if self.target.ends_with("musl") {
            rustc.arg("-Clink-self-contained=no");
        }
        let loader = format!("--dynamic-linker={}", self.glibc().0);
        let words = ["-pie", "-e", "_start", "-z", "relro", "-z", "now", "--no-as-needed", "--build-id=none", &loader];
        rustc.args(words.map(|word| format!("-Clink-arg={word}")));
        run(rustc
            .arg("-L")
            .arg(format!("native={}", self.out.display()))
            .arg("-o")
            .arg(&self.helper)
            .arg(self.source.join("main.rs")))
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|file| Path::is_file(file))
}

fn run(command: &mut Command) -> Result<(), BuildError> {
    // Flags for the rest of the build do not apply here.
    let output = output(command.env_remove("RUSTFLAGS"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(BuildError::Failed(format!("{command:?}"), String::from_utf8_lossy(&output.stderr).into_owned()))
}

fn output(command: &mut Command) -> Result<Output, BuildError> {
    command.output().map_err(|error| BuildError::NotStarted(format!("{command:?}"), error))
}
