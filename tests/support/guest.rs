//! Another kernel than this machine's: a guest of user-mode Linux. Its root is this machine's, read-only, and it writes its results
//! to a directory that both kernels see.

use std::path::Path;
use std::process::{Command, Stdio};

/// The files that a guest and its NFS server need, with the Debian packages that have them.
const NEEDS: [(&str, &str); 3] = [
    ("/usr/bin/linux.uml", "user-mode-linux"),
    ("/usr/sbin/rpc.mountd", "nfs-kernel-server"),
    ("/usr/sbin/modprobe", "kmod"),
];

/// Runs a guest with this script as its init, for at most `seconds`. In the script, `D` is the shared directory, and `TRAINIT` is
/// the program. The script makes `booted.txt` there first of all.
///
/// # Errors
/// The reason, in words, why no guest can run here.
pub fn run(directory: &Path, init: &str, seconds: u32) -> Result<(), String> {
    if let Some((path, package)) = NEEDS.iter().find(|(path, _)| !Path::new(path).exists()) {
        return Err(format!("there is no {path} here (package {package})"));
    }
    let shared = directory.display().to_string();
    std::fs::write(directory.join("init"), init).unwrap();
    // The build may lie where the guest mounts other file systems.
    super::copy_program(super::TRAINIT, directory.join("trainit"));
    // The guest has no environment but the variables that the kernel's command line hands to its init.
    let words = [
        "mem=512M".to_owned(),
        "root=/dev/root".to_owned(),
        "rootfstype=hostfs".to_owned(),
        "rootflags=/".to_owned(),
        "ro".to_owned(),
        "quiet".to_owned(),
        "con=null".to_owned(),
        "con0=null,fd:1".to_owned(),
        format!("uml_dir={shared}"),
        format!("D={shared}"),
        format!("SHARED={shared}"),
        format!("TRAINIT={shared}/trainit"),
        "init=/bin/sh".to_owned(),
        "--".to_owned(),
        format!("{shared}/init"),
    ];
    let mut command = Command::new("timeout");
    command.args(["-s", "KILL", &seconds.to_string(), "linux.uml"]).args(words).env("TMPDIR", &shared);
    let output = command.stdin(Stdio::null()).output().unwrap();
    if directory.join("booted.txt").exists() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().to_owned();
    Err(format!("this kernel's ptrace(2) does not carry another one: {said}"))
}
