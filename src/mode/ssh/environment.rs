//! The environment of an ssh session. Pure: bytes in, bytes out.
//!
//! sshd begins every session with an empty environment. `SetEnv` of its configuration fills it, for commands as well as for shells.
//! A file that shells read brings what `SetEnv` cannot carry, and the PATH that /etc/profile resets.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use sys::environment::Environment;

/// The variable with the path of the session's file.
pub const FILE_VARIABLE: &str = "TRAINIT_SESSION";

/// Variables that sshd sets for every session, or that are true only for one process.
const OWN: [&str; 11] =
    ["USER", "LOGNAME", "SHELL", "MAIL", "TERM", "PWD", "OLDPWD", "SHLVL", "_", "DISPLAY", "SSH_AUTH_SOCK"];

/// Longest value for `SetEnv`; sshd passes its configuration to each session in one message of at most 256 KiB.
const LONG: usize = 16 << 10;

/// The quoting that an sshd understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quotes {
    /// There is no `SetEnv` (before 7.8).
    None,
    /// Quotes without escapes (before 8.7).
    Plain,
    /// Quotes in which a backslash escapes.
    Escaped,
}

impl Quotes {
    /// Returns the quoting by the output of `sshd -V`: `OpenSSH_9.2p1 Debian…`. An unknown output counts as a new version.
    pub fn of(version: &str) -> Self {
        let number = version.split("OpenSSH_").nth(1).unwrap_or_default();
        let mut parts = number.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().ok());
        match (parts.next().flatten(), parts.next().flatten()) {
            (Some(major), Some(minor)) if (major, minor) < (7, 8) => Quotes::None,
            (Some(major), Some(minor)) if (major, minor) < (8, 7) => Quotes::Plain,
            _ => Quotes::Escaped,
        }
    }

    /// Returns one word of the configuration; `None` if it cannot be written.
    fn word(self, name: &[u8], value: &[u8]) -> Option<Vec<u8>> {
        let refused = |byte: &u8| *byte == b'\n' || self == Quotes::Plain && *byte == b'"';
        if self == Quotes::None || value.len() > LONG || name.iter().chain(value).any(refused) {
            return None;
        }
        let escape = |byte: &u8| match byte {
            b'"' | b'\\' if self == Quotes::Escaped => vec![b'\\', *byte],
            byte => vec![*byte],
        };
        let text: Vec<u8> = [name, b"=", value].concat().iter().flat_map(escape).collect();
        Some([b"\"", &text[..], b"\""].concat())
    }
}

/// The environment of sessions, by the way that it takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// The words of `SetEnv`.
    pub set_env: Vec<u8>,
    /// Variables that `SetEnv` cannot carry.
    pub rest: Vec<(OsString, OsString)>,
}

/// Returns the variables of a workload that its sessions get.
pub fn variables<'a>(workload: &'a Environment, hide: &'a [String]) -> impl Iterator<Item = (&'a OsStr, &'a OsStr)> {
    workload.iter().filter(move |(name, _)| {
        let name = name.as_bytes();
        let own = OWN.iter().any(|own| own.as_bytes() == name) || name.starts_with(b"SSH_");
        !own && !hide.iter().any(|pattern| is_named(pattern, name))
    })
}

/// Returns whether a pattern (a name, or a prefix with a star) matches.
pub fn is_named(pattern: &str, name: &[u8]) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning.as_bytes()),
        None => pattern.as_bytes() == name,
    }
}

/// Sorts the variables by their way; sshd uses the first `SetEnv` only, so all words are on one line.
pub fn session<'a>(variables: impl Iterator<Item = (&'a OsStr, &'a OsStr)>, quotes: Quotes) -> Session {
    let mut session = Session::default();
    for (name, value) in variables {
        match quotes.word(name.as_bytes(), value.as_bytes()) {
            Some(word) => session.set_env.extend([b" ", &word[..]].concat()),
            None => session.rest.push((name.to_owned(), value.to_owned())),
        }
    }
    session
}

