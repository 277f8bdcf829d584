//! What docs/staging.md tells to type, typed as it stands: in a mount namespace of its own, where /mnt is empty.

use crate::support::{TRAINIT, skip};
use std::path::Path;
use std::process::Command;

/// The block behind the mark.
fn block(page: &str) -> &str {
    let behind = page.split_once("<!-- typed by tests/stage/docs.rs -->").unwrap().1;
    behind.split_once("```sh\n").unwrap().1.split_once("```").unwrap().0
}

#[test]
fn the_lines_of_the_page_work() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/staging.md")).unwrap();
    let lines = block(&page);
    let directory = tempfile::Builder::new().prefix("trainit-docs-").tempdir().unwrap();
    std::os::unix::fs::symlink(TRAINIT, directory.path().join("trainit")).unwrap();
    let set_up = "mount -t tmpfs -o size=64m none /mnt || exit 99; mkdir -p /mnt/nas/digits/train /mnt/nvme; \
                  echo one >/mnt/nas/digits/train/1.txt; cd /; export TRAINIT_GPU_COUNT=none; set -ex\n";
    let path = format!("{}:{}", directory.path().display(), std::env::var("PATH").unwrap());
    let script = format!("{set_up}{lines}");
    let output = Command::new("unshare").args(["--mount", "sh", "-c", &script]).env("PATH", path).output().unwrap();
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(99) || told.contains("unshare failed") {
        return skip("no mount namespace can be made here");
    }
    assert!(output.status.success(), "{told}");
    assert!(told.contains("would be brought") && told.contains(": brought  ") && told.contains("\none\n"), "{told}");
}
