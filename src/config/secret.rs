//! Values in files, as engines provide secrets: `env: {HF_TOKEN: {file: /run/secrets/hf_token}}`, and `TRAINIT_…_FILE` for the keys that
//! may hold a password. Other variables ending in `_FILE` are ignored: other programs define them.

use super::file::{FileError, SILENT};
use super::{EnvValue, Settings, read_file};
use crate::error::{Error, ErrorKind, Result};
use protocol::errno::{self, ErrnoCause};
use protocol::exit_code::FailureFamily;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use sys::environment::Environment;
use sys::mountinfo::Mounts;
use sys::reach;

/// Longest string that execve(2) takes (MAX_ARG_STRLEN).
const MAX: usize = 128 << 10;

/// The mark that editors on Windows put before UTF-8, and the one with which PowerShell begins UTF-16.
const MARK: &[u8] = b"\xef\xbb\xbf";
const MARK_16: &[u8] = b"\xff\xfe";

/// Reads a file without the mark that editors put at its begin and the newline that they put at its end.
///
/// # Errors
/// The error of open(2) or read(2), or a file that is empty, too long, or holds a byte that no variable can hold.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = read_file(path)?;
    if bytes.starts_with(MARK) {
        bytes.drain(..MARK.len());
    }
    for end in [b'\n', b'\r'] {
        if bytes.last() == Some(&end) {
            bytes.pop();
        }
    }
    match () {
        () if bytes.is_empty() => Err(io::Error::other("the file is empty")),
        () if bytes.len() > MAX => Err(io::Error::other("the file is longer than a variable can be")),
        () if bytes.starts_with(MARK_16) => {
            Err(io::Error::other("the file is UTF-16, as PowerShell writes it: save it as UTF-8"))
        }
        () if bytes.contains(&0) => Err(io::Error::other("the file holds a NUL byte")),
        () => Ok(bytes),
    }
}

/// Adds the configured variables whose values are in files. An inherited variable wins, unless the configured one is forced. A start reads
/// the files after it became the workload's user, so that the user sees no secret of another one.
///
/// # Errors
/// A file that cannot be read (78), or whose file system fails (214).
pub fn add_all(values: &BTreeMap<String, EnvValue>, mounts: &Mounts, environment: &mut Environment) -> Result<()> {
    let in_files = || values.iter().filter_map(|(name, env)| Some((name, env.file.as_ref()?, env.force)));
    if in_files().next().is_none() {
        return Ok(());
    }
    let mut read = Vec::new();
    let inherited = environment.names();
    let wanted =
        |name: &str, force: bool| !environment.is_pinned(name) && (force || !inherited.contains(OsStr::new(name)));
    for (name, path, _) in in_files().filter(|(name, _, force)| wanted(name, *force)) {
        let bytes = read_on(mounts, path).map_err(|failure| failed(&format!("env.{name}"), &failure))?;
        read.push((name.as_str(), OsString::from_vec(bytes)));
    }
    environment.set_many(read.iter().map(|(name, value)| (*name, value.as_os_str(), true)));
    Ok(())
}

/// Adds the locked variables whose values are in files. They come first, and no later setting replaces them.
///
/// # Errors
/// A file that cannot be read (78), or whose file system fails (214).
pub fn pin_all(settings: &Settings, mounts: &Mounts, environment: &mut Environment) -> Result<()> {
    let files =
        settings.locked_variables().filter(|(name, value)| value.file.is_some() && !environment.is_pinned(name));
    let files: BTreeMap<String, EnvValue> = files.map(|(name, value)| (name.to_owned(), value.clone())).collect();
    add_all(&files, mounts, environment)?;
    for name in files.keys() {
        let value = environment.get(name).map(OsString::from).unwrap_or_default();
        environment.pin(name, value);
    }
    Ok(())
}

/// What linuxserver's images put before the name of a variable whose value is in a file.
const LINUXSERVER: &str = "FILE__";

/// Adds the variables whose files linuxserver's convention names: `FILE__PASSWORD=/run/secrets/password`. As there, a file that cannot
/// be read does not end the start. Returns a line for each of those.
pub fn add_linuxservers(mounts: &Mounts, environment: &mut Environment) -> Vec<String> {
    let named: Vec<(String, PathBuf)> = environment.iter().filter_map(named_file).collect();
    let mut lines = Vec::new();
    for (name, path) in named {
        match read_on(mounts, &path) {
            Ok(value) => environment.set(name, OsString::from_vec(value)),
            Err(failure) => lines.push(format!("{LINUXSERVER}{name}: {}", failure.reason)),
        }
    }
    lines
}

/// Returns the variable and the file that a variable of linuxserver's names. Keys of trainit have their own way to files.
fn named_file((name, value): (&OsStr, &OsStr)) -> Option<(String, PathBuf)> {
    let name = name.to_str()?.strip_prefix(LINUXSERVER)?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let fits = !name.is_empty() && name.chars().all(is_name) && !name.starts_with("TRAINIT");
    (fits && Path::new(value).is_absolute()).then(|| (name.to_owned(), value.into()))
}

