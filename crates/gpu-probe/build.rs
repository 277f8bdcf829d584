//! Builds the embedded gpu-probe (program/).
#![allow(clippy::expect_used, reason = "a build may end so")]

#[path = "build/helper.rs"]
mod helper;

use std::error::Error;
use std::path::PathBuf;

/// Architectures that have an NVIDIA driver.
const WITH_DRIVERS: [&str; 2] = ["x86_64", "aarch64"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=build");
    println!("cargo:rerun-if-changed=program");
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let (source, out) =
        (PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("program"), PathBuf::from(variable("OUT_DIR")));
    let helper = out.join("gpu-helper");
    let architecture = variable("CARGO_CFG_TARGET_ARCH");
    let built = match WITH_DRIVERS.contains(&architecture.as_str()) {
        true => helper::build(&helper::Build {
            source,
            out: out.join("helper"),
            helper: helper.clone(),
            architecture,
            target: variable("TARGET"),
            host: variable("HOST"),
            rustc: variable("RUSTC"),
        }),
        false => Err(helper::BuildError::NoDriver(architecture)),
    };
    if let Err(error) = built {
        let cause = error.source().map_or(String::new(), |cause| format!(": {cause}"));
        println!("cargo:warning=no GPU helper is embedded, so this trainit asks nvidia-smi at most: {error}{cause}");
        std::fs::write(&helper, b"").expect("OUT_DIR can be written");
    }
}
