//! Environments that are shared: many starts at once, each in a container of its own as far as files are concerned; builders and
//! takers that are killed; stores that are damaged, foreign, full or closed.

use crate::bench::{Bench, Report, Start};
use crate::kill_tree;
use crate::possible;
use crate::server::{Index, Manner};
use crate::wheel::Wheel;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// A store, and starts that share it.
struct Fleet {
    bench: Bench,
    store: PathBuf,
    /// What trainit itself, and no installer, is made to load.
    preload: Option<PathBuf>,
    /// How many modules `large` has.
    modules: usize,
}

impl Fleet {
    /// With a store in the bench's own directory, and a package of some files besides the usual ones.
    fn new() -> Option<Self> {
        Self::with_modules(10)
    }

    /// The same with a package of many files, which takes its time.
    fn large() -> Option<Self> {
        Self::with_modules(1000)
    }

    fn with_modules(modules: usize) -> Option<Self> {
        if !possible(true) || !crate::places::is_root() {
            return None;
        }
        let bench = Bench::with_venv();
        let many = (0..modules).fold(Wheel::new("large", "1.0"), |w, n| w.file(&format!("large/m{n}.py"), b"X = 1\n"));
        many.write(&bench.path("wheels"));
        bench.code("requirements.txt", "needy\nlarge\n");
        let store = bench.path("store");
        std::fs::create_dir(bench.path("over")).unwrap();
        Some(Fleet { bench, store, preload: None, modules })
    }

    /// A start of this number.
    fn start(&self, number: usize) -> Start {
        let start = self.bench.start().installer("uv").beside(&format!("{number}.json"));
        start.set("deps.store", self.store.display())
    }

    /// While there is nothing to install from.
    fn without_index<T>(&self, work: impl FnOnce() -> T) -> T {
        let (wheels, away) = (self.bench.path("wheels"), self.bench.path("away"));
        std::fs::rename(&wheels, &away).unwrap();
        let done = work();
        std::fs::rename(&away, &wheels).unwrap();
        done
    }

    /// A start in a container of its own that has nothing to install from.
    fn run_without_index(&self, number: usize, start: &Start) -> Report {
        self.without_index(|| self.run(number, start))
    }

    /// What makes a container of a start: the image's files are as they were, and what it writes is its own. Afterwards it says what
    /// Python finds there.
    fn container(&self, number: usize) -> String {
        let (over, venv) = (self.bench.path("over").display().to_string(), self.bench.venv().display().to_string());
        let said = self.said(number).display().to_string();
        let show = format!("import large.m{}, needy, tiny; print(tiny.VERSION)", self.modules - 1);
        format!(
            "mount -t tmpfs none {over}; mkdir {over}/up {over}/work; \
             mount -t overlay none -o lowerdir={venv},upperdir={over}/up,workdir={over}/work {venv}; \
             trap '{venv}/bin/python -c \"{show}\" >{said} 2>&1; {venv}/bin/tiny-tool >>{said} 2>&1' EXIT"
        )
    }

    fn said(&self, number: usize) -> PathBuf {
        self.bench.path("tmp").join(format!("{number}.said"))
    }

    fn spawn(&self, number: usize, start: &Start) -> Child {
        let mut command = start.behind(&self.container(number)).expect("mounts");
        command.envs(self.preload.iter().map(|library| ("LD_PRELOAD", library))).spawn().unwrap()
    }

    /// One start in a container of its own; it has to work there.
    fn run(&self, number: usize, start: &Start) -> Report {
        self.report(number, start, self.spawn(number, start))
    }

    fn report(&self, number: usize, start: &Start, child: Child) -> Report {
        let report = start.report(&child.wait_with_output().unwrap());
        let said = std::fs::read_to_string(self.said(number)).unwrap_or_default();
        assert_eq!(said, "2.0\ntiny 2.0\n", "{}", report.text());
        report
    }

