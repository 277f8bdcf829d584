//! What is fuzzed: every parser of bytes that trainit did not write itself, as plain functions. libFuzzer (fuzz_targets/) and the
//! smoke test (tests/fuzz_smoke.rs) call the same ones. A function panics when a promise is broken; to return is to pass.

#![allow(clippy::expect_used, reason = "a broken promise is told by a panic")]

use checkpoint::{Pattern, format};
use exchange::{FrameEnd, Reply, Request};
use protocol::handover;
use protocol::state_file::StateRecord;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use sys::environment::Environment;
use sys::{Root, Signal, cgroup, credentials, executable, mountinfo, proc};
use trainit::config::{ConfigOptions, ConfigSources, load, parse_bytes};
use trainit::identity::accounts::{self, Edit};
use trainit::{check, cli, config, deps, git, hooks, mode, preempt};
use world::{CommandKind, Given, Input, TrainerChoice, Variables, World};

/// One thing to fuzz.
pub struct Target {
    /// Its name: of the binary, and of the directory below seeds/.
    pub name: &'static str,
    /// Parses the bytes and holds the promises.
    pub run: fn(&[u8]),
}

/// Runs the target of this name.
#[allow(dead_code, reason = "the smoke test walks the table")]
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("a target of this name").run)(bytes);
}

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run }
}

/// All of them.
pub const TARGETS: &[Target] = &[
    target("accounts", account_files),
    target("cgroup", cgroup),
    target("checkout", repository_words),
    target("checkpoint_formats", checkpoint_formats),
    target("checkpoint_pattern", checkpoint_pattern),
    target("command_line", command_line),
    target("config_file", config_file),
    target("config_layers", config_layers),
    target("exchange", exchange_messages),
    target("executable", |bytes| _ = (executable::head(bytes), executable::has_carriage_return(bytes))),
    target("git", git_files),
    target("gpu", gpus),
    target("gpu_report", gpu_report),
    target("gpu_require", gpu_requirements),
    target("handover", frames),
    target("history", history_lines),
    target("hook_environment", |bytes| assert!(hooks::variables(bytes).iter().all(|(name, _)| !name.is_empty()))),
    target("installer_words", installer_words),
    target("kept_answers", kept_answers),
    target("listing", listing_pages),
    target("linker_cache", |bytes| _ = gpu::cache::find(bytes, "libcuda.so.1")),
    target("distributions", distributions),
    target("manifest", manifest_lines),
    target("metadata", metadata_answers),
    target("mountinfo", mount_table),
    target("pip_conf", |bytes| _ = deps::pip::parse(bytes)),
    target("proc_stat", |bytes| {
        _ = (proc::parse_start_time(bytes), proc::parse_state(bytes), proc::parse_wchan(bytes))
    }),
    target("proc_status", |bytes| _ = proc::parse_status(bytes)),
    target("public_keys", public_keys),
    target("requirements", requirements),
    target("store", store_files),
    target("show", words_for_people),
    target("signal", signal_name),
    target("staging", staging_files),
    target("state", state_file),
    target("transfer", transfer_lines),
    target("uid_map", uid_map),
    target("world", job_world),
];

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// What a stranger sends to the port where the nodes of a job meet, and what a stranger there answers.
fn exchange_messages(bytes: &[u8]) {
    if let FrameEnd::Whole(length) = exchange::frame(bytes) {
        assert!(length <= bytes.len() && length <= exchange::MESSAGE_MAX, "a frame ends beyond its bytes");
    }
    if let Ok(request) = Request::read(bytes) {
        assert_eq!(Request::read(&request.encode()).as_ref(), Ok(&request), "written otherwise than it is read");
    }
    if let Ok(reply) = Reply::read(bytes) {
        assert_eq!(Reply::read(&reply.encode()).as_ref(), Ok(&reply), "written otherwise than it is read");
    }
}

/// What other starts, or other programs, have left in a job's history.
fn history_lines(bytes: &[u8]) {
    let told = history::accounts(&history::Attempts::read(bytes), 2e9);
    assert!(told.sum.goodput.is_none_or(|share| (0.0..=1.0).contains(&share)), "{:?}", told.sum);
    let lines = history::read(bytes).entries.into_iter().map(|entry| entry.line());
    assert!(lines.into_iter().all(|line| line.len() <= history::LINE_MAX), "a line is too long");
    if let Some(short) = history::compacted(bytes, 1000) {
        assert_eq!(history::read(short.as_bytes()).skipped, 0, "{short}");
    }
}

