//! Sets of packages that are metadata and nothing else, with requirements that go with them: the same every time.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// So many names there are.
const NAMES: usize = 8;

const VERSIONS: [&str; 14] = [
    "1.0",
    "1.0",
    "1.0.0",
    "1.0.post1",
    "1.5",
    "2.0",
    "2.0",
    "2.0rc1",
    "2.0+cu126",
    "1!0.5",
    "2.0.dev3",
    "2024.1",
    "1.0a1+x.1",
    "v1.5",
];
const WISHES: [&str; 26] = [
    "",
    "",
    "",
    "",
    "==1.0",
    ">=1.0",
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
    " (>=1.0)",
    ">= 1 , < 3",
    "!=1.0.*",
    "~=1.0.0",
    ">=1.0.dev0",
    "<2.0.post1",
    ">=1.0,",
    "==1.0-1",
];
const CONDITIONS: [&str; 22] = [
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "; python_version >= '3.8'",
    "; sys_platform == 'win32'",
    "; platform_machine != 'x' and os_name == 'posix'",
    ";python_full_version<'3.0.0'",
    "; (sys_platform == 'linux' or os_name == 'nt') and python_version > \"3\"",
    "; platform_python_implementation == 'CPython' and 'linux' in sys_platform",
    "; platform_release >= '1'",
    "; implementation_name in 'cpython pypy'",
    "; extra == 'more'",
    "; extra == \"more\"",
    "; python_version >= '3' and extra == 'more'",
    "; extra == 'All_Of'",
    "; extra == 'all-of' and sys_platform == 'win32'",
    "; (python_version < '3') and extra == 'more'",
];
/// Those among the conditions that have no extra: they come first.
const WITHOUT_EXTRA: usize = 16;

/// Numbers that are the same every time (Knuth's generator, its upper bits).
pub struct Dice(pub u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    /// Once in so many times.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }

    /// One spelling of a name.
    fn name(&mut self, number: usize) -> String {
        let name = self.of(&["q-N", "q-N", "q-N", "Q_N", "q.N", "q--N"]);
        name.replace('N', &number.to_string())
    }

    fn requirement(&mut self) -> String {
        let number = self.below(NAMES);
        let extra =
            if self.once_in(4) { self.of(&["[more]", "[all-of]", "[More, all.of]", "[]", "[none]"]) } else { "" };
        format!("{}{extra}{}", self.name(number), self.of(&WISHES))
    }

    fn asked(&mut self) -> String {
        let odd =
            ["q-1 @ https://host.invalid/q-1.whl", "-c pins.txt", "-r more.txt", "q-2 \\\n  >=1.0 # why", "--pre"];
        match self.once_in(8) {
            true => self.of(&odd).to_owned(),
            false => format!("{} {}", self.requirement(), self.of(&CONDITIONS[..WITHOUT_EXTRA])),
        }
    }
}

/// Lays out one set beside others that are not ours; the requirements are written to a file.
pub fn lay_out(dice: &mut Dice, site: &Path, code: &Path) {
    ours(site).iter().for_each(|old| drop(fs::remove_dir_all(old).or_else(|_| fs::remove_file(old))));
    for number in 0..NAMES {
        if !dice.once_in(7) {
            package(dice, site, number);
        }
        if dice.once_in(80) {
            package(dice, site, number);
        }
    }
    let (asked, more, number) = (1 + dice.below(3), dice.requirement(), dice.below(NAMES));
    let pins = format!("{}{}", dice.name(number), dice.of(&WISHES));
    let lines: String = (0..asked).map(|_| dice.asked() + "\n").collect();
    fs::write(code.join("requirements.txt"), lines).unwrap();
    fs::write(code.join("pins.txt"), pins).unwrap();
    fs::write(code.join("more.txt"), more).unwrap();
}

