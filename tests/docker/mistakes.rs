//! Starts with one mistake each, as a person makes them. What the failed start prints last is typed as it stands, through a shell, with the
//! image's name and the one path that only a person knows put in; then the job runs.

use crate::harness::{Container, DEADLINE, Run, docker, unique_name};
use crate::images::{Image, image};
use std::path::Path;
use std::process::Command;

/// The most lines that a start with one mistake prints.
const LINES: usize = 25;

/// A start with one mistake.
struct Mistake {
    /// What went wrong.
    name: &'static str,
    /// What the person made of the directory of the host before, as a shell does it; `$D` is the directory.
    made: &'static str,
    /// The options of `docker run`; `$D` is the directory, `$V` a volume that does not exist yet.
    options: &'static str,
    /// The command.
    command: &'static str,
    /// The exit code of the start.
    code: i32,
    /// The path that only the person knows.
    source: &'static str,
}

const fn mistake(name: &'static str, options: &'static str, command: &'static str, code: i32) -> Mistake {
    Mistake { name, made: "", options, command, code, source: "data" }
}

const fn of_code(name: &'static str, options: &'static str, command: &'static str) -> Mistake {
    Mistake { source: "code", ..mistake(name, options, command, 112) }
}

const fn of_output(name: &'static str, made: &'static str, options: &'static str) -> Mistake {
    Mistake { made, source: "out", ..mistake(name, options, "touch /out/checkpoint", 113) }
}

const TRAIN: &str = "python3 train.py";
const CODE: &str = "-w /code -v $D/code:/code";