    /// The file of the only environment.
    fn packed(&self) -> PathBuf {
        let all = self.names().into_iter().filter(|name| name.ends_with(".tar.lz4")).collect::<Vec<_>>();
        assert_eq!(all.len(), 1, "{:?}", self.names());
        self.store.join(&all[0])
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.store).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
    }

    /// Nothing is left of those who built.
    fn is_tidy(&self) {
        let mut ends: Vec<_> =
            self.names().into_iter().map(|name| name.split_once('.').unwrap().1.to_owned()).collect();
        ends.sort();
        assert_eq!(ends, ["TAG", "tar.lz4", "used"], "{:?}", self.names());
    }

    /// So many starts at once: one installs, and all have the same.
    fn all_at_once(&self, count: usize) {
        let starts: Vec<_> = (0..count).map(|number| self.start(number)).collect();
        let children: Vec<_> = starts.iter().enumerate().map(|(number, start)| self.spawn(number, start)).collect();
        let reports =
            children.into_iter().enumerate().map(|(number, child)| self.report(number, &starts[number], child));
        let mut outcomes: Vec<_> = reports.map(|report| report.outcome).collect();
        outcomes.sort();
        assert_eq!(outcomes[0], "installed");
        assert!(outcomes[1..].iter().all(|outcome| outcome == "unpacked"), "{outcomes:?}");
        self.is_tidy();
    }
}

fn wait_until(what: &str, child: &mut Child, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !condition() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before {what}");
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::sleep(Duration::from_micros(200));
    }
}

#[test]
fn of_64_starts_at_once_one_installs_and_all_have_the_same() {
    let Some(fleet) = Fleet::new() else { return };
    fleet.all_at_once(64);
}

#[test]
fn a_store_in_memory_or_on_an_overlay_is_as_good() {
    let Some(mut fleet) = Fleet::new() else { return };
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    fleet.store = memory.path().join("store");
    fleet.all_at_once(64);
    let overlay = fleet.bench.path("overlay");
    ["overlay", "upper", "work"].iter().for_each(|name| std::fs::create_dir(fleet.bench.path(name)).unwrap());
    let path = |name: &str| fleet.bench.path(name).display().to_string();
    let options = format!("lowerdir={},upperdir={},workdir={}", path("home"), path("upper"), path("work"));
    let mount = |words: &[&str]| Command::new(words[0]).args(&words[1..]).status().unwrap().success();
    if !mount(&["mount", "-t", "overlay", "none", "-o", &options, &path("overlay")]) {
        println!("SKIPPED: no overlay can be mounted");
        return;
    }
    fleet.store = overlay.join("store");
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| fleet.all_at_once(64)));
    assert!(mount(&["umount", &path("overlay")]));
    result.unwrap();
}

/// A library that answers flock(2) as some file systems do.
fn flock_that(bench: &Bench, answers: &str) -> Option<PathBuf> {
    let (source, library) = (bench.path("flock.c"), bench.path("tmp").join("flock.so"));
    let code = format!("#include <errno.h>\nint flock(int fd, int how) {{ (void)fd; (void)how; {answers} }}\n");
    std::fs::write(&source, code).unwrap();
    let done = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status();
    done.is_ok_and(|status| status.success()).then_some(library)
}

#[test]
fn no_file_lock_is_trusted() {
    for answers in ["errno = ENOSYS; return -1;", "return 0;"] {
        let Some(mut fleet) = Fleet::new() else { return };
        fleet.preload = flock_that(&fleet.bench, answers);
        if fleet.preload.is_none() {
            println!("SKIPPED: no C compiler");
            return;
        }
        fleet.all_at_once(6);
    }
}

