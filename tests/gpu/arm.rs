//! The helper of the other architecture (GH200, GB200), run by qemu's user mode with that architecture's glibc. Its libraries are made by
//! the compiler that makes the helper, so no other one is needed.

use super::skip;
use gpu::facts::LibraryState;
use gpu::probe::{read, transcript};
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "../../crates/gpu-probe/build/helper.rs"]
#[allow(dead_code, reason = "made for build.rs")]
mod build;

const TARGET: &str = "aarch64-unknown-linux-musl";

/// qemu, and a root with glibc's libraries; none where they cannot be had.
fn machine() -> Option<(PathBuf, PathBuf)> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/arm-tree.sh");
    let output = Command::new(script).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines = text.lines().map(PathBuf::from);
    let both = lines.next().zip(lines.next());
    if both.is_none() {
        skip(&format!("no qemu for 64-bit ARM, no registry of it: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    both
}

fn order(place: &Path) -> build::Build {
    build::Build {
        source: Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/gpu-probe/program"),
        out: place.join("parts"),
        helper: place.join("gpu-helper"),
        architecture: "aarch64".to_owned(),
        target: TARGET.to_owned(),
        host: "x86_64-unknown-linux-gnu".to_owned(),
        rustc: "rustc".to_owned(),
    }
}

#[test]
fn the_other_architectures_helper_loads_its_libraries_and_asks_them() {
    let Some((qemu, root)) = machine() else { return };
    let place = tempfile::tempdir().unwrap();
    let order = order(place.path());
    if let Err(why) = build::build(&order) {
        return skip(&format!("{TARGET} is not there to build the helper for (rustup target add): {why}"));
    }
    let fakes = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gpu/fake");
    for (source, name) in [("arm_cuda.rs", "libcuda.so.1"), ("arm_nvml.rs", "libnvidia-ml.so.1")] {
        order.library(&fakes.join(source), name, None, &place.path().join(name)).unwrap();
    }
    let asked = |libraries: &Path, word: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", r#"exec "$@" 3>&1 >/dev/null"#, "sh"]).arg(&qemu).arg("-L").arg(&root).arg("-E");
        command.arg(format!("LD_LIBRARY_PATH={}", libraries.display())).arg(&order.helper).arg(word);
        let output = command.output().unwrap();
        let transcript = transcript::parse(&output.stdout);
        assert!(output.status.success() && transcript.ended, "{word}: {output:?}");
        transcript
    };
    let cuda = read::cuda(&asked(place.path(), "cuda"));
    assert_eq!((cuda.init, cuda.version, cuda.count), (Some(0), Some(13000), Some(1)), "{cuda:?}");
    assert!(matches!(&cuda.library, LibraryState::Loaded(file) if file.ends_with("libcuda.so.1")), "{cuda:?}");
    assert_eq!(cuda.devices.first().and_then(|device| device.memory), Some(480 << 30), "{cuda:?}");
    let nvml = read::nvml(&asked(place.path(), "nvml"));
    assert_eq!((nvml.init, nvml.init_words.as_deref()), (Some(18), Some("Driver/library version mismatch")));
    let nothing = read::cuda(&asked(Path::new("/no/such/directory"), "cuda"));
    assert!(matches!(&nothing.library, LibraryState::Missing(words) if words.contains("cannot open")), "{nothing:?}");
}
