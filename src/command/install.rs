//! `trainit env --install`: makes every shell next to a container's first process read the workload's environment. It is for a Dockerfile,
//! where PATH is the image's.

use super::CommandOutput;
use crate::error::{Error, ErrorKind, Result};
use crate::mode::ssh::environment::script;
use crate::mode::ssh::profile::FILE;
use protocol::exit_code::FailureFamily;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Path;

/// Files of shells that do not read /etc/profile, Debian's and Red Hat's, each with the line that is added to it.
const FILES: [(&str, &str); 5] = [
    ("/etc/bash.bashrc", LINE),
    ("/etc/bashrc", LINE),
    ("/etc/zsh/zshrc", ZSH_LINE),
    ("/etc/zsh/zprofile", ZSH_LINE),
    ("/etc/zshrc", ZSH_LINE),
];

const LINE: &str = "[ ! -r /etc/profile.d/zz-trainit.sh ] || . /etc/profile.d/zz-trainit.sh\n";
const ZSH_LINE: &str = "[ ! -r /etc/profile.d/zz-trainit.sh ] || emulate sh -c '. /etc/profile.d/zz-trainit.sh'\n";

/// The directory of fish's files, and the one for it: fish knows `export`, but not `unset`.
const FISH: &str = "/etc/fish/conf.d";
const FISH_TEXT: &str = "\
# Written by `trainit env --install`: shells beside a container's first process get the workload's environment.
if status is-interactive; and test -z \"$TRAINIT$TRAINIT_SESSION\"
    set -gx TRAINIT_SESSION none
    trainit env 2>/dev/null | string match -rv '^unset ' | source
end
";

const HEAD: &[u8] = b"\
# Written by `trainit env --install`: shells beside a container's first process get the workload's environment.
if [ -O \"${TRAINIT_SESSION-}\" ]; then
    . \"$TRAINIT_SESSION\"
else
";

/// The workload's children already have the environment, and a shell below one that has read it need not read it again.
const TAIL: &[u8] = b"\
    if [ -z \"${TRAINIT-}${TRAINIT_SESSION-}\" ]; then
        TRAINIT_SESSION=none; export TRAINIT_SESSION
        eval \"$(trainit env 2>/dev/null)\"
    fi
fi
";

/// Writes the files.
///
/// # Errors
/// Files that cannot be written (115).
pub(super) fn run(path: Option<&OsStr>) -> Result<CommandOutput> {
    let mut written = vec![FILE.to_owned()];
    write(Path::new(FILE), &text(path)).map_err(|error| refused(FILE, error))?;
    for (file, line) in FILES.iter().filter(|(file, _)| Path::new(file).is_file()) {
        let old = fs::read(file).map_err(|error| refused(file, error))?;
        if let Some(new) = with_line(&old, line) {
            write(Path::new(file), &new).map_err(|error| refused(file, error))?;
            written.push((*file).to_owned());
        }
    }
    if Path::new(FISH).is_dir() {
        let file = format!("{FISH}/zz-trainit.fish");
        write(Path::new(&file), FISH_TEXT.as_bytes()).map_err(|error| refused(&file, error))?;
        written.push(file);
    }
    Ok(CommandOutput::well(format!("wrote {}\n", written.join(", "))))
}

fn text(path: Option<&OsStr>) -> Vec<u8> {
    [HEAD, &script(path, &[]), TAIL].concat()
}

/// Adds the line; `None` if it is already there.
fn with_line(old: &[u8], line: &str) -> Option<Vec<u8>> {
    let there = old.windows(FILE.len()).any(|part| part == FILE.as_bytes());
    let end: &[u8] = if old.is_empty() || old.ends_with(b"\n") { b"" } else { b"\n" };
    (!there).then(|| [old, end, line.as_bytes()].concat())
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
    fs::write(path, content)
}

fn refused(file: &str, error: io::Error) -> Error {
    Error::new(ErrorKind::Permanent(FailureFamily::User), format!("cannot write {}", text::path(Path::new(file))))
        .caused_by(error)
        .hint("in a Dockerfile, as root: RUN trainit env --install")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    /// Returns a shell's output after it read the file, next to a `trainit` that prints a word for each call.
    fn shell(variables: &[(&str, &str)], script: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        let (file, program) = (directory.path().join("zz.sh"), directory.path().join("trainit"));
        fs::write(&file, text(Some(directory.path().as_os_str()))).unwrap();
        fs::write(&program, "#!/bin/sh\necho 'export ASKED=${ASKED-}x'\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let script = format!(". '{0}'; {script}", file.display());
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &script, "sh"]).arg(&file).env_clear().env("PATH", "/usr/bin:/bin");
        let output = command.envs(variables.iter().copied()).output().unwrap();
        assert!(output.stderr.is_empty(), "{output:?}");
        let told = String::from_utf8(output.stdout).unwrap();
        told.replace(directory.path().to_str().unwrap(), "IMAGE").trim().to_owned()
    }

    #[test]
    fn a_shell_asks_once_and_those_below_it_and_the_workloads_own_do_not() {
        assert_eq!(shell(&[], "echo $ASKED $PATH"), "x IMAGE:/usr/bin:/bin");
        assert_eq!(shell(&[], "sh -c '. \"$1\"; echo $ASKED' sh \"$1\""), "x");
        assert_eq!(shell(&[("TRAINIT", "1")], "echo [$ASKED] $PATH"), "[] IMAGE:/usr/bin:/bin");
    }

    #[test]
    fn a_session_of_ssh_reads_its_own_file_and_nothing_else() {
        let session = tempfile::NamedTempFile::new().unwrap();
        fs::write(session.path(), "OWN=yes\n").unwrap();
        let told = shell(&[("TRAINIT_SESSION", session.path().to_str().unwrap())], "echo $OWN [$ASKED] $PATH");
        assert_eq!(told, "yes [] /usr/bin:/bin");
    }

    #[test]
    fn a_line_is_added_once() {
        let once = with_line(b"x", LINE).unwrap();
        assert_eq!(once, [b"x\n", LINE.as_bytes()].concat());
        assert_eq!(with_line(&once, LINE), None);
    }
}
