//! Every key, once: its path, type, default, documentation, and whether a project file may set it. The structure, the schema, the
//! template, the variables' names and docs/configuration.md follow from this table.

use super::key::{Key, KeyType};
use super::values::*;
use super::{ConfigNode, MergedTree, OriginValue, Problems, ValueOrigin};
use checkout::Address;
use gpu::VersionText;
use gpu::probe::{GpuHelper, Level};
use protocol::handover::{OnHang, Scope, SignalMeaning, StopSignal, UsageSign};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use sys::Signal;
use sys::environment::Environment;
use world::{EngineChoice, TrainerChoice};

macro_rules! project {
    (project) => {
        true
    };
    (trusted) => {
        false
    };
}

macro_rules! built_in {
    () => {
        Unset::UNSET
    };
    ($value:expr) => {
        $value
    };
}

/// The value of a key without a built-in one; a constant, as `Default` cannot be.
trait Unset {
    const UNSET: Self;
}

impl<T> Unset for Option<T> {
    const UNSET: Self = None;
}

impl<T> Unset for Vec<T> {
    const UNSET: Self = Vec::new();
}

impl<K, V> Unset for BTreeMap<K, V> {
    const UNSET: Self = BTreeMap::new();
}

impl Unset for String {
    const UNSET: Self = String::new();
}

