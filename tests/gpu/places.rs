//! Where the helper can be executed: containers that forbid one way or another, other glibcs and none, other users; and what is left
//! of it when who asked is gone.
#![allow(unsafe_code)] // a filter of system calls and a root of one's own have no safe interface; only children are touched

use super::fakes::{Fakes, fakes};
use super::{Level, Question, skip};
use gpu::facts::{GpuFacts, ProbeOutcome, ProbePath};
use gpu::probe::GpuHelper;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use sys::process::{self, fork};

/// Asks in a child that has changed its world before; none where this machine does not permit that.
fn aside(question: &Question, change: impl FnOnce() -> std::io::Result<()>) -> Option<GpuFacts> {
    let (mut read, write) = std::io::pipe().unwrap();
    let pid = fork(|| {
        let answer = change().map(|()| question.ask()).map_err(|error| error.to_string());
        serde_json::to_writer(&write, &answer).map_or(1, |()| 0)
    })
    .unwrap();
    drop(write);
    let mut answer = Vec::new();
    read.read_to_end(&mut answer).unwrap();
    process::wait_for(pid);
    match serde_json::from_slice::<Result<GpuFacts, String>>(&answer).unwrap() {
        Ok(facts) => Some(facts),
        Err(why) => {
            skip(&format!("a child cannot change its world here: {why}"));
            None
        }
    }
}