#[test]
fn whenever_the_builder_is_killed_the_next_start_goes_on() {
    let Some(mut fleet) = Fleet::large() else { return };
    let up = |fleet: &Fleet, path: &str| fleet.bench.path("seen").join(path);
    std::fs::create_dir(fleet.bench.path("seen")).unwrap();
    for (number, step) in
        ["the lease", "the first files", "many files", "the packed file", "the end"].into_iter().enumerate()
    {
        fleet.store = fleet.bench.path(&format!("store-{number}"));
        // Its files are seen from outside: the builder's container is a directory here.
        let upper = up(&fleet, &number.to_string());
        let venv = fleet.bench.venv();
        let mounts = format!(
            "mkdir -p {0}/up {0}/work; mount -t overlay none -o lowerdir={1},upperdir={0}/up,workdir={0}/work {1}",
            upper.display(),
            venv.display()
        );
        let large = upper.join("up").join(fleet.bench.site().strip_prefix(&venv).unwrap()).join("large");
        let files = || std::fs::read_dir(&large).map_or(0, Iterator::count);
        let has =
            |start: &str, end: &str| fleet.names().iter().any(|name| name.starts_with(start) && name.ends_with(end));
        let leased = || {
            fleet.names().iter().any(|name| {
                name.ends_with(".lease") && std::fs::metadata(fleet.store.join(name)).is_ok_and(|found| found.len() > 0)
            })
        };
        let mut builder = fleet.start(100 + number).behind(&mounts).unwrap().spawn().unwrap();
        wait_until(step, &mut builder, || match number {
            // Who is killed before there is a word in it costs the others a minute.
            0 => leased(),
            1 => files() > 0,
            2 => files() > 500,
            3 => has(".new-", ""),
            _ => has("", ".tar.lz4"),
        });
        kill_tree(builder.id());
        builder.wait().unwrap();
        let report = fleet.run(number, &fleet.start(number));
        let expected = if number == 4 { "unpacked" } else { "installed" };
        assert_eq!(report.outcome, expected, "killed at {step}: {}", report.text());
        assert_eq!(fleet.run_without_index(50, &fleet.start(50)).outcome, "unpacked", "after {step}");
        // What was half written waits for the next prune.
        assert!(number >= 3 || !has(".new-", ""), "{:?}", fleet.names());
    }
}

#[test]
fn a_start_that_was_killed_while_it_unpacked_gets_its_environment_without_an_index() {
    let Some(fleet) = Fleet::large() else { return };
    assert_eq!(fleet.run(0, &fleet.start(0)).outcome, "installed");
    let start = fleet.start(1);
    let files = || std::fs::read_dir(fleet.bench.site().join("large")).map_or(0, Iterator::count);
    for at in [1, 300, 900] {
        let mut taker = start.spawn();
        wait_until("files", &mut taker, || files() >= at);
        kill_tree(taker.id());
        taker.wait().unwrap();
    }
    let report = fleet.without_index(|| start.run());
    assert_eq!(report.outcome, "unpacked", "{}", report.text());
    let check = "import large.m0, large.m999, needy, tiny, os; print(len(os.listdir(os.path.dirname(large.__file__))))";
    assert_eq!(fleet.bench.say(&fleet.bench.python(), &["-c", check], &report), "1002", "modules and their cache");
    let again = start.run();
    assert_eq!((again.outcome.as_str(), again.children), ("unchanged", 0), "{}", again.text());
}

#[test]
fn a_damaged_environment_is_built_anew_and_never_used() {
    let Some(fleet) = Fleet::new() else { return };
    fleet.run(0, &fleet.start(0));
    let whole = std::fs::read(fleet.packed()).unwrap();
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        bytes
    };
    let cases = [
        ("empty", Vec::new()),
        ("cut", whole[..whole.len() / 2].to_vec()),
        ("garbage", vec![7; 100_000]),
        ("a bit in a piece", flipped(whole.len() / 3)),
        ("a bit in the description", flipped(whole.len() - 200)),
        ("twice", [whole.clone(), whole.clone()].concat()),
    ];
    for (number, (what, bytes)) in cases.into_iter().enumerate() {
        std::fs::write(fleet.packed(), bytes).unwrap();
        let report = fleet.run(1 + number, &fleet.start(1 + number));
        assert_eq!(report.outcome, "installed", "{what}: {}", report.text());
        assert_eq!(fleet.run_without_index(20, &fleet.start(20)).outcome, "unpacked", "after {what}");
        fleet.is_tidy();
    }
}

#[test]
fn what_somebody_else_put_there_is_not_run() {
    let Some(fleet) = Fleet::new() else { return };
    fleet.run(0, &fleet.start(0));
    let packed = fleet.packed();
    let before = std::fs::read(&packed).unwrap();
    std::os::unix::fs::chown(&packed, Some(4321), Some(4321)).unwrap();
    let report = fleet.run(1, &fleet.start(1));
    assert_eq!(report.outcome, "installed");
    assert!(report.text().contains("belongs to user 4321"), "{}", report.text());
    assert!(std::fs::read(&packed).unwrap() == before);
}

