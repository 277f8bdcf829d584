//! Environments as engines make them, and what is found and filled in each: `environments.txt`, whose lines with `>` are the answers.
//! `UPDATE_ENVIRONMENTS=1 cargo test -p trainit-world` writes them; then they are read.
#![allow(clippy::panic, reason = "a test may")]

use crate::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::path::Path;

const FILE: &str = "src/tests/environments.txt";

/// An environment, and the answers that are written below it.
#[derive(Default)]
struct Case {
    lines: Vec<String>,
    variables: Vec<(String, String)>,
    files: Vec<(String, String)>,
    given: Given,
    host: String,
    domain: String,
    gpus: u32,
    command: CommandKind,
    trainer: TrainerChoice,
    options: Vec<String>,
    answers: Vec<String>,
}

impl Case {
    fn read(text: &str) -> Self {
        let mut case = Case { host: "n0".into(), ..Case::default() };
        for line in text.lines() {
            if let Some(answer) = line.strip_prefix("> ") {
                case.answers.push(answer.to_owned());
                continue;
            }
            case.lines.push(line.to_owned());
            match line.split_once(' ') {
                _ if line.starts_with('#') => {}
                Some(("file", rest)) => {
                    let (path, text) = rest.split_once(' ').unwrap();
                    case.files.push((path.into(), text.replace("\\n", "\n")));
                }
                Some(("host", host)) => case.host = host.into(),
                Some(("domain", domain)) => case.domain = domain.into(),
                Some(("gpus", gpus)) => case.gpus = gpus.parse().unwrap(),
                Some(("command", words)) => case.take_command(words),
                Some(("key", key)) => case.take_key(key),
                _ => {
                    let (name, value) = line.split_once('=').unwrap_or_else(|| panic!("{line}"));
                    case.variables.push((name.into(), value.replace("\\n", "\n")));
                }
            }
        }
        case
    }

    fn take_command(&mut self, words: &str) {
        let mut words = words.split(' ').map(str::to_owned);
        self.command = match words.next().unwrap().as_str() {
            "torchrun" => CommandKind::Torchrun,
            "accelerate" | "mpirun" => CommandKind::Launcher,
            "ray" => CommandKind::Ray,
            _ => CommandKind::Other,
        };
        self.options = words.collect();
    }

    fn take_key(&mut self, key: &str) {
        let (name, value) = key.split_once('=').unwrap();
        let number = || Some(Known::new(value.parse().unwrap(), format!("cluster.{name}")));
        match name {
            "nodes" => self.given.nodes = number(),
            "node" => self.given.node = number(),
            "processes" => self.given.processes = number(),
            "master" => self.given.master = Some(Known::new(value.into(), "cluster.master")),
            "port" => self.given.port = Some(Known::new(value.parse().unwrap(), "cluster.port")),
            "engine" if value == "off" => self.given.engine = EngineChoice::Off,
            "engine" => self.given.engine = EngineChoice::Named(value.into()),
            "launch" => self.given.launches = true,
            "trainer" => {
                self.trainer = match value {
                    "jax" => TrainerChoice::Jax,
                    "torchrun" => TrainerChoice::Torchrun,
                    _ => TrainerChoice::Off,
                }
            }
            _ => panic!("{key}"),
        }
    }

    fn world(&self) -> Option<World> {
        let file = |path: &str| {
            let found = self.files.iter().find(|(name, _)| name == path);
            found.map(|(_, text)| text.clone().into_bytes())
        };
        World::of(&Input {
            variables: &self.variables,
            file: &file,
            given: &self.given,
            host: &self.host,
            domain: &self.domain,
            ephemeral: (32_768, 60_999),
            command: self.command,
            gpus: &|| self.gpus,
        })
    }

    fn fill(&self, world: &World) -> Filled {
        fill(world, self.trainer, self.command, &self.variables, &self.options, self.given.launches)
    }

    fn found(&self) -> Vec<String> {
        let Some(world) = self.world() else { return vec!["no world".to_owned()] };
        let mut lines = vec![world.to_string()];
        let told = |name: &str, value: Option<String>| value.map(|value| format!("{name} {value}"));
        lines.extend(told("attempt", world.attempt.as_ref().map(ToString::to_string)));
        lines.extend(told("job", world.job.as_ref().map(ToString::to_string)));
        lines.extend(world.contradictions.iter().map(|line| format!("warn {line}")));
        let filled = self.fill(&world);
        lines.extend(filled.contradictions.iter().map(|line| format!("warn {line}")));
        let set: Vec<String> = filled.set.iter().map(|(name, value)| format!("{name}={value}")).collect();
        lines.extend((!set.is_empty()).then(|| format!("set {}", set.join(" "))));
        let missing = filled.missing.join(" ");
        lines.extend((!missing.is_empty()).then(|| format!("missing {missing}")));
        lines
    }
}

fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE)).unwrap();
    text.trim().split("\n\n").map(Case::read).collect()
}

