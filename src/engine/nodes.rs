//! The job around this process: what `world` needs from the machine and the settings, and the least number of nodes.

use super::launcher;
use crate::config::{OriginValue, Settings, ValueOrigin};
use std::ffi::OsString;
use sys::Root;
use sys::environment::Environment;
use world::{CommandKind, Filled, Given, Input, Known, Requeueable, Variables, World};

/// The kernel's range of ports for outgoing connections.
const EPHEMERAL: &str = "/proc/sys/net/ipv4/ip_local_port_range";
/// That range as Linux has it without a configuration.
const LINUX: (u16, u16) = (32_768, 60_999);

/// torchrun, as a program and as a module.
const TORCHRUN: [&str; 3] = ["torchrun", "torch.distributed.run", "torch.distributed.launch"];
/// Other launchers of ranks.
const LAUNCHERS: [&str; 7] =
    ["accelerate", "accelerate.commands.launch", "deepspeed", "mpirun", "mpiexec", "srun", "horovodrun"];

/// Variables with the number of nodes that users' own scripts set, and no engine.
const NODES: [&str; 2] = ["NNODES", "NUM_NODES"];

/// An environment as `world` reads it.
struct OfEnvironment<'a>(&'a Environment);

impl Variables for OfEnvironment<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.text(name).filter(|value| !value.is_empty())
    }

    fn names(&self) -> Vec<&str> {
        self.0.iter().filter_map(|(name, _)| name.to_str()).collect()
    }
}

/// Returns the world of a job, as the engine's variables and the settings tell it; `None` where nothing tells of one.
///
/// Without an engine nothing but the variables is looked at.
pub fn world(
    root: &Root,
    environment: &Environment,
    settings: &Settings,
    command: &[OsString],
    gpus: &dyn Fn() -> u32,
) -> Option<World> {
    world_with(root, environment, settings, command, gpus, &|path| root.read(path).ok())
}

/// Does the same without the files that engines write, and without GPUs: for root, which must not read a file that another may name.
pub fn world_of_variables(
    root: &Root,
    environment: &Environment,
    settings: &Settings,
    command: &[OsString],
) -> Option<World> {
    world_with(root, environment, settings, command, &|| 0, &|_| None)
}

fn world_with(
    root: &Root,
    environment: &Environment,
    settings: &Settings,
    command: &[OsString],
    gpus: &dyn Fn() -> u32,
    file: &dyn Fn(&str) -> Option<Vec<u8>>,
) -> Option<World> {
    let (variables, given) = (OfEnvironment(environment), given(settings));
    if !World::may_be(&variables, &given) {
        return None;
    }
    let text = |path: &str| root.text(path).unwrap_or_default();
    let (host, hosts) = (text("/proc/sys/kernel/hostname"), text("/etc/hosts"));
    let host = host.trim();
    World::of(&Input {
        variables: &variables,
        file,
        given: &given,
        host,
        domain: domain(&hosts, host),
        ephemeral: range(&text(EPHEMERAL)).unwrap_or(LINUX),
        command: kind(command),
        gpus,
    })
}

/// Returns the job that its engine can be asked to start again; `None` where there is none.
pub fn requeueable(environment: &Environment) -> Option<Requeueable> {
    Requeueable::of(&OfEnvironment(environment))
}

/// Returns what the trainer of this command lacks.
pub fn filled(world: &World, environment: &Environment, settings: &Settings, command: &[OsString]) -> Filled {
    let at = launcher(command, &TORCHRUN).or_else(|| launcher(command, &LAUNCHERS));
    let options = at.map_or(&[][..], |at| command.get(at + 1..).unwrap_or_default());
    let options: Vec<String> = options
        .iter()
        .map_while(|word| word.to_str())
        .take_while(|word| !word.ends_with(".py"))
        .map(str::to_owned)
        .collect();
    let trainer = settings.cluster_trainer.value;
    world::fill(world, trainer, kind(command), &OfEnvironment(environment), &options, settings.launch.is_some())
}

fn given(settings: &Settings) -> Given {
    Given {
        engine: settings.cluster_engine.value.clone(),
        nodes: known("cluster.nodes", &settings.cluster_nodes),
        node: known("cluster.node", &settings.cluster_node),
        processes: known("cluster.processes", &settings.cluster_processes),
        master: known("cluster.master", &settings.cluster_master),
        port: known("cluster.port", &settings.cluster_port),
        launches: settings.launch.is_some(),
    }
}

fn known<T: Clone>(key: &str, setting: &OriginValue<Option<T>>) -> Option<Known<T>> {
    let from = match &setting.origin {
        ValueOrigin::Environment(name) => name.clone(),
        origin => format!("{key}, {origin}"),
    };
    setting.value.clone().map(|value| Known::new(value, from))
}

fn kind(command: &[OsString]) -> CommandKind {
    let kinds = [
        (&TORCHRUN[..], CommandKind::Torchrun),
        (&LAUNCHERS[..], CommandKind::Launcher),
        (&["ray"][..], CommandKind::Ray),
    ];
    let found = kinds.into_iter().find(|(names, _)| launcher(command, names).is_some());
    found.map_or(CommandKind::Other, |(_, kind)| kind)
}