#[test]
fn times_that_lie_by_an_hour_change_nothing() {
    let Some(fleet) = Fleet::new() else { return };
    let hour = Duration::from_secs(3600);
    let now = std::time::SystemTime::now();
    fleet.run(0, &fleet.start(0));
    for (number, time) in [now + hour, now - hour].into_iter().enumerate() {
        for name in fleet.names() {
            std::fs::File::open(fleet.store.join(name)).unwrap().set_modified(time).unwrap();
        }
        assert_eq!(fleet.run(1 + number, &fleet.start(1 + number)).outcome, "unpacked");
    }
    // A lease from the future or the past, of a machine that nobody hears of: it is what its bytes do that counts.
    let start = Start { timeout: Some(3.0), ..fleet.start(3) };
    fleet.bench.code("requirements.txt", "needy\nlarge\ntiny==2.0\n");
    let other = fleet.run(4, &fleet.start(4));
    assert_eq!(other.outcome, "installed");
    for name in fleet.names().into_iter().filter(|name| name.ends_with(".tar.lz4")) {
        let lease = fleet.store.join(name.replace("tar.lz4", "lease"));
        std::fs::rename(fleet.store.join(name), fleet.bench.path("tmp").join("away")).unwrap();
        std::fs::write(&lease, "{}").unwrap();
        std::fs::File::open(&lease).unwrap().set_modified(now - hour * 24).unwrap();
    }
    let report = start.report(&start.behind("true").unwrap().output().unwrap());
    assert_eq!(report.code, 216, "it waits: {}", report.text());
    assert!(report.text().contains("waiting for another start"), "{}", report.text());
}

#[test]
fn a_store_that_is_full_closed_or_gone_is_done_without() {
    let Some(fleet) = Fleet::large() else { return };
    std::fs::create_dir(&fleet.store).unwrap();
    let store = fleet.store.display();
    let cases = [
        (format!("mount -t tmpfs -o size=16k none {store}"), "No space left"),
        (format!("mount -t tmpfs -o ro none {store}"), "cannot be put there"),
    ];
    for (number, (mounts, why)) in cases.into_iter().enumerate() {
        let start = fleet.start(number);
        let mounts = format!("{mounts}; {}", fleet.container(number));
        let report = fleet.report(number, &start, start.behind(&mounts).unwrap().spawn().unwrap());
        assert_eq!(report.outcome, "installed", "{}", report.text());
        assert!(report.text().contains(why), "{}", report.text());
    }
    let start = fleet.start(9).set("deps.store", "/proc/none/store");
    let report = fleet.run(9, &start);
    assert!(report.outcome == "installed" && report.text().contains("not shared"), "{}", report.text());
}

#[test]
fn a_store_that_can_only_be_read_still_gives() {
    let Some(fleet) = Fleet::new() else { return };
    fleet.run(0, &fleet.start(0));
    let (store, start) = (fleet.store.display(), fleet.start(1));
    let mounts = format!("mount --bind {store} {store}; mount -o remount,ro,bind {store}; {}", fleet.container(1));
    let report = fleet.report(1, &start, start.behind(&mounts).unwrap().spawn().unwrap());
    assert_eq!(report.outcome, "unpacked", "{}", report.text());
}

#[test]
fn without_room_to_unpack_nothing_half_done_is_left() {
    let Some(fleet) = Fleet::large() else { return };
    fleet.run(0, &fleet.start(0));
    let (over, venv) = (fleet.bench.path("over").display().to_string(), fleet.bench.venv().display().to_string());
    let listing = fleet.bench.path("tmp").join("listing");
    let mounts = format!(
        "mount -t tmpfs -o size=1m none {over}; mkdir {over}/up {over}/work; \
         mount -t overlay none -o lowerdir={venv},upperdir={over}/up,workdir={over}/work {venv}; \
         trap 'ls {} >{}' EXIT",
        fleet.bench.site().display(),
        listing.display()
    );
    let start = fleet.start(1);
    let report = start.run_behind(&mounts).unwrap();
    assert_eq!(report.code, 116, "{}", report.text());
    assert!(report.text().contains("No space left"), "{}", report.text());
    let left = std::fs::read_to_string(listing).unwrap();
    assert!(!left.contains("large-1.0.dist-info"), "{left}\n{}", report.text());
}

