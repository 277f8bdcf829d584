//! `launch: torchrun`: the command line of one process becomes that of a node's launcher.

use super::launcher::{self, python};
use std::ffi::{OsStr, OsString};

/// torchrun as a module, so that the interpreter of the command starts it and the ranks.
const MODULE: [&str; 2] = ["-m", "torch.distributed.run"];

/// Returns the command line with torchrun in front of the script: `python -u x.py` becomes `python -u -m torch.distributed.run x.py`, and
/// `x.py` becomes `torchrun x.py`. `None` where no Python script starts, or where a launcher does already.
pub fn with_torchrun(command: &[OsString]) -> Option<Vec<OsString>> {
    if let Some(runs) = python(command).map(|(_, runs)| runs) {
        let is_module = runs > 0 && command.get(runs - 1).is_some_and(|word| word == "-m");
        let is_launcher = launcher::launcher(command, &STARTERS).is_some();
        let begin = if is_module { runs - 1 } else { runs };
        let (before, after) = command.split_at_checked(begin)?;
        let words = || before.iter().cloned().chain(MODULE.map(OsString::from)).chain(after.iter().cloned());
        return (!is_launcher).then(|| words().collect());
    }
    let is_script = command.first().is_some_and(|word| word.as_encoded_bytes().ends_with(b".py"));
    is_script.then(|| [&[OsStr::new("torchrun").to_owned()], command].concat())
}

/// Modules and scripts that start ranks themselves.
const STARTERS: [&str; 6] = [
    "torch.distributed.run",
    "torch.distributed.launch",
    "torchrun",
    "accelerate",
    "accelerate.commands.launch",
    "deepspeed",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_python_command_gets_torchrun_in_front_of_its_script() {
        let launched = |line: &str| {
            let command: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            with_torchrun(&command).map(|words| words.join(OsStr::new(" ")).into_string().unwrap())
        };
        for (line, with) in [
            ("python train.py --lr 3", "python -m torch.distributed.run train.py --lr 3"),
            ("/opt/venv/bin/python3.12 -u x.py", "/opt/venv/bin/python3.12 -u -m torch.distributed.run x.py"),
            ("python -m team.train a", "python -m torch.distributed.run -m team.train a"),
            ("env A=1 python x.py", "env A=1 python -m torch.distributed.run x.py"),
            ("./x.py 1", "torchrun ./x.py 1"),
        ] {
            assert_eq!(launched(line).as_deref(), Some(with), "{line}");
        }
        let others =
            ["python", "python -c x", "python -", "bash x.sh", "torchrun x.py", "python -m accelerate launch x.py"];
        for line in others.into_iter().chain(["python -m torch.distributed.run x.py", "./train"]) {
            assert_eq!(launched(line), None, "{line}");
        }
    }
}
