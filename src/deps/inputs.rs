//! Gathers everything that the requirement files reach: nested files, constraints, local packages. One digest tells whether any of it
//! changed. It contains paths as they are written, so that a file has the same digest at build time and in another directory.

use super::manifest::{self, ManifestKind, ProjectParts};
use super::redact::Redactor;
use super::refusal::permanent;
use super::requirement_file;
use super::source_mention::{self, SourceMention};
use crate::error::{Error, ErrorKind, Result};
use protocol::exit_code::FailureFamily;
use requirements::RequestedBy;
use requirements::file::{self, Encoding, RequirementItem, RequirementLine};
use requirements::mistake;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use store::digest::Digest;
use sys::environment::Environment;

/// The most files of a local package that are looked at; a larger package counts as changed.
const TREE_MAX: usize = 5000;

/// The files of a package that declare its dependencies.
const METADATA: [&str; 4] = ["pyproject.toml", "setup.py", "setup.cfg", "MANIFEST.in"];

/// Everything that the requirement files reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Inputs {
    /// Every file that was read, the listed ones first.
    pub files: Vec<PathBuf>,
    /// The number of requirements in these files.
    pub requirements: usize,
    /// The requirements that have a name or a URL.
    pub asked: Vec<RequestedBy>,
    /// The constraints on installed packages, whatever requires them.
    pub constraints: Vec<RequestedBy>,
    /// The reason why the requirements cannot be compared with the installed packages, so that the installer has to run.
    pub doubt: Option<String>,
    /// The options and requirements that say where packages come from.
    pub sources: Vec<SourceMention>,
    /// Options that only pip reads, each with its line.
    pub for_pip: Vec<String>,
    /// Whether a requirement has a hash: every one needs a hash then, by pip's rule.
    pub hashed: bool,
    /// Lines about options that have no effect.
    pub notes: Vec<String>,
    /// A digest that changes when any of this changes.
    pub digest: String,
    /// An editable local package, whose directory may contain its build as well.
    pub editable: Option<String>,
    /// An input that cannot be compared with an earlier state, so that the installer has to run.
    pub unknown: Option<String>,
}

/// Reads the listed files and all files that they name.
///
/// # Errors
/// Fails for a file that is missing, not a regular file or not readable (116; 216 if the file system does not answer).
pub(super) fn gather(files: &[PathBuf], environment: &Environment) -> Result<Inputs> {
    read(files, "-r", environment)
}

impl Inputs {
    /// Adds the parts of project files that are installed. All parts by default leave the digest as it is.
    pub(super) fn add_parts<'a>(&mut self, parts: impl Iterator<Item = &'a ProjectParts>) {
        let mut digest = Digest::default();
        let mut is_whole = true;
        digest.add("requirements", &self.digest);
        for parts in parts {
            is_whole &= parts.base && parts.extras.is_empty() && parts.groups.is_empty();
            digest.add("parts", format!("{parts:?}"));
        }
        if !is_whole {
            self.digest = digest.hex();
        }
    }
}

/// Reads the files of constraints that settings name.
///
/// # Errors
/// Fails for a file that cannot be read (116, 216).
pub(super) fn constraints(files: &[PathBuf], environment: &Environment) -> Result<Inputs> {
    read(files, "-c", environment)
}

fn read(files: &[PathBuf], option: &str, environment: &Environment) -> Result<Inputs> {
    let mut reader = Reader {
        environment,
        redactor: Redactor::for_environment(environment),
        digest: Digest::default(),
        seen: Vec::new(),
        open: Vec::new(),
        found: Inputs::default(),
    };
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        reader.file(option, &name, file, None)?;
    }
    reader.found.digest = reader.digest.hex();
    Ok(reader.found)
}

struct Reader<'a> {
    environment: &'a Environment,
    redactor: Redactor,
    digest: Digest,
    /// The files that were read, each with whether it was read as constraints.
    seen: Vec<(PathBuf, bool)>,
    /// The chain of files that are being read: each names the next.
    open: Vec<PathBuf>,
    found: Inputs,
}