#[test]
fn every_environment_is_read_as_it_is_written_down() {
    let cases = cases();
    if std::env::var_os("UPDATE_ENVIRONMENTS").is_some() {
        let block = |case: &Case| {
            let answers = case.found().into_iter().map(|answer| format!("> {answer}"));
            case.lines.iter().cloned().chain(answers).collect::<Vec<_>>().join("\n")
        };
        let text = cases.iter().map(block).collect::<Vec<_>>().join("\n\n") + "\n";
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE), text).unwrap();
        return;
    }
    for case in &cases {
        assert_eq!(case.found(), case.answers, "\n{}\n", case.lines.join("\n"));
    }
}

#[test]
fn every_row_of_the_table_has_an_environment() {
    let found: BTreeSet<String> = cases().iter().filter_map(|case| Some(case.world()?.words.to_owned())).collect();
    let untried: Vec<&str> = TABLE.iter().map(|row| row.words).filter(|words| !found.contains(*words)).collect();
    assert_eq!(untried, Vec::<&str>::new());
}

#[test]
fn nothing_that_is_set_is_set_again() {
    for case in cases() {
        let Some(world) = case.world() else { continue };
        for (name, _) in case.fill(&world).set {
            assert_eq!(case.variables.get(name), None, "{name}\n{}", case.lines.join("\n"));
        }
    }
}

#[test]
fn what_is_no_rank_gets_no_rank() {
    for case in cases() {
        let Some(world) = case.world() else { continue };
        if world.scope != Scope::Process {
            let set = case.fill(&world).set;
            let ranks = ["RANK", "WORLD_SIZE", "LOCAL_RANK"];
            assert!(set.iter().all(|(name, _)| !ranks.contains(name)), "{}", case.lines.join("\n"));
        }
    }
}

/// Names of all variables that any row reads.
fn names() -> Vec<&'static str> {
    let of = |row: &Row| {
        let lists = [row.marks, row.nodes, row.node, row.local_size, row.local, row.rank, row.size, row.master];
        [&lists[..], &[row.port, row.attempt, row.job]].concat().concat()
    };
    let more = ["SLURM_STEP_TASKS_PER_NODE", "SLURM_STEP_ID", "SLURMD_NODENAME", "SLURM_JOB_NODELIST", "VC_W_HOSTS"];
    TABLE.iter().flat_map(of).chain(more).collect()
}

proptest! {
    #[test]
    fn any_environment_is_taken(
        chosen in proptest::collection::vec((0usize..1000, "[0-9a-z:,.\\[\\]()x{}\"-]{0,12}|[0-9]{1,10}|.{0,6}"), 0..24),
        host in ".{0,12}|[a-z]{1,3}(-[0-9]{1,2}){0,3}",
        domain in "|[a-z]{1,3}(\\.[a-z]{1,3}){0,2}|.{0,8}",
        kind in 0usize..4,
        launches: bool,
    ) {
        let names = names();
        let case = Case {
            variables: chosen.into_iter().map(|(at, value)| (names[at % names.len()].to_owned(), value)).collect(),
            files: vec![("/opt/ml/input/config/resourceconfig.json".into(), "{}".into())],
            given: Given { launches, ..Given::default() },
            command: [CommandKind::Torchrun, CommandKind::Launcher, CommandKind::Ray, CommandKind::Other][kind],
            host,
            domain,
            ..Case::default()
        };
        let found = case.found();
        prop_assert!(!found.is_empty());
        if let Some(world) = case.world() {
            for (name, _) in case.fill(&world).set {
                prop_assert!(case.variables.get(name).is_none(), "{name}");
            }
        }
    }
}

/// Panics with the rows that a table of the page lacks.
fn has_rows(page: &str, rows: &[String]) {
    let missing: Vec<&str> = rows.iter().map(String::as_str).filter(|row| !page.contains(row)).collect();
    assert!(missing.is_empty(), "docs/cluster.md lacks:\n{}", missing.join("\n"));
}

#[test]
fn the_page_has_the_tables_of_engines_and_trainers() {
    let page = include_str!("../../../../docs/cluster.md");
    let scope = |row: &Row| match row.scope {
        Scope::Node => "a node",
        Scope::Process => "a rank",
        Scope::Launcher => "the launcher",
        Scope::Batch => "the batch script",
    };
    let engine = |row: &Row| {
        let marks: Vec<String> = row.marks.iter().map(|name| format!("`{name}`")).collect();
        format!("| `{}` | {} | {} | {} |", row.engine, row.about, marks.join(" "), scope(row))
    };
    let engines: Vec<String> = TABLE.iter().map(engine).collect();
    has_rows(page, &engines);
    assert!(page.contains(&engines.join("\n")), "the engines stand in another order in docs/cluster.md");
    let trainer = |trainer: &Trainer| format!("| `{}` | {} |", trainer.word, trainer.about);
    has_rows(page, &TRAINERS.iter().map(trainer).collect::<Vec<_>>());
}
