//! `trainit init`: PID 1 and nothing else, with tini's command line.
//!
//! The words are read in place, without a heap and without clap, because this path has to be the leanest. Options end at the first word
//! that is not one (tini's getopt would consume the command's own options).

use super::log::Log;
use super::state::State;
use super::{ChildMains, PrepareArgs, run};
use protocol::handover::{Level, Policy, Scope, SignalPolicy, StopPolicy};
use std::fmt;
use std::time::Duration;
use sys::signal::InheritedSignals;
use sys::{Args, Signal, process, terminal};

/// tini's exit code for a command line that it cannot understand.
const USAGE: u8 = 1;

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

/// The request of the command line.
enum InitRequest {
    /// Start these words.
    Run(Args),
    /// Print a text and exit with 0.
    Print(&'static str),
}

/// The options before the command.
#[derive(Debug)]
struct InitOptions {
    policy: Policy,
    /// The signal that this process gets when its own parent dies.
    parent_death: Option<Signal>,
}

impl Default for InitOptions {
    fn default() -> Self {
        let stop = StopPolicy { drain: Duration::from_secs(5), ..StopPolicy::default() };
        let signals = SignalPolicy { scope: Scope::Main, ..SignalPolicy::default() };
        let policy = Policy { stop, signals, ..Policy::default() };
        InitOptions { policy, parent_death: None }
    }
}

/// Runs the command that these words (without the program's name) ask for.
#[inline(never)] // otherwise every role would carry the options on its stack
pub fn main(args: Args) -> u8 {
    let inherited = InheritedSignals::take_over();
    let mut options = InitOptions::default();
    match read(args, &mut options) {
        Ok(InitRequest::Run(command)) => supervise(command, options, inherited),
        Ok(InitRequest::Print(text)) => {
            let _ = nix::unistd::write(std::io::stdout(), format!("{text}\n").as_bytes());
            0
        }
        Err(usage) => {
            Log::default().write(Level::Error, &format!("init: {usage}; see `trainit init --help`"));
            USAGE
        }
    }
}

fn supervise(command: Args, mut options: InitOptions, inherited: InheritedSignals) -> u8 {
    if let Some(number) = options.parent_death
        && let Err(errno) = process::signal_when_parent_dies(number)
    {
        Log::default().write(Level::Warn, &format!("-p has no effect: {}", protocol::errno::words(errno)));
    }
    // TINI_SUBREAPER and TINI_VERBOSITY ask for what trainit does anyway.
    if process::variable(c"TINI_KILL_PROCESS_GROUP").is_some() {
        options.policy.signals.scope = Scope::Group;
    }
    let child_mains =
        ChildMains { main: &|start| launch(command, start), helper: &|_| 0, sidecar: &|_| 0, prepares: false };
    run(&child_mains, || State::plain(options.policy), inherited)
}

/// Becomes the command in the child: takes the terminal's foreground, restores everything inherited, and execs.
fn launch(command: Args, start: PrepareArgs) -> u8 {
    terminal::take_foreground();
    process::end_with_parent();
    start.inherited.give_back();
    let errno = process::execute_inherited(command);
    InheritedSignals::take_over(); // a closed stderr must not cost the exit code
    let name = command.first().map(|name| String::from_utf8_lossy(name.to_bytes()).into_owned()).unwrap_or_default();
    Log::default()
        .write(Level::Error, &format!("cannot run {}: {}", name.escape_debug(), protocol::errno::words(errno)));
    protocol::exit_code::Exit::of_exec(errno as i32).code()
}

/// A mistake in the words of `trainit init`.
#[derive(Debug)]
enum InitUsage {
    NoCommand,
    NoGrace,
    Unknown(char),
    Wrong { flag: char, wanted: &'static str, value: String },
}

impl fmt::Display for InitUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InitUsage::NoCommand => f.write_str("no command"),
            InitUsage::NoGrace => f.write_str("--grace wants a time such as 30s"),
            InitUsage::Unknown(flag) => write!(f, "there is no option -{}", flag.escape_default()),
            InitUsage::Wrong { flag, wanted, value } => write!(f, "-{flag} wants {wanted}, not '{value}'"),
        }
    }
}

impl std::error::Error for InitUsage {}

fn read(mut args: Args, options: &mut InitOptions) -> Result<InitRequest, InitUsage> {
    while let Some(word) = args.first() {
        let next = || args.after(1).first().and_then(|word| word.to_str().ok());
        match word.to_bytes() {
            b"--" => return command(args.after(1)),
            b"--version" => return Ok(InitRequest::Print(concat!("trainit ", env!("CARGO_PKG_VERSION")))),
            b"--help" => return Ok(InitRequest::Print(HELP)),
            b"--grace" => {
                options.policy.stop.grace = Some(duration(next()).ok_or(InitUsage::NoGrace)?);
                args = args.after(2);
            }
            [b'-', flags @ ..] if !flags.is_empty() => {
                let (used, print) = short(flags, next(), options)?;
                if let Some(text) = print {
                    return Ok(InitRequest::Print(text));
                }
                args = args.after(used);
            }
            _ => break,
        }
    }
    command(args)
}