#[test]
fn what_cannot_be_installed_fails_for_all_at_once_with_the_same_words() {
    let Some(fleet) = Fleet::new() else { return };
    let index = Index::serve(&fleet.bench.path("wheels"), Manner::Fine, "nothing");
    fleet.bench.code("requirements.txt", "tiny==9.0\n");
    let start = |number: usize| {
        let start = fleet.start(number).without("PIP_NO_INDEX").without("PIP_FIND_LINKS");
        start.with("PIP_INDEX_URL", format!("http://127.0.0.1:{}/simple", index.port))
    };
    let first = start(0).run();
    let asked = index.questions();
    assert!(first.code == 116 && first.error.contains("tiny") && asked > 0, "{}", first.text());
    let second = start(1).run();
    assert_eq!((second.code, index.questions()), (116, asked), "{}", second.text());
    let line = |report: &Report| report.error.lines().next().unwrap().to_owned();
    assert!(line(&second).starts_with(line(&first).split(';').next().unwrap()), "{}\n{}", first.error, second.error);
    assert!(second.error.contains("told by deps.store") && second.error.contains("rm "), "{}", second.error);
}

#[test]
fn an_index_that_is_down_is_asked_by_a_few_and_not_by_all() {
    let Some(fleet) = Fleet::new() else { return };
    let index = Index::serve(&fleet.bench.path("wheels"), Manner::Status("503 Service Unavailable"), "nothing");
    let run = |number: usize| {
        let start = fleet.start(number).without("PIP_NO_INDEX").without("PIP_FIND_LINKS").with("UV_HTTP_RETRIES", "0");
        start.with("PIP_INDEX_URL", format!("http://127.0.0.1:{}/simple", index.port)).run()
    };
    assert!((0..3).all(|number| run(number).code == 216));
    let asked = index.questions();
    assert_eq!((run(3).code, index.questions()), (216, asked));
}

#[test]
fn what_the_image_has_in_another_version_is_replaced_as_the_installer_did_it() {
    let Some(fleet) = Fleet::new() else { return };
    let done = Command::new(fleet.bench.python())
        .args(["-m", "pip", "install", "-q", "--no-index", "tiny==1.0", "--find-links"])
        .arg(fleet.bench.path("wheels"))
        .status();
    assert!(done.unwrap().success());
    fleet.bench.code("requirements.txt", "needy\nlarge\ntiny==2.0\n");
    assert_eq!(fleet.run(0, &fleet.start(0)).outcome, "installed");
    let report = fleet.without_index(|| fleet.start(1).run());
    assert_eq!(report.outcome, "unpacked", "{}", report.text());
    let names: Vec<_> =
        std::fs::read_dir(fleet.bench.site()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.contains(&"tiny-2.0.dist-info".into()) && !names.contains(&"tiny-1.0.dist-info".into()), "{names:?}");
    assert_eq!(fleet.start(1).run().outcome, "unchanged");
}

#[test]
fn a_layer_is_shared_as_well() {
    let Some(fleet) = Fleet::new() else { return };
    std::fs::create_dir(&fleet.store).unwrap();
    std::os::unix::fs::chown(&fleet.store, Some(12345), None).unwrap();
    let start = |number: usize| fleet.start(number).with("HOME", "/").user(12345);
    let first = start(0).run();
    assert_eq!(first.outcome, "installed", "{}", first.text());
    let layer = Path::new(&first.environment["VIRTUAL_ENV"]);
    std::fs::remove_dir_all(layer.parent().unwrap()).unwrap();
    let second = fleet.without_index(|| start(1).run());
    assert_eq!((second.outcome.as_str(), &second.environment), ("unpacked", &first.environment), "{}", second.text());
    let show = ["-c", "import tiny, needy, large.m1; print(tiny.VERSION)"];
    assert_eq!(fleet.bench.say(&fleet.bench.python(), &show, &second), "2.0");
    assert_eq!(fleet.bench.say(&layer.join("bin/tiny-tool"), &[], &second), "tiny 2.0");
    assert_eq!(start(2).run().outcome, "unchanged");
}

