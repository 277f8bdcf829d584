//! Engines that are older than the kernel: their seccomp profile does not know the newer system calls and refuses them, as Docker did
//! with EPERM before 20.10.10 and does with ENOSYS since. A start must come to the same result as where all calls are allowed.

use crate::harness::{Ended, Run, skipped};
use crate::images::{Image, image, offline};
use std::path::Path;

/// The system calls that came after Linux 4.14, and statx, which profiles learned late. A name that the installed libseccomp does not
/// know is passed over by runc.
const NEWER: &str = "statx io_pgetevents rseq pidfd_send_signal io_uring_setup io_uring_enter io_uring_register open_tree move_mount \
    fsopen fsconfig fsmount fspick pidfd_open clone3 close_range openat2 pidfd_getfd faccessat2 process_madvise epoll_pwait2 \
    mount_setattr quotactl_fd landlock_create_ruleset landlock_add_rule landlock_restrict_self memfd_secret process_mrelease \
    futex_waitv set_mempolicy_home_node cachestat fchmodat2 map_shadow_stack futex_wake futex_wait futex_requeue statmount \
    listmount lsm_get_self_attr lsm_set_self_attr lsm_list_modules mseal setxattrat getxattrat listxattrat removexattrat \
    open_tree_attr file_getattr file_setattr";

/// The option of `docker run` for a profile that answers the newer calls with this errno.
fn refusing(errno: i32, directory: &Path) -> String {
    let file = directory.join(format!("{errno}.json"));
    let names = NEWER.split_whitespace().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(",");
    let rule = format!(r#"{{"names":[{names}],"action":"SCMP_ACT_ERRNO","errnoRet":{errno}}}"#);
    let profile = format!(r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{rule}]}}"#);
    std::fs::write(&file, profile).expect("a profile");
    format!("--security-opt seccomp={}", file.display())
}

/// The end of a start with data, code, an output and a requirement, all of which are well.
fn start(image: &str, option: &str) -> Ended {
    run(image, option).expect_code(0).expect_text(&["trained"])
}

fn run(image: &str, option: &str) -> Ended {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let write = |name: &str, text: &str| {
        let file = directory.path().join(name);
        std::fs::create_dir_all(file.parent().expect("a directory")).expect("a directory");
        std::fs::write(file, text).expect("a file");
    };
    write("data/a.tar", "a");
    write("code/requirements.txt", "safetensors\n");
    write("code/train.py", "import safetensors\nopen('/out/step', 'w').write('1')\nprint('trained')\n");
    std::fs::create_dir(directory.path().join("out")).expect("a directory");
    let here = directory.path().display();
    let mounts = format!("-v {here}/data:/data:ro -v {here}/code:/code:ro -v {here}/out:/out -w /code");
    let keys = "-e TRAINIT_DATA=/data -e TRAINIT_OUTPUT=/out -e TRAINIT_CODE_PATH=/code";
    let run = Run::of(image).with(&offline()).with(&mounts).with(keys).with(option);
    run.command(&["python3", "train.py"]).finish()
}

/// The verdicts on data, code and output, without the times at the ends of their lines and without the room that is left.
fn verdicts(ended: &Ended) -> Vec<String> {
    let of_line = |line: &str| {
        let cells: Vec<&str> = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        let [status, family @ ("data" | "code" | "output"), what, ..] = cells[..] else { return None };
        let what = what.rsplit_once(", ").filter(|(_, room)| room.ends_with(" free")).map_or(what, |(what, _)| what);
        Some(format!("{status} {family} {what}"))
    };
    ended.text.lines().filter_map(of_line).collect()
}

#[test]
fn a_profile_that_refuses_newer_calls_changes_no_verdict() {
    let Some(python) = image(Image::Python) else { return };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let usual = start(&python, "");
    assert_eq!(verdicts(&usual).len(), 3, "{}", usual.text);
    for errno in [libc::ENOSYS, libc::EPERM] {
        let refused = start(&python, &refusing(errno, directory.path()));
        assert_eq!(verdicts(&refused), verdicts(&usual), "errno {errno}: {}", refused.text);
    }
}

#[test]
fn pip_installs_where_uv_cannot_start_threads_and_one_line_says_why() {
    let Some(python) = image(Image::Python) else { return };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let usual = start(&python, "");
    if !usual.text.contains("with uv ") {
        return skipped("the image has no uv");
    }
    let why = "uv cannot start threads";
    let older = start(&python, &refusing(libc::EPERM, directory.path())).expect_text(&[why, "with pip "]);
    assert_eq!(older.text.matches(why).count(), 1, "{}", older.text);
    let newer = start(&python, &refusing(libc::ENOSYS, directory.path())).expect_text(&["with uv "]);
    assert!(!newer.text.contains(why), "{}", newer.text);
    let option = format!("{} -e TRAINIT_DEPS_INSTALLER=uv", refusing(libc::EPERM, directory.path()));
    let only_uv = run(&python, &option).expect_code(116).expect_text(&[why, "TRAINIT_DEPS_INSTALLER=pip"]);
    assert!(!only_uv.text.contains("panicked"), "{}", only_uv.text);
}