/// The hint for an unreadable secret.
const HINT: &str =
    "the workload's user has to be able to read it: uid and mode of a Compose secret, fsGroup or defaultMode in a pod";

/// Reads a file with the permissions of this process, on this or another machine.
///
/// # Errors
/// The file, the user that cannot read it, and the reason; never the content.
pub(super) fn read_on(mounts: &Mounts, path: &Path) -> Result<Vec<u8>, FileError> {
    let bytes =
        reach::look(mounts, path, || read(path).map_err(|error| (errno::words_of(&error), error.raw_os_error())));
    let bytes = bytes.unwrap_or_else(|_| Err((SILENT.to_owned(), Some(libc::ETIMEDOUT))));
    let user = format!("{}:{}", nix::unistd::geteuid(), nix::unistd::getegid());
    bytes.map_err(|(why, errno)| {
        let reason = format!("{} cannot be read as {user}: {why}", super::shown(&path.display().to_string()));
        FileError { reason, denied: errno == Some(libc::EACCES), errno, automount: false }.at(mounts, path)
    })
}

/// Makes the error for a file that `read_on` could not read: a mistake (78), or a failing file system (214).
pub(super) fn failed(at: &str, failure: &FileError) -> Error {
    let what = format!("{at}: {}", failure.reason);
    match failure.cause() {
        Some(ErrnoCause { because, advice }) => {
            Error::new(ErrorKind::Transient(FailureFamily::Host), what).because(because).hint(advice)
        }
        None => Error::config(what).hint(HINT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linuxservers_variables_name_files_and_a_missing_one_is_a_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        std::fs::write(&path, "hunter2\n").unwrap();
        let path = path.to_str().unwrap();
        let given = [
            ("FILE__PASSWORD", path),
            ("PASSWORD", "old"),
            ("FILE__MISSING", "/no/such"),
            ("FILE__", path),
            ("FILE__TRAINIT_USER", path),
            ("FILE__RELATIVE", "password"),
        ];
        let mut environment: Environment = given.into_iter().collect();
        let lines = add_linuxservers(&Mounts::default(), &mut environment);
        assert_eq!(environment.text("PASSWORD"), Some("hunter2"));
        assert_eq!(
            (environment.get("MISSING"), environment.get("TRAINIT_USER"), environment.get("RELATIVE")),
            (None, None, None)
        );
        assert!(lines.len() == 1 && lines[0].starts_with("FILE__MISSING: /no/such cannot be read as "), "{lines:?}");
    }

    #[test]
    fn what_editors_on_windows_add_is_no_part_of_a_secret() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let read_back = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read(&path).map_err(|error| error.to_string())
        };
        assert_eq!(read_back(b"\xef\xbb\xbfhf_x\r\n").unwrap(), b"hf_x");
        assert_eq!(read_back(b"\xef\xbb\xbf\r\n").unwrap_err(), "the file is empty");
        assert!(read_back(b"\xff\xfeh\0f\0").unwrap_err().contains("UTF-16"));
    }

    #[test]
    fn a_file_loses_the_newline_at_its_end_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let read_of = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read(&path).map_err(|error| error.to_string())
        };
        assert_eq!(read_of(b" a\nb \r\n"), Ok(b" a\nb ".to_vec()));
        assert_eq!(read_of(b"\xff\n\n"), Ok(b"\xff\n".to_vec()));
        for bytes in [&b"\n"[..], b"a\0b", &vec![b'x'; MAX + 1]] {
            assert!(read_of(bytes).is_err());
        }
    }

    #[test]
    fn an_inherited_variable_wins_and_the_file_need_not_be_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        std::fs::write(&path, "ours\n").unwrap();
        let from = |path: &Path, force| EnvValue { file: Some(path.to_owned()), force, ..EnvValue::default() };
        let missing = Path::new("/no/such/secret");
        let values = [
            ("A".to_owned(), from(missing, false)),
            ("B".to_owned(), from(&path, true)),
            ("C".to_owned(), from(&path, false)),
        ];
        let mut environment: Environment = [("A", "theirs"), ("B", "theirs")].into_iter().collect();
        add_all(&values.into(), &Mounts::default(), &mut environment).unwrap();
        assert_eq!(["A", "B", "C"].map(|name| environment.text(name)), [Some("theirs"), Some("ours"), Some("ours")]);
        let error = add_all(&[("D".to_owned(), from(missing, false))].into(), &Mounts::default(), &mut environment)
            .unwrap_err();
        assert!(
            error.exit().code() == 78 && error.what.starts_with("env.D: /no/such/secret cannot be read"),
            "{error}"
        );
    }
}
