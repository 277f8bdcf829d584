//! Makes requirement files from pyproject.toml and uv.lock when `deps.requirements` names one of them.

use super::installation::Installation;
use super::manifest::{self, ManifestKind};
use super::refusal::{not_run, permanent};
use super::{cache_dirs, installer, run};
use crate::error::{Error, Result};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::NamedTempFile;

/// The mark before each requirement and error that Python prints, so that the output of a sitecustomize is not taken for one.
const ASKS: &str = "trainit-asks:";
const WRONG: &str = "trainit-wrong:";

/// The Python program that reads a project's dependencies: Python, or its pip, has a TOML parser.
const QUESTION: &str = r#"
import sys
sys.path[:] = [p for p in sys.path if p]
def wrong(what):
    print("\ntrainit-wrong:" + what)
    sys.exit(1)
try:
    import tomllib
except ImportError:
    try:
        from pip._vendor import tomli as tomllib
    except ImportError:
        wrong("this Python cannot read TOML: 3.11 or newer can, or one with a newer pip")
try:
    with open(sys.argv[1], "rb") as file:
        project = tomllib.load(file).get("project")
except Exception as error:
    wrong(str(error))
if not isinstance(project, dict):
    wrong("it has no table [project]")
if "dependencies" in project.get("dynamic", ()):
    wrong("its dependencies are dynamic: only building the project tells them")
for line in project.get("dependencies", ()):
    print("\ntrainit-asks:" + str(line))
"#;

/// The requirement files of an installation; generated files are removed when this is dropped.
#[derive(Debug, Default)]
pub(super) struct ManifestFiles {
    /// The paths for the installer.
    pub paths: Vec<PathBuf>,
    /// The requirements of the generated files, each behind its origin.
    pub asked: Vec<(String, String)>,
    made: Vec<NamedTempFile>,
}

/// Makes requirement files from other tools' files.
///
/// # Errors
/// Fails if a file cannot be read, or if there is no uv to read it (116).
pub(super) fn files(job: &Installation<'_>) -> Result<ManifestFiles> {
    let chosen = &job.wanted.selection.files;
    let needs_uv = chosen.iter().any(|file| manifest::kind(file) == ManifestKind::UvLock);
    let uv = || installer::uv(job.target.python, job.wanted.request.environment);
    let uv = needs_uv.then(uv).flatten().map(|(_, path)| path);
    let mut files = ManifestFiles::default();
    for file in chosen {
        let text = match manifest::kind(file) {
            ManifestKind::Project => of_project(job, file)?,
            ManifestKind::UvLock => of_lock(job, file, uv.as_deref())?,
            ManifestKind::Requirements | ManifestKind::Foreign(_) => {
                files.paths.push(file.clone());
                continue;
            }
        };
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.asked.extend(text.lines().map(|line| (name.clone(), line.to_owned())));
        files.add(job, &text)?;
    }
    Ok(files)
}

impl ManifestFiles {
    fn add(&mut self, job: &Installation<'_>, text: &str) -> Result<()> {
        let made = cache_dirs::temporary(job.wanted.request.environment, "trainit-requirements-");
        let made = made.and_then(|mut made| made.write_all(text.as_bytes()).ok().map(|()| made));
        let made = made.ok_or_else(|| permanent("no temporary file can be written".to_owned()).hint("set TMPDIR"))?;
        self.paths.push(made.path().to_owned());
        self.made.push(made);
        Ok(())
    }
}

fn of_project(job: &Installation<'_>, file: &Path) -> Result<String> {
    let mut command = Command::new(&job.target.python.executable);
    command.args(["-E", "-c", QUESTION]).arg(file);
    let output = said(job, command, file)?;
    let marked = |mark| output.lines().filter_map(move |line| line.strip_prefix(mark));
    match marked(WRONG).next() {
        Some(wrong) => Err(unreadable(file).because(wrong).hint("or name what it needs in a requirements.txt")),
        None => Ok(marked(ASKS).map(|line| format!("{line}\n")).collect()),
    }
}

/// Exports the requirements of a lock file without the project itself, whose code is already there. Protected versions have other hashes,
/// so an export with protected versions has none.
fn of_lock(job: &Installation<'_>, file: &Path, uv: Option<&Path>) -> Result<String> {
    let uv = uv.ok_or_else(|| {
        unreadable(file).because("only uv can read it, and there is no uv").hint("put uv into the image")
    })?;
    let mut command = Command::new(uv);
    command.args([
        "export",
        "--quiet",
        "--frozen",
        "--no-config",
        "--no-python-downloads",
        "--no-emit-workspace",
        "--no-dev",
    ]);
    command
        .args(["--no-header", "--no-annotate", "--format", "requirements-txt", "--python"])
        .arg(&job.target.python.executable);
    command.args((!job.kept.is_empty()).then_some("--no-hashes"));
    command.arg("--project").arg(file.parent().unwrap_or(Path::new("/")));
    said(job, command, file)
}

fn said(job: &Installation<'_>, mut command: Command, file: &Path) -> Result<String> {
    run::with_environment(&mut command, job.wanted.request.environment);
    command.current_dir(file.parent().unwrap_or(Path::new("/")));
    let program = command.get_program().to_owned();
    let answer =
        run::capture(command, job.deadline).map_err(|error| not_run(Path::new(&program), error, unreadable(file)))?;
    let has_words = answer.output.lines().any(|line| line.starts_with(WRONG));
    if answer.succeeded() || has_words {
        Ok(answer.output)
    } else {
        Err(unreadable(file).because(answer.output.trim()))
    }
}

fn unreadable(file: &Path) -> Error {
    permanent(format!("{} cannot be installed from", file.display()))
}
