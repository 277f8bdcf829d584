//! The table of sub-commands: names, purposes, options. The role of a process, the command line's grammar, `--help`, the man page and the
//! completions follow from it. It holds constants alone and uses no other file: PID 1 reads it first.

/// What a sub-command does with its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubcommandKind {
    /// Supervises a child that becomes the workload.
    Supervises,
    /// Becomes the workload itself.
    Becomes,
    /// Is a plain init as PID 1.
    Init,
    /// Starts nothing.
    StartsNothing,
    /// Asks a running container. If it is the container's first process, its name is a program of the image: no container runs yet.
    AsksContainer,
}

/// The task of a sub-command that starts nothing, or that asks a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Another part of the program, or an action of the sub-command, does the work.
    Elsewhere,
    /// `check`.
    Check,
    /// `deps install`.
    DepsInstall,
    /// `deps status`.
    DepsStatus,
    /// `deps freeze`.
    DepsFreeze,
    /// `deps prune`.
    DepsPrune,
    /// `gpu`.
    Gpu,
    /// `gpu install-probe`.
    GpuInstallProbe,
    /// `config show`.
    ConfigShow,
    /// `config check`.
    ConfigCheck,
    /// `config schema`.
    ConfigSchema,
    /// `config template`.
    ConfigTemplate,
    /// `env`.
    Env,
    /// `status`.
    Status,
    /// `health`.
    Health,
    /// `checkpoint`.
    Checkpoint,
    /// `history`.
    History,
    /// `rehearse`.
    Rehearse,
    /// `inject`.
    Inject,
    /// `stage`.
    Stage,
    /// `stage status`.
    StageStatus,
    /// `stage prune`.
    StagePrune,
}

/// A sub-command, or an action of a sub-command.
#[derive(Debug)]
pub struct Subcommand {
    /// The name.
    pub name: &'static str,
    /// What the sub-command does with the process.
    pub kind: SubcommandKind,
    /// The task.
    pub task: Task,
    /// A few words for `--help`.
    pub summary: &'static str,
    /// One sentence for the sub-command's own help.
    pub about: &'static str,
    /// Options in the synopsis.
    pub options: &'static [CommandOption],
    /// Options that the synopsis omits.
    pub more: &'static [CommandOption],
    /// The operand after the options.
    pub operand: Option<Operand>,
    /// The actions.
    pub actions: &'static [Subcommand],
}

/// An option.
#[derive(Debug)]
pub struct CommandOption {
    /// The name without dashes; a single letter is a short option.
    pub name: &'static str,
    /// The value of the option.
    pub value: OptionValue,
    /// The purpose.
    pub about: &'static str,
    /// The option that excludes this one.
    pub excludes: Option<&'static str>,
    /// The default.
    pub default: Option<&'static str>,
}