#[test]
fn pip_shares_as_uv_does() {
    let Some(fleet) = Fleet::new() else { return };
    let start = |number: usize| Start { installer: Some("pip".into()), ..fleet.start(number) };
    let first = fleet.run(0, &start(0));
    assert!(first.outcome == "installed" && first.installer.starts_with("pip"), "{}", first.text());
    assert_eq!(fleet.run_without_index(1, &start(1)).outcome, "unpacked");
}

#[test]
fn what_cannot_be_shared_is_installed_and_the_line_says_why() {
    let Some(fleet) = Fleet::new() else { return };
    let project = fleet.bench.path("code").join("lib");
    std::fs::create_dir(&project).unwrap();
    std::fs::write(project.join("pyproject.toml"), "[project]\nname = 'lib'\nversion = '1'\n").unwrap();
    fleet.bench.code("requirements.txt", "tiny\n-e ./lib\n");
    // It cannot be built without setuptools here; what is said before is what counts.
    let report = fleet.start(0).run();
    assert!(report.text().contains("requirements.txt:2 is editable"), "{}", report.text());
    fleet.bench.code("requirements.txt", "tiny\n");
    let report = fleet.start(1).set("deps.refresh", "always").run();
    assert!(report.outcome == "installed" && report.text().contains("deps.refresh is always"), "{}", report.text());
    assert!(fleet.names().is_empty());
}

#[test]
fn for_what_cannot_be_packed_nobody_waits() {
    let Some(fleet) = Fleet::new() else { return };
    assert_eq!(fleet.run(0, &fleet.start(0)).outcome, "installed");
    let failed = fleet.packed().with_extension("").with_extension("failed");
    std::fs::remove_file(fleet.packed()).unwrap();
    let word = r#"{"permanent":false,"tries":0,"alone":true,"host":"node-3","what":"odd has no list","because":null,"hints":[]}"#;
    std::fs::write(failed, word).unwrap();
    let report = fleet.run(1, &fleet.start(1));
    assert!(
        report.outcome == "installed" && report.text().contains("odd has no list, seen on node-3"),
        "{}",
        report.text()
    );
}

#[test]
fn status_tells_what_the_store_has_and_prune_keeps_it_small() {
    let Some(fleet) = Fleet::new() else { return };
    let built = fleet.start(0).run();
    assert!(built.status.contains("has it: 3 packages") && built.status.contains("1 environment,"), "{}", built.status);
    let age = |name: &str, days: u64| {
        let time = std::time::SystemTime::now() - Duration::from_secs(days * 86_400);
        std::fs::File::open(fleet.store.join(name)).unwrap().set_modified(time).unwrap();
    };
    let prune = |words: &[&str]| {
        let store = format!("deps.store={}", fleet.store.display());
        let mut command = Command::new(env!("CARGO_BIN_EXE_trainit"));
        command.args(["deps", "prune", "--set", &store]).args(words).current_dir(fleet.bench.path("code"));
        let output = command.env_remove("TRAINIT").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    std::fs::write(fleet.store.join(".new-123456"), "half").unwrap();
    std::fs::write(fleet.store.join("somebody's model.tar.lz4"), "not ours").unwrap();
    assert!(prune(&["--set", "deps.store_size=1"]).contains("0 items"), "all of it is in use");
    fleet.names().iter().for_each(|name| age(name, 40));
    assert!(prune(&["--unused", "30d", "--dry-run"]).contains("would be removed"));
    assert!(prune(&["--unused", "50d"]).contains("1 item,"), "the half one alone");
    let said = prune(&["--set", "deps.store_size=1"]);
    assert!(said.contains("3 packages for Python 3") && said.contains("not used for 40 days"), "{said}");
    let mut left = fleet.names();
    left.sort();
    assert_eq!(left, ["CACHEDIR.TAG", "somebody's model.tar.lz4"]);
}
