//! How the kernel takes the first bytes of a file that is to be executed: as a script with its interpreter, as a binary with its
//! loader, or as nothing that it knows (execve(2), elf(5)). The functions take bytes and open no file.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// How many bytes of a file have to be read. The kernel reads less of a script's first line.
pub const HEAD: usize = 4096;

/// How many bytes of a script's first line the kernel reads (BINPRM_BUF_SIZE).
const LINE: usize = 256;

/// The kind of a file, as far as its first bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileHead<'a> {
    /// The file is empty.
    Empty,
    /// A script that names its interpreter.
    Script {
        /// The program that is to run the script.
        interpreter: &'a Path,
        /// The first line ends with CR LF, so the kernel takes the CR as part of the interpreter's name.
        carriage_return: bool,
    },
    /// A byte order mark stands before `#!`: the kernel does not see a script.
    MarkedScript,
    /// A binary.
    Binary {
        /// The name of the machine that the binary is built for, if this machine does not run it.
        foreign: Option<&'static str>,
        /// The loader that the binary asks for; `None` where it is static, or where the loader cannot be seen.
        loader: Option<&'a Path>,
    },
    /// Anything else; a shell takes it for a script.
    Other,
}

/// Reads the first bytes of a file.
pub fn head(bytes: &[u8]) -> FileHead<'_> {
    if bytes.is_empty() {
        return FileHead::Empty;
    }
    if bytes.starts_with(b"\xef\xbb\xbf#!") {
        return FileHead::MarkedScript;
    }
    match (script(bytes), bytes.starts_with(b"\x7fELF")) {
        (Some(script), _) => script,
        (None, true) => binary(bytes),
        (None, false) => FileHead::Other,
    }
}

/// Tells whether the first line ends with CR LF, as lines do on Windows.
pub fn has_carriage_return(bytes: &[u8]) -> bool {
    bytes.split(|byte| *byte == b'\n').next().is_some_and(|line| line.ends_with(b"\r") && line.len() < bytes.len())
}

fn script(bytes: &[u8]) -> Option<FileHead<'_>> {
    let line = bytes.get(..LINE).unwrap_or(bytes).strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let mut words = line.split(|byte| matches!(byte, b' ' | b'\t' | b'\r' | 0)).filter(|word| !word.is_empty());
    let interpreter = Path::new(OsStr::from_bytes(words.next()?));
    Some(FileHead::Script { interpreter, carriage_return: has_carriage_return(bytes) })
}

/// Machines: their number in an ELF header (e_machine), the name to show, and the name in Rust.
const MACHINES: [(u16, &str, &str); 8] = [
    (62, "x86_64 (amd64)", "x86_64"),
    (183, "aarch64 (arm64)", "aarch64"),
    (3, "x86, 32 bit", "x86"),
    (40, "arm, 32 bit", "arm"),
    (243, "riscv64", "riscv64"),
    (21, "ppc64le", "powerpc64"),
    (22, "s390x", "s390x"),
    (258, "loongarch64", "loongarch64"),
];

/// Machines that also run 32-bit binaries: x86_64 always does, aarch64 mostly.
const ALSO: [(&str, &str); 2] = [("x86_64", "x86"), ("aarch64", "arm")];

fn binary(bytes: &[u8]) -> FileHead<'_> {
    let machine = two(bytes, 18).and_then(|number| MACHINES.iter().find(|(known, _, _)| *known == number));
    let own = std::env::consts::ARCH;
    let runs = |name: &str| name == own || ALSO.contains(&(own, name));
    FileHead::Binary {
        foreign: machine.filter(|(_, _, name)| !runs(name)).map(|(_, shown, _)| *shown),
        loader: loader(bytes).filter(|_| machine.is_some()),
    }
}

/// The path in the PT_INTERP segment of a 64-bit, little-endian binary.
fn loader(bytes: &[u8]) -> Option<&Path> {
    const PT_INTERP: u32 = 3;
    if bytes.get(4..6)? != [2, 1] {
        return None;
    }
    let (table, size, count) = (eight(bytes, 32)?, usize::from(two(bytes, 54)?), usize::from(two(bytes, 56)?));
    let rows = (0..count).map_while(|row| table.checked_add(row.checked_mul(size)?));
    let row = rows.take(HEAD).find(|row| four(bytes, *row) == Some(PT_INTERP))?;
    let (at, length) = (eight(bytes, row.checked_add(8)?)?, eight(bytes, row.checked_add(32)?)?);
    let path = bytes.get(at..at.checked_add(length)?)?.split(|byte| *byte == 0).next()?;
    (!path.is_empty()).then(|| Path::new(OsStr::from_bytes(path)))
}

fn two(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|chunk| u16::from_le_bytes(*chunk))
}

fn four(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|chunk| u32::from_le_bytes(*chunk))
}

fn eight(bytes: &[u8], at: usize) -> Option<usize> {
    bytes.get(at..)?.first_chunk().and_then(|chunk| usize::try_from(u64::from_le_bytes(*chunk)).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn script(interpreter: &str, carriage_return: bool) -> FileHead<'_> {
        FileHead::Script { interpreter: Path::new(interpreter), carriage_return }
    }

    #[test]
    fn scripts_are_read_as_the_kernel_reads_them() {
        assert_eq!(head(b"#!/bin/sh\nexit"), script("/bin/sh", false));
        assert_eq!(head(b"#! \t/usr/bin/env  -S python3\n"), script("/usr/bin/env", false));
        assert_eq!(head(b"#!/bin/sh\r\nexit\r\n"), script("/bin/sh", true));
        assert_eq!(head(b"#!/bin/sh"), script("/bin/sh", false));
        assert_eq!((head(b"\xef\xbb\xbf#!/bin/sh\n"), head(b"")), (FileHead::MarkedScript, FileHead::Empty));
        assert_eq!((head(b"#!\n"), head(b"import torch\n")), (FileHead::Other, FileHead::Other));
        assert!(
            has_carriage_return(b"cd /\r\nls") && !has_carriage_return(b"cd /\nls\r\n") && !has_carriage_return(b"x\r")
        );
    }

    #[test]
    fn this_program_and_a_shell_are_binaries_of_this_machine() {
        let own = std::fs::read("/proc/self/exe").unwrap();
        let FileHead::Binary { foreign: None, .. } = head(&own[..HEAD]) else { panic!("{:?}", head(&own[..HEAD])) };
        let mut other = own[..HEAD].to_vec();
        other[18..20].copy_from_slice(&22u16.to_le_bytes());
        assert!(matches!(head(&other), FileHead::Binary { foreign: Some("s390x"), .. }));
        let Ok(shell) = std::fs::read("/bin/sh") else { return println!("SKIPPED: there is no /bin/sh here") };
        if let FileHead::Binary { loader: Some(loader), .. } = head(&shell[..HEAD]) {
            assert!(loader.is_absolute() && loader.exists(), "{}", loader.display());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes in proptest::collection::vec(any::<u8>(), 0..300), as_binary: bool) {
            let mut bytes = bytes;
            if as_binary {
                bytes.splice(0..0, *b"\x7fELF\x02\x01");
            }
            let _ = (head(&bytes), has_carriage_return(&bytes));
        }
    }
}
