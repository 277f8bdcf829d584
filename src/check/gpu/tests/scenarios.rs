//! Machines and containers as short descriptions, and what the checks say about each, word by word: the files beside this one. A
//! description is laid out below a directory that stands for the machine; what files cannot be (a device that is refused, a limit)
//! is put in its place. `UPDATE_SCENARIOS=1 cargo test scenarios` writes what they say now; read the difference.

use super::*;
use crate::config::{Options, Sources, load};
use crate::report::Report;
use std::fmt::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const LIBRARIES: &str = "/usr/lib/x86_64-linux-gnu";
/// The driver's libcuda is larger than what a stub can be.
const LARGE: u64 = 28 << 20;

struct Machine {
    directory: tempfile::TempDir,
    variables: Vec<(String, String)>,
    set: Vec<String>,
    refused: Vec<(String, Errno)>,
    mounts: String,
    files: Option<u64>,
}

impl Machine {
    fn described(text: &str) -> Self {
        let variables = vec![("container".to_owned(), "docker".to_owned())];
        let mounts = "1 0 0:1 / / rw - overlay overlay rw\n".to_owned();
        let directory = tempfile::tempdir().unwrap();
        // No limit of this process matters unless a scenario says so.
        let mut machine =
            Machine { directory, variables, set: Vec::new(), refused: Vec::new(), mounts, files: Some(1024) };
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

    /// One line: a word and what belongs to it.
    fn add(&mut self, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let words: Vec<&str> = rest.split(' ').collect();
        match (word, words.as_slice()) {
            ("env", _) => {
                let (name, value) = rest.split_once('=').unwrap();
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
            ("refuse", [path, errno]) => {
                let errno = if *errno == "EPERM" { Errno::EPERM } else { Errno::EACCES };
                self.refused.push(((*path).to_owned(), errno));
            }
            ("limit", [files]) => self.files = files.parse().ok(),
            ("mount", [path]) => writeln!(self.mounts, "50 1 8:1 /host{path} {path} ro - ext4 /dev/sda1 ro").unwrap(),
            ("host", [count]) => (0..count.parse().unwrap()).for_each(|number| self.add_to_bus(number)),
            ("gpus", [count, ..]) => self.add_gpus(count.parse().unwrap(), rest.split_once(' ').unwrap().1),
            ("driver", [version]) => self.write(
                "/proc/driver/nvidia/version",
                format!("NVRM version: NVIDIA UNIX x86_64 Kernel Module  {version}  Tue Jul\n").as_bytes(),
            ),
            ("libraries", [version]) => self.add_libraries(LIBRARIES, version),
            ("libraries", [version, directory]) => self.add_libraries(directory, version),
            ("large", [path]) => {
                self.write(path, b"");
                std::fs::File::options().write(true).open(self.path(path)).unwrap().set_len(LARGE).unwrap();
            }
            _ => panic!("{line:?} describes nothing"),
        }
    }

    fn add_to_bus(&self, number: u32) {
        let device = format!("/sys/bus/pci/devices/0000:{:02x}:00.0", 0x10 + number);
        self.write(&format!("{device}/vendor"), b"0x10de\n");
        self.write(&format!("{device}/class"), b"0x030200\n");
    }

    /// Nodes, what the driver tells of each, and what belongs to all.
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

    /// What the checks of GPUs say, as a report.
    fn report(&self) -> serde_json::Value {
        let root = Root::at(self.directory.path());
        let environment: Environment = self.variables.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let options = Options { set: self.set.clone(), ..Options::default() };
        let here = Path::new("/nonexistent/of-the-scenarios");
        let loaded =
            load(&Sources { root: &root, environment: &environment, options: &options, workdir: here }).unwrap();
        let mut scene = Scene::of(loaded, environment, Vec::new());
        scene.root = root;
        let line = forward_compat(&mut scene);
        let mut gpus = Gpus::of(&scene, &scene.ground());
        let mut presence = gpu::look(&scene.root, scene.ground().devices());
        presence.nodes.iter_mut().for_each(|node| node.refused = self.refusal(&node.path).or(node.refused));
        presence.controls.iter_mut().for_each(|one| one.refused = self.refusal(one.path).or(one.refused));
        gpus.presence = OnceCell::from(presence);
        gpus.files = OnceCell::from(self.files);
        let findings = walk(STEPS, &Rules::new(&scene.settings.checks, None), &mut gpus);
        let report = Report::new(&scene, None, &findings, SystemTime::now()).to_json();
        let mut report: serde_json::Value = serde_json::from_str(&report).unwrap();
        report["line"] = line.into();
        report
    }

    fn refusal(&self, path: &str) -> Option<Errno> {
        self.refused.iter().find(|(refused, _)| refused == path).map(|(_, errno)| *errno)
    }
}

/// The report as a person reads it, and the exit code of the start.
fn told(report: &serde_json::Value) -> String {
    let mut text = String::new();
    let of = |value: &serde_json::Value, name: &str| value[name].as_str().map(str::to_owned);
    if let Some(line) = of(report, "line") {
        writeln!(text, "> {line}").unwrap();
    }
    for finding in report["findings"].as_array().unwrap() {
        let word = |name| of(finding, name).unwrap_or_default();
        writeln!(text, "> {:<5} {:<14} {}", word("status"), word("check"), word("what")).unwrap();
        of(finding, "because").iter().for_each(|because| writeln!(text, ">       because        {because}").unwrap());
        for remedy in finding["remedy"].as_array().unwrap() {
            writeln!(text, ">       →              {}", remedy.as_str().unwrap()).unwrap();
        }
    }
    writeln!(text, "> exit {}", report["exit"]).unwrap();
    text
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/check/gpu/tests/scenarios")
}

/// Every scenario of every file: its name, its description, what is expected.
fn scenarios(text: &str) -> Vec<(&str, String, String)> {
    let part = |text: &str, answers: bool| {
        let lines = text.lines().filter(|line| line.starts_with("> ") == answers && !line.is_empty());
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
            let now = told(&Machine::described(&description).report());
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
    for step in STEPS {
        let speaks = all.lines().any(|line| {
            let mut words = line.split_whitespace().skip(1);
            matches!(words.next(), Some("warn" | "fail")) && words.next() == Some(step.check.id)
        });
        assert!(speaks, "{} never speaks in a scenario", step.check.id);
    }
}