fn command(words: Args) -> Result<InitRequest, InitUsage> {
    if words.first().is_some() { Ok(InitRequest::Run(words)) } else { Err(InitUsage::NoCommand) }
}

/// Parses one word of short options; returns the number of words used, and a text to print instead of anything else.
fn short(
    flags: &[u8],
    next: Option<&str>,
    options: &mut InitOptions,
) -> Result<(usize, Option<&'static str>), InitUsage> {
    for (n, flag) in flags.iter().enumerate() {
        let rest = std::str::from_utf8(flags.get(n + 1..).unwrap_or_default()).unwrap_or_default();
        match flag {
            b'h' => return Ok((1, Some(HELP))),
            b'l' => return Ok((1, Some(env!("CARGO_PKG_LICENSE")))),
            b's' | b'v' => {}
            b'w' => options.policy.report.tell_orphans = true,
            b'g' => options.policy.signals.scope = Scope::Group,
            b'e' | b'r' | b'p' => {
                let (value, used) = if rest.is_empty() { (next.unwrap_or_default(), 2) } else { (rest, 1) };
                with_value(*flag, value, options)?;
                return Ok((used, None));
            }
            other => return Err(InitUsage::Unknown(char::from(*other))),
        }
    }
    Ok((1, None))
}

fn with_value(flag: u8, value: &str, options: &mut InitOptions) -> Result<(), InitUsage> {
    let refused = |wanted| InitUsage::Wrong { flag: char::from(flag), wanted, value: value.to_owned() };
    match flag {
        b'e' => {
            let code = value.parse().map_err(|_| refused("an exit code from 0 to 255"))?;
            options.policy.exit.map.push((code, 0));
        }
        b'r' => {
            let (from, to) = rewrite(value).ok_or_else(|| refused("FROM:TO"))?;
            let to = to.map_or(0, Signal::number);
            options.policy.signals.rewrite.push((from.number().into(), to.into()));
        }
        _ => options.parent_death = Some(Signal::parse(value).ok_or_else(|| refused("a signal"))?),
    }
    Ok(())
}

/// Parses `TERM:USR1`, `15:10`, `HUP:0`; no second signal means that the first one is dropped.
fn rewrite(text: &str) -> Option<(Signal, Option<Signal>)> {
    let (from, to) = text.split_once(':')?;
    let to = if to == "0" { None } else { Some(Signal::parse(to)?) };
    Some((Signal::parse(from)?, to))
}

/// Parses a whole number with `ms`, `s`, `m` or `h`, or plain seconds.
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

    /// Returns the options, and the number of words that they took.
    fn options(line: &str) -> (InitOptions, usize) {
        let (mut options, words) = (InitOptions::default(), Args::of(line));
        match read(words, &mut options) {
            Ok(InitRequest::Run(command)) => (options, words.count() - command.count()),
            _ => panic!("{line}"),
        }
    }

    #[test]
    fn options_end_at_the_first_word_that_is_none() {
        assert_eq!(options("sh -c x").1, 0);
        assert_eq!(options("-g -- -weird").1, 2);
    }

    #[test]
    fn tinis_flags_are_understood_together_and_apart() {
        let (InitOptions { policy, .. }, used) = options("-sgve 143 -e7 -r TERM:USR1 -rHUP:0 --grace 30s true");
        assert_eq!((policy.signals.scope, used), (Scope::Group, 8));
        assert_eq!(policy.exit.map, [(143, 0), (7, 0)]);
        assert_eq!(policy.signals.rewrite, [(15, 10), (1, 0)]);
        assert_eq!(policy.stop.grace, Some(Duration::from_secs(30)));
        assert_eq!(options("-p SIGKILL true").0.parent_death, Some(Signal::KILL));
    }

    #[test]
    fn what_is_only_to_be_printed_wins() {
        for (line, text) in [("-gl true", env!("CARGO_PKG_LICENSE")), ("-h", HELP)] {
            assert!(
                matches!(read(Args::of(line), &mut InitOptions::default()), Ok(InitRequest::Print(found)) if found == text)
            );
        }
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        for line in ["-x true", "-e 300 true", "-e", "-r 1 true", "-p NOPE true", "--grace soon true", "", "-g"] {
            assert!(read(Args::of(line), &mut InitOptions::default()).is_err(), "{line}");
        }
    }
}
