//! `trainit init`: PID 1 and nothing else, with tini's command line. The words are read in place, without a heap and without
//! clap, since this is the leanest path there is. Options end at the first word that is not one (tini's getopt would eat the
//! command's own options).

use super::state::State;
use super::tell::Voice;
use super::{Lives, Start, run};
use crate::handover::{Level, Message, Policy, Scope};
use crate::sys::signal::{self, Inherited};
use crate::sys::{Args, process, terminal};
use std::ffi::{CStr, c_int};
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
  -s -v           as tini has them: always a subreaper, nothing more to tell
  -l              the licence
  -h, --help      this text
  --version       the version
As `tini`, `tini-static` or `docker-init` (by name) it does the same. TINI_KILL_PROCESS_GROUP is -g.";

/// What the command line asks for.
#[derive(Debug, PartialEq)]
enum Request {
    /// Start the words from this index on.
    Run(Box<Options>, usize),
    /// Print and end well.
    Print(&'static str),
}

/// What the options before the command say.
#[derive(Debug, Default, PartialEq)]
struct Options {
    policy: Policy,
    /// The signal that this process wants when its own parent dies.
    parent_death: Option<c_int>,
}

/// Runs the command that these words (without the program's name) ask for.
pub fn main(args: Args) -> c_int {
    let inherited = Inherited::take_over();
    let words: Vec<&CStr> = args.collect();
    match read(&words) {
        Ok(Request::Run(options, at)) => {
            if let Some(number) = options.parent_death {
                process::signal_when_parent_dies(number);
            }
            let command = args.after(at);
            let lives = Lives { main: &|start| launch(command, start), errand: &|_| 0 };
            run(&lives, State::plain(with_variables(options.policy)), inherited)
        }
        Ok(Request::Print(text)) => {
            let _ = nix::unistd::write(std::io::stdout(), format!("{text}\n").as_bytes());
            0
        }
        Err(why) => {
            Voice::default().write(Level::Error, &format!("init: {why}; see `trainit init --help`"));
            USAGE
        }
    }
}

/// TINI_SUBREAPER and TINI_VERBOSITY ask for what is done anyway.
fn with_variables(mut policy: Policy) -> Policy {
    if std::env::var_os("TINI_KILL_PROCESS_GROUP").is_some() {
        policy.scope = Scope::Group;
    }
    policy
}

/// The child: in front of the terminal, with everything given back, it becomes the command.
fn launch(command: Args, start: Start) -> c_int {
    terminal::take_foreground();
    start.inherited.give_back();
    let errno = process::execute_inherited(command) as i32;
    let name = command.first().map(|name| String::from_utf8_lossy(name.to_bytes()).into_owned()).unwrap_or_default();
    start.door.send(&Message::Failed { errno, name });
    crate::exit::Exit::of_exec(errno).code().into()
}

fn read(words: &[&CStr]) -> Result<Request, String> {
    let policy = Policy { drain: Duration::from_secs(5), scope: Scope::Main, ..Policy::default() };
    let mut options = Options { policy, parent_death: None };
    let mut at = 0;
    while let Some(word) = words.get(at).map(|word| word.to_bytes()) {
        let next = || words.get(at + 1).and_then(|word| word.to_str().ok());
        match word {
            b"--" => return command(options, at + 1, words),
            b"--version" => return Ok(Request::Print(concat!("trainit ", env!("CARGO_PKG_VERSION")))),
            b"--help" => return Ok(Request::Print(HELP)),
            b"--grace" => {
                options.policy.grace = Some(duration(next()).ok_or("--grace wants a time such as 30s")?);
                at += 2;
            }
            [b'-', flags @ ..] if !flags.is_empty() => {
                let (used, print) = short(flags, next(), &mut options)?;
                if let Some(text) = print {
                    return Ok(Request::Print(text));
                }
                at += used;
            }
            _ => break,
        }
    }
    command(options, at, words)
}

fn command(options: Options, at: usize, words: &[&CStr]) -> Result<Request, String> {
    if at < words.len() { Ok(Request::Run(Box::new(options), at)) } else { Err("no command".into()) }
}

/// One word of short options. Says how many words were used, and what is to be printed instead of anything else.
fn short(flags: &[u8], next: Option<&str>, options: &mut Options) -> Result<(usize, Option<&'static str>), String> {
    for (n, flag) in flags.iter().enumerate() {
        let rest = std::str::from_utf8(flags.get(n + 1..).unwrap_or_default()).unwrap_or_default();
        match flag {
            b'h' => return Ok((1, Some(HELP))),
            b'l' => return Ok((1, Some(env!("CARGO_PKG_LICENSE")))),
            b's' | b'v' => {}
            b'w' => options.policy.tell_orphans = true,
            b'g' => options.policy.scope = Scope::Group,
            b'e' | b'r' | b'p' => {
                let (value, used) = if rest.is_empty() { (next.unwrap_or_default(), 2) } else { (rest, 1) };
                with_value(*flag, value, options)?;
                return Ok((used, None));
            }
            other => return Err(format!("there is no option -{}", char::from(*other).escape_default())),
        }
    }
    Ok((1, None))
}

fn with_value(flag: u8, value: &str, options: &mut Options) -> Result<(), String> {
    let refused = |wanted: &str| format!("-{} wants {wanted}, not '{value}'", char::from(flag));
    match flag {
        b'e' => {
            let code = value.parse().map_err(|_| refused("an exit code from 0 to 255"))?;
            options.policy.exit_map.push((code, 0));
        }
        b'r' => options.policy.rewrite.push(rewrite(value).ok_or_else(|| refused("FROM:TO"))?),
        _ => options.parent_death = Some(signal::parse(value).ok_or_else(|| refused("a signal"))?),
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
    use std::ffi::CString;

    fn parse(line: &str) -> Result<Request, String> {
        let words: Vec<CString> = line.split_whitespace().map(|word| CString::new(word).unwrap()).collect();
        read(&words.iter().map(CString::as_c_str).collect::<Vec<_>>())
    }

    fn policy(line: &str) -> (Policy, usize) {
        match parse(line) {
            Ok(Request::Run(options, at)) => (options.policy, at),
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
    fn what_is_only_to_be_printed_wins() {
        assert_eq!(parse("-gl true"), Ok(Request::Print("Apache-2.0 OR MIT")));
        assert_eq!(parse("-h"), Ok(Request::Print(HELP)));
        let asked = Options { parent_death: Some(9), ..Options::default() };
        assert!(
            matches!(parse("-p SIGKILL true"), Ok(Request::Run(options, 2)) if options.parent_death == asked.parent_death)
        );
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        for line in ["-x true", "-e 300 true", "-e", "-r 1 true", "-p NOPE true", "--grace soon true", "", "-g"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