/// What PID 1 reads from the pipe: progress is made, and never beyond what is there.
fn frames(mut bytes: &[u8]) {
    while let Some((_, length)) = handover::split(bytes) {
        assert!(length >= 2, "no progress");
        bytes = &bytes[length..];
    }
}

/// A signal's name: what is understood has a name that is understood again, but for the two that glibc keeps for itself.
fn signal_name(bytes: &[u8]) {
    if let Some(signal) = Signal::parse(&text(bytes)).filter(|signal| ![32, 33].contains(&signal.number())) {
        assert_eq!(Signal::parse(&signal.to_string()), Some(signal));
    }
}

/// A state file, which readers find in a directory that others may have made: what is read can be written and read again.
fn state_file(bytes: &[u8]) {
    let Ok(record) = serde_json::from_slice::<StateRecord>(bytes) else { return };
    let again = serde_json::to_vec(&record).expect("a record can be written");
    serde_json::from_slice::<StateRecord>(&again).expect("and read again");
}

fn words(bytes: &[u8]) -> impl Iterator<Item = OsString> {
    bytes.split(|byte| *byte == 0 || *byte == b'\n').map(|word| OsStr::from_bytes(word).to_owned())
}

/// The command line of a start; one word a line.
fn command_line(bytes: &[u8]) {
    if let Ok(request) = cli::parse(&words(bytes).collect::<Vec<_>>()) {
        let _ = cli::parse_after_mode(&request);
    }
}

/// A configuration file: values, or mistakes that each say something, never neither.
fn config_file(bytes: &[u8]) {
    if let Err(mistakes) = parse_bytes(bytes, Path::new("/etc/trainit.yaml")) {
        assert!(!mistakes.is_empty(), "refused without a reason");
        assert!(mistakes.iter().all(|mistake| mistake.exit().code() == 78 && !mistake.what.is_empty()));
    }
}

/// Variables and options: one a line, `NAME=VALUE` or `--set key=value` without the first word. Everything that was understood
/// can be shown.
fn config_layers(bytes: &[u8]) {
    let (mut variables, mut set) = (Vec::new(), Vec::new());
    for line in words(bytes) {
        match line.as_bytes().iter().position(|byte| *byte == b'=') {
            Some(at) if line.as_bytes().starts_with(b"TRAINIT_") => {
                let (name, value) = line.as_bytes().split_at(at);
                variables.push((OsStr::from_bytes(name).to_owned(), OsStr::from_bytes(&value[1..]).to_owned()));
            }
            _ => set.push(line.to_string_lossy().into_owned()),
        }
    }
    let nowhere = Path::new("/nonexistent/of-the-fuzzer");
    let (root, environment) = (Root::at(nowhere), variables.into_iter().collect::<Environment>());
    let options = ConfigOptions { set, ..ConfigOptions::default() };
    let sources = ConfigSources { root: &root, environment: &environment, options: &options, workdir: nowhere };
    if let Ok(loaded) = load(&sources) {
        assert!(loaded.rows().len() >= config::KEYS.len());
    }
}

/// Files of /proc and sysfs about GPUs, the image's files, and schedulers' variables (`NAME=VALUE`, one a line).
fn gpus(bytes: &[u8]) {
    let _ = gpu::parse_version(bytes);
    gpu::parse::all(&text(bytes));
    let pair = |line: &str| line.split_once('=').map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let environment: Environment = text(bytes).lines().filter_map(pair).collect();
    let _ = gpu::Promise::of(&environment);
    // A GPU's name may also be one of the several instances that it is cut into.
    let by_number = !text(bytes).contains("GPU-") && !text(bytes).contains("MIG-");
    assert!(gpu::visible_to_cuda(&environment, 8) <= 8 || !by_number);
}

/// What the helper says of the driver's libraries: a report that broke off says no more than the whole one.
fn gpu_report(bytes: &[u8]) {
    use gpu::probe::{read, transcript};
    let (whole, part) = (transcript::parse(bytes), transcript::parse(bytes.get(..bytes.len() / 2).unwrap_or_default()));
    assert!(part.calls.len() <= whole.calls.len() && (!part.ended || whole.ended));
    let _ = (whole.open(), read::cuda(&whole), read::proof(&whole), read::peers(&whole));
    assert!(read::nvml(&whole).gpus.len() <= whole.calls.len());
}