impl Reader<'_> {
    /// Reads one file. `written` is its name in the file `from`.
    fn file(&mut self, option: &str, written: &str, path: &Path, from: Option<&str>) -> Result<()> {
        let known = (plain(path), option == "-c");
        if self.open.contains(&known.0) {
            // uv skips such a file, older versions of pip never return, newer ones refuse it.
            self.doubt(format!("{} names itself", path.display()));
        }
        if self.seen.contains(&known) {
            return Ok(());
        }
        self.seen.push(known);
        let bytes = requirement_file::read(path).map_err(|error| requirement_file::unreadable(path, error, from))?;
        if !self.found.files.iter().any(|known| known == path) {
            self.found.files.push(path.to_owned());
        }
        self.open.push(plain(path));
        self.content(option, written, path, &bytes)?;
        self.open.pop();
        Ok(())
    }

    fn content(&mut self, option: &str, written: &str, path: &Path, bytes: &[u8]) -> Result<()> {
        self.digest.add(option, written);
        if manifest::kind(path) != ManifestKind::Requirements {
            self.project(bytes, path);
            return Ok(());
        }
        self.encoding(bytes, path)?;
        let variable = |name: &str| self.environment.text(name).map(str::to_owned);
        for line in file::read(bytes, &variable) {
            // The digest leaves user and password out: a token that is new every day changes nothing about the packages.
            self.digest.add("line", self.redactor.text(&line.text));
            self.line(&line, path, option == "-c")?;
        }
        Ok(())
    }

    /// Adds a project file such as pyproject.toml; its dependencies are read elsewhere.
    fn project(&mut self, bytes: &[u8], path: &Path) {
        self.digest.add("project", bytes);
        self.found.requirements += 1;
        self.doubt(format!("{} is for others to read", path.display()));
    }

    /// Notes an encoding other than Unicode. uv reads Unicode only; pip reads what the file declares, and fails without naming the line.
    fn encoding(&mut self, bytes: &[u8], path: &Path) -> Result<()> {
        let name = path.display();
        if file::has_odd_line_ends(&file::decode(bytes)) {
            self.doubt(format!("{name} has unusual line ends"));
        }
        match file::encoding(bytes) {
            Encoding::Unicode => Ok(()),
            Encoding::Named(encoding) => {
                if encoding == file::WIDE {
                    self.doubt(format!("{name} is {encoding}"));
                }
                self.found.sources.extend(source_mention::said_in(&encoding, &name.to_string()));
                self.found.for_pip.push(format!("the encoding {encoding} of {name}"));
                Ok(())
            }
            Encoding::Unknown(line) => {
                Err(Error::new(ErrorKind::Permanent(FailureFamily::Deps), format!("{name}:{line} is not UTF-8"))
                    .because("no encoding is named in its first lines, so what is meant cannot be known")
                    .hint(format!("iconv -f latin1 -t utf8 {name} >new && mv new {name}"))
                    .hint("or begin it with: # -*- coding: latin1 -*-"))
            }
        }
    }

    /// Notes a reason to run the installer; only the first one is kept.
    fn doubt(&mut self, why: String) {
        self.found.doubt.get_or_insert(self.redactor.text(&why));
    }

    fn line(&mut self, line: &RequirementLine, file: &Path, constraint: bool) -> Result<()> {
        let place = format!("{}:{}", file.display(), line.number);
        let beside = file.parent().unwrap_or(Path::new("/"));
        self.understood(line, &place)?;
        self.found.sources.extend(source_mention::said(&line.items, &place));
        self.found.for_pip.extend(line.for_pip.map(|what| format!("{what} in {place}")));
        if constraint && line.items.iter().any(has_extras) {
            self.doubt(format!("{place}: {}: a constraint cannot have extras", line.text));
        }
        for item in &line.items {
            self.found.for_pip.extend(file::for_pip_alone(item).iter().map(|option| format!("{option} in {place}")));
            if !file::is_about_finding(item) {
                self.doubt(format!("{place}: {}", line.text));
            }
            match item {
                RequirementItem::Include(name) => self.nested("-r", name, beside, &place)?,
                RequirementItem::Constraint(name) => self.nested("-c", name, beside, &place)?,
                RequirementItem::Editable(path) => {
                    self.found.editable.get_or_insert(format!("{place} is editable"));
                    self.local(path, beside, true);
                }
                RequirementItem::Requirement(text) => {
                    self.local(text, beside, false);
                    self.found.hashed |= text.contains(" --hash");
                    let ask = RequestedBy { place: place.clone(), text: file::without_options(text).to_owned() };
                    if constraint { self.found.constraints.push(ask) } else { self.found.asked.push(ask) }
                }
                RequirementItem::Option(_) => continue,
            }
            self.found.requirements += usize::from(
                !constraint && matches!(item, RequirementItem::Editable(_) | RequirementItem::Requirement(_)),
            );
        }
        Ok(())
    }

    /// Refuses a line that no installer understands, before one is started: an installer names neither the file nor what was meant.
    fn understood(&mut self, line: &RequirementLine, place: &str) -> Result<()> {
        let options = line.items.iter().flat_map(file::options_without_effect);
        self.found.notes.extend(options.map(|option| {
            format!("{place}: {option} behind a requirement has no effect; write it in a line of its own")
        }));
        let text = file::without_options(&line.text);
        let Some(found) = mistake::of_line(text) else { return Ok(()) };
        Err(permanent(format!("{place} cannot be understood: {}", self.redactor.text(text)))
            .because(found.because)
            .hint(self.redactor.text(&found.advice)))
    }

    fn nested(&mut self, option: &str, name: &str, beside: &Path, place: &str) -> Result<()> {
        let name = name.strip_prefix("file://").unwrap_or(name);
        if name.contains("://") || name.contains("${") {
            let unknown = format!("{place} names {}", self.redactor.text(name));
            self.doubt(unknown.clone());
            self.found.unknown = Some(unknown);
            // The option may bring further requirements.
            self.found.requirements += 1;
            return Ok(());
        }
        self.file(option, name, &beside.join(name), Some(place))
    }

    /// Adds a package in a directory or an archive: it can change while the requirement file stays the same.
    fn local(&mut self, text: &str, beside: &Path, editable: bool) {
        let Some(name) = file::local_path(text).or(editable.then_some(text).filter(|text| !text.contains("://")))
        else {
            return;
        };
        let path = beside.join(name);
        if editable {
            for name in METADATA {
                self.digest.add(name, fs::read(path.join(name)).unwrap_or_default());
            }
        } else if !add_tree(&mut self.digest, &path, &mut 0) {
            self.found.unknown = Some(format!("{} has too many files", path.display()));
        }
    }
}