fn package(dice: &mut Dice, site: &Path, number: usize) {
    let version = dice.of(&VERSIONS);
    let (stem, requires) = (dice.of(&["q_N", "q_N", "q_N", "Q.N"]).replace('N', &number.to_string()), dice.below(4));
    let requires: Vec<_> = (0..requires).map(|_| format!("{} {}", dice.requirement(), dice.of(&CONDITIONS))).collect();
    let said = if dice.once_in(60) { "9.9" } else { version };
    let mut text = format!("Metadata-Version: 2.1\nName: {}\nVersion: {said}\n", dice.name(number));
    text += "Provides-Extra: more\nProvides-Extra: all-of\n";
    if dice.once_in(30) {
        let file = site.join(format!("{stem}-{}-py3.11.egg-info", version.replace('-', "_")));
        let _ = fs::create_dir(&file);
        fs::write(file.join("requires.txt"), egg(&requires)).unwrap();
        fs::write(file.join("PKG-INFO"), text).unwrap();
        return;
    }
    let info = site.join(format!("{stem}-{version}.dist-info"));
    let _ = fs::create_dir(&info);
    for line in requires {
        let fold = if dice.once_in(20) { "\n       " } else { "" };
        let _ = writeln!(text, "Requires-Dist: {}", line.replacen(';', &format!("{fold};"), 1));
    }
    let end = dice.of(&["\nText\n", "\nRequires-Dist: none-of-these\n", ""]);
    let text = if dice.once_in(10) { (text + end).replace('\n', "\r\n") } else { text + end };
    fs::write(info.join("METADATA"), text).unwrap();
    fs::write(info.join("RECORD"), "").unwrap();
    fs::write(info.join("INSTALLER"), "pip\n").unwrap();
}

/// An older list of requirements: without conditions first, then the extra.
fn egg(requires: &[String]) -> String {
    let (plain, extra): (Vec<_>, Vec<_>) = requires.iter().partition(|line| !line.contains(';'));
    let of = |lines: Vec<&String>| {
        lines.iter().map(|line| line.split(';').next().unwrap().to_owned() + "\n").collect::<String>()
    };
    format!("{}\n[more]\n{}", of(plain), of(extra))
}

fn ours(site: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(site).unwrap().flatten().map(|entry| entry.path());
    all.filter(|path| path.file_name().unwrap().to_string_lossy().to_lowercase().starts_with('q')).collect()
}

/// What is laid out, for people.
pub fn told(site: &Path, code: &Path) -> String {
    let asked =
        ["requirements.txt", "pins.txt", "more.txt"].map(|name| format!("{name}: {:?}\n", read_text(&code.join(name))));
    let read = |path: &PathBuf| {
        let texts = ["METADATA", "PKG-INFO", "requires.txt"].map(|name| read_text(&path.join(name)));
        format!("{}: {:?}\n", path.file_name().unwrap().display(), texts.concat())
    };
    asked.concat() + &ours(site).iter().map(read).collect::<String>()
}

