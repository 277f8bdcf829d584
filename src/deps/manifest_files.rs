//! Makes requirement files from pyproject.toml and uv.lock when `deps.requirements` names one of them.

use super::installation::Installation;
use super::manifest::{self, ManifestKind};
use super::refusal::{not_run, permanent};
use super::{cache_dirs, installer, run, source_layout};
use crate::error::{Error, Result};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::NamedTempFile;

/// The mark before each requirement and error that Python prints, so that the output of a sitecustomize is not taken for one.
const ASKS: &str = "trainit-asks:";
const WRONG: &str = "trainit-wrong:";

/// The Python program that reads a project's dependencies: Python, or its pip, has a TOML parser.
const QUESTION: &str = include_str!("read_project.py");

/// The requirement files of an installation; generated files are removed when this is dropped.
#[derive(Debug, Default)]
pub(super) struct ManifestFiles {
    /// The paths for the installer.
    pub paths: Vec<PathBuf>,
    /// The requirements of the generated files, each behind its origin.
    pub asked: Vec<(String, String)>,
    /// Lines about the files.
    pub notes: Vec<String>,
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
            ManifestKind::Project => {
                let directory = file.parent().unwrap_or(Path::new("/")).to_owned();
                files.notes.extend(source_layout::line(&[directory], job.wanted.request.environment));
                of_project(job, file)?
            }
            ManifestKind::UvLock => of_lock(job, file, uv.as_deref(), &mut files.notes)?,
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
    let parts = serde_json::to_string(&job.wanted.selection.parts_of(file)).unwrap_or_default();
    command.args(["-E", "-c", QUESTION]).arg(file).arg(parts);
    let output = said(job, command, file)?;
    let marked = |mark| output.lines().filter_map(move |line| line.strip_prefix(mark));
    match marked(WRONG).next() {
        Some(wrong) => Err(unreadable(file).because(wrong).hint("or name what it needs in a requirements.txt")),
        None => Ok(marked(ASKS).map(|line| format!("{line}\n")).collect()),
    }
}

/// Exports the requirements of a lock file without the project itself, whose code is already there. Protected versions have other hashes,
/// so an export with protected versions has none.
fn of_lock(job: &Installation<'_>, file: &Path, uv: Option<&Path>, notes: &mut Vec<String>) -> Result<String> {
    let uv = uv.ok_or_else(|| {
        unreadable(file).because("only uv can read it, and there is no uv").hint("put uv into the image")
    })?;
    notes.extend(behind(job, file, uv));
    let mut command = uv_of(
        job,
        file,
        uv,
        &["export", "--quiet", "--frozen", "--no-config", "--no-dev", "--no-header", "--no-annotate"],
    );
    command.args(["--format", "requirements-txt"]);
    let parts = job.wanted.selection.parts_of(file);
    command.args(parts.extras.iter().flat_map(|extra| ["--extra", extra]));
    let group = if parts.base { "--group" } else { "--only-group" };
    command.args(parts.groups.iter().flat_map(|name| [group, name]));
    command.args((!job.kept.is_empty()).then_some("--no-hashes"));
    let text = said(job, command, file)?;
    let directory = file.parent().unwrap_or(Path::new("/"));
    let (own, others): (Vec<_>, Vec<_>) = text.lines().partition(|line| own_package(line).is_some());
    let members = own.into_iter().filter_map(own_package).filter(|path| *path != ".").map(|path| directory.join(path));
    let own: Vec<_> = std::iter::once(directory.to_owned()).chain(members).collect();
    notes.extend(source_layout::line(&own, job.wanted.request.environment));
    Ok(others.into_iter().map(|line| format!("{line}\n")).collect())
}

fn uv_of(job: &Installation<'_>, file: &Path, uv: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(uv);
    command.args(arguments).args(["--no-python-downloads", "--python"]).arg(&job.target.python.executable);
    command.arg("--project").arg(file.parent().unwrap_or(Path::new("/")));
    command
}

/// Returns a line if the lock file is older than the project it belongs to. uv tells that without a network, and ends with 1 then.
fn behind(job: &Installation<'_>, file: &Path, uv: &Path) -> Option<String> {
    let command = uv_of(job, file, uv, &["lock", "--check", "--offline", "--quiet"]);
    let answer = run_in(job, command, file).ok()?;
    (answer.code() == Some(1)).then(|| {
        format!("{} does not fit its pyproject.toml any more (uv lock --check): what is locked is installed; uv lock brings it up to date", file.display())
    })
}

/// Returns the path of a line for a package of the workspace: `-e .`, `./packages/lib`.
fn own_package(line: &str) -> Option<&str> {
    let path = line.strip_prefix("-e ").or_else(|| line.starts_with('.').then_some(line))?;
    path.split([';', ' ']).next()
}

fn said(job: &Installation<'_>, command: Command, file: &Path) -> Result<String> {
    let program = command.get_program().to_owned();
    let answer = run_in(job, command, file).map_err(|error| not_run(Path::new(&program), error, unreadable(file)))?;
    let has_words = answer.output.lines().any(|line| line.starts_with(WRONG));
    if answer.succeeded() || has_words {
        Ok(answer.output)
    } else {
        Err(unreadable(file).because(answer.output.trim()))
    }
}

fn run_in(job: &Installation<'_>, mut command: Command, file: &Path) -> io::Result<run::ProgramOutput> {
    run::with_environment(&mut command, job.wanted.request.environment);
    command.current_dir(file.parent().unwrap_or(Path::new("/")));
    run::capture(command, job.deadline)
}

fn unreadable(file: &Path) -> Error {
    permanent(format!("{} cannot be installed from", file.display()))
}