/// Normalizes a path so that each file has one name, even if each nested file goes down and up again.
fn plain(path: &Path) -> PathBuf {
    let leads_up = path.components().any(|part| part == Component::ParentDir);
    let real = leads_up.then(|| path.canonicalize().ok()).flatten();
    real.unwrap_or_else(|| path.to_owned())
}

/// Checks for extras, which pip refuses in a constraint and uv accepts.
fn has_extras(item: &RequirementItem) -> bool {
    matches!(item, RequirementItem::Requirement(text) if file::without_options(text).split(';').next().is_some_and(|text| text.contains('[')))
}

/// Adds names, sizes and times of a file or of all files in a directory; returns whether all of them could be read.
fn add_tree(digest: &mut Digest, path: &Path, seen: &mut usize) -> bool {
    *seen += 1;
    let Ok(found) = fs::symlink_metadata(path) else { return true };
    if !found.is_dir() {
        digest.add("file", path.file_name().unwrap_or_default().as_encoded_bytes());
        digest.add("stat", format!("{} {}.{}", found.len(), found.mtime(), found.mtime_nsec()));
        return true;
    }
    let Ok(entries) = fs::read_dir(path) else { return true };
    let mut children: Vec<_> =
        entries.flatten().map(|entry| entry.file_name()).filter(|name| !is_made(&name.to_string_lossy())).collect();
    children.sort();
    *seen <= TREE_MAX && children.iter().all(|name| *seen <= TREE_MAX && add_tree(digest, &path.join(name), seen))
}