/// Returns the file that shells of a session read, for every POSIX shell.
///
/// It starts no program. It leaves a PATH alone that contains the workload's, so that a program's own PATH stays.
pub fn script(path: Option<&OsStr>, rest: &[(OsString, OsString)]) -> Vec<u8> {
    let mut text =
        b"# Written by trainit for the shells of a session: what they lost of the workload's environment.\n".to_vec();
    if let Some(path) = path {
        let path = quoted(path);
        text.extend([b"case \":${PATH-}:\" in\n*:", &path[..], b":*) ;;\n*)\n"].concat());
        text.extend([b"    _trainit=${PATH:+$PATH:}\n    PATH=", &path[..], b"\n"].concat());
        text.extend_from_slice(
            b"    while [ -n \"$_trainit\" ]; do\n        case \":$PATH:\" in\n        *:\"${_trainit%%:*}\":*) ;;\n        \
              *) PATH=$PATH:${_trainit%%:*} ;;\n        esac\n        _trainit=${_trainit#*:}\n    done\n    \
              export PATH\n    unset _trainit\n    ;;\nesac\n",
        );
    }
    let names = rest.iter().filter(|(name, _)| is_name(name.as_bytes()));
    for (name, value) in names {
        let name = name.as_bytes();
        text.extend([b"[ -n \"${", name, b"+x}\" ] || export ", name, b"=", &quoted(value)[..], b"\n"].concat());
    }
    text
}

/// Returns the file that bash reads before a command (`BASH_ENV`); it first reads the file that this variable named before.
///
/// A session's first bash reads ~/.bashrc below sshd; below dropbear this file makes up for that.
pub fn bash_script(file: &OsStr, before: Option<&OsStr>, is_dropbear: bool) -> Vec<u8> {
    let source = |file: &OsStr| [b"[ ! -r ", &quoted(file)[..], b" ] || . ", &quoted(file)[..], b"\n"].concat();
    let own: &[u8] = b"[ \"${SHLVL-}\" != 2 ] || [ ! -r ~/.bashrc ] || . ~/.bashrc\n";
    [before.map(source).unwrap_or_default(), (if is_dropbear { own } else { b"" }).to_vec(), source(file)].concat()
}

/// Returns the file that bash reads before its prompt: once in a login shell, after /etc/profile and the user's own files.
pub fn prompt_script(file: &OsStr) -> Vec<u8> {
    let file = quoted(file);
    let text: [&[u8]; 5] = [
        b"if [ -z \"${_trainit_asked-}\" ] && shopt -q login_shell && [ -r ",
        &file,
        b" ]; then\n    . ",
        &file,
        b"\nfi\n_trainit_asked=1\n",
    ];
    text.concat()
}

/// Shells that these variables lead.
pub const LED: [&str; 6] = ["bash", "sh", "dash", "ash", "ksh", "mksh"];

/// Leads interactive shells to the files, unless the user has set the variable for something else.
pub fn for_interactive(session: &Path, prompt: &Path, environment: &mut Environment) {
    environment.set_default("ENV", session);
    let command = [b". ", &quoted(prompt.as_os_str())[..]].concat();
    environment.set_default("PROMPT_COMMAND", OsString::from_vec(command));
}

/// Returns whether a shell can have a variable of this name (POSIX, 3.216).
fn is_name(name: &[u8]) -> bool {
    let letter = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    name.first().is_some_and(letter) && name.iter().all(|byte| letter(byte) || byte.is_ascii_digit())
}

