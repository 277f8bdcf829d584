//! The reason why a file cannot be executed. execve(2) has one number for ten different reasons. The command is examined before a start,
//! and again after a failed exec.

use super::Remedy;
use nix::errno::Errno;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::AccessFlags;
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use sys::access;
use sys::executable::{self, FileHead};

/// The reason why a file cannot be executed, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// The reason.
    pub because: String,
    /// What to type.
    pub advice: String,
    /// The command that mends the file, without the file's path; `None` if no single command does.
    pub command: Option<&'static str>,
    /// Whether the file is missing, so that the exit code is 127 as in sh, and not 126.
    pub missing: bool,
    /// Whether an emulator that the kernel knows (binfmt_misc) may run it all the same: only execve(2) tells.
    pub may_be_emulated: bool,
    /// Whether a shell is going to run it all the same, because execve(2) does not know what it is (execvp(3)).
    pub goes_to_shell: bool,
}

fn obstacle(because: impl Into<String>, advice: impl Into<String>) -> Obstacle {
    let (because, advice) = (because.into(), advice.into());
    Obstacle { because, advice, command: None, missing: false, may_be_emulated: false, goes_to_shell: false }
}

/// Examines a file that will be executed; `None` if no obstacle is visible.
pub fn obstacle_of(file: &Path) -> Option<Obstacle> {
    match std::fs::metadata(file) {
        Ok(meta) if meta.is_dir() => Some(obstacle(
            "it is a directory",
            "name a program; for a missing file that is mounted Docker makes a directory",
        )),
        Ok(meta) => not_permitted(file, &meta).or_else(|| not_startable(file)),
        Err(_) => dangling(file),
    }
}

fn dangling(file: &Path) -> Option<Obstacle> {
    let target = std::fs::read_link(file).ok()?;
    let because = format!("it is a link to {}, which is not there", text::path(&target));
    Some(Obstacle { missing: true, ..obstacle(because, "mount what it points to, or replace the link by the file") })
}

fn not_permitted(file: &Path, meta: &Metadata) -> Option<Obstacle> {
    // Other errors say nothing about the permission to execute; exec reports them.
    access::may(file, AccessFlags::X_OK).err().filter(|errno| matches!(errno, Errno::EACCES | Errno::EPERM))?;
    let quoted = text::quoted(file.as_os_str());
    if statvfs(file).is_ok_and(|stat| stat.flags().contains(FsFlags::ST_NOEXEC)) {
        let because = "its file system is mounted noexec";
        return Some(obstacle(because, "mount it without noexec, or start its interpreter: sh, python"));
    }
    let because =
        format!("it may not be executed: mode {:04o}, owner {}:{}", meta.mode() & 0o7777, meta.uid(), meta.gid());
    Some(Obstacle {
        command: Some("chmod +x"),
        ..obstacle(
            because,
            format!("chmod +x {quoted} (on the host, where it is mounted), or start its interpreter: sh, python"),
        )
    })
}

/// Examines the interpreter that the first bytes ask for.
fn not_startable(file: &Path) -> Option<Obstacle> {
    let bytes = head_of(file)?;
    let missing = |path: &Path| std::fs::metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    let gone = |path: &Path| path.is_absolute() && missing(path);
    match executable::head(&bytes) {
        FileHead::Empty => Some(obstacle("it is empty", "check the file on the host")),
        FileHead::Script { carriage_return: true, .. } => Some(Obstacle {
            missing: true,
            command: Some(UNIX_LINES),
            ..obstacle(
                "its lines end as Windows ends them (CR LF): the interpreter's name has an invisible CR at its end",
                unix_lines(file),
            )
        }),
        FileHead::Script { interpreter, .. } if gone(interpreter) => Some(Obstacle {
            missing: true,
            ..obstacle(
                format!("the interpreter in its first line is not there: {}", text::path(interpreter)),
                "install it in the image, or change the first line: #!/usr/bin/env …",
            )
        }),
        FileHead::MarkedScript => Some(Obstacle {
            command: Some(WITHOUT_MARK),
            goes_to_shell: true,
            ..obstacle("a byte order mark (BOM) stands before its #!", without_mark(file))
        }),
        FileHead::Binary { foreign: Some(machine), .. } => Some(Obstacle {
            may_be_emulated: true,
            ..obstacle(
                format!("it is built for {machine}, this machine is {}", std::env::consts::ARCH),
                "build it for this machine, or start an image for its platform",
            )
        }),
        FileHead::Binary { loader: Some(loader), .. } if gone(loader) => Some(Obstacle {
            missing: true,
            ..obstacle(
                format!("its loader is not there: {}: it is built for another C library", text::path(loader)),
                "build it on this image's distribution (musl on Alpine, glibc elsewhere), or statically",
            )
        }),
        _ => None,
    }
}