/// An expression of NVIDIA_REQUIRE_*: an alternative more never makes it fail, and one that always holds makes it hold.
fn gpu_requirements(bytes: &[u8]) {
    let version = |text| gpu::VersionText::of(text);
    let facts =
        gpu::require::RequireFacts { cuda: version("12.8"), driver: version("570.86.10"), ..Default::default() };
    let said = text(bytes);
    let more = gpu::require::holds(&format!("{said} cuda>=99"), &facts);
    assert!(gpu::require::holds(&said, &facts) != Some(true) || said.trim().is_empty() || more == Some(true));
    assert_eq!(gpu::require::holds(&format!("cuda>=1 {said}"), &facts), Some(true));
}

/// Git's small files. A reference's name becomes a path: it never leads out of the repository, and what is a commit is hexadecimal.
fn git_files(bytes: &[u8]) {
    use git::parse;
    match parse::head(bytes) {
        Some(parse::HeadReference::Reference(name)) => {
            let up = Path::new(OsStr::from_bytes(&name)).components().any(|part| part.as_os_str() == "..");
            assert!(name.starts_with(b"refs/") && !up, "a reference leads out");
        }
        Some(parse::HeadReference::Commit(commit)) => assert!(commit.bytes().all(|byte| byte.is_ascii_hexdigit())),
        _ => {}
    }
    let found = [parse::packed(bytes, b"refs/heads/main"), parse::published(bytes)];
    assert!(found.iter().flatten().all(|commit| matches!(commit.len(), 40 | 64)), "a commit has its length");
    let _ = (parse::link(bytes), parse::path(bytes));
    let value = git::reftable::find(bytes, b"refs/heads/main");
    assert!(!matches!(value, Some(git::reftable::ReferenceValue::Commit(commit)) if !matches!(commit.len(), 40 | 64)));
}

/// A data set's manifest: no name of it leads out of the directory.
fn manifest_lines(bytes: &[u8]) {
    for entry in bytes.split(|byte| *byte == b'\n').filter_map(|line| check::manifest::parse(line).ok().flatten()) {
        let out = |part| matches!(part, Component::ParentDir | Component::RootDir);
        assert!(!entry.name.components().any(out), "{:?} leads out", entry.name);
        assert!(entry.hash.is_some() || entry.size.is_some(), "nothing is known of {:?}", entry.name);
    }
}

/// The mount table: whatever it holds, looking a path up gives a mount that covers it.
fn mount_table(bytes: &[u8]) {
    let table = mountinfo::parse(bytes);
    for mount in &table {
        let found = mountinfo::covering(&table, mount.path());
        // Doubled slashes are never the kernel's.
        let plain: PathBuf = mount.path().components().collect();
        let plain = plain.is_absolute() && plain.as_os_str() == mount.path().as_os_str();
        assert!(!plain || found.is_some_and(|found| mount.path().starts_with(found.path())));
        let _ = (mount.class(), mount.volume(), mount.is_deleted(), mount.is_read_only());
    }
}

/// Names that others chose: shown, they stay on one line and hold no escape sequence.
fn words_for_people(bytes: &[u8]) {
    let (line, masked) = (text(bytes), text::masked(&text(bytes)));
    let list: Vec<OsString> = words(bytes).collect();
    for shown in
        [text::bytes(bytes), text::line(&line).into_owned(), text::line(&masked).into_owned(), text::command(&list)]
    {
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
    }
    assert_eq!(text::masked_words(&list).len(), list.len());
}

/// /etc/passwd or /etc/group: whatever stands there, a line more leads to the user that it names, and nobody else gets lost.
fn account_files(bytes: &[u8]) {
    let edited = match accounts::with_line(bytes, b"me:x:4242:5::/home/me:/bin/sh") {
        Edit::Append(more) => [bytes, &more].concat(),
        Edit::Replace(whole) => whole,
    };
    let (before, after) = (accounts::users(bytes), accounts::users(&edited));
    assert!(after.iter().find(|user| user.uid == 4242).is_some_and(|user| user.name == "me"));
    assert!(before.iter().filter(|user| user.name != "me").all(|user| after.contains(user)));
    let _ = accounts::groups(&edited);
}

/// /proc/self/uid_map: a whole one has every number but the last.
fn uid_map(bytes: &[u8]) {
    let mapped = [0, 1000, u32::MAX - 1].map(|id| credentials::is_mapped(bytes, id));
    assert!(!credentials::is_whole(bytes) || mapped == [true; 3]);
}

