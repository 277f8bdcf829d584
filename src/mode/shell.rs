//! The choice of a person's shell.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use sys::environment::Environment;

/// Programs that are shells.
const SHELLS: [&str; 9] = ["sh", "bash", "dash", "ash", "zsh", "fish", "ksh", "mksh", "csh"];

/// Returns whether a shell is plain `sh`, which account tools enter by default; a shell with history and completion is preferred then.
pub fn is_plain(shell: &OsStr) -> bool {
    [Some(OsStr::new("sh")), Some(OsStr::new("dash"))].contains(&Path::new(shell).file_name())
}

/// Returns the file of the shell that a command line starts; `None` if it starts something else.
pub fn started_shell(command: &[OsString], environment: &Environment) -> Option<PathBuf> {
    let program = command.first()?;
    let name = Path::new(program).file_name()?.to_str()?;
    SHELLS.contains(&name).then(|| which::which_in(program, environment.get("PATH"), "/").ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sh_is_nobodys_wish() {
        assert!(is_plain(OsStr::new("/bin/sh")) && is_plain(OsStr::new("dash")));
        assert!(!is_plain(OsStr::new("/bin/zsh")) && !is_plain(OsStr::new("/bin/ash")));
    }

    #[test]
    fn only_a_shell_is_told_as_one() {
        let environment: Environment = [("PATH", "/usr/bin:/bin")].into_iter().collect();
        let started =
            |words: &[&str]| started_shell(&words.iter().map(OsString::from).collect::<Vec<_>>(), &environment);
        assert!(started(&["sh", "-l"]).is_some_and(|shell| shell.is_absolute()));
        assert_eq!((started(&["env"]), started(&["no-such-sh"]), started(&[])), (None, None, None));
    }
}
