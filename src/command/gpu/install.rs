//! `trainit gpu install-probe`: writes the gpu-probe to a file, for clusters that report programs running from memory.

use super::CommandOutput;
use crate::command::program_file;
use crate::error::{Error, ErrorKind, Result};
use gpu::probe::helper::{INSTALLED, embedded};
use protocol::exit_code::Exit;
use std::path::Path;

/// Writes the file, executable for all users, and prints its path.
///
/// # Errors
/// A build without the gpu-probe (78), or a path that cannot be written (70).
pub(crate) fn run(path: Option<&Path>) -> Result<CommandOutput> {
    let place = path.unwrap_or(Path::new(INSTALLED));
    let helper = embedded().ok_or_else(|| {
        Error::config("this trainit was built without a GPU helper")
            .because("its build said why: no linker for it was found")
            .hint("build it with rustup's toolchain, or with ld.lld on PATH")
    })?;
    program_file::write(place, &mut &*helper).map_err(|error| {
        Error::new(ErrorKind::Internal, format!("the helper cannot be written to {}", place.display()))
            .caused_by(error)
            .hint("run it as root, in the Dockerfile: RUN [\"trainit\", \"gpu\", \"install-probe\"]")
    })?;
    Ok(CommandOutput { text: format!("{}\n", place.display()), exit: Exit::Success })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_helper_is_put_where_it_is_wanted() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("deep/er/gpu-helper");
        match run(Some(&place)) {
            Ok(answer) => {
                assert_eq!(answer.text.trim(), place.to_str().unwrap());
                assert_eq!(std::fs::read(&place).unwrap(), embedded().unwrap());
                assert_eq!(std::fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o755);
            }
            Err(error) => assert!(embedded().is_none() && error.exit() == Exit::Config),
        }
        let nowhere = run(Some(Path::new("/proc/no/such/place"))).err().map(|error| error.exit());
        assert!(matches!(nowhere, Some(Exit::Internal | Exit::Config)));
    }
}
