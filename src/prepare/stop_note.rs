//! Tells at the start what a stop is going to do that trainit cannot prevent, and how to write the start instead.
//!
//! Looks at the command line alone.

use crate::engine::launcher;
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// Service managers that kill their programs some seconds after a stop: the name, the seconds, and the setting.
///
/// They start a program again that trainit would stop past them.
const MANAGERS: &[(&str, &str, &str)] = &[
    ("supervisord", "10 s", "stopwaitsecs=600 in the program's section"),
    ("circusd", "30 s", "graceful_timeout = 600 in the watcher's section"),
    ("pm2-runtime", "1.6 s", "kill_timeout: 600000 and treekill: false in the ecosystem file"),
    ("pm2", "1.6 s", "kill_timeout: 600000 and treekill: false in the ecosystem file"),
    ("overmind", "5 s", "--timeout 600"),
    ("foreman", "5 s", "--timeout 600"),
];

const SHELLS: [&str; 5] = ["sh", "bash", "dash", "zsh", "ksh"];

/// Ways to signal the shell's own process group.
const GROUP_KILLS: [&str; 5] = ["kill 0", "kill -TERM 0", "kill -15 0", "kill -- -$$", "kill -TERM -$$"];

/// Returns what a stop does to a command that trainit cannot prevent, and the remedy.
pub(super) fn note(command: &[OsString]) -> Option<String> {
    of_manager(command).or_else(|| of_trap(command))
}

fn of_manager(command: &[OsString]) -> Option<String> {
    let names: Vec<&str> = MANAGERS.iter().map(|(name, ..)| *name).collect();
    let word = Path::new(command.get(launcher(command, &names)?)?).file_name()?;
    let (name, after, setting) = MANAGERS.iter().find(|(name, ..)| word == *name)?;
    Some(format!(
        "at a stop, {name} kills its programs after {after}, if nothing else is set: {setting}, or start the training itself"
    ))
}

/// A trap that signals its group reaches the data loaders of a job in the background.
fn of_trap(command: &[OsString]) -> Option<String> {
    let shell = Path::new(command.first()?).file_name()?;
    let text = command.get(2).filter(|_| command.get(1).is_some_and(|word| word == "-c"))?.to_str()?;
    let kill = GROUP_KILLS.iter().find(|kill| text.contains(**kill))?;
    let in_background = text.replace("&&", "").contains('&');
    (SHELLS.iter().any(|name| shell == OsStr::new(name)) && text.contains("trap ") && in_background).then(|| {
        format!(
            "at a stop, `{kill}` in a trap ends the data loaders as well, which the trainer needs while it saves: `kill $!` instead"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(words: &[&str]) -> Option<String> {
        note(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn a_service_manager_is_known_behind_wrappers_and_an_interpreter() {
        for words in [
            &["supervisord", "-n"][..],
            &["/usr/bin/supervisord"],
            &["env", "A=b", "supervisord"],
            &["python3", "/usr/bin/supervisord"],
        ] {
            assert!(told(words).is_some_and(|line| line.contains("stopwaitsecs=600")), "{words:?}");
        }
    }

    #[test]
    fn a_trap_that_signals_its_group_is_told_if_the_trainer_runs_in_the_background() {
        assert!(told(&["bash", "-c", "trap 'kill 0' TERM; python train.py & wait"]).is_some());
        assert!(told(&["sh", "-c", "trap 'kill -- -$$' EXIT; python train.py & wait"]).is_some());
    }

    #[test]
    fn other_commands_are_told_nothing() {
        let healthy: [&[&str]; 6] = [
            &["python", "train.py", "--config", "supervisord"],
            &["bash", "-c", "trap 'kill 0' EXIT; cd x && python train.py"],
            &["bash", "-c", "trap 'kill $!' TERM; python train.py & wait"],
            &["bash", "-c"],
            &["s6-svscan", "service"],
            &[],
        ];
        for words in healthy {
            assert_eq!(told(words), None, "{words:?}");
        }
    }
}
