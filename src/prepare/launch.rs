//! The last step: this process becomes the workload.

use super::story::Ready;
use crate::error::Error;
use crate::exit::Exit;
use crate::handover::{Door, Message};
use crate::show;
use crate::sys::process;
use crate::sys::signal::Inherited;
use nix::errno::Errno;
use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;

/// What the C library searches when PATH is not set.
const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/usr/bin:/bin";

/// Gives everything back and executes. Returns only when that failed; then it has been told.
pub fn launch(ready: &Ready, door: &Door, inherited: &Inherited) -> Error {
    let Ready { command, environment } = ready;
    let argv: Vec<CString> = command.iter().filter_map(|word| CString::new(word.as_bytes()).ok()).collect();
    let path = environment.get("PATH").map_or(DEFAULT_PATH, OsStr::as_bytes);
    let environment = environment.to_envp();
    door.send(&Message::Launching(show::command(command)));
    inherited.give_back();
    let errno = process::execute(&argv, &environment, path);
    let name = command.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    door.send(&Message::Failed { errno: errno as i32, name: name.clone() });
    failure(&name, errno)
}

fn failure(name: &str, errno: Errno) -> Error {
    let error = Error::new(Exit::of_exec(errno as i32), format!("cannot run {name}")).because(errno.desc());
    match errno {
        Errno::ENOENT if name.contains('/') => {
            error.hint("if the file is there, the interpreter in its first line is not, or that line ends with CRLF")
        }
        Errno::ENOENT => error.hint("it is not on PATH in this image"),
        Errno::EACCES => {
            error.hint(format!("chmod +x {name}, unless its file system is mounted noexec or it is a directory"))
        }
        Errno::ENOEXEC => error.hint("it is built for another machine, or lacks its first line (#!…)"),
        _ => error,
    }
}
