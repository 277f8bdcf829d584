//! Machines and containers as short descriptions, each with the exact output of the checks: the files beside this one. A description is
//! laid out below a directory that stands for the machine. What files cannot express (a refused device, a limit, the driver's answers) is
//! injected. The output is the console's text, and below it (`=`) the JSON report. `UPDATE_SCENARIOS=1 cargo test scenarios` rewrites the
//! files; review the difference.

use super::super::health::{self, tests::well};
use super::*;
use crate::config::{ConfigOptions, ConfigSources, load};
use crate::report::{Console, Report};
use gpu::facts::GpuFacts as Driver;
use gpu::{NodeRights, Refusal};
use std::fmt::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const LIBRARIES: &str = "/usr/lib/x86_64-linux-gnu";
/// Size of a libcuda that is no stub.
const LARGE: u64 = 28 << 20;

pub(super) struct Machine {
    directory: tempfile::TempDir,
    variables: Vec<(String, String)>,
    set: Vec<String>,
    refused: Vec<Refusal>,
    asker: Asker,
    mounts: String,
    files: Option<u64>,
    /// The driver's answers that differ from a healthy machine; `None` if the driver is not asked.
    answers: Option<Vec<(Vec<String>, serde_json::Value)>>,
    /// The number of GPUs that `gpus` laid out, and the number that `nvml` did.
    gpus: u32,
    asked: usize,
}