/// Returns the domain of this host's full name, by its line in /etc/hosts, which a kubelet writes for pods of a headless service.
fn domain<'a>(hosts: &'a str, host: &str) -> &'a str {
    let names = |line: &'a str| line.split('#').next().unwrap_or_default().split_whitespace().skip(1);
    let domain = |name: &'a str| name.strip_prefix(host)?.strip_prefix('.').filter(|domain| !domain.is_empty());
    let of_line = |line| names(line).any(|name| name == host).then(|| names(line).find_map(domain)).flatten();
    hosts.lines().find_map(of_line).unwrap_or_default()
}

fn range(text: &str) -> Option<(u16, u16)> {
    let mut numbers = text.split_whitespace().map(str::parse::<u16>);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Returns the least number of nodes where there are several, with what tells it.
pub fn several_nodes(world: Option<&World>, environment: &Environment) -> Option<Known<u32>> {
    let number = |name: &&str| Some(Known::new(environment.text(name)?.trim().parse::<u32>().ok()?, *name));
    let by_scripts = || NODES.iter().find_map(number).filter(|nodes| nodes.value > 1);
    match world {
        Some(world) => world.several(),
        None => by_scripts(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(command: &str, variables: &[(&str, &str)], files: &[(&str, &str)], settings: &Settings) -> Option<World> {
        let directory = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = directory.path().join(path.trim_start_matches('/'));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let command: Vec<OsString> = command.split(' ').map(OsString::from).collect();
        let environment = variables.iter().copied().collect();
        world(&Root::at(directory.path()), &environment, settings, &command, &|| 8)
    }

    fn told(variables: &[(&str, &str)]) -> Option<(u32, String)> {
        let environment: Environment = variables.iter().copied().collect();
        let world = of("python x.py", variables, &[], &Settings::default());
        several_nodes(world.as_ref(), &environment).map(|nodes| (nodes.value, nodes.from))
    }

    #[test]
    fn each_engine_tells_its_nodes() {
        let is = |variables: &[(&str, &str)], nodes: u32, from: &str| {
            assert_eq!(told(variables), Some((nodes, from.to_owned())), "{variables:?}");
        };
        is(&[("SLURM_JOB_ID", "7"), ("SLURM_NNODES", "3")], 3, "SLURM_NNODES");
        is(&[("PET_NNODES", "1:4"), ("SLURM_JOB_ID", "7"), ("SLURM_NNODES", "8")], 4, "PET_NNODES");
        let mpi = [("OMPI_COMM_WORLD_RANK", "0"), ("OMPI_COMM_WORLD_SIZE", "16"), ("OMPI_COMM_WORLD_LOCAL_SIZE", "8")];
        is(&mpi, 2, "OMPI_COMM_WORLD_SIZE");
        is(&[("JOB_COMPLETION_INDEX", "2")], 3, "JOB_COMPLETION_INDEX");
        is(&[("NNODES", "2")], 2, "NNODES");
    }

    #[test]
    fn one_node_is_not_several() {
        let ranks =
            [("WORLD_SIZE", "8"), ("LOCAL_WORLD_SIZE", "8"), ("RANK", "0"), ("LOCAL_RANK", "0"), ("MASTER_ADDR", "a")];
        let odd = [("PET_NNODES", "many"), ("WORLD_SIZE", "8"), ("LOCAL_WORLD_SIZE", "0")];
        for variables in [&[][..], &ranks, &odd, &[("JOB_COMPLETION_INDEX", "0")], &[("WORLD_SIZE", "8")]] {
            assert_eq!(told(variables), None, "{variables:?}");
        }
    }

    #[test]
    fn a_pod_finds_the_first_pod_by_the_names_that_the_kubelet_wrote() {
        let hosts = "127.0.0.1 localhost\n10.0.0.7 digits-1.digits.team.svc.cluster.local digits-1 # pod\n";
        let files = [("/proc/sys/kernel/hostname", "digits-1\n"), ("/etc/hosts", hosts)];
        let mut settings = Settings::default();
        settings.cluster_nodes =
            OriginValue { value: Some(2), origin: ValueOrigin::Environment("TRAINIT_CLUSTER_NODES".into()) };
        let world = of("torchrun x.py", &[("JOB_COMPLETION_INDEX", "1")], &files, &settings).unwrap();
        let line = "indexed Job: node 1 of 2 (digits-1), 8 processes here, master \
                    digits-0.digits.team.svc.cluster.local:29500";
        assert_eq!(world.to_string(), line);
    }

    #[test]
    fn options_of_torchrun_end_at_the_script() {
        let variables = [("PET_NNODES", "2"), ("PET_NODE_RANK", "1")];
        let settings = Settings::default();
        let set = |line: &str| {
            let world = of(line, &variables, &[], &settings).unwrap();
            let command: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            filled(&world, &variables.iter().copied().collect(), &settings, &command)
        };
        assert_eq!(
            set("torchrun --master-addr=a --nproc-per-node 2 x.py").set,
            [("PET_MASTER_PORT", "29500".to_owned())]
        );
        assert_eq!(set("python -m torch.distributed.run x.py --master-addr a").missing, ["PET_MASTER_ADDR"]);
    }
}