/// Declares all keys. A row has the documentation, path, field, type, default (or none and an example), and who may set the key. A default
/// is written twice: as text, and as the constant that it `is` or the expression that `makes` it. Parsing known texts would cost each start
/// time.
macro_rules! settings {
    ($(
        $(#[doc = $doc:literal])+
        $path:literal $field:ident: $type:ty = $default:literal $(is $value:expr)? $(; makes $made:expr)?
            $(; eg $example:literal)?, $who:ident;
    )+) => {
        /// The merged configuration.
        #[derive(Clone, Debug)]
        pub struct Settings {
            $($(#[doc = $doc])+ pub $field: OriginValue<$type>,)+
            tree: MergedTree,
        }

        /// The path of every key, in the same order: a search for a key touches no other memory.
        pub(crate) const PATHS: &[&str] = &[$($path,)+];

        /// Every key, in the order of the documentation.
        pub const KEYS: &[Key] = &[
            $(Key {
                path: $path,
                default: $default,
                example: concat!($($example)?),
                doc: concat!($($doc),+).trim_ascii(),
                project: project!($who),
                kind: KeyType::of::<$type>(),
            },)+
        ];

        impl Settings {
            /// Stores the value of one key from a tree.
            fn take(&mut self, path: &str, node: &ConfigNode, problems: &mut Problems) {
                match path {
                    $($path => self.$field.take(path, node, problems),)+
                    _ => {}
                }
            }
        }

        #[cfg(test)]
        impl Settings {
            /// Returns every key with its value as text.
            fn told(&self) -> Vec<(&'static str, String)> {
                vec![$(($path, format!("{:?}", self.$field.value)),)+]
            }
        }

        /// The constant built-in values: a copy costs less than building them.
        const BUILT_IN: Settings = Settings {
            $($field: OriginValue { value: built_in!($($value)?), origin: ValueOrigin::Default },)+
            tree: MergedTree::EMPTY,
        };

        impl Settings {
            fn built_in() -> Box<Self> {
                // `Box::new` would build the value on the stack first.
                let mut settings = Box::write(Box::new_uninit(), BUILT_IN);
                $($(settings.$field.value = $made;)?)+
                settings
            }
        }
    };
}

impl Default for Settings {
    fn default() -> Self {
        *Settings::built_in()
    }
}

impl<T: ConfigValue> OriginValue<T> {
    fn take(&mut self, path: &str, node: &ConfigNode, problems: &mut Problems) {
        if let Some(value) = T::read(node, path, problems) {
            *self = OriginValue { value, origin: node.origin.clone() };
        }
    }
}

impl Settings {
    /// Reads the values of a tree; mistakes go to `problems`, and the built-in value is used instead.
    pub fn read(tree: MergedTree, problems: &mut Problems) -> Box<Self> {
        let mut settings = Settings::built_in();
        tree.values().for_each(|(path, node)| settings.take(path, node, problems));
        settings.tree = tree;
        settings.pin_variables();
        settings
    }

    /// Marks locked variables as forced, so that they win over inherited ones.
    fn pin_variables(&mut self) {
        let tree = &self.tree;
        let locked = self.env.value.iter_mut().filter(|(name, _)| tree.lock_of(&format!("env.{name}")).is_some());
        locked.for_each(|(_, variable)| variable.force = true);
    }

    /// Returns the origin of the lock on a key or an entry of a map; `None` if any layer may set it.
    pub fn lock_of(&self, path: &str) -> Option<&ValueOrigin> {
        self.tree.lock_of(path)
    }

    /// Returns the value of another program's variable for a key, unless that key is locked.
    pub fn unless_locked<T>(&self, path: &str, said: Option<T>) -> Option<T> {
        said.filter(|_| self.lock_of(path).is_none())
    }

    /// Yields the configured variables that are locked.
    pub fn locked_variables(&self) -> impl Iterator<Item = (&str, &EnvValue)> {
        let all = self.env.value.iter().map(|(name, variable)| (name.as_str(), variable));
        all.filter(|(name, _)| self.lock_of(&format!("env.{name}")).is_some())
    }

    /// Adds the locked variables to an environment for good: no later setting replaces them. A variable whose value is in a file is
    /// removed until the file can be read (`secret::add_all`).
    pub fn pin(&self, environment: &mut Environment) {
        for (name, variable) in self.locked_variables() {
            match variable.file {
                None => environment.pin(name, &variable.value),
                Some(_) if environment.is_pinned(name) => {}
                Some(_) => environment.remove(name),
            }
        }
    }

    /// Returns the merged tree of all layers.
    pub fn tree(&self) -> &MergedTree {
        &self.tree
    }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

settings! {
    /// What to start: `auto`, `train`, `shell`, `jupyter`, `ssh`, a name under `modes`; several with commas, the main one first.
    "mode" mode: String = "auto"; makes "auto".into(), project;
    /// What train runs when no command is given.
    "command" command: Vec<String> = ""; eg "python train.py", project;
    /// The directory it runs in.
    "workdir" workdir: Option<PathBuf> = ""; eg "/workspace", project;
    /// How many GPUs there have to be: `auto`, `none`, `any`, `4`, `>=2`.
    "gpu.count" gpu_count: GpuCount = "auto" is GpuCount::Auto, project;
    /// Least memory of each GPU.
    "gpu.memory" gpu_memory: Option<Size> = ""; eg "80GiB", project;
    /// Least free memory of each GPU: `70GiB`, `95%`. It is waited for.
    "gpu.free_memory" gpu_free_memory: Option<FreeMemory> = ""; eg "95%", project;
    /// Least compute capability.
    "gpu.capability" gpu_capability: Option<VersionText> = ""; eg "9.0", project;
    /// Oldest driver.
    "gpu.driver" gpu_driver: Option<VersionText> = ""; eg "570.86", project;
    /// Oldest CUDA that the driver has to support; `image`: what the image was built for, even if no GPU was asked for.
    "gpu.cuda" gpu_cuda: Option<CudaVersion> = ""; eg "image", project;
    /// All GPUs have to be of one model.
    "gpu.same_model" gpu_same_model: bool = "off" is false, project;
    /// GPUs that are cut into MIG instances: `allow`, `deny` or `require`.
    "gpu.mig" gpu_mig: MigPolicy = "allow" is MigPolicy::Allow, project;
    /// Warnings about GPUs count as failures; `checks` still decides about single checks.
    "gpu.strict" gpu_strict: bool = "off" is false, project;
    /// CUDA's forward compatibility (cuda-compat): `auto` uses it where it is right, `on` wherever the image has it, `off` never.
    "gpu.compat" gpu_compat: ForwardCompat = "auto" is ForwardCompat::Auto, project;
    /// How thoroughly GPUs are examined: `presence` (by files), `driver` (NVML's facts, and what CUDA shows), `cuda` (a context and a memory
    /// round trip on each), `full` (bandwidths, arithmetic, copies between GPUs). Without a GPU it is always `presence`.
    "gpu.probe" gpu_probe: Level = "driver" is Level::Driver, project;
    /// Deadline of one question to the driver.
    "gpu.timeout" gpu_timeout: Duration = "60s" is seconds(60), project;
    /// How long to wait for what passes by itself: a fabric that is being set up, memory that is still held.
    "gpu.wait" gpu_wait: Option<Duration> = "60s" is Some(seconds(60)), project;
    /// Where the program that asks the driver comes from: `auto`, `file` (installed by `trainit gpu install-probe`), `memfd` (from
    /// memory), `smi` (nvidia-smi instead), `off`, or a file's path.
    "gpu.helper" gpu_helper: GpuHelper = "auto" is GpuHelper::Auto, trusted;
    /// Paths to read; each must be mounted, not empty and readable.
    "data" data: Vec<DataPath> = ""; eg r#"[/data:ro, "/val:min_files=100,contains=a/+b/"]"#, project;
    /// Paths to write; each must be writable as the workload's user.
    "output" output: Vec<OutputPath> = ""; eg "[/checkpoints:min_free=20GiB]", project;
    /// The code directory; default: the working directory.
    "code.path" code_path: Option<PathBuf> = ""; eg "/workspace", project;
    /// The file that must exist in the code directory (a relative path).
    "code.entry" code_entry: Option<PathBuf> = ""; eg "train.py", project;
    /// The repository of the code, `URL[@REF]`; a branch, a tag or a whole commit is brought into the code directory before it is read.
    "code.from" code_from: Option<Address> = ""; eg "https://host/team/train.git@v1.4", trusted;
    /// How many commits of the history are fetched; `off` for all.
    "code.depth" code_depth: Option<u32> = "1" is Some(1), trusted;
    /// Submodules are fetched, too.
    "code.submodules" code_submodules: bool = "off" is false, trusted;
    /// Git LFS: `auto` fetches the contents where files are pointers; `off` leaves the pointers.
    "code.lfs" code_lfs: Lfs = "auto" is Lfs::Auto, trusted;
    /// The file with the token for `code.from`, `TOKEN` or `USER:TOKEN`; default: GIT_TOKEN, and the variable of the forge that is asked.
    "code.token_file" code_token_file: Option<PathBuf> = ""; eg "/run/secrets/git-token", trusted;
    /// The private key for `code.from` over ssh.
    "code.ssh_key" code_ssh_key: Option<PathBuf> = ""; eg "/run/secrets/ssh/id", trusted;
    /// The known keys of ssh servers; default: the user's and the image's.
    "code.known_hosts" code_known_hosts: Option<PathBuf> = ""; eg "/run/secrets/ssh/known_hosts", trusted;
    /// Requirement files: `auto`, a list, or `off`.
    "deps.requirements" deps_requirements: Requirements = "auto" is Requirements::Auto, project;
    /// `auto`, `uv` or `pip`.
    "deps.installer" deps_installer: Installer = "auto" is Installer::Auto, project;
    /// The interpreter to install for; default: the workload's own.
    "deps.python" deps_python: Option<PathBuf> = ""; eg "/opt/venv/bin/python", project;
    /// The index to install from, or `off` for none; default: what pip's and uv's own settings say.
    "deps.index" deps_index: Option<IndexChoice> = ""; eg "https://mirror.example/simple", project;
    /// Further indexes.
    "deps.extra_index" deps_extra_index: Vec<String> = ""; eg "[https://download.pytorch.org/whl/cu128]", project;
    /// Further directories or pages with archives of packages.
    "deps.find_links" deps_find_links: Vec<String> = ""; eg "[/wheels]", project;
    /// Where packages go: `auto`, `system` (the interpreter's own directory), `venv` (a virtual or conda environment only) or `layer`.
    "deps.target" deps_target: Target = "auto" is Target::Auto, project;
    /// When to look for newer versions of installed packages: `never`, `always`, or after a time.
    "deps.refresh" deps_refresh: Refresh = "never" is Refresh::Never; eg "24h", project;
    /// Which packages of the image stay as they are: `auto` (the torch family, jax, tensorflow, CUDA, the numpy that they are built against,
    /// what the image built or pinned itself), names, also with a star at the end, `-NAME` for what may go all the same; or `off`.
    "deps.protect" deps_protect: Vec<String> = "auto"; makes vec!["auto".into()]; eg "[auto, -numpy]", project;
    /// Directory on a shared volume for finished environments: built by one start, used by others.
    "deps.store" deps_store: Option<PathBuf> = ""; eg "/shared/trainit-deps", project;
    /// Largest size of all environments there; the least recently used goes first.
    "deps.store_size" deps_store_size: Option<Size> = "50GiB" is Some(Size(50 << 30)), project;
    /// Deadline of the whole installation.
    "deps.timeout" deps_timeout: Option<Duration> = "30m" is Some(seconds(1800)), project;
    /// How many times an installation is tried again when the index is down.
    "deps.retries" deps_retries: Option<u8> = "3" is Some(3), project;
    /// `fail` or `warn`; default: fail in train modes, warn in build modes.
    "deps.on_error" deps_on_error: Option<OnError> = ""; eg "warn", project;
    /// The user of everything but PID 1: `keep`, `owner` (of the mounted code), `1000:1000`, or a name.
    "user" user: UserChoice = "keep" is UserChoice::Keep, trusted;
    /// Keep programs from gaining rights by set-uid or file capabilities: `sudo` stops working.
    "user.no_new_privs" user_no_new_privs: bool = "off" is false, trusted;
    /// Permissions that new files never get, in octal; default: inherited.
    "user.umask" user_umask: Option<Umask> = ""; eg "0027", trusted;
    /// Extra variables for the workload.
    "env" env: BTreeMap<String, EnvValue> = ""; eg "{HF_HOME: /cache/hf}", project;
    /// Modes that the image defines.
    "modes" modes: BTreeMap<String, ModeSpec> = ""; eg "{board: {command: tensorboard --logdir /out, kind: build}}", trusted;
    /// Directories of hooks, or files, that run before the checks.
    "hooks.before_checks" hooks_before_checks: Vec<PathBuf> = ""; eg "[/opt/nvidia/entrypoint.d]", trusted;
    /// Hooks that run right before the workload.
    "hooks.before_start" hooks_before_start: Vec<PathBuf> = ""; eg "[/usr/local/bin/before-notebook.d]", trusted;
    /// Hooks that run after the workload has ended for good.
    "hooks.after_stop" hooks_after_stop: Vec<PathBuf> = ""; eg "[/etc/trainit/after-stop.d]", trusted;
    /// Deadline of each hook.
    "hooks.timeout" hooks_timeout: Option<Duration> = "1m" is Some(seconds(60)), trusted;
    /// What a failed hook does: `fail` the start, or `warn`.
    "hooks.on_error" hooks_on_error: OnError = "fail" is OnError::Fail, trusted;
    /// Least size of /dev/shm; below it the start fails. Default: a warning below 1 GiB.
    "host.shm" host_shm: Option<Size> = ""; eg "8GiB", project;
    /// Limit of open files: a number to raise it to, `auto` (65536 where permitted), or `off` (as inherited).
    "host.nofile" host_nofile: OpenFiles = "off" is OpenFiles::Inherited, project;
    /// Memory that can be locked, for RDMA: a size or `unlimited`; below it the start fails.
    "host.memlock" host_memlock: Option<LockedMemory> = ""; eg "unlimited", project;
    /// OMP_NUM_THREADS and similar variables: `off`, a number, or `auto` (CPUs divided by local ranks).
    "host.threads" host_threads: Threads = "off" is Threads::Off, project;
    /// The port of mode ssh; default: 22 as root, else 2222.
    "ssh.port" ssh_port: Option<u16> = ""; eg "2222", project;
    /// Files with the public keys that may log in, beside PUBLIC_KEY, SSH_PUBLIC_KEY and SSH_PUBKEY.
    "ssh.authorized_keys" ssh_authorized_keys: Vec<PathBuf> = ""; eg "[/run/secrets/authorized_keys]", trusted;
    /// The directory of the host keys; default: `.local/state/trainit/ssh` in HOME.
    "ssh.host_keys" ssh_host_keys: Option<PathBuf> = ""; eg "/keys", trusted;
    /// Variables that ssh sessions do not get: names, or prefixes that end with a star.
    "ssh.hide" ssh_hide: Vec<String> = ""; eg "[REGISTRY_PASSWORD, AWS_*]", project;
    /// Lines about Python, mounts and variables above a shell's first prompt.
    "shell.banner" shell_banner: bool = "on" is true, project;
    /// Deadline of the whole preparation before the workload.
    "prepare.timeout" prepare_timeout: Option<Duration> = ""; eg "30m", project;
    /// How long a build mode's server is asked until a line tells that it answers, or that it does not; `off`: not at all.
    "ready.timeout" ready_timeout: Option<Duration> = "2m" is Some(seconds(120)), project;
    /// Time from the stop signal to the last SIGKILL. Without it a workload that may be saving is never killed.
    "stop.grace" stop_grace: Option<Duration> = ""; eg "10m", project;
    /// The signal that the trainer stops on, or `same` (the received one).
    "stop.signal" stop_signal: StopSignal = "same" is StopSignal::Same, project;
    /// Which processes get the stop signal: `auto`, `main`, `group` or `tree`.
    "stop.scope" stop_scope: Scope = "auto" is Scope::Auto, project;
    /// What a signal to PID 1 means (`{USR1: checkpoint}`): `stop`, `checkpoint`, `forward` or `ignore`.
    "stop.on" stop_on: BTreeMap<String, SignalMeaning> = ""; eg "{USR1: checkpoint}", project;
    /// Time from TERM to KILL for processes that are left after a natural end.
    "stop.drain" stop_drain: Option<Duration> = "5s" is Some(seconds(5)), project;
    /// The exit code of a training that ended because it was asked to stop.
    "stop.exit_code" stop_exit_code: Option<u8> = "143" is Some(143), project;
    /// A file that says that training is complete: a stopped training then keeps its own exit code.
    "stop.done_file" stop_done_file: Option<PathBuf> = ""; eg "/checkpoints/DONE", project;
    /// The cloud whose notice that it takes the machine back is a stop: `off`, `auto`, `aws`, `gcp` or `azure`.
    "preempt" preempt: PreemptChoice = "off" is PreemptChoice::Off, project;
    /// Where the cloud's metadata service is asked instead of its own address; for tests.
    "preempt.url" preempt_url: Option<MetadataAddress> = ""; eg "http://127.0.0.1:8080", trusted;
    /// How a training that was stopped in good order starts again: `off`, or `scontrol` (`scontrol requeue` on Slurm).
    "requeue" requeue: Requeue = "off" is Requeue::Off, project;
    /// The directory where checkpoints appear; each complete one is logged.
    "checkpoint.dir" checkpoint_dir: Option<PathBuf> = ""; eg "/checkpoints", project;
    /// The format of the checkpoints: `auto`, or a family of docs/checkpoints.md.
    "checkpoint.family" checkpoint_family: String = "auto"; makes "auto".into(), project;
    /// The names of plain checkpoints: `step-{step}.npz`.
    "checkpoint.pattern" checkpoint_pattern: Option<String> = ""; eg "step-{step}.npz", project;
    /// How the workload learns of the newest complete one: `off`, `env`, or more words for its command.
    "checkpoint.resume" checkpoint_resume: Resume = "off" is Resume::Off; eg r#"[--resume, "{path}"]"#, project;
    /// Where each complete checkpoint is copied to, and from where a start fetches the newest one.
    "checkpoint.mirror" checkpoint_mirror: Option<MirrorPlace> = ""; eg "s3://bucket/runs/42", trusted;
    /// How many checkpoints stay in the mirror; 0 for all.
    "checkpoint.mirror_keep" checkpoint_mirror_keep: u32 = "3" is 3, project;
    /// The signal that makes the trainer save and go on.
    "checkpoint.signal" checkpoint_signal: Option<Signal> = ""; eg "USR1", project;
    /// The file that makes the trainer save and go on when it appears.
    "checkpoint.request_file" checkpoint_request_file: Option<PathBuf> = ""; eg "/checkpoints/SAVE_NOW", project;
    /// How many times in a row an ended workload is started again.
    "restart.max" restart_max: u32 = "0" is 0, project;
    /// Exit codes that lead to a restart; default: any but 0.
    "restart.on" restart_on: Vec<u8> = ""; eg "[1, 137]", project;
    /// The pause before a restart; it doubles from the first to the second value.
    "restart.backoff" restart_backoff: Range<Duration> = "1s..60s" is Range { from: seconds(1), to: seconds(60) }, project;
    /// A run that lasted this long was healthy: the count of restarts begins anew.
    "restart.healthy" restart_healthy: Duration = "10m" is seconds(600), project;
    /// Hanging: no process has written a byte for this time.
    "watchdog.output" watchdog_output: Option<Duration> = ""; eg "30m", project;
    /// Hanging: `heartbeat` in TRAINIT_RUN_DIR was not touched for this time.
    "watchdog.heartbeat" watchdog_heartbeat: Option<Duration> = ""; eg "5m", project;
    /// Hanging: no new checkpoint was complete for this time.
    "watchdog.checkpoint" watchdog_checkpoint: Option<Duration> = ""; eg "6h", project;
    /// The signal that makes the trainer print its stacks (`faulthandler.register`).
    "watchdog.stack_signal" watchdog_stack_signal: Option<Signal> = ""; eg "USR2", project;
    /// What happens to a hanging workload after its stacks are logged: `log`, `restart` or `abort`.
    "watchdog.action" watchdog_action: OnHang = "log" is OnHang::Log, project;
    /// What started the job's processes: `auto`, the name of an engine, or `off`: then nothing is read of it, and nothing is set.
    "cluster.engine" cluster_engine: EngineChoice = "auto" is EngineChoice::Auto, project;
    /// Number of nodes, where the engine does not tell it.
    "cluster.nodes" cluster_nodes: Option<u32> = ""; eg "4", project;
    /// Index of this node, from 0, where the engine does not tell it.
    "cluster.node" cluster_node: Option<u32> = ""; eg "0", project;
    /// Processes on each node, where neither the engine nor the GPUs tell them.
    "cluster.processes" cluster_processes: Option<u32> = ""; eg "8", project;
    /// Name or address of node 0, where the engine does not tell it.
    "cluster.master" cluster_master: Option<String> = ""; eg "node-0", project;
    /// The port on node 0 at which the trainer's processes meet.
    "cluster.port" cluster_port: Option<u16> = ""; eg "29500", project;
    /// Whose variables are filled in: those of `torchrun`, `ranks`, `jax`, `ray`; `auto`: by the command; `off`: none.
    "cluster.trainer" cluster_trainer: TrainerChoice = "auto" is TrainerChoice::Auto, project;
    /// How long the nodes of a job wait for each other before the workload starts; `off`: not at all.
    "cluster.wait" cluster_wait: Option<Duration> = "10m" is Some(seconds(600)), project;
    /// What the nodes have to agree on: `checks` (one that cannot start ends all), `resume` (the checkpoint), `version`, `commit`,
    /// `requirements`, `gpus`, `clock`.
    "cluster.agree" cluster_agree: Vec<Agreement> = "checks resume"; makes vec![Agreement::Checks, Agreement::Resume]; eg "[checks, resume, commit]", project;
    /// `torchrun`: a command `python x.py` becomes `torchrun x.py` where this process stands for a node.
    "launch" launch: Option<Launch> = ""; eg "torchrun", project;
    /// A build mode is stopped when it was not used for this time.
    "idle.after" idle_after: Option<Duration> = ""; eg "2h", project;
    /// What counts as use: `connections` to its server, input at a `terminal`, busy Jupyter `kernels`, `gpu` or `cpu`.
    "idle.signs" idle_signs: Vec<UsageSign> = "connections terminal kernels gpu cpu"; makes UsageSign::ALL.into(); eg "[terminal, kernels, gpu, cpu]", project;
    /// The container is stopped when it is this old, whatever it does.
    "lifetime" lifetime: Option<Duration> = ""; eg "12h", project;
    /// Which Jupyter starts: `auto` (the first of lab, notebook and server that is installed), or its name.
    "jupyter.app" jupyter_app: String = "auto"; makes "auto".into(), project;
    /// Jupyter's port; default: JUPYTER_PORT, else 8888.
    "jupyter.port" jupyter_port: Option<u16> = ""; eg "8888", project;
    /// The address that Jupyter listens on; default: all addresses in a container, 127.0.0.1 elsewhere.
    "jupyter.address" jupyter_address: Option<String> = ""; eg "127.0.0.1", trusted;
    /// Who lets in: `token` (Jupyter itself), `proxy` (the platform in front of it) or `none`.
    "jupyter.auth" jupyter_auth: JupyterAuth = "token" is JupyterAuth::Token, trusted;
    /// The first part of Jupyter's paths, for a proxy; `${NAME}` is a variable. Default: NB_PREFIX.
    "jupyter.base_url" jupyter_base_url: Option<String> = ""; eg "/${RUNAI_PROJECT}/${RUNAI_JOB_NAME}", project;
    /// The directory that Jupyter shows; default: the code directory.
    "jupyter.root" jupyter_root: Option<PathBuf> = ""; eg "/workspace", project;
    /// Options for Jupyter; those of NOTEBOOK_ARGS and of the command line follow them and win.
    "jupyter.args" jupyter_args: Vec<String> = ""; eg "[--ServerApp.max_body_size=1000000000]", trusted;
    /// A file with a certificate and its key, or `generate`. Default: none, unless GEN_CERT is set.
    "jupyter.certificate" jupyter_certificate: Option<PathBuf> = ""; eg "generate", trusted;
    /// Packages to install, like requirements, so that Jupyter is there.
    "jupyter.install" jupyter_install: Vec<String> = ""; eg "[jupyterlab]", project;
    /// A directory that the containers of a node share (or nodes), for the data of `from=`; without it the data lies at the path itself.
    "stage.store" stage_store: Option<PathBuf> = ""; eg "/nvme/stage", trusted;
    /// The largest size of that directory: what was not used for longest goes. Default: nine tenths of its file system.
    "stage.store_size" stage_store_size: Option<Size> = ""; eg "2TiB", trusted;
    /// When the source is looked at again: `never` (what is there is enough), `always`, or `24h`.
    "stage.refresh" stage_refresh: Refresh = "never" is Refresh::Never; eg "24h", trusted;
    /// Time limit for bringing data.
    "stage.timeout" stage_timeout: Option<Duration> = ""; eg "2h", trusted;
    /// How often a request is tried again that may work later.
    "stage.retries" stage_retries: Option<u8> = "5" is Some(5), trusted;
    /// How many pieces of objects are fetched at a time.
    "stage.parallel" stage_parallel: Option<u8> = "16" is Some(16), trusted;
    /// Most bytes in a second.
    "stage.limit" stage_limit: Option<Size> = ""; eg "500MB", trusted;
    /// The server of an object store instead of the cloud's. Default: what `AWS_ENDPOINT_URL` says.
    "stage.endpoint" stage_endpoint: Option<String> = ""; eg "https://minio.example:9000", trusted;
    /// A file with certificates that are trusted as well. Default: what `SSL_CERT_FILE` and its like say.
    "stage.ca" stage_ca: Option<PathBuf> = ""; eg "/etc/ssl/company.pem", trusted;
    /// The program for other sources: its words, with `{from}` and `{into}`.
    "stage.command" stage_command: Vec<String> = ""; eg "[rsync, -a, --partial, '{from}', '{into}']", trusted;
    /// Severity of single checks: `{host.shm: fail, code.git: off}`.
    "checks" checks: BTreeMap<String, Severity> = ""; eg "{host.shm: fail, code.git: off}", project;
    /// What follows a failure: `exit`, `hold` (an hour) or `hold:30m`, so that a person can look.
    "on_failure" on_failure: OnFailure = "exit" is OnFailure::Exit, project;
    /// Exit codes that are replaced at the very end: `{FROM: TO}`.
    "exit.map" exit_map: BTreeMap<String, u8> = ""; eg "{3: 0}", project;
    /// Format of the log: `text` or `json` lines.
    "log.format" log_format: LogFormat = "text" is LogFormat::Text, project;
    /// How much is logged: `debug`, `info`, `warn` or `error`.
    "log.level" log_level: LogLevel = "info" is LogLevel::Info, project;
    /// The history of the job: `auto` (`.trainit/history.jsonl` in `checkpoint.dir`, where that is set), a path, or `off`.
    "history.file" history_file: HistoryPath = "auto" is HistoryPath::Auto, project;
    /// The name of the image, for the history; without it what Apptainer, JupyterHub and NVIDIA's images tell.
    "history.image" history_image: String = ""; eg "team/train:1.4", project;
    /// The file of the JSON report.
    "report.file" report_file: Option<PathBuf> = ""; eg "/checkpoints/report.json", project;
    /// The directory in which trainit makes its state directory.
    "state_dir" state_dir: Option<PathBuf> = ""; eg "/run", trusted;
    /// What an unknown key or variable is: `error` or `warn`.
    "unknown" unknown: Unknown = "error" is Unknown::Error, trusted;
    /// Keys that no later layer may set. Only in /etc.
    "lock" lock: Vec<KeyPath> = ""; eg "[modes, env.PATH]", trusted;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigLayer;
    use crate::config::LayerSource;

    #[test]
    fn what_is_documented_as_a_default_means_what_is_built_in() {
        let (mut tree, mut problems) = (MergedTree::default(), Problems::default());
        let mut layer = ConfigLayer::empty(LayerSource::Image);
        let documented = KEYS.iter().filter(|key| !key.default.is_empty());
        layer.values = documented.map(|key| (key.path, ConfigNode::text(key.default, ValueOrigin::Default))).collect();
        tree.add(layer, &mut problems);
        let read = Settings::read(tree, &mut problems);
        assert!(problems.settle(true).unwrap().is_empty());
        assert_eq!(read.told(), Settings::default().told());
    }
}