/// /proc/self/cgroup, and a file of counters beside it.
fn cgroup(bytes: &[u8]) {
    let _ = (cgroup::parse(bytes), cgroup::value(bytes, "oom_kill"));
}

/// The ends and heads of checkpoint files. What says how long a file is agrees with what says that it is whole.
/// An address never becomes an option of git, and what is shown of it holds no password.
fn repository_words(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(address) = checkout::Address::parse(&text) {
        assert!(!address.url.starts_with('-') && !address.reference.is_some_and(|name| name.starts_with('-')));
    }
    let (count, names) = checkout::changed_names(bytes);
    assert!(names.len() <= count);
    let _ = checkout::answer(&text, |_| None);
}

fn checkpoint_formats(bytes: &[u8]) {
    let size = bytes.len() as u64;
    if let Some(expected) = format::safetensors::expected_size(bytes) {
        assert!(format::safetensors::is_whole(bytes, expected), "a file of its own length is whole");
    }
    let _ = (format::safetensors::is_whole(bytes, size), format::zip::is_whole(bytes, size));
    let _ = (format::pickle::ends(bytes), format::pickle::global_step(bytes), format::pickle::distcp_names(bytes));
    let _ = (format::tracker::parse(bytes), format::index::shards(bytes));
}

/// A pattern in the first line, names in the others.
fn checkpoint_pattern(bytes: &[u8]) {
    let (pattern, names) = bytes.split_at(bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len()));
    let Ok(pattern) = Pattern::parse(&text(pattern)) else { return };
    for name in names.split(|byte| *byte == b'\n') {
        let _ = pattern.step_of(name);
        // The pattern that a message proposes for a name is one, unless the name is no text or holds a placeholder.
        let _ = Pattern::parse(&checkpoint::pattern_for(name));
    }
}

/// A requirement file: a line knows where it stands, and without variables no text is made up.
fn requirements(bytes: &[u8]) {
    let lines = requirements::file::read(bytes, &|name| Some(name.to_lowercase()));
    assert!(lines.windows(2).all(|pair| pair[0].number < pair[1].number), "lines in order");
    for item in lines.iter().flat_map(|line| &line.items) {
        if let requirements::file::RequirementItem::Requirement(requirement) = item {
            let _ = requirements::file::local_path(requirement);
        }
        let _ = requirements::file::for_pip_alone(item);
    }
}

/// What trainit itself wrote beside the packages, where others can write too.
fn kept_answers(bytes: &[u8]) {
    let _ = (deps::python::read(bytes), deps::stamp::read(bytes));
}

/// What packages say about themselves, and what is asked for: names, versions, specifiers, markers, in any bytes.
fn distributions(bytes: &[u8]) {
    use requirements::packaging::{Marker, Requirement, RequirementParts, Specifiers, Version};
    let words = text(bytes);
    for line in words.lines().take(100) {
        let _ = Marker::parse(line)
            .map(|marker| marker.holds(&requirements::packaging::MarkerEnvironment::default(), line));
        let _ = Specifiers::parse(line);
        if let Some(parts) = RequirementParts::cut(line) {
            assert_eq!(
                parts.is_understood(),
                parts.requirement().is_some(),
                "{line:?} is understood or not, however it is read"
            );
        }
    }
    let found = requirements::installed::metadata::parse(bytes);
    assert!(requirements::installed::record::paths(&words).all(|path| !path.contains('\n')), "a path is of one line");
    let versions: Vec<_> =
        found.version.iter().map(String::as_str).chain(words.lines()).filter_map(Version::parse).collect();
    let requirements = found.requires.iter().map(String::as_str).chain(words.lines()).filter_map(Requirement::parse);
    for requirement in requirements.take(50) {
        let holds = |marker: &requirements::packaging::Marker| {
            marker.holds(&requirements::packaging::MarkerEnvironment::default(), "x")
        };
        let _ = requirement.marker.as_ref().map(holds);
        if let requirements::packaging::ProjectSource::Versions(specifiers) = &requirement.source {
            versions.iter().take(50).for_each(|version| _ = specifiers.contains(version));
        }
    }
    for version in &versions {
        assert_eq!(Version::parse(&version.to_string()).as_ref(), Some(version), "a version is what it is written as");
    }
}

