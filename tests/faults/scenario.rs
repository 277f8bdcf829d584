//! The phases of a container's life, each as a start that goes through it.

/// When the run is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It ends by itself.
    Never,
    /// As soon as its output has this line.
    At(&'static str),
}

/// One start: what trainit is asked for, and what the caller has to learn from it.
#[derive(Debug)]
pub struct Scenario {
    /// The phase, in one word.
    pub phase: &'static str,
    /// Variables without their `TRAINIT_`. `@` in a value is the directory of the run.
    pub settings: &'static [(&'static str, &'static str)],
    /// The role of the launcher that is the workload.
    pub workload: &'static str,
    /// When it is told to stop.
    pub stop: Stop,
    /// The code of the undisturbed run.
    pub code: i32,
    /// Far more seconds than it takes on a busy machine: only one that hangs gets there.
    pub patience: u64,
    /// The most of one call that is tried in one process.
    pub most: usize,
    /// Whether the test command tries it, too.
    pub always: bool,
}

const SHORT: &[(&str, &str)] = &[("STOP_DRAIN", "100ms"), ("STOP_GRACE", "4s")];

/// A wheel that lies here, so that nothing is asked of a network.
const INSTALLS: &[(&str, &str)] = &[
    ("DEPS_REQUIREMENTS", "@/requirements.txt"),
    ("DEPS_FIND_LINKS", "@/wheels"),
    ("DEPS_INDEX", "off"),
    ("DEPS_INSTALLER", "pip"),
    ("DEPS_PYTHON", "/usr/bin/python3"),
];

const fn scenario(
    phase: &'static str,
    settings: &'static [(&str, &str)],
    workload: &'static str,
    code: i32,
) -> Scenario {
    Scenario { phase, settings, workload, stop: Stop::Never, code, patience: 15, most: 60, always: false }
}

/// All phases.
pub const SCENARIOS: &[Scenario] = &[
    Scenario { always: true, ..scenario("start", SHORT, "quit", 7) },
    scenario("checks", &[("DATA", "@/data"), ("OUTPUT", "@/output"), ("CHECKPOINT_DIR", "@/output")], "quit", 7),
    // Each start installs with pip, which takes seconds, and does what another start does but for that.
    Scenario { patience: 90, most: 8, ..scenario("installing", INSTALLS, "quit", 7) },
    scenario("running", SHORT, "run", 7),
    Scenario { always: true, stop: Stop::At("ready"), ..scenario("stopping", SHORT, "save", 143) },
    scenario("ending", SHORT, "leave", 7),
    Scenario { stop: Stop::At("kept open"), ..scenario("holding", &[("ON_FAILURE", "hold")], "quit", 7) },
    scenario("restart", &[("RESTART_MAX", "1"), ("RESTART_BACKOFF", "10ms..10ms")], "quit", 7),
];
