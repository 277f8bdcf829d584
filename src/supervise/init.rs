//! `trainit init`: PID 1 and nothing else, with tini's command line. The words are read in place, without a heap and without
//! clap, since this is the leanest path there is. Options end at the first word that is not one (tini's getopt would eat the
//! command's own options).

use super::state::State;
use super::{Lives, Start, run, tell};
use crate::handover::{Message, Policy, Scope};
use crate::sys::signal::{self};
use crate::sys::{Args, process, terminal};
use std::ffi::{CStr, CString, OsStr, c_int};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

/// tini ends with 1 when it cannot understand its command line.
const USAGE: c_int = 1;

const HELP: &str = "trainit init [OPTION]... [--] COMMAND [ARG]...: PID 1 only, no checks
  -g              signals go to the command's process group
  -e CODE         this exit code of the command becomes 0 (repeatable)
  -r FROM:TO      one signal becomes another, 0 drops it (names or numbers, repeatable)
  --grace TIME    SIGKILL so long after SIGTERM, SIGINT or SIGQUIT (30s, 2m)
  -p SIGNAL       this signal when our own parent dies
  -w              a line for each orphan that is reaped
  -s -v -l        as tini has them: always a subreaper, nothing more to tell
  -h, --help      this text
  --version       the version
As `tini`, `tini-static` or `docker-init` (by name) it does the same. TINI_KILL_PROCESS_GROUP is -g.";