impl Machine {
    pub(super) fn described(text: &str) -> Self {
        let variables = vec![("container".to_owned(), "docker".to_owned())];
        let mounts = "1 0 0:1 / / rw - overlay overlay rw\n".to_owned();
        let directory = tempfile::tempdir().unwrap();
        // The limits of the test process do not matter unless a scenario sets them.
        let (set, refused, files, answers) = (Vec::new(), Vec::new(), Some(1024), None);
        let asker = Asker { overrides: true, ..Asker::default() };
        let mut machine =
            Machine { directory, variables, set, refused, asker, mounts, files, answers, gpus: 0, asked: 0 };
        text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).for_each(|line| machine.add(line));
        machine.write("/proc/self/mountinfo", machine.mounts.as_bytes());
        machine
    }

    fn path(&self, path: &str) -> PathBuf {
        Root::at(self.directory.path()).path(path)
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        std::fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        std::fs::write(self.path(path), bytes).unwrap();
    }

    /// Adds one line: a word and its arguments.
    fn add(&mut self, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let words: Vec<&str> = rest.split(' ').collect();
        match (word, words.as_slice()) {
            ("env", _) => {
                let (name, value) = rest.split_once('=').unwrap();
                self.variables.retain(|(known, _)| known != name);
                self.variables.push((name.to_owned(), value.to_owned()));
            }
            ("set", _) => self.set.push(rest.to_owned()),
            ("pod", _) => self.variables.push(("KUBERNETES_SERVICE_HOST".to_owned(), "10.0.0.1".to_owned())),
            ("file", [path]) => self.write(path, b""),
            ("file", [path, "=", ..]) => {
                let text = rest.split_once(" = ").unwrap().1.replace("\\n", "\n");
                self.write(path, (text + "\n").as_bytes());
            }
            ("bytes", [path, hex]) => self.write(path, &[u8::from_str_radix(hex, 16).unwrap(); 64]),
            ("link", [path, "->", target]) => {
                std::fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
                symlink(target, self.path(path)).unwrap();
            }
            ("refuse", [path, errno, rights @ ..]) => {
                let errno = match *errno {
                    "EPERM" => Errno::EPERM,
                    "EACCES" => Errno::EACCES,
                    _ => Errno::ENOENT,
                };
                let rights = rights.first().map(|text| rights_of(text));
                self.refused.push(Refusal { rights, ..Refusal::of(*path, errno) });
            }
            ("user", [uid, groups, words @ ..]) => self.asker = asker(uid, groups, words),
            ("asked", _) => self.answers = Some(Vec::new()),
            ("answer", [part, ..]) => {
                let value =
                    serde_json::from_str(rest.split_once(' ').unwrap().1).unwrap_or_else(|e| panic!("{rest}: {e}"));
                let path = part.split('.').map(str::to_owned).collect();
                self.answers.get_or_insert_default().push((path, value));
            }
            ("limit", [files]) => self.files = files.parse().ok(),
            ("mount", [path]) => writeln!(self.mounts, "50 1 8:1 /host{path} {path} ro - ext4 /dev/sda1 ro").unwrap(),
            ("driver", [version]) => self.write(
                "/proc/driver/nvidia/version",
                format!("NVRM version: NVIDIA UNIX x86_64 Kernel Module  {version}  Tue Jul\n").as_bytes(),
            ),
            ("large", [path]) => {
                self.write(path, b"");
                std::fs::File::options().write(true).open(self.path(path)).unwrap().set_len(LARGE).unwrap();
            }
            _ => self.add_several(word, rest, &words),
        }
    }

    /// Adds what several lines stand for.
    fn add_several(&mut self, word: &str, rest: &str, words: &[&str]) {
        match (word, words) {
            ("vm", _) => self.write("/proc/cpuinfo", b"flags\t: fpu vme hypervisor lahf_lm\n"),
            ("lanes", [now, most]) => {
                self.on_each_bus(&format!("current_link_width = {now}"));
                self.on_each_bus(&format!("max_link_width = {most}"));
            }
            ("iommu", [kind]) => self.on_each_bus(&format!("iommu_group/type = {kind}")),
            ("amd", [count, target, bytes]) => {
                self.add("file /dev/kfd");
                (0..count.parse().unwrap()).for_each(|number| self.add_amd(number, target, bytes));
            }
            ("bare", _) => {
                self.variables.clear();
                self.mounts = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n".to_owned();
            }
            ("nvml", [count, ..]) => self.ask(count.parse().unwrap(), rest.split_once(' ').unwrap().1),
            ("each", [path, ..]) => {
                let value = rest.split_once(' ').unwrap().1;
                for number in 0..self.asked {
                    self.add(&format!("answer nvml.gpus.{number}.{path} {value}"));
                }
            }
            ("host", [count]) => (0..count.parse().unwrap()).for_each(|number| self.add_to_bus(number)),
            ("gpus", [count, ..]) => {
                self.gpus = count.parse().unwrap();
                self.add_gpus(self.gpus, rest.split_once(' ').unwrap().1);
            }
            ("libraries", [version]) => self.add_libraries(LIBRARIES, version),
            ("libraries", [version, directory]) => self.add_libraries(directory, version),
            _ => panic!("{word} {rest:?} describes nothing"),
        }
    }

    /// Adds the driver's answers for GPUs of which nothing is known but a name.
    fn ask(&mut self, count: usize, model: &str) {
        self.asked = count;
        let gpu = |index: usize| {
            let (uuid, pci) = (format!("GPU-{index}"), format!("00000000:{:02x}:00.0", 0x10 + index));
            json!({"index": index, "handle": 0, "uuid": uuid, "pci": pci, "minor": index, "name": model})
        };
        let device = |index: usize| json!({"ordinal": index, "uuid": format!("GPU-{index}")});
        let gpus: Vec<serde_json::Value> = (0..count).map(gpu).collect();
        let devices: Vec<serde_json::Value> = (0..count).map(device).collect();
        self.add(&format!("answer nvml.gpus {}", json!(gpus)));
        self.add(&format!("answer cuda.devices {}", json!(devices)));
        self.add(&format!("answer cuda.count {count}"));
    }

    fn on_each_bus(&mut self, attribute: &str) {
        let bus = |number: u32| format!("/sys/bus/pci/devices/0000:{:02x}:00.0", 0x10 + number);
        (0..self.gpus).for_each(|number| self.add(&format!("file {}/{attribute}", bus(number))));
    }

    fn add_amd(&mut self, number: u32, target: &str, bytes: &str) {
        let (node, minor) = (format!("/sys/class/kfd/kfd/topology/nodes/{}", number + 1), 128 + number);
        let properties = format!("simd_count 1216\\ndrm_render_minor {minor}\\ngfx_target_version {target}");
        self.add(&format!("file {node}/properties = {properties}"));
        self.add(&format!("file {node}/mem_banks/0/properties = heap_type 1\\nsize_in_bytes {bytes}"));
        self.add(&format!("file /dev/dri/renderD{minor}"));
    }

    fn add_to_bus(&self, number: u32) {
        let device = format!("/sys/bus/pci/devices/0000:{:02x}:00.0", 0x10 + number);
        self.write(&format!("{device}/vendor"), b"0x10de\n");
        self.write(&format!("{device}/class"), b"0x030200\n");
    }

    /// Adds the nodes, the driver's facts about each GPU, and the shared files.
    fn add_gpus(&self, count: u32, model: &str) {
        for path in ["/dev/nvidiactl", "/dev/nvidia-uvm", "/sys/module/nvidia_uvm/version"] {
            self.write(path, b"");
        }
        for number in 0..count {
            self.write(&format!("/dev/nvidia{number}"), b"");
            self.add_to_bus(number);
            let information = format!("Model: \t\t {model}\nGPU UUID: \t GPU-{number:08}\nDevice Minor: \t {number}\n");
            let bus = format!("0000:{:02x}:00.0", 0x10 + number);
            self.write(&format!("/proc/driver/nvidia/gpus/{bus}/information"), information.as_bytes());
        }
    }

    fn add_libraries(&mut self, directory: &str, version: &str) {
        for name in ["libcuda.so", "libnvidia-ml.so", "libnvidia-ptxjitcompiler.so"] {
            self.add(&format!("large {directory}/{name}.{version}"));
            self.add(&format!("link {directory}/{name}.1 -> {name}.{version}"));
        }
    }

    /// Returns the driver's answers: two healthy GPUs, except for what the scenario changes.
    fn driver(&self) -> Option<Driver> {
        let mut told = serde_json::to_value(well()).unwrap();
        for (path, value) in self.answers.as_ref()? {
            let mut part = &mut told;
            for step in path {
                part = match step.parse::<usize>() {
                    Ok(number) => &mut part[number],
                    Err(_) => &mut part[step],
                };
            }
            *part = value.clone();
        }
        Some(serde_json::from_value(told).unwrap())
    }

    /// Returns the configuration and the environment, with this machine as the root.
    fn context(&self) -> CheckContext {
        let root = Root::at(self.directory.path());
        let environment: Environment = self.variables.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let options = ConfigOptions { set: self.set.clone(), ..ConfigOptions::default() };
        let here = Path::new("/nonexistent/of-the-scenarios");
        let loaded =
            load(&ConfigSources { root: &root, environment: &environment, options: &options, workdir: here }).unwrap();
        let mut context = CheckContext::of(loaded, environment, Vec::new());
        context.root = root;
        context
    }

    /// Returns the findings of the GPU checks, and the line about forward compatibility.
    pub(super) fn findings(&self) -> (CheckContext, Option<String>, Vec<Finding>) {
        let mut context = self.context();
        let line = forward_compat(&mut context);
        let driver = self.driver();
        let mut gpus = GpuTarget { is_told_later: driver.is_some(), ..GpuTarget::of(&context, &context.host_facts()) };
        let mut presence = gpu::look(&context.root, context.host_facts().devices());
        presence.nodes.iter_mut().for_each(|node| node.refused = self.refusal(node));
        presence.controls.iter_mut().for_each(|one| one.refused = self.refusal_of(one.path).or(one.refused.take()));
        gpus.presence = OnceCell::from(presence);
        gpus.files = OnceCell::from(self.files);
        gpus.asker = OnceCell::from(self.asker.clone());
        let rules = Rules::new(&context.settings.checks, None);
        let mut findings = walk(STEPS, &rules, &mut gpus);
        findings.retain(|finding| !finding.what.is_empty());
        findings.extend(driver.into_iter().flat_map(|driver| health::judge(&context, &rules, driver)));
        (context, line, findings)
    }

    /// Returns the output of the GPU checks: the console's text and the report.
    fn told(&self) -> String {
        let (context, line, findings) = self.findings();
        let mut console = Console::in_memory(Some(context.host_facts()));
        line.iter().for_each(|line| console.line(line));
        findings.iter().for_each(|finding| console.finding(finding));
        let report = Report::new(&context, None, &findings, SystemTime::now()).to_json();
        let quoted = |text: String| text.lines().map(|line| format!("> {line}\n")).collect::<String>();
        quoted(console.written()) + &quoted(reported(&serde_json::from_str(&report).unwrap(), &findings))
    }

    /// Returns the refusal of a GPU: /dev/kfd refuses all of AMD's.
    fn refusal(&self, node: &DeviceNode) -> Option<Refusal> {
        let gate = || if node.vendor == gpu::Vendor::Amd { self.refusal_of("/dev/kfd") } else { None };
        gate().or_else(|| self.refusal_of(&node.path)).or_else(|| node.refused.clone())
    }

    fn refusal_of(&self, path: &str) -> Option<Refusal> {
        self.refused.iter().find(|refused| refused.path == path).cloned()
    }
}