fn quoted(text: &OsStr) -> Vec<u8> {
    let inner = text.as_bytes().iter().flat_map(|byte| match byte {
        b'\'' => b"'\\''".to_vec(),
        byte => vec![*byte],
    });
    [b"'".to_vec(), inner.collect(), b"'".to_vec()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn set_env(value: &str, quotes: Quotes) -> Option<String> {
        quotes.word(b"A", value.as_bytes()).map(|word| String::from_utf8(word).unwrap())
    }

    #[test]
    fn each_generation_of_sshd_gets_the_quotes_that_it_reads() {
        let versions =
            ["OpenSSH_7.6p1 Ubuntu-4", "OpenSSH_8.4p1", "unknown option -- V\nOpenSSH_8.7p1, x", "OpenSSH_10.0p2", "?"];
        let quotes = [Quotes::None, Quotes::Plain, Quotes::Escaped, Quotes::Escaped, Quotes::Escaped];
        assert_eq!(versions.map(Quotes::of), quotes);
        assert_eq!(set_env("a b%c\\d", Quotes::Plain).as_deref(), Some("\"A=a b%c\\d\""));
        assert_eq!(set_env("a\"b", Quotes::Plain), None);
        assert_eq!(set_env("a\"b\\", Quotes::Escaped).as_deref(), Some("\"A=a\\\"b\\\\\""));
        assert_eq!(set_env("a\nb", Quotes::Escaped), None);
        assert_eq!(set_env("a", Quotes::None), None);
    }

    #[test]
    fn what_is_sshds_own_and_what_is_hidden_is_left_out() {
        let workload = [("HOME", "/h"), ("USER", "x"), ("SSH_CLIENT", "y"), ("A_TOKEN", "t"), ("WANDB_KEY", "k")];
        let workload: Environment = workload.into_iter().collect();
        let hide = ["WANDB_*".to_owned(), "A_TOKEN".to_owned()];
        let names: Vec<&OsStr> = variables(&workload, &hide).map(|(name, _)| name).collect();
        assert_eq!(names, ["HOME"]);
    }

    /// Returns PATH and ODD as `sh` has them after the script.
    fn after(script: &[u8], path: &str) -> Vec<u8> {
        let script = [script, b"printf '%s|%s' \"$PATH\" \"${ODD-}\""].concat();
        let output =
            Command::new("/bin/sh").arg("-c").arg(OsString::from_vec(script)).env("PATH", path).output().unwrap();
        assert!(output.stderr.is_empty(), "{output:?}");
        output.stdout
    }

    #[test]
    fn a_shell_gets_its_path_back_and_keeps_what_its_profile_added() {
        let script = script(Some(OsStr::new("/conda's/bin:/usr/bin")), &[]);
        assert_eq!(after(&script, "/usr/bin:/usr/games"), b"/conda's/bin:/usr/bin:/usr/games|");
        assert_eq!(after(&script, ""), b"/conda's/bin:/usr/bin|");
        let own = "/venv/bin:/conda's/bin:/usr/bin";
        assert_eq!(after(&script, own), [own.as_bytes(), b"|"].concat());
    }

    #[test]
    fn what_setenv_cannot_carry_is_in_the_file_byte_for_byte() {
        let odd = OsString::from_vec(b"it's $HOME\n`x`\xff".to_vec());
        let rest = [("ODD".into(), odd.clone()), ("BASH_FUNC_x%%".into(), "()".into())];
        assert_eq!(after(&script(None, &rest), "/bin"), [b"/bin|", odd.as_bytes()].concat());
    }

    #[test]
    fn a_login_bash_gets_its_path_back_before_its_prompt_and_only_once() {
        let directory = tempfile::tempdir().unwrap();
        let (session, prompt) = (directory.path().join("session's.sh"), directory.path().join("prompt.sh"));
        std::fs::write(&session, script(Some(OsStr::new("/conda/bin:/usr/bin:/bin")), &[])).unwrap();
        std::fs::write(&prompt, prompt_script(session.as_os_str())).unwrap();
        let mut environment: Environment = [("PATH", "/usr/bin:/bin"), ("HOME", "/none")].into_iter().collect();
        for_interactive(&session, &prompt, &mut environment);
        let path = |shell: &str, words: &[&str]| {
            let typed = "echo <$PATH>\nPATH=/usr/bin:/bin\necho <$PATH>\n".replace('<', "'<'").replace('>', "'>'");
            std::fs::write(directory.path().join("typed"), typed).unwrap();
            let typed = std::fs::File::open(directory.path().join("typed")).unwrap();
            let mut command = Command::new(shell);
            command.args(words).stdin(typed).env_clear().env("PS1", "");
            let output = command.envs(environment.iter()).output().unwrap();
            let told = String::from_utf8(output.stdout).unwrap();
            told.lines().filter(|line| line.starts_with('<')).collect::<Vec<_>>().join(" ")
        };
        let bash = ["--noprofile", "--norc", "-i"];
        assert_eq!(path("bash", &[&bash[..], &["-l"]].concat()), "</conda/bin:/usr/bin:/bin> </usr/bin:/bin>");
        assert_eq!(path("bash", &bash), "</usr/bin:/bin> </usr/bin:/bin>");
        assert_eq!(path("sh", &["-i"]), "</conda/bin:/usr/bin:/bin> </usr/bin:/bin>");
    }

    #[test]
    fn bash_reads_first_what_it_would_have_read() {
        let script = bash_script(OsStr::new("/s'"), Some(OsStr::new("/etc/b")), false);
        assert_eq!(script, b"[ ! -r '/etc/b' ] || . '/etc/b'\n[ ! -r '/s'\\''' ] || . '/s'\\'''\n");
    }
}