const MISTAKES: &[Mistake] = &[
    // Data.
    mistake("the data is not mounted", "-e TRAINIT_DATA=/data", "ls /data/a", 111),
    mistake("the data is mounted elsewhere", "-v $D/data:/dta:ro -e TRAINIT_DATA=/data", "ls /data/a", 111),
    mistake("the source is misspelled", "-v $D/dtaa:/data:ro -e TRAINIT_DATA=/data", "ls /data/a", 111),
    mistake("the source is misspelled, and writable", "-v $D/dtaa:/data -e TRAINIT_DATA=/data", "ls /data/a", 111),
    mistake("a relative source becomes a volume's name", "-v $V:/data:ro -e TRAINIT_DATA=/data", "ls /data/a", 111),
    mistake(
        "a file in place of a directory",
        "-v $D/data/a:/data:ro -e TRAINIT_DATA=/data:type=dir",
        "ls /data/a",
        111,
    ),
    mistake(
        "a directory in place of a file",
        "-v $D/none.json:/data/set.json -e TRAINIT_DATA=/data/set.json:type=file,mounted=no",
        "cat /data/set.json",
        111,
    ),
    mistake("data that must not be written", "-v $D/data:/data -e TRAINIT_DATA=/data:ro", "ls /data/a", 111),
    mistake("data that has to be written", "-v $D/data:/data:ro -e TRAINIT_DATA=/data:rw", "touch /data/c", 111),
    mistake("an anonymous volume", "-v /data -e TRAINIT_DATA=/data", "ls /data/a", 111),
    mistake("quotes that an env-file keeps", "-v $D/data:/data:ro --env-file $D/quotes.env", "ls /data/a", 111),
    Mistake {
        made: "chmod 700 data",
        ..mistake(
            "data of root's alone",
            "--user 1000:100 -v $D/data:/data:ro -e TRAINIT_DATA=/data",
            "ls /data/a",
            111,
        )
    },
    Mistake {
        made: "chown 1234:56 data; chmod 700 data",
        ..mistake(
            "data of another user",
            "--user 1000:100 -v $D/data:/data:ro -e TRAINIT_DATA=/data",
            "ls /data/a",
            111,
        )
    },
    Mistake {
        made: "ln -s $D/data sets/one",
        ..mistake("a link out of the mount", "-v $D/sets:/sets:ro -e TRAINIT_DATA=/sets/one", "ls /sets/one/a", 111)
    },
    Mistake {
        made: "ln -s ../data sets/one",
        ..mistake("a relative link", "-v $D/sets:/mnt/sets:ro -e TRAINIT_DATA=/mnt/sets/one", "ls /mnt/sets/one/a", 111)
    },
    // Code.
    of_code("the code is not mounted", "-w /code", TRAIN),
    of_code("the code is not mounted, by its key", "-w /code -e TRAINIT_CODE_PATH=/code", TRAIN),
    of_code("-w is forgotten", "-w / -v $D/code:/project", TRAIN),
    of_code("-w names another directory", "-w /srv -v $D/code:/code -e TRAINIT_CODE_PATH=/code", TRAIN),
    of_code("code from a misspelled source", "-w /code -v $D/cdoe:/code -e TRAINIT_CODE_PATH=/code", TRAIN),
    of_code("a slip of the finger", CODE, "python3 trian.py"),
    of_code("another case", CODE, "python3 Train.py"),
    of_code("no ending", CODE, "python3 src/eval"),
    of_code("one directory deeper", CODE, "python3 -u eval.py --lr 3"),
    of_code("a misspelled directory", CODE, "python3 scr/eval.py"),
    of_code("a whole path", CODE, "python3 /code/trian.py"),
    of_code("a shell's script", CODE, "bash rnu.sh"),
    of_code("the configured entry", "-w /code -v $D/code:/code -e TRAINIT_CODE_ENTRY=trian.py", TRAIN),
    Mistake {
        made: "mv code/train.py real.py; ln -s $D/real.py code/train.py",
        ..of_code("a script that is a link", CODE, TRAIN)
    },
    Mistake {
        made: "chmod 644 code/run.sh",
        code: 126,
        ..of_code("a script without its permission", CODE, "./run.sh")
    },
    Mistake {
        made: "printf '#!/bin/sh\\r\\nexit\\r\\n' >code/run.sh; chmod 755 code/run.sh",
        code: 127,
        ..of_code("lines of Windows", CODE, "./run.sh")
    },
    // Output.
    of_output("the output is not mounted", "", "-e TRAINIT_OUTPUT=/out"),
    of_output("an output that is read-only", "", "-v $D/out:/out:ro -e TRAINIT_OUTPUT=/out"),
    of_output("an image that is read-only", "", "--read-only --tmpfs /tmp -e TRAINIT_OUTPUT=/out"),
    of_output(
        "an output of root's",
        "chown 0:0 out; chmod 755 out",
        "--user 1000:100 -v $D/out:/out -e TRAINIT_OUTPUT=/out",
    ),
    of_output("an output that Docker made", "", "--user 1000:100 -v $D/new:/out -e TRAINIT_OUTPUT=/out"),
    of_output("a new volume", "", "--user 1000:100 -v $V:/out -e TRAINIT_OUTPUT=/out"),
    of_output(
        "an output of another user",
        "chown 1234:56 out; chmod 755 out",
        "--user 1000:100 -v $D/out:/out -e TRAINIT_OUTPUT=/out",
    ),
    Mistake {
        command: "touch /out/runs/exp7/checkpoint",
        ..of_output("a directory that is missing on the mount", "", "-v $D/out:/out -e TRAINIT_OUTPUT=/out/runs/exp7")
    },
    of_output(
        "an output of root's where the user is locked",
        "chown 0:0 out; chmod 755 out",
        "-v $D/policy.yaml:/etc/trainit.yaml:ro -v $D/out:/out -e TRAINIT_OUTPUT=/out",
    ),
    of_output("a file in place of the output", "rmdir out; touch out", "-v $D/out:/out -e TRAINIT_OUTPUT=/out"),
    // Limits.
    mistake("little shared memory", "-e TRAINIT_HOST_SHM=100MiB", "true", 114),
    mistake("few open files", "--ulimit nofile=2000:2000 -e TRAINIT_HOST_NOFILE=8192", "true", 114),
    mistake("little locked memory", "--ulimit memlock=65536 -e TRAINIT_HOST_MEMLOCK=1MiB", "true", 114),
    mistake("little memory", "--memory 128m --shm-size 200m -e TRAINIT_HOST_SHM=200MiB", "true", 114),
    mistake("few processes", "--pids-limit 500 -e TRAINIT_CHECKS=host.pids=fail", "true", 114),
    mistake(
        "nowhere for temporary files",
        "--read-only --user 1000:100 -e HOME=/dev/shm -e TRAINIT_CHECKS=host.tmp=fail",
        "true",
        114,
    ),
];