/// The kind of an option's value, with its placeholder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionValue {
    /// No value.
    None,
    /// The name of a mode.
    Mode(&'static str),
    /// Any text.
    Text(&'static str),
    /// Several texts, separated by commas.
    List(&'static str),
    /// A text; the option may be repeated.
    Repeated(&'static str),
    /// The path of a file.
    File(&'static str),
    /// The path of a directory.
    Directory(&'static str),
    /// A time such as 30s.
    Time(&'static str),
}

/// The operand after the options.
#[derive(Clone, Copy, Debug)]
pub struct Operand {
    /// The placeholder.
    pub name: &'static str,
    /// The meaning.
    pub about: &'static str,
    /// The kind.
    pub kind: OperandKind,
}

const fn operand(name: &'static str, about: &'static str, kind: OperandKind) -> Option<Operand> {
    Some(Operand { name, about, kind })
}

/// The kind of an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperandKind {
    /// A file, which is required.
    File,
    /// A directory, which is required.
    Directory,
    /// A file or directory, which may be left out.
    MaybePath,
    /// Any number of files or directories.
    Paths,
    /// A command and its arguments.
    Command,
    /// A command and its arguments, which the configuration may provide.
    MaybeCommand,
}

impl OptionValue {
    /// Returns the placeholder of the value in a help text.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            OptionValue::None => None,
            OptionValue::Mode(name)
            | OptionValue::Text(name)
            | OptionValue::List(name)
            | OptionValue::Repeated(name)
            | OptionValue::File(name)
            | OptionValue::Directory(name)
            | OptionValue::Time(name) => Some(name),
        }
    }
}

impl CommandOption {
    const fn new(name: &'static str, value: OptionValue, about: &'static str) -> Self {
        CommandOption { name, value, about, excludes: None, default: None }
    }

    const fn flag(name: &'static str, about: &'static str) -> Self {
        Self::new(name, OptionValue::None, about)
    }

    const fn excluding(self, other: &'static str) -> Self {
        CommandOption { excludes: Some(other), ..self }
    }

    const fn or(self, default: &'static str) -> Self {
        CommandOption { default: Some(default), ..self }
    }

    /// Formats the option as users type it.
    pub fn typed(&self) -> String {
        let dashes = if self.name.len() == 1 { "-" } else { "--" };
        format!("{dashes}{}", self.name)
    }

    /// Formats the option with the placeholder of its value.
    pub fn typed_with_value(&self) -> String {
        let value = self.value.name().map(|name| format!(" {name}"));
        format!("{}{}", self.typed(), value.unwrap_or_default())
    }
}

impl Subcommand {
    const fn new(name: &'static str, kind: SubcommandKind, task: Task, summary: &'static str) -> Self {
        Subcommand { name, kind, task, summary, about: summary, options: &[], more: &[], operand: None, actions: &[] }
    }

    const fn action(name: &'static str, task: Task, about: &'static str) -> Self {
        Self::new(name, SubcommandKind::StartsNothing, task, about)
    }

    /// Yields every option.
    pub fn all_options(&self) -> impl Iterator<Item = &'static CommandOption> + use<> {
        self.options.iter().chain(self.more)
    }

    /// Formats the synopsis after the name: `[--json] [--only IDS]`, `install|status|prune`.
    pub fn synopsis(&self) -> String {
        let options = self.options.iter().filter(|option| option.excludes.is_none()).map(|option| self.choice(option));
        let actions: Vec<&str> = self.actions.iter().map(|action| action.name).collect();
        let actions = match (actions.join("|"), self.task) {
            (none, _) if none.is_empty() => None,
            (names, Task::Elsewhere) => Some(names),
            (names, _) => Some(format!("[{names}]")),
        };
        let operand = self.operand.map(|operand| operand.synopsis());
        options.chain(actions).chain(operand).collect::<Vec<_>>().join(" ")
    }

    /// Formats an option in brackets, with those that exclude it.
    fn choice(&self, option: &CommandOption) -> String {
        let others = self.options.iter().filter(|other| other.excludes == Some(option.name));
        let all: Vec<String> = std::iter::once(option).chain(others).map(CommandOption::typed_with_value).collect();
        format!("[{}]", all.join("|"))
    }
}

impl Operand {
    fn synopsis(self) -> String {
        match self.kind {
            OperandKind::File | OperandKind::Directory => self.name.to_owned(),
            OperandKind::Command => format!("[--] {}…", self.name),
            OperandKind::MaybePath => format!("[{}]", self.name),
            OperandKind::Paths | OperandKind::MaybeCommand => format!("[{}…]", self.name),
        }
    }
}

/// Returns the row of a name.
pub fn find(name: &[u8]) -> Option<&'static Subcommand> {
    SUBCOMMANDS.iter().find(|row| row.name.as_bytes() == name)
}

/// Returns whether a word asks about trainit itself, so that nothing starts.
pub fn asks_about_itself(word: &[u8]) -> bool {
    matches!(word, b"help" | b"--help" | b"-h" | b"--version" | b"-V") || word.starts_with(b"--generate")
}

/// Options that choose the configuration, with the same layers as a start.
const LAYERS: &[CommandOption] = &[CONFIG, SET];
const CONFIG: CommandOption = CommandOption::new("config", OptionValue::File("FILE"), "A configuration file more");
const SET: CommandOption =
    CommandOption::new("set", OptionValue::Repeated("KEY=VALUE"), "One setting, such as gpu.count=2 (repeatable)");

/// Options of a start.
const START: &[CommandOption] = &[MODE, CONFIG, SET];
const MODE: CommandOption = CommandOption::new(
    "mode",
    OptionValue::Mode("MODE"),
    "What to start: train, shell, jupyter, ssh, or a mode of the configuration",
);

const AS: CommandOption = CommandOption::new(
    "as",
    OptionValue::Text("FORM"),
    "The corrected start for docker, podman, compose, kubernetes, apptainer, srun or enroot",
);

const JSON: CommandOption = CommandOption::flag("json", "As JSON");
const INSTANCE: &[CommandOption] =
    &[CommandOption::new("instance", OptionValue::Directory("DIR"), "The state directory, when there are several")];

const fn command(kind: OperandKind, about: &'static str) -> Option<Operand> {
    Some(Operand { name: "COMMAND", about, kind })
}

/// Every sub-command, in the order of `--help`.
pub static SUBCOMMANDS: &[Subcommand] = &[
    Subcommand {
        about: "Check, prepare, start and supervise a command",
        more: START,
        operand: command(OperandKind::MaybeCommand, "A mode, or the command to run and its arguments"),
        ..Subcommand::new("run", SubcommandKind::Supervises, Task::Elsewhere, "check, prepare, supervise")
    },
    Subcommand {
        about: "Prepare, then become the command; nothing supervises",
        more: START,
        operand: command(OperandKind::Command, "The command to become and its arguments"),
        ..Subcommand::new("exec", SubcommandKind::Becomes, Task::Elsewhere, "prepare, then become COMMAND")
    },
    Subcommand {
        about: "PID 1 only, as tini: no configuration, no checks",
        options: &[
            CommandOption::flag("g", "Signals go to the command's process group"),
            CommandOption::new("r", OptionValue::Repeated("A:B"), "Signal A becomes B, 0 drops it (repeatable)"),
        ],
        more: &[
            CommandOption::new("e", OptionValue::Repeated("CODE"), "This exit code becomes 0 (repeatable)"),
            CommandOption::new("grace", OptionValue::Time("TIME"), "SIGKILL so long after a signal that stops"),
            CommandOption::new("p", OptionValue::Text("SIGNAL"), "This signal when the parent dies"),
            CommandOption::flag("w", "A line for each orphan that is reaped"),
            CommandOption::flag("s", "As tini has it: always a subreaper"),
            CommandOption::flag("v", "As tini has it: nothing more to tell"),
            CommandOption::flag("l", "The licence"),
        ],
        operand: command(OperandKind::Command, "The command to run and its arguments"),
        ..Subcommand::new("init", SubcommandKind::Init, Task::Elsewhere, "PID 1 only, as tini")
    },
    Subcommand {
        about: "All checks, nothing started; the exit code tells",
        options: &[
            CommandOption::flag("json", "The report as JSON"),
            CommandOption::new("only", OptionValue::List("IDS"), "Only these checks, separated by commas"),
        ],
        more: &[AS, CONFIG, SET],
        ..Subcommand::new("check", SubcommandKind::StartsNothing, Task::Check, "all checks, nothing started")
    },
    Subcommand {
        about: "The dependency step alone",
        actions: DEPS,
        ..Subcommand::new("deps", SubcommandKind::StartsNothing, Task::Elsewhere, "the dependency step alone")
    },
    Subcommand {
        about: "What GPUs are visible",
        options: &[JSON],
        more: LAYERS,
        actions: GPU,
        ..Subcommand::new("gpu", SubcommandKind::StartsNothing, Task::Gpu, "what GPUs are visible")
    },
    Subcommand {
        about: "The configuration: values and where they come from",
        actions: CONFIGURATION,
        ..Subcommand::new("config", SubcommandKind::StartsNothing, Task::Elsewhere, "values and where they come from")
    },
    Subcommand {
        about: "What a workload would get, as lines for a shell",
        options: &[
            JSON,
            CommandOption::flag("install", "Makes every shell read them; for a Dockerfile").excluding("json"),
        ],
        more: LAYERS,
        ..Subcommand::new("env", SubcommandKind::AsksContainer, Task::Env, "what a workload would get")
    },
    Subcommand {
        about: "What the running container is doing",
        options: &[JSON, CommandOption::flag("metrics", "As Prometheus' text format").excluding("json")],
        more: INSTANCE,
        ..Subcommand::new("status", SubcommandKind::AsksContainer, Task::Status, "what the container is doing")
    },
    Subcommand {
        about: "For HEALTHCHECK and probes: exit code 0 or 1, one line",
        options: &[
            CommandOption::flag("live", "Alive in every phase; not, once the supervisor is gone"),
            CommandOption::flag("ready", "The workload runs (the default)").excluding("live"),
        ],
        more: INSTANCE,
        ..Subcommand::new("health", SubcommandKind::AsksContainer, Task::Health, "for HEALTHCHECK and probes")
    },
    Subcommand {
        about: "Ask the running job to save now and go on",
        options: &[
            CommandOption::new("wait", OptionValue::Time("TIME"), "Wait so long for it to be complete"),
            CommandOption::flag("mirrored", "With --wait: and until it is in checkpoint.mirror"),
        ],
        more: INSTANCE,
        ..Subcommand::new(
            "checkpoint",
            SubcommandKind::AsksContainer,
            Task::Checkpoint,
            "ask the running job to save now",
        )
    },
    Subcommand {
        about: "A job's attempts, and how much of the time became progress",
        options: &[JSON, CommandOption::flag("follow", "Again whenever it changes, until the training is complete")],
        more: LAYERS,
        operand: operand(
            "DIR",
            "The directory of the checkpoints, or the file (default: by the configuration)",
            OperandKind::MaybePath,
        ),
        ..Subcommand::new("history", SubcommandKind::StartsNothing, Task::History, "a job's attempts and goodput")
    },
    Subcommand {
        about: "Try what an unattended start and a stop would do, and say whether it is ready to be sent off",
        options: &[
            CommandOption::new("after", OptionValue::Time("TIME"), "Stop so long after the workload runs").or("20s")
        ],
        more: LAYERS,
        operand: command(
            OperandKind::MaybeCommand,
            "The command to run and its arguments (default: `command` of the configuration)",
        ),
        ..Subcommand::new("rehearse", SubcommandKind::StartsNothing, Task::Rehearse, "try an unattended start, stop")
    },
    Subcommand {
        about: "Bring the data of `from=` now, and start nothing",
        more: &[
            CommandOption::flag("dry-run", "Only say what would be brought, and whether there is room"),
            CONFIG,
            SET,
        ],
        operand: operand("PATH", "Only these paths of `data` (default: all that have from=)", OperandKind::Paths),
        actions: STAGE,
        ..Subcommand::new("stage", SubcommandKind::StartsNothing, Task::Stage, "bring data, start nothing")
    },
    Subcommand {
        about: "Copy this program into a directory, for init containers and images that nobody builds anew",
        operand: operand("DIR", "The directory; made if it is missing", OperandKind::Directory),
        ..Subcommand::new("inject", SubcommandKind::StartsNothing, Task::Inject, "copy trainit into a directory")
    },
];

const DEPS: &[Subcommand] = &[
    Subcommand {
        more: LAYERS,
        ..Subcommand::action("install", Task::DepsInstall, "Install what the next start would")
    },
    Subcommand {
        more: LAYERS,
        ..Subcommand::action("status", Task::DepsStatus, "Whether the next start would install; the exit code tells")
    },
    Subcommand {
        more: LAYERS,
        ..Subcommand::action("freeze", Task::DepsFreeze, "What Python can import, as a requirements file")
    },
    Subcommand {
        options: &[
            CommandOption::new("unused", OptionValue::Time("TIME"), "Also environments that were not used for so long"),
            CommandOption::flag("dry-run", "Only say what would go"),
        ],
        more: LAYERS,
        ..Subcommand::action(
            "prune",
            Task::DepsPrune,
            "Remove from deps.store, and of the user's layers, what is beyond deps.store_size, and what killed starts left",
        )
    },
];

const STAGE: &[Subcommand] = &[
    Subcommand {
        more: LAYERS,
        ..Subcommand::action("status", Task::StageStatus, "What is there; 1, if something is not")
    },
    Subcommand {
        options: &[
            CommandOption::new("unused", OptionValue::Time("TIME"), "Also what was not used for so long"),
            CommandOption::flag("dry-run", "Only say what would go"),
        ],
        more: LAYERS,
        ..Subcommand::action("prune", Task::StagePrune, "Remove from stage.store what is beyond stage.store_size")
    },
];

const GPU: &[Subcommand] = &[Subcommand {
    options: &[CommandOption::new("path", OptionValue::File("FILE"), "Where, if not where starts look for it")],
    ..Subcommand::action(
        "install-probe",
        Task::GpuInstallProbe,
        "Put the program that asks the driver on disk (in a Dockerfile), for clusters that watch for programs in memory",
    )
}];

const CONFIGURATION: &[Subcommand] = &[
    Subcommand {
        options: &[JSON],
        more: LAYERS,
        ..Subcommand::action("show", Task::ConfigShow, "Every value and its origin")
    },
    Subcommand {
        operand: operand("FILE", "The file", OperandKind::File),
        ..Subcommand::action("check", Task::ConfigCheck, "Say every mistake in a file")
    },
    Subcommand::action("schema", Task::ConfigSchema, "A JSON Schema for editors"),
    Subcommand {
        options: &[CommandOption::new(
            "for",
            OptionValue::Text("ENGINE"),
            "That engine's recipe: slurm, kubernetes, jobset, kubeflow, sagemaker or batch",
        )],
        ..Subcommand::action("template", Task::ConfigTemplate, "Every key with its documentation, as YAML")
    },
];