/// Parses `0:44:660`.
fn rights_of(text: &str) -> NodeRights {
    let parts: Vec<&str> = text.split(':').collect();
    let number = |at: usize, radix| u32::from_str_radix(parts[at], radix).unwrap();
    NodeRights { uid: number(0, 10), gid: number(1, 10), mode: number(2, 8) }
}

/// Parses the user, the groups with commas between them, and words about the process.
fn asker(uid: &str, groups: &str, words: &[&str]) -> Asker {
    let has = |word: &str| words.contains(&word);
    Asker {
        uid: uid.parse().unwrap(),
        groups: groups.split(',').map(|group| group.parse().unwrap()).collect(),
        kept: groups.split(',').any(|group| group == "65534"),
        overrides: uid == "0" && !has("without-capability"),
        fenced: has("in-user-namespace"),
        apparmor: has("under-apparmor"),
    }
}

/// Returns what a program reads from the findings, and the exit code of the start. The texts are those of the console.
fn reported(report: &serde_json::Value, findings: &[Finding]) -> String {
    let mut text = String::new();
    let rows = report["findings"].as_array().unwrap();
    assert_eq!(rows.len(), findings.len());
    for (row, finding) in rows.iter().zip(findings) {
        assert_eq!(
            (row["what"].as_str(), row["because"].as_str()),
            (Some(finding.what.as_str()), finding.because.as_deref())
        );
        assert_eq!(row["remedy"].as_array().map(Vec::len), Some(finding.remedy.len()));
        let word = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        writeln!(text, "= {} {}", word("status"), word("check")).unwrap();
    }
    writeln!(text, "= exit {}", report["exit"]).unwrap();
    text
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/check/gpu/tests/scenarios")
}

