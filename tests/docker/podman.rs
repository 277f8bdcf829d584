//! The same for Podman: what a failed start prints is typed as it stands, with Podman's words. The image comes from the Docker daemon, and
//! Podman gets a store and settings of its own, which make it start containers also where a container cannot have more limits.

use crate::harness::{docker, skipped, unique_name};
use crate::images::{Image, image};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

/// Settings that change no word of a command: no network of its own, and limits that every machine has.
const SETTINGS: &str = "[engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n\
    [containers]\nnetns = \"host\"\ndefault_ulimits = [\"nofile=10000:10000\", \"nproc=10000:10000\"]\n";

/// Podman with a store of its own.
struct Podman {
    directory: tempfile::TempDir,
}

impl Podman {
    /// Loads an image; nothing, and a printed reason, where Podman starts no container.
    fn with(image: &str) -> Option<Self> {
        if which::which("podman").is_err() {
            skipped("podman is not installed");
            return None;
        }
        let directory = tempfile::tempdir().expect("a temporary directory");
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).expect("its mode");
        let at = |name: &str| directory.path().join(name);
        let store = format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = \"{}\"\nrunroot = \"{}\"\n",
            at("store").display(),
            at("run").display()
        );
        std::fs::write(at("storage.conf"), store).expect("a file");
        std::fs::write(at("containers.conf"), SETTINGS).expect("a file");
        assert!(docker(["save", "-o", &at("image.tar").display().to_string(), image]).status.success());
        let podman = Podman { directory };
        assert!(podman.types("podman load -q -i $D/image.tar").status.success());
        let tried = podman.types(&format!("podman run --rm --entrypoint true {image}"));
        if !tried.status.success() {
            let why = String::from_utf8_lossy(&tried.stderr).replace('\n', " ");
            skipped(&format!("podman cannot start a container here: {why}"));
            return None;
        }
        Some(podman)
    }

    /// Types a line in a shell; `$D` is the directory of the host.
    fn types(&self, line: &str) -> Output {
        let at = |name: &str| self.directory.path().join(name);
        let mut shell = Command::new("timeout");
        shell.args(["120", "sh", "-ec", line]).current_dir(self.directory.path()).env("D", self.directory.path());
        shell.env("CONTAINERS_STORAGE_CONF", at("storage.conf")).env("CONTAINERS_CONF", at("containers.conf"));
        shell.output().expect("a shell")
    }
}

/// A mistake: what is there before, the options, the command, the exit code, the path that only the person knows.
type Mistake = (&'static str, &'static str, &'static str, i32, &'static str);

const MISTAKES: [Mistake; 5] = [
    ("mkdir d; touch d/a", "-e TRAINIT_DATA=/data", "ls /data/a", 111, "d"),
    ("mkdir d; touch d/a", "-v $D/d:/data:ro -e TRAINIT_DATA=/data:rw", "touch /data/b", 111, "d"),
    ("mkdir -m 777 d", "-e TRAINIT_OUTPUT=/out", "touch /out/a", 113, "d"),
    ("mkdir d", "--user 1000:100 -v $D/d:/out -e TRAINIT_OUTPUT=/out", "touch /out/a", 113, "d"),
    ("mkdir d; echo 'print(1)' >d/train.py", "-w /code -v $D/d:/code", "python3 trian.py", 112, "d"),
];

#[test]
fn what_a_start_that_failed_under_podman_prints_is_typed_and_works() {
    let Some(docker_image) = image(Image::Python) else { return };
    let Some(podman) = Podman::with(&docker_image) else { return };
    for (made, options, command, code, source) in MISTAKES {
        assert!(podman.types(&format!("rm -rf d; {made}; chmod -R a+rX d")).status.success());
        let failed = podman.types(&format!("podman run --rm {options} {docker_image} {command}"));
        let told = String::from_utf8_lossy(&failed.stderr).into_owned();
        assert_eq!(failed.status.code(), Some(code), "{options}:\n{told}");
        let typed = typed(&told, &docker_image, &podman.directory.path().join(source));
        assert!(!typed.contains("docker"), "{typed}");
        let mended = podman.types(&typed);
        let after = String::from_utf8_lossy(&mended.stderr);
        assert!(mended.status.success() && !after.contains("  fail"), "{typed}\n{after}\nafter\n{told}");
    }
}

/// Returns the printed command, with the image and the path put in.
fn typed(told: &str, image: &str, source: &Path) -> String {
    let printed = told.lines().rev().find(|line| line.trim_start().starts_with("podman run ")).expect("a command");
    let named = format!("podman run --rm --name {} ", unique_name());
    let line = printed.trim().replacen("podman run ", &named, 1);
    line.replace("IMAGE", image).replace("/path/on/host", &source.display().to_string())
}
