//! The answer "all is there" against the answers of uv and pip themselves, on generated sets of packages: what is called satisfied
//! without an installer has to be satisfied for both. `TRAINIT_TEST_CASES=5000` tries more of them.

use crate::bench::Bench;
use crate::possible;
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Output};
use trainit::config::Settings;
use trainit::deps::{self, Request};
use trainit::environment::Environment;
use trainit::sys::Root;

/// pip takes a second for each case; it is asked for so many of them.
const BY_PIP: usize = 12;

const VERSIONS: [&str; 9] = ["1.0", "1.0.post1", "1.5", "2.0", "2.0rc1", "2.0+cu126", "1!0.5", "2.0.dev3", "2024.1"];
const WISHES: [&str; 14] = [
    "",
    "==1.0",
    ">=1.0",
    "<2",
    "~=1.0",
    "!=1.5",
    "==2.*",
    ">=1.0,<2.0",
    "==2.0",
    ">1.0",
    ">=2.0rc1",
    "<=1.5",
    "==2.0+cu126",
    "===1.0",
];
const CONDITIONS: [&str; 7] = [
    "",
    "",
    "",
    "; python_version >= '3.8'",
    "; sys_platform == 'win32'",
    "; platform_machine != 'x' and os_name == 'posix'",
    "; extra == 'more'",
];

/// Numbers that are the same every time (Knuth's generator, its upper bits).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }

    fn requirement(&mut self) -> String {
        let extra = if self.below(4) == 0 { "[more]" } else { "" };
        format!("p{}{extra}{}", self.below(8), self.of(&WISHES))
    }
}

/// Packages that are metadata and nothing else; the requirements that go with them.
fn lay_out(dice: &mut Dice, site: &Path) -> String {
    for entry in std::fs::read_dir(site).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with('p')
            && !entry.file_name().to_string_lossy().starts_with("pip")
        {
            std::fs::remove_dir_all(entry.path()).unwrap();
        }
    }
    for number in 0..8 {
        if dice.below(5) == 0 {
            continue;
        }
        let version = dice.of(&VERSIONS);
        let info = site.join(format!("p{number}-{version}.dist-info"));
        let mut text = format!("Metadata-Version: 2.1\nName: p{number}\nVersion: {version}\nProvides-Extra: more\n");
        for _ in 0..dice.below(3) {
            let _ = writeln!(text, "Requires-Dist: {} {}", dice.requirement(), dice.of(&CONDITIONS));
        }
        std::fs::create_dir(&info).unwrap();
        std::fs::write(info.join("METADATA"), text).unwrap();
        std::fs::write(info.join("RECORD"), "").unwrap();
        std::fs::write(info.join("INSTALLER"), "pip\n").unwrap();
    }
    (0..1 + dice.below(3)).map(|_| format!("{} {}\n", dice.requirement(), dice.of(&CONDITIONS[..6]))).collect()
}

/// Yes, no, or none where it is left to an installer.
fn own_answer(request: &Request<'_>) -> Option<bool> {
    let status = deps::status(request).unwrap().unwrap();
    let unknown = status.why.as_ref().is_some_and(|why| why.contains("the installer has to look"));
    (!unknown).then_some(status.current)
}

fn says(output: &Output, word: &str) -> bool {
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8_lossy(&said).contains(word)
}

/// What is laid out, for people.
fn there(site: &Path) -> String {
    let metadata = std::fs::read_dir(site).unwrap().flatten().map(|entry| entry.path().join("METADATA"));
    let ours = metadata
        .filter(|file| !file.to_string_lossy().contains("pip-"))
        .filter_map(|file| std::fs::read_to_string(file).ok());
    let words = |text: String| text.lines().skip(1).map(|line| format!("{line}  ")).collect::<String>() + "\n";
    ours.map(words).collect()
}

#[test]
fn what_is_called_satisfied_is_satisfied_for_uv_and_for_pip() {
    if !possible(true) {
        return;
    }
    let count: usize = std::env::var("TRAINIT_TEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(120);
    let bench = Bench::with_venv();
    bench.code("requirements.txt", "tiny\n");
    bench.start().installer("uv").run();
    bench.take_away(&["tiny"]);
    let environment: Environment =
        bench.start().environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let (root, mut settings) = (Root::at(bench.path("container")), Settings::default());
    // Neither pip nor uv knows what an image keeps.
    settings.deps_protect.value.clear();
    let command = ["python".into(), "train.py".into()];
    let code = bench.path("code");
    let request = Request {
        root: &root,
        settings: &settings,
        environment: &environment,
        workdir: code.clone(),
        code: code.clone(),
        command: &command,
        by_mode: false,
        kind: Default::default(),
    };
    let file = code.join("requirements.txt");
    let offline = ["install", "--dry-run", "--no-index", "-r"];
    let (mut dice, mut seen, mut by_pip) = (Dice(7), [0; 3], 0);
    for number in 0..count {
        let text = lay_out(&mut dice, &bench.site());
        std::fs::write(&file, &text).unwrap();
        let own = own_answer(&request);
        seen[own.map_or(2, usize::from)] += 1;
        let mut uv = Command::new(crate::bench::uv().unwrap());
        uv.args(["pip", "--offline", "--no-config"]).args(offline).arg(&file).arg("--python").arg(bench.python());
        let uv = uv.env("UV_CACHE_DIR", bench.path("home")).output().unwrap();
        let satisfied = uv.status.success() && says(&uv, "Would make no changes");
        let told = format!("case {number}:\n{text}{}", there(&bench.site()));
        assert!(own != Some(true) || satisfied, "{told}: uv says {}", String::from_utf8_lossy(&uv.stderr));
        if own == Some(satisfied) && (by_pip >= BY_PIP * count.div_ceil(120) || own == Some(false)) {
            continue;
        }
        by_pip += usize::from(own == Some(true));
        let mut pip = Command::new(bench.python());
        let pip = pip.args(["-m", "pip", "--disable-pip-version-check"]).args(offline).arg(&file).output().unwrap();
        let satisfied = pip.status.success() && !says(&pip, "Would install");
        assert!(own != Some(true) || satisfied, "{told}: pip says {}", String::from_utf8_lossy(&pip.stderr));
        // What uv takes for satisfied and we do not, pip does not either.
        assert!(own != Some(false) || !satisfied, "{told}: pip is content, too");
    }
    println!("{} no, {} yes, {} left to an installer; pip was asked for {by_pip}", seen[0], seen[1], seen[2]);
    assert!(seen[0] > count / 10 && seen[1] > count / 20, "{seen:?}");
}
