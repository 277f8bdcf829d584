//! The fake libraries, compiled once for this run of the tests.

use gpu::probe::helper;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A directory with libraries of NVIDIA's names.
pub struct Fakes(PathBuf);

impl Fakes {
    /// Where they are.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

/// Today's libraries; none, and a line that says why, where they or the helper cannot be had.
pub fn fakes() -> Option<&'static Fakes> {
    static MADE: OnceLock<Option<Fakes>> = OnceLock::new();
    MADE.get_or_init(|| make("new", &[])).as_ref()
}

/// Libraries that lack what came after driver 450.
pub fn old() -> Option<&'static Fakes> {
    static MADE: OnceLock<Option<Fakes>> = OnceLock::new();
    MADE.get_or_init(|| make("old", &["-DOLD"])).as_ref()
}

fn make(name: &str, words: &[&str]) -> Option<Fakes> {
    if !helper::is_embedded() {
        super::skip("no GPU helper is embedded in this build (it says why when it is built)");
        return None;
    }
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gpu").join(name);
    std::fs::create_dir_all(&place).unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gpu/fake");
    for (file, library) in [("nvml.c", "libnvidia-ml.so.1"), ("cuda.c", "libcuda.so.1")] {
        let mut cc = Command::new("cc");
        // Sums are rounded at every step, as on a GPU.
        cc.args(["-O1", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]).args(words);
        cc.arg(format!("-Wl,-soname,{library}")).arg("-o").arg(place.join(library)).arg(source.join(file));
        let Ok(output) = cc.output() else {
            super::skip("there is no C compiler (cc) to make fake driver libraries with");
            return None;
        };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    Some(Fakes(place))
}