/// Finds the first line that a shell could not read.
pub(super) fn obstacle_of_shell(file: &Path) -> Option<Obstacle> {
    let bytes = head_of(file)?;
    if executable::has_carriage_return(&bytes) {
        return Some(Obstacle {
            command: Some(UNIX_LINES),
            ..obstacle(
                "its lines end as Windows ends them (CR LF), which a shell takes for part of each word",
                unix_lines(file),
            )
        });
    }
    let marked = bytes.starts_with(b"\xef\xbb\xbf");
    marked.then(|| Obstacle {
        command: Some(WITHOUT_MARK),
        ..obstacle(
            "it begins with a byte order mark (BOM), which a shell takes for part of the first word",
            without_mark(file),
        )
    })
}

fn head_of(file: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(executable::HEAD);
    if !std::fs::metadata(file).ok()?.is_file() {
        return None;
    }
    File::open(file).ok()?.take(executable::HEAD as u64).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Takes the CR from the ends of lines.
const UNIX_LINES: &str = r"sed -i 's/\r$//'";
/// Takes the byte order mark from the first line.
const WITHOUT_MARK: &str = r"sed -i '1s/^\xef\xbb\xbf//'";

fn unix_lines(file: &Path) -> String {
    format!("{UNIX_LINES} {} (and: git config core.autocrlf input)", name(file))
}

fn without_mark(file: &Path) -> String {
    format!("{WITHOUT_MARK} {}", name(file))
}

fn name(file: &Path) -> String {
    text::quoted(file.file_name().unwrap_or(OsStr::new("FILE")))
}

impl Obstacle {
    /// Returns the advice as a remedy.
    pub fn remedy(&self) -> Remedy {
        Remedy::Do(self.advice.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn of(text: &[u8], mode: u32) -> Option<String> {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("run.sh");
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        obstacle_of(&file).map(|obstacle| obstacle.because)
    }

    #[test]
    fn each_reason_has_its_words() {
        let told = |text: &[u8], mode, part: &str| {
            let because = of(text, mode).unwrap_or_default();
            assert!(because.contains(part), "{part}: {because}");
        };
        told(b"#!/bin/sh\n", 0o644, "may not be executed: mode 0644");
        told(b"#!/bin/sh\r\n", 0o755, "CR LF");
        told(b"#!/no/such/sh\n", 0o755, "interpreter in its first line is not there: /no/such/sh");
        told(b"\xef\xbb\xbf#!/bin/sh\n", 0o755, "byte order mark");
        told(b"", 0o755, "empty");
        assert_eq!((of(b"#!/bin/sh\n", 0o755), of(b"exit 0\n", 0o755)), (None, None));
    }

    #[test]
    fn binaries_for_another_machine_or_another_library_are_told() {
        let mut foreign = std::fs::read("/proc/self/exe").unwrap();
        foreign[18..20].copy_from_slice(&258u16.to_le_bytes());
        assert!(of(&foreign, 0o755).unwrap().starts_with("it is built for loongarch64, this machine is "));
        let Ok(shell) = std::fs::read("/bin/sh") else { return println!("SKIPPED: there is no /bin/sh here") };
        let FileHead::Binary { loader: Some(loader), .. } = executable::head(&shell) else {
            return println!("SKIPPED: there is no /bin/sh here that needs a loader");
        };
        let text = loader.to_str().unwrap().as_bytes();
        let at = shell.windows(text.len()).position(|window| window == text).unwrap();
        let mut other = shell.clone();
        other[at + 1] = b'X';
        assert!(of(&other, 0o755).unwrap().starts_with("its loader is not there: /X"));
    }

    #[test]
    fn links_and_directories_are_told() {
        let place = tempfile::tempdir().unwrap();
        let link = place.path().join("link");
        symlink("/no/such/target", &link).unwrap();
        let found = obstacle_of(&link).unwrap();
        assert!(found.missing && found.because.contains("link to /no/such/target"));
        assert_eq!(obstacle_of(place.path()).unwrap().because, "it is a directory");
        assert_eq!(obstacle_of(&place.path().join("nothing")), None);
    }

    #[test]
    fn what_a_shell_reads_has_unix_lines() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("my run.sh");
        let told = |text: &[u8]| {
            std::fs::write(&file, text).unwrap();
            obstacle_of_shell(&file)
        };
        let found = told(b"cd /\r\nls\r\n").unwrap();
        assert!(found.advice.starts_with("sed -i 's/\\r$//' 'my run.sh'"), "{}", found.advice);
        assert!(told(b"\xef\xbb\xbfcd /\n").is_some());
        assert_eq!((told(b"cd /\n"), told(b"")), (None, None));
    }
}