/// What a person has: code, data, a place for checkpoints that all may write.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    shell(
        directory.path(),
        "chmod 755 .; mkdir -p code/src data sets out; echo a | tee data/a >data/b
        echo 'print(\"trained\")' | tee code/train.py >code/src/eval.py
        printf '#!/bin/sh\\ntrue\\n' >code/run.sh; chmod 755 code/run.sh
        printf 'user: 1000:100\\nlock: [user]\\n' >policy.yaml
        printf 'TRAINIT_DATA=\"/data\"\\n' >quotes.env
        chmod -R a+rX .; chmod 777 out",
    );
    directory
}

/// Runs a script in a directory of the host.
fn shell(directory: &Path, script: &str) {
    let made = Command::new("sh").args(["-ec", script]).current_dir(directory).env("D", directory).status();
    assert!(made.expect("a shell").success(), "{script}");
}

impl Mistake {
    /// Makes the mistake and types what is printed.
    fn is_mended(&self, image: &str) {
        let place = directory();
        shell(place.path(), self.made);
        let shown = place.path().display().to_string();
        let volume = unique_name();
        let options = self.options.replace("$D", &shown).replace("$V", &volume);
        let words: Vec<&str> = self.command.split(' ').collect();
        let ended = Run::of(image).with(&options).command(&words).finish();
        let command = self.printed(&ended.text, ended.code);
        let source = if self.command.contains("set.json") { "data/a" } else { self.source };
        let source = format!("{shown}/{source}");
        if self.name.contains("file in place of the output") {
            shell(place.path(), "mkdir real; chmod 777 real; rm out; mv real out");
        }
        let name = unique_name();
        let typed_container = Container { name: name.clone() };
        let typed = command.replace("IMAGE", image).replace("/path/on/host", &source);
        let run = format!("docker run --label trainit.test --name {name} ");
        let typed = typed.replacen("docker run ", &run, 1);
        let seconds = DEADLINE.as_secs().to_string();
        let output = Command::new("timeout").args([&seconds, "sh", "-c", &typed]).output().expect("a shell");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        // A volume that a container still names cannot be removed.
        drop(typed_container);
        docker(["volume", "rm", "-f", &volume]);
        assert!(output.status.success(), "{}: {typed}\n{told}\nafter\n{}", self.name, ended.text);
        assert!(!told.lines().any(|line| line.starts_with("  fail")), "{}: {typed}\n{told}", self.name);
    }

    /// Returns the command that the failed start ends with. There is only one, right behind the failure's row.
    fn printed(&self, text: &str, code: i32) -> String {
        let name = self.name;
        let told: Vec<&str> = text.lines().collect();
        assert_eq!(code, self.code, "{name}:\n{text}");
        assert!(told.len() <= LINES, "{name}: {} lines\n{text}", told.len());
        let starts = told.iter().filter(|line| line.contains(" IMAGE ")).count();
        assert_eq!(starts, 1, "{name}:\n{text}");
        let at = told.iter().rposition(|line| line.contains(" IMAGE ")).expect("it was counted");
        let behind: Vec<&&str> = told[at + 1..].iter().filter(|line| !line.starts_with("trainit")).collect();
        assert!(behind.is_empty(), "{name}: {behind:?} behind the command\n{text}");
        let rows: Vec<&str> = told[..at].iter().copied().filter(|line| is_row(line)).collect();
        assert!(rows.last().is_some_and(|row| row.starts_with("  fail")), "{name}: no failure last\n{text}");
        told[at].trim().to_owned()
    }
}

/// Returns whether a line is a row, and not what belongs to one.
fn is_row(line: &str) -> bool {
    ["  ok ", "  warn", "  fail", "  start"].iter().any(|tag| line.starts_with(tag))
}

#[test]
fn what_a_failed_start_prints_is_typed_and_works() {
    let Some(python) = image(Image::Python) else { return };
    let chosen = std::env::var("MISTAKE").unwrap_or_default();
    let failed: Vec<String> = MISTAKES
        .iter()
        .filter(|mistake| mistake.name.contains(&chosen))
        .filter_map(|mistake| std::panic::catch_unwind(|| mistake.is_mended(&python)).err())
        .map(|why| why.downcast_ref::<String>().cloned().unwrap_or_default())
        .collect();
    assert!(failed.is_empty(), "{} of {} mistakes:\n\n{}", failed.len(), MISTAKES.len(), failed.join("\n\n"));
}