/// Checks whether a name is a product of building a package.
fn is_made(name: &str) -> bool {
    name.starts_with('.') || name.ends_with(".egg-info") || ["__pycache__", "build", "dist"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(directory: &Path) -> String {
        gather(&[directory.join("requirements.txt")], &Environment::default()).unwrap().digest
    }

    fn write(directory: &Path, name: &str, text: &str) {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn the_digest_follows_every_file_that_is_reached() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        write(dir, "requirements.txt", "-r more/base.txt\n-c pins.txt\n-e lib\n./own\n");
        write(dir, "more/base.txt", "-r deep.txt\n");
        write(dir, "more/deep.txt", "numpy\n");
        write(dir, "pins.txt", "numpy<3\n");
        write(dir, "lib/pyproject.toml", "[project]\n");
        write(dir, "own/code.py", "1\n");
        let mut seen = vec![digest(dir)];
        let changes = [
            ("more/deep.txt", "numpy==2"),
            ("pins.txt", "numpy<2"),
            ("lib/pyproject.toml", "[project]\nname='a'"),
            ("own/code.py", "22\n"),
        ];
        for (name, text) in changes {
            write(dir, name, text);
            seen.push(digest(dir));
        }
        write(dir, "lib/code.py", "code of an editable package is live");
        assert_eq!(digest(dir), seen[4]);
        seen.dedup();
        assert_eq!(seen.len(), 5);
    }

    #[test]
    fn comments_line_ends_and_the_place_of_a_file_change_nothing() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write(one.path(), "requirements.txt", "numpy\npandas\n");
        write(two.path(), "requirements.txt", "\u{feff}# hello\r\nnumpy\r\n\r\npandas # why\r\n");
        assert_eq!(digest(one.path()), digest(two.path()));
    }

    #[test]
    fn passwords_are_not_part_of_it_but_other_variables_are() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "requirements.txt", "--index-url https://me:${PW}@host/\nnumpy==${V}\n");
        let with = |pw: &'static str, version: &'static str| {
            let environment: Environment = [("PW", pw), ("V", version)].into_iter().collect();
            gather(&[dir.path().join("requirements.txt")], &environment).unwrap().digest
        };
        assert_eq!(with("a", "1"), with("b", "1"));
        assert_ne!(with("a", "1"), with("a", "2"));
    }

    #[test]
    fn a_loop_ends_and_only_requirements_count() {
        let dir = tempfile::tempdir().unwrap();
        let here = dir.path().file_name().unwrap().to_str().unwrap();
        for again in ["requirements.txt".to_owned(), format!("../{here}/requirements.txt")] {
            write(dir.path(), "requirements.txt", &format!("-r {again}\n-c pins.txt\n--pre\n"));
            write(dir.path(), "pins.txt", "numpy==1\n");
            let found = gather(&[dir.path().join("requirements.txt")], &Environment::default()).unwrap();
            assert_eq!(found.requirements, 0);
            assert!(found.doubt.is_some_and(|why| why.contains("names itself")), "{again}");
        }
    }

    #[test]
    fn requirements_and_constraints_are_told_apart_even_in_one_file() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "requirements.txt", "-c pins.txt\n-r pins.txt\na[b]>=1 --hash=sha256:0\n");
        write(dir.path(), "pins.txt", "numpy==1\n");
        let found = gather(&[dir.path().join("requirements.txt")], &Environment::default()).unwrap();
        let texts = |asks: &[RequestedBy]| asks.iter().map(|ask| ask.text.clone()).collect::<Vec<_>>();
        assert_eq!(
            (texts(&found.asked), texts(&found.constraints)),
            (vec!["numpy==1".into(), "a[b]>=1".into()], vec!["numpy==1".into()])
        );
        assert!(found.asked[1].place.ends_with("requirements.txt:3") && found.doubt.is_none());
        write(dir.path(), "pins.txt", "numpy[x]==1 ; python_version > '3'\n");
        let found = gather(&[dir.path().join("requirements.txt")], &Environment::default()).unwrap();
        assert!(found.doubt.is_some_and(|why| why.contains("cannot have extras")));
        write(dir.path(), "pins.txt", "-e lib\n");
        let found = gather(&[dir.path().join("requirements.txt")], &Environment::default()).unwrap();
        assert!(found.doubt.is_some_and(|why| why.contains("pins.txt:1")));
    }

    #[test]
    fn a_line_of_no_known_encoding_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("requirements.txt"), b"a\nb # \xe9\n").unwrap();
        let read = || gather(&[dir.path().join("requirements.txt")], &Environment::default());
        let error = format!("{:#}", read().unwrap_err());
        assert!(error.contains("requirements.txt:2 is not UTF-8") && error.contains("iconv"), "{error}");
        std::fs::write(dir.path().join("requirements.txt"), b"# coding: latin1\nb # \xe9\n").unwrap();
        assert!(read().unwrap().for_pip[0].contains("latin1"));
    }

    #[test]
    fn what_is_behind_a_url_is_never_taken_as_unchanged() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "requirements.txt", "-r https://me:pass@host/r.txt\n");
        let found = gather(&[dir.path().join("requirements.txt")], &Environment::default()).unwrap();
        assert!(found.unknown.is_some_and(|why| why.contains("requirements.txt:1") && !why.contains(":pass")));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named_with_who_asked_for_it() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "requirements.txt", "\n-r gone.txt\n");
        let error = gather(&[dir.path().join("requirements.txt")], &Environment::default()).unwrap_err();
        assert!(error.what.contains("gone.txt does not exist") && error.what.contains("requirements.txt:2"), "{error}");
        let error = gather(&[dir.path().to_owned()], &Environment::default()).unwrap_err();
        assert!(format!("{error:#}").contains("-v does not exist"), "{error}");
    }
}