/// What lies in a store that others can write: a packed environment, leases, failures, names in archives.
fn store_files(bytes: &[u8]) {
    use std::io::{Cursor, Read};
    let _ = (store::lease::read(bytes), store::failed::read(bytes));
    if let Some(path) = store::below(bytes) {
        assert!(path.components().all(|part| matches!(part, Component::Normal(_))), "{path:?} leads elsewhere");
    }
    let mut file = Cursor::new(bytes);
    if let Ok(index) = store::archive::index(&mut file) {
        let (mut pieces, mut piece, mut sum) = (index.pieces(file.take(bytes.len() as u64)), Vec::new(), 0);
        while pieces.next_into(&mut piece).unwrap_or(false) {
            sum += piece.len();
        }
        assert!(sum <= bytes.len() << 8);
    }
}

/// What an installer prints, in pieces as they come (the first byte says how long): pieces change nothing, and a secret never
/// passes.
fn installer_words(bytes: &[u8]) {
    const SECRET: &[u8] = b"swordfish-1234";
    let Some((piece, words)) = bytes.split_first() else { return };
    let new = || deps::redact::Redactor::new([SECRET.to_vec()]);
    let (mut whole, mut parts) = (new(), new());
    let mut at_once = whole.push(words);
    at_once.extend(whole.finish());
    let mut shown: Vec<u8> = words.chunks(usize::from(*piece) + 1).flat_map(|piece| parts.push(piece)).collect();
    shown.extend(parts.finish());
    assert_eq!(text(&shown), text(&at_once), "pieces change what is shown");
    assert!(!shown.windows(SECRET.len()).any(|window| window == SECRET), "a secret passes");
    let mut progress = deps::progress::InstallProgress::default();
    text(words).lines().for_each(|line| progress.hear(line));
    assert!(!progress.words().contains('\n'));
}

/// A key is taken as it stands, on one line; a line that is none is told by a number that it has.
fn public_keys(bytes: &[u8]) {
    let keys = mode::ssh::keys::read(bytes);
    let lines = String::from_utf8_lossy(bytes).lines().count();
    assert!(keys.lines.iter().all(|line| !line.contains(['\n', '\r']) && !line.is_empty()));
    assert!(keys.bad.iter().all(|(number, _)| (1..=lines).contains(number)));
}

/// Variables of an engine, a line each; the first two lines are the host's name and its domain, and what follows an empty line is the file
/// that an engine wrote. What is set is never set again, and no rank is made where there is none.
fn job_world(bytes: &[u8]) {
    let text = text(bytes).into_owned();
    let (variables, file) = text.split_once("\n\n").unwrap_or((&text, ""));
    let mut lines = variables.lines();
    let (host, domain) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let variables: Vec<(String, String)> =
        lines.filter_map(|line| line.split_once('=')).map(|(name, value)| (name.into(), value.into())).collect();
    for command in [CommandKind::Torchrun, CommandKind::Other] {
        let (given, file, gpus, ephemeral) = (Given::default(), |_: &str| Some(file.into()), || 8, (32_768, 60_999));
        let input =
            Input { variables: &variables, file: &file, given: &given, host, domain, ephemeral, command, gpus: &gpus };
        let Some(world) = World::of(&input) else { continue };
        assert!(!world.to_string().is_empty());
        let filled = world::fill(&world, TrainerChoice::Auto, command, &variables, &[], false);
        for (name, _) in filled.set {
            assert!(variables.get(name).is_none(), "{name} was set");
            assert!(name != "RANK" || world.scope == world::Scope::Process, "a node is no rank");
        }
    }
}

/// What answers where a cloud's metadata service is expected: each dialog goes on, and a notice leaves a time that can be.
fn metadata_answers(bytes: &[u8]) {
    use protocol::handover::Cloud;
    use std::time::{Duration, SystemTime};
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    let whole = preempt::parse_answer(bytes, true);
    let answer = match preempt::parse_answer(bytes, false) {
        Ok(Some(answer)) => answer,
        _ => {
            whole.ok().flatten().unwrap_or(preempt::Answer { status: 200, body: bytes.to_vec(), ..Default::default() })
        }
    };
    let _ = (preempt::parse_action(bytes), preempt::parse_events(bytes, "set_7", now));
    for mut dialog in [Cloud::Aws, Cloud::Gcp, Cloud::Azure].into_iter().flat_map(preempt::dialogs) {
        for took in [0, 60, 0] {
            let reply = preempt::Reply::Answer(&answer, Duration::from_secs(took));
            match dialog.next(reply, now) {
                preempt::DialogStep::Notice(notice) => {
                    assert!(notice.left.is_none_or(|left| left < Duration::from_secs(3601)))
                }
                preempt::DialogStep::Ask(question) => assert!(!preempt::request(&question, "h").is_empty()),
                preempt::DialogStep::Pause(..) | preempt::DialogStep::GiveUp(_) => {}
            }
        }
    }
}