fn read_text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// Files that somebody may have written by hand, all about the packages of `lay_out_for_odd`.
pub const ODD: &[&[u8]] = &[
    b"Q_1==1.0",
    b"q-2==1!2.0.post1",
    b"q-2==2.0.post1",
    b"\xef\xbb\xbfq-1\n",
    b"\xff\xfeq\0-\x001\0\n\0",
    "q-1\u{a0}\n".as_bytes(),
    "q-1\u{a0}==1.0\n".as_bytes(),
    "q-1 # caf\u{e9}\n".as_bytes(),
    b"q-1 \\\n# x\n",
    b"q-1==1.0 \\\n --hash=sha256:00",
    b"--require-hashes\nq-1==1.0",
    b"q-1==${NOPE}",
    b"q-9 ; python_version < '3'",
    b"q-1;python_version>='3'",
    b"q-1 ; extra == 'x'",
    b"q-1 ; foo == 'x'",
    b"q-9 ; platform_release < '1'",
    b"q-1 ; sys_platform in 'linux darwin'",
    b"q-1 ; python_version ~= '3.8'",
    b"q-1 ; python_version === '3.11'",
    b"q-3[x]",
    b"q-3[y]",
    b"q-3[none]",
    b"q-3 [ X ]",
    b"q-3[]",
    b"q-3[x,x]==1.5",
    b"q-4==2.6.0",
    b"q-4==2.6.0+cu126",
    b"q-4==2.6.0+cu1",
    b"q-4>=2.6",
    b"q-4>2.6.0",
    b"q-4===2.6.0+cu126",
    b"q-4<2.6.1",
    b"q-5",
    b"q-5>=2",
    b"q-5<3",
    b"q-5~=3.0rc0",
    b"--pre\nq-5",
    b"q-1 @ https://host.invalid/q_1-1.0-py3-none-any.whl",
    b"https://host.invalid/q_1-1.0-py3-none-any.whl",
    b"q-1 @ git+https://host.invalid/r.git@main",
    b"q-1 @ file:///nope/a",
    b"-e ./lib",
    b"./lib",
    b"./q_1-1.0-py3-none-any.whl",
    b"lib",
    b"-r more.txt",
    b"--requirement=more.txt",
    b"-r sub/up.txt",
    b"-r 'more.txt' # why",
    b"-r requirements.txt\nq-1",
    b"-r https://host.invalid/r.txt",
    b"-c pins.txt\nq-1",
    b"-c pins.txt\nq-4",
    b"-c pins.txt\nq-6",
    b"-c extras.txt\nq-3",
    b"-c never.txt\nq-1",
    b"-c editable.txt\nq-1",
    b"-i https://host.invalid/simple\nq-1",
    b"-U\nq-1",
    b"--force-reinstall\nq-1",
    b"--foo\nq-1",
    b"q-1 --foo",
    b"q-1 --config-settings=x=y",
    b"--no-binary :all:\nq-1",
    b"--ignore-installed\nq-1",
    b"q-1\nQ.1",
    b"q-1>=1\nq-1<2",
    b"q-1>=1\nq-1>2",
    b"q-1>=1;",
    b"q-1>=1,",
    b"q-1 (>=1)",
    b"q-1(1.0)",
    b"q-1=1.0",
    b"q-1 1.0",
    b"q-1==1.*",
    b"q-1>=1.*",
    b"q-1~=1",
    b"q-1!=1.0",
    b"q-1<>1.0",
    b"q-1===1.0",
    b"q-1===1.0.0",
    b"q-1==v1.0",
    b"q-1==1.0-0",
    b"\tq-1\t==\t1.0\t\n",
    b"q-1\x0cq-6\n",
    "q-1\u{2028}q-6".as_bytes(),
    b"q-1\0",
    b"q-1\rq-6",
    b"q-1#x",
    b"q-1==1.0#x",
    b"q-1\t# x",
    b"\"q-1\"",
    b"q-1.",
    b"q-1: 1.0",
    b"q-1 = \"^1.0\"",
    b"q-1\\q",
    b"q-7",
    b"q-8",
    b"q-6\nq-7",
    b"q-3[x] ; os_name == 'posix'",
];

/// The same, but uv cannot read them.
pub const ODD_FOR_PIP: &[&[u8]] = &[
    b"# -*- coding: latin-1 -*-\nq-1 # caf\xe9\n",
    b"q-1 \\\n==1.0",
    b"q-1\\\n==1.0",
    b"q-1\\",
    b"q-1 \\\r\n>=1\r\n",
    b"-rmore.txt",
    b"-r more.txt q-9",
];

/// What the odd files are about.
pub fn lay_out_for_odd(site: &Path, code: &Path) {
    let packages = [
        ("q_1-1.0", ""),
        ("Q.2-1!2.0.post1", ""),
        (
            "q_3-1.5",
            "Provides-Extra: x\nProvides-Extra: y\nRequires-Dist: q-1 ; extra == 'x'\nRequires-Dist: q-9 ; extra == \"y\"\n",
        ),
        ("q_4-2.6.0+cu126", ""),
        ("q_5-3.0rc1", ""),
        ("q_6-1.0", "Requires-Dist: q-1 (>=0.5)\n"),
        ("q_7-1.0", "Summary: a\rRequires-Dist: q-9\n"),
        ("q_8-1.0", "Requires-Dist: q-1 (>=dev)\n"),
    ];
    for (stem, lines) in packages {
        let (name, version) = stem.split_once('-').unwrap();
        let info = site.join(format!("{stem}.dist-info"));
        fs::create_dir(&info).unwrap();
        fs::write(
            info.join("METADATA"),
            format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{lines}\nText\n"),
        )
        .unwrap();
        fs::write(info.join("RECORD"), "").unwrap();
        fs::write(info.join("INSTALLER"), "pip\n").unwrap();
    }
    let files = [
        ("more.txt", "q-6\n"),
        ("sub/up.txt", "-r ../more.txt\n"),
        ("pins.txt", "q-1==9\n"),
        ("extras.txt", "q-3[x]==1.5\n"),
        ("never.txt", "q-1==9 ; python_version < '3'\n"),
        ("editable.txt", "-e ./lib\n"),
        ("lib/pyproject.toml", "[project]\nname = 'lib'\nversion = '1'\n"),
    ];
    for (name, text) in files {
        fs::create_dir_all(code.join(name).parent().unwrap()).unwrap();
        fs::write(code.join(name), text).unwrap();
    }
}