/// Returns every scenario of a file: its name, its description, its expected output.
pub(super) fn scenarios(text: &str) -> Vec<(&str, String, String)> {
    let part = |text: &str, answers: bool| {
        let lines = text.lines().filter(|line| line.starts_with('>') == answers && !line.is_empty());
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    let sections = text.split("== ").skip(1).filter_map(|section| section.split_once('\n'));
    sections.map(|(name, rest)| (name, part(rest, false), part(rest, true))).collect()
}

#[test]
fn every_scenario_is_told_as_it_is_written() {
    let update = std::env::var_os("UPDATE_SCENARIOS").is_some();
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let mut written = text.split("== ").next().unwrap().to_owned();
        for (name, description, expected) in scenarios(&text) {
            let now = Machine::described(&description).told();
            assert!(update || now == expected, "{}: {name}\n{now}\nis not\n{expected}", file.display());
            write!(written, "== {name}\n{description}{now}\n").unwrap();
        }
        if update {
            std::fs::write(&file, written.trim_end().to_owned() + "\n").unwrap();
        }
    }
}

#[test]
fn every_check_has_a_scenario_in_which_it_speaks() {
    let all: String = std::fs::read_dir(directory())
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    let known = STEPS.iter().map(|step| step.check.id).chain(health::STEPS.iter().map(|step| step.check.id));
    for id in known {
        let speaks = |status: &str| all.contains(&format!("> = {status} {id}\n"));
        assert!(speaks("warn") || speaks("fail"), "{id} never speaks in a scenario");
    }
}