fn asked(code: i32) -> std::io::Result<()> {
    if code < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

/// Forbids memfd_create(2) with EPERM, as a strict seccomp profile does.
fn forbid_memory_files() -> std::io::Result<()> {
    const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
    const EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    let line = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let refuse = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
    let mut program = [
        line(LOAD, 0, 0, 0),
        line(EQUAL, 0, 1, libc::SYS_memfd_create as u32),
        line(RETURN, 0, 0, refuse),
        line(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: prctl(2) reads a program that lives over the call; this is a child of the test.
    unsafe {
        asked(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        asked(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program))
    }
}

/// Where the libraries are when what they lie in may be covered.
const KEPT: &str = "/mnt";

/// A tmpfs that nothing can be executed from, over each of these; `kept` is still there, in another place.
fn cover(directories: &[&str], flags: libc::c_ulong, kept: &Path) -> std::io::Result<()> {
    let (kept, place) = (std::ffi::CString::new(kept.as_os_str().as_bytes())?, std::ffi::CString::new(KEPT)?);
    // SAFETY: mount(2) reads strings that end with NUL; this is a child of the test with a mount table of its own.
    unsafe {
        asked(libc::unshare(libc::CLONE_NEWNS))?;
        asked(libc::mount(
            c"none".as_ptr(),
            c"/".as_ptr(),
            std::ptr::null(),
            libc::MS_REC | libc::MS_PRIVATE,
            std::ptr::null(),
        ))?;
        let none = std::ptr::null();
        asked(libc::mount(kept.as_ptr(), place.as_ptr(), none, libc::MS_BIND, none.cast()))?;
        directories.iter().try_for_each(|directory| {
            let directory = std::ffi::CString::new(*directory)?;
            asked(libc::mount(c"tmpfs".as_ptr(), directory.as_ptr(), c"tmpfs".as_ptr(), flags, std::ptr::null()))
        })
    }
}

fn enter(root: &Path) -> std::io::Result<()> {
    std::os::unix::fs::chroot(root)?;
    std::env::set_current_dir("/")
}

fn question(fakes: &Fakes, helper: GpuHelper) -> Question {
    let few = [("FAKE_GPUS", "2"), ("PATH", "/no/such/directory")];
    Question { helper, ..Question::new(fakes, Level::Cuda, &few) }
}

fn is_whole(facts: &GpuFacts) -> bool {
    facts.nvml.gpus.len() == 2 && facts.proofs.iter().all(|proof| proof.wrong == Some(0)) && facts.proofs.len() == 2
}

#[test]
fn where_memory_files_are_forbidden_a_file_without_a_name_is_executed() {
    let Some(fakes) = fakes() else { return };
    let auto = question(fakes, GpuHelper::Auto);
    let Some(facts) = aside(&auto, forbid_memory_files) else { return };
    assert_eq!(facts.way, Some(ProbePath::Unnamed), "{facts:?}");
    assert!(is_whole(&facts));
    let Some(only) = aside(&question(fakes, GpuHelper::Memfd), forbid_memory_files) else { return };
    assert_eq!(only.nvml.outcome, ProbeOutcome::NotExecuted { errno: libc::EPERM });
}

#[test]
fn where_nothing_on_disk_may_be_executed_memory_still_may() {
    const PLACES: [&str; 4] = ["/run", "/dev/shm", "/tmp", "/var/tmp"];
    let Some(fakes) = fakes() else { return };
    let mut auto = question(fakes, GpuHelper::Auto);
    auto.environment.set("LD_LIBRARY_PATH", KEPT);
    let covered = || cover(&PLACES, libc::MS_NOEXEC, fakes.path());
    let Some(facts) = aside(&auto, covered) else { return };
    assert_eq!((facts.way, is_whole(&facts)), (Some(ProbePath::Memory), true));
    let neither = || covered().and_then(|()| forbid_memory_files());
    let Some(facts) = aside(&auto, neither) else { return };
    assert_eq!((facts.way, facts.cuda.outcome), (None, ProbeOutcome::NotExecuted { errno: libc::EACCES }));
}

#[test]
fn in_an_image_without_glibc_that_is_what_is_told() {
    let Some(fakes) = fakes() else { return };
    let root = tempfile::tempdir().unwrap();
    ["dev", "tmp", "run"].iter().for_each(|name| std::fs::create_dir(root.path().join(name)).unwrap());
    for helper in [GpuHelper::Auto, GpuHelper::Memfd] {
        let Some(facts) = aside(&question(fakes, helper), || enter(root.path())) else { return };
        assert_eq!(facts.nvml.outcome, ProbeOutcome::NotExecuted { errno: libc::ENOENT });
    }
}

/// Roots with the C library of older and newer releases.
fn trees() -> Vec<PathBuf> {
    trees_with(&[])
}

/// The same; `musl`: one with that, as Alpine's images.
fn trees_with(words: &[&str]) -> Vec<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/glibc-trees.sh");
    let Ok(output) = Command::new(script).args(words).output() else { return Vec::new() };
    if !output.status.success() {
        skip(&format!("no other C libraries, no registry of them: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    String::from_utf8_lossy(&output.stdout).lines().map(PathBuf::from).collect()
}

/// The tree with the fake libraries in it, and nothing else: no /proc, no /dev/null.
fn furnished(tree: &Path, fakes: &Fakes) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let copied = Command::new("cp").arg("-a").arg(format!("{}/.", tree.display())).arg(root.path()).status();
    assert!(copied.unwrap().success());
    let place = root.path().join("fakes");
    std::fs::create_dir(&place).unwrap();
    for library in ["libnvidia-ml.so.1", "libcuda.so.1"] {
        std::fs::copy(fakes.path().join(library), place.join(library)).unwrap();
    }
    std::fs::set_permissions(root.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    root
}

#[test]
fn every_glibc_runs_it_also_without_proc_and_dev() {
    let Some(fakes) = fakes() else { return };
    for tree in trees() {
        let root = furnished(&tree, fakes);
        let mut question = question(fakes, GpuHelper::Auto);
        question.environment.set("LD_LIBRARY_PATH", "/fakes");
        let Some(facts) = aside(&question, || enter(root.path())) else { return };
        assert_eq!(facts.nvml.outcome, ProbeOutcome::Complete, "{}: {facts:?}", tree.display());
        assert!(is_whole(&facts), "{}", tree.display());
    }
}

#[test]
fn under_musl_alone_it_does_not_run_and_under_a_loader_of_gcompats_name_it_does() {
    let Some(fakes) = fakes() else { return };
    let Some(tree) = trees_with(&["musl"]).pop() else { return };
    let root = furnished(&tree, fakes);
    let mut question = question(fakes, GpuHelper::Auto);
    question.environment.set("LD_LIBRARY_PATH", "/fakes");
    let Some(facts) = aside(&question, || enter(root.path())) else { return };
    assert_eq!(facts.nvml.outcome, ProbeOutcome::NotExecuted { errno: libc::ENOENT });
    // What Alpine's package gcompat adds: then libraries that ask musl for no more than it has can be loaded.
    std::fs::create_dir_all(root.path().join("lib64")).unwrap();
    let loader = root.path().join("lib64/ld-linux-x86-64.so.2");
    std::os::unix::fs::symlink("/lib/ld-musl-x86_64.so.1", loader).unwrap();
    let Some(facts) = aside(&question, || enter(root.path())) else { return };
    assert!(is_whole(&facts), "{facts:?}");
}

#[test]
fn another_user_asks_as_well() {
    let Some(fakes) = fakes() else { return };
    let root = trees().into_iter().next_back();
    let Some(root) = root.map(|tree| furnished(&tree, fakes)) else { return };
    let mut question = question(fakes, GpuHelper::Auto);
    question.environment.set("LD_LIBRARY_PATH", "/fakes");
    let other = || {
        enter(root.path())?;
        // SAFETY: setgid(2) and setuid(2) take numbers; this is a child of the test.
        unsafe { asked(libc::setgid(12345)).and_then(|()| asked(libc::setuid(12345))) }
    };
    let Some(facts) = aside(&question, other) else { return };
    assert_eq!((facts.way, is_whole(&facts)), (Some(ProbePath::Memory), true));
}

#[test]
fn a_file_that_was_named_is_executed_and_one_that_is_not_there_is_told() {
    let Some(fakes) = fakes() else { return };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("helper");
    std::fs::write(&file, gpu::probe::helper::embedded().unwrap()).unwrap();
    let path = |file: &Path| question(fakes, GpuHelper::Path(file.to_owned())).ask();
    assert_eq!(
        path(&file).nvml.outcome,
        ProbeOutcome::NotExecuted { errno: libc::EACCES },
        "its mode does not permit it"
    );
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    let facts = path(&file);
    assert_eq!((facts.way, is_whole(&facts)), (Some(ProbePath::File), true));
    assert_eq!(path(Path::new("/no/such/file")).cuda.outcome, ProbeOutcome::NotInstalled);
}

#[test]
fn nvidia_smi_is_asked_where_that_is_wanted_and_also_when_it_is_old() {
    let Some(fakes) = fakes() else { return };
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("nvidia-smi");
    // An old one knows no compute_cap.
    let script = "#!/bin/sh\ncase $* in *compute_cap*) echo 'Field \"compute_cap\" is not a valid field to query.'; exit 2;; esac\n\
                  echo '450.80.02, 0, GPU-1, 00000000:1B:00.0, Tesla V100, 16160, 10, Default, Enabled, Enabled, 0, 0, [N/A]'\n";
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut question = question(fakes, GpuHelper::Smi);
    question.environment.set("PATH", format!("{}:/bin:/usr/bin", directory.path().display()));
    let facts = question.ask();
    assert_eq!((facts.way, facts.nvml.driver.as_deref()), (Some(ProbePath::Smi), Some("450.80.02")));
    assert_eq!(facts.nvml.gpus[0].name.as_deref(), Some("Tesla V100"));
}

#[test]
fn a_helper_ends_with_who_asked() {
    let Some(fakes) = fakes() else { return };
    let mut question = question(fakes, GpuHelper::Memfd);
    question.environment.set("FAKE_AT", "nvmlInit_v2");
    question.environment.set("FAKE_DO", "hang");
    let (mut read, write) = std::io::pipe().unwrap();
    let pid = fork(|| {
        // The helper keeps a copy, whose end is the sign that it is gone.
        let keep = OwnedFd::from(write.try_clone().unwrap());
        // SAFETY: fcntl(2) with F_SETFD takes a number.
        unsafe { libc::fcntl(keep.as_raw_fd(), libc::F_SETFD, 0) };
        question.ask();
        0
    })
    .unwrap();
    drop(write);
    let children = format!("/proc/{pid}/task/{pid}/children");
    let deadline = std::time::Instant::now() + super::LONG;
    // Both helpers have become one: its name is no longer ours.
    let is_helper = |pid: &str| {
        std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| words.starts_with(b"gpu-helper\0nvml"))
    };
    while !std::fs::read_to_string(&children).unwrap_or_default().split_whitespace().any(is_helper) {
        assert!(std::time::Instant::now() < deadline, "no helper");
        std::thread::yield_now();
    }
    sys::signal::send(pid, sys::Signal::KILL).unwrap();
    assert_eq!(read.read(&mut [0]).unwrap(), 0, "every copy is closed");
    process::wait_for(pid);
}