/// What the command line asks for.
#[derive(Debug, PartialEq)]
enum Request {
    /// Start the words from this index on.
    Run(Policy, usize),
    /// Print and end well.
    Print(&'static str),
}

/// Runs the command that these words (without the program's name) ask for.
pub fn main(args: Args) -> c_int {
    let words: Vec<&CStr> = args.collect();
    match read(&words) {
        Ok(Request::Run(policy, at)) => {
            let command = args.after(at);
            let lives = Lives { main: &|start| launch(command, start), errand: &|_| 0 };
            run(&lives, State::plain(with_variables(policy)))
        }
        Ok(Request::Print(text)) => {
            let _ = nix::unistd::write(std::io::stdout(), format!("{text}\n").as_bytes());
            0
        }
        Err(why) => {
            tell::write(&format!("init: {why}; see `trainit init --help`"), false);
            USAGE
        }
    }
}

fn with_variables(mut policy: Policy) -> Policy {
    if std::env::var_os("TINI_KILL_PROCESS_GROUP").is_some() {
        policy.scope = Scope::Group;
    }
    policy
}

/// The child: in front of the terminal, with everything given back, it becomes the command.
fn launch(command: Args, start: Start) -> c_int {
    terminal::take_foreground();
    let argv: Vec<CString> = command.map(CStr::to_owned).collect();
    let environment = crate::environment::Environment::inherited();
    let path = environment.get("PATH").map_or(b"/usr/local/bin:/usr/bin:/bin".as_slice(), OsStr::as_bytes);
    start.inherited.give_back();
    let errno = process::execute(&argv, &environment.to_envp(), path);
    let name = argv.first().map(|name| String::from_utf8_lossy(name.as_bytes()).into_owned()).unwrap_or_default();
    start.door.send(&Message::Failed { errno: errno as i32, name });
    crate::exit::Exit::of_exec(errno as i32).code().into()
}

fn read(words: &[&CStr]) -> Result<Request, String> {
    let mut policy = Policy { drain: Duration::from_secs(5), scope: Scope::Main, ..Policy::default() };
    let mut at = 0;
    while let Some(word) = words.get(at).map(|word| word.to_bytes()) {
        let next = || words.get(at + 1).and_then(|word| word.to_str().ok());
        match word {
            b"--" => return command(policy, at + 1, words),
            b"--version" => return Ok(Request::Print(concat!("trainit ", env!("CARGO_PKG_VERSION")))),
            b"--help" => return Ok(Request::Print(HELP)),
            b"--grace" => {
                policy.grace = Some(duration(next()).ok_or("--grace wants a time such as 30s")?);
                at += 2;
            }
            [b'-', flags @ ..] if !flags.is_empty() => {
                let (used, help) = short(flags, next(), &mut policy)?;
                if help {
                    return Ok(Request::Print(HELP));
                }
                at += used;
            }
            _ => break,
        }
    }
    command(policy, at, words)
}

fn command(policy: Policy, at: usize, words: &[&CStr]) -> Result<Request, String> {
    if at < words.len() { Ok(Request::Run(policy, at)) } else { Err("no command".into()) }
}

/// One word of short options. Says how many words were used, and whether help was asked for.
fn short(flags: &[u8], next: Option<&str>, policy: &mut Policy) -> Result<(usize, bool), String> {
    for (n, flag) in flags.iter().enumerate() {
        let rest = std::str::from_utf8(flags.get(n + 1..).unwrap_or_default()).unwrap_or_default();
        match flag {
            b'h' => return Ok((1, true)),
            b's' | b'v' | b'l' => {}
            b'w' => policy.tell_orphans = true,
            b'g' => policy.scope = Scope::Group,
            b'e' | b'r' | b'p' => {
                let (value, used) = if rest.is_empty() { (next.unwrap_or_default(), 2) } else { (rest, 1) };
                with_value(*flag, value, policy)?;
                return Ok((used, false));
            }
            other => return Err(format!("there is no option -{}", char::from(*other).escape_default())),
        }
    }
    Ok((1, false))
}

fn with_value(flag: u8, value: &str, policy: &mut Policy) -> Result<(), String> {
    match flag {
        b'e' => {
            let code = value.parse().map_err(|_| format!("-e wants an exit code from 0 to 255, not '{value}'"))?;
            policy.exit_map.push((code, 0));
        }
        b'r' => policy.rewrite.push(rewrite(value).ok_or(format!("-r wants FROM:TO, not '{value}'"))?),
        _ => {
            let number = signal::parse(value).ok_or(format!("-p wants a signal, not '{value}'"))?;
            process::signal_when_parent_dies(number);
        }
    }
    Ok(())
}

/// `TERM:USR1`, `15:10`, `HUP:0`.
fn rewrite(text: &str) -> Option<(i32, i32)> {
    let (from, to) = text.split_once(':')?;
    let to = if to == "0" { 0 } else { signal::parse(to)? };
    Some((signal::parse(from)?, to))
}

/// A whole number with `ms`, `s`, `m` or `h`, or plain seconds.
fn duration(text: Option<&str>) -> Option<Duration> {
    let text = text?;
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok()?;
    match text.get(digits.len()..)? {
        "ms" => Some(Duration::from_millis(number)),
        "" | "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number.checked_mul(60)?)),
        "h" => Some(Duration::from_secs(number.checked_mul(3600)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Request, String> {
        let words: Vec<CString> = line.split_whitespace().map(|word| CString::new(word).unwrap()).collect();
        read(&words.iter().map(CString::as_c_str).collect::<Vec<_>>())
    }

    fn policy(line: &str) -> (Policy, usize) {
        match parse(line) {
            Ok(Request::Run(policy, at)) => (policy, at),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_end_at_the_first_word_that_is_none() {
        assert_eq!(policy("sh -c x").1, 0);
        assert_eq!(policy("-g -- -weird").1, 2);
    }

    #[test]
    fn tinis_flags_are_understood_together_and_apart() {
        let (policy, at) = policy("-sgve 143 -e7 -r TERM:USR1 -rHUP:0 --grace 30s true");
        assert_eq!((policy.scope, at), (Scope::Group, 8));
        assert_eq!(policy.exit_map, [(143, 0), (7, 0)]);
        assert_eq!(policy.rewrite, [(15, 10), (1, 0)]);
        assert_eq!(policy.grace, Some(Duration::from_secs(30)));
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        for line in ["-x true", "-e 300 true", "-e", "-r 1 true", "--grace soon true", "", "-g"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