/// Lines of trainit-transfer and to it, in pieces as they come (the first byte says how long): pieces change nothing, and what is read is
/// written and read again as it was, unless it is too long.
fn transfer_lines(bytes: &[u8]) {
    use transfer_protocol::{LINE_MAX, LineReader, decode_answer, decode_request, encode};
    let Some((piece, bytes)) = bytes.split_first() else { return };
    let cut = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let (mut reader, mut lines) = (LineReader::default(), Vec::new());
        for piece in pieces {
            reader.push(piece);
            lines.extend(std::iter::from_fn(|| reader.next_line()).map(Result::ok));
        }
        lines
    };
    let lines = cut(&mut bytes.chunks(usize::from(*piece) + 1));
    assert_eq!(lines, cut(&mut std::iter::once(bytes)), "pieces change the lines");
    for line in lines.into_iter().flatten() {
        assert!(line.len() < LINE_MAX);
        if let Ok(request) = decode_request(&line)
            && let Ok(again) = encode(&request)
        {
            assert_eq!(decode_request(&again).expect("a request"), request);
        }
        if let Ok(answer) = decode_answer(&line)
            && let Ok(again) = encode(&answer)
        {
            assert_eq!(decode_answer(&again).expect("an answer"), answer);
        }
    }
}

/// What an object store answers: a page of a listing, as XML. It tells no more objects than it has bytes for, and a piece of it is no page.
fn listing_pages(bytes: &[u8]) {
    if let Ok(page) = listing::Page::read(bytes) {
        // The shortest entry is `<Blob></Blob>`.
        assert!((page.objects.len() + page.prefixes.len()) * 13 <= bytes.len(), "objects out of nothing");
        let end = bytes.iter().rposition(|byte| *byte == b'<').unwrap_or_default();
        assert!(listing::Page::read(&bytes[..end]).map_or(true, |part| part.objects.len() <= page.objects.len()));
    }
    let text = text(bytes);
    let _ = listing::http_date(&text);
    assert!(listing::hex_of_base64(&text).is_none_or(|hex| hex.len() <= text.len() * 2 && hex.len().is_multiple_of(2)));
}

/// What a start finds in a directory of data that another one left, or somebody else: a journal (all bytes), a listing (a line each), a stamp.
/// No key leads out of the directory, and the journal of one listing costs no more memory than its objects.
fn staging_files(bytes: &[u8]) {
    use stage::formats::{Item, KeyPath, Written, path_of};
    const OBJECTS: u64 = 1000;
    for boot in ["boot", "another"] {
        let read = |file| Written::read(file, ("L", OBJECTS), boot).expect("memory can be read");
        let (whole, part) = (read(std::io::Cursor::new(bytes)), read(std::io::Cursor::new(&bytes[..bytes.len() / 2])));
        let known = |written: &Written| (0..2 * OBJECTS).filter(|object| written.is_whole(*object)).count();
        assert!(known(&whole) as u64 <= OBJECTS && known(&whole).max(known(&part)) * 16 <= bytes.len());
    }
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Some(item) = Item::parse(line) {
            assert_eq!(Item::parse(item.line().strip_suffix(b"\n").expect("an end")).as_ref(), Some(&item));
        }
        for key in [Some(line.to_vec()), Item::parse(line).map(|item| item.key)].into_iter().flatten() {
            if let Ok(KeyPath::File(path) | KeyPath::Directory(path)) = path_of(&key) {
                assert!(path.components().all(|part| matches!(part, Component::Normal(_))), "{path:?} leads elsewhere");
            }
        }
    }
    if let Ok(stamp) = serde_json::from_slice::<stage::Stamp>(bytes) {
        let again = serde_json::to_vec(&stamp).expect("a stamp can be written");
        assert_eq!(serde_json::from_slice::<stage::Stamp>(&again).expect("and read again"), stamp);
    }
}
