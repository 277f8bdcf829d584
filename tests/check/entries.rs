//! What is told of the file that is to run, before anything is installed: by `trainit check`, and with the right code by a start.

use crate::sandbox::{Sandbox, possible};
use std::process::Command;

fn code(script: &str) -> Sandbox {
    Sandbox::new(&format!("mkdir -p code; {script}")).with("TRAINIT_CHECKS", "").with("TRAINIT_WORKDIR", "$D/code")
}

/// The code family's finding for a command.
#[track_caller]
fn told(script: &str, command: &str, check: &str, code_expected: i32, words: &str) {
    let checked = code(script).with("TRAINIT_COMMAND", command).check();
    let (found, _, what) = checked.only("code");
    assert_eq!((found, checked.code), (check, code_expected), "{command}: {what}");
    assert!(what.contains(words), "{command}: {what}");
}

#[test]
fn a_script_that_cannot_run_is_told_with_its_reason() {
    if !possible(&["/bin/sh"]) {
        return;
    }
    told("touch code/main.py", "python train.py", "code.entry", 112, "/code/train.py does not exist");
    told("ln -s /host/train.py code/train.py", "python3 -u train.py", "code.entry", 112, "is a link to /host/train.py");
    told("mkdir code/run.sh", "bash run.sh", "code.entry", 112, "is a directory, not a file");
    told("mkdir code/train.py", "python train.py", "code.entry", 112, "is a directory, not a file");
    told("mkdir code/train.py", "torchrun train.py", "code.entry", 0, "is a directory, not a file");
    told("printf 'cd /\\r\\nls\\r\\n' > code/run.sh", "bash run.sh", "code.entry", 0, "CR LF");
    told("touch code/main.py", "torchrun --nproc-per-node 2 train.py", "code.entry", 0, "train.py does not exist");
    told("echo '#!/bin/sh' > code/run", "./run", "code.entry", 126, "may not be executed: mode 0");
    told("printf '#!/bin/sh\\r\\n' > code/run; chmod +x code/run", "./run", "code.entry", 127, "CR LF");
    told("echo '#!/no/python' > code/run; chmod +x code/run", "./run", "code.entry", 127, "not there: /no/python");
    told("mount -t tmpfs -o noexec none code; cp /bin/sh code/run", "./run", "code.entry", 126, "mounted noexec");
    let missing = code("touch code/main.py").with("TRAINIT_COMMAND", "python train.py").check();
    assert!(missing.remedy("code").ends_with("/code: main.py"), "{}", missing.remedy("code"));
}

#[test]
fn what_runs_and_what_may_still_come_is_not_complained_about() {
    if !possible(&["/bin/sh"]) {
        return;
    }
    let quiet = |script: &str, command: &str| {
        let checked = code(script).with("TRAINIT_COMMAND", command).check();
        assert!(checked.findings.iter().all(|finding| finding["check"] != "code.entry"), "{:#?}", checked.findings);
    };
    quiet("echo pass > code/train.py", "python train.py --lr 3");
    quiet("printf 'print(1)\\r\\n' > code/train.py", "python train.py");
    quiet("printf '#!/bin/sh\\nexit 0\\n' > code/run; chmod +x code/run", "./run");
    quiet("mkdir code/pkg; echo pass > code/pkg/__main__.py", "python pkg");
    quiet("", ".venv/bin/torchrun --help");
    quiet("", "python -m pytest tests");
}

#[test]
fn a_configured_entry_is_a_matter_of_code_also_when_it_is_executed() {
    if !possible(&["/bin/sh"]) {
        return;
    }
    let entry = |script: &str| code(script).with("TRAINIT_CODE_ENTRY", "run").with("TRAINIT_COMMAND", "./run").check();
    assert_eq!(entry("printf '\\357\\273\\277#!/bin/sh\\n' > code/run; chmod +x code/run").code, 112);
    let well = entry("cp /bin/sh code/run");
    assert!(well.only("code").2.ends_with("/code: in the image, run"), "{}", well.only("code").2);
}

#[test]
fn a_failed_exec_says_which_of_its_ten_reasons_it_was() {
    use std::os::unix::fs::PermissionsExt;
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("tool");
    std::fs::write(&file, "#!/no/such/python\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    // A name on PATH is nobody's code, so no check looks at it.
    let output = Command::new(env!("CARGO_BIN_EXE_trainit"))
        .args(["exec", "tool"])
        .env("PATH", place.path())
        .env("TRAINIT_CHECKS", "gpu=off host=off")
        .output()
        .unwrap();
    let lines = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(127), "{lines}");
    assert!(
        lines.contains("cannot run tool: the interpreter in its first line is not there: /no/such/python"),
        "{lines}"
    );
}

#[test]
fn a_corrected_start_does_not_claim_to_mend_what_no_start_mends() {
    if !possible(&[]) {
        return;
    }
    let told = |command: &str| {
        let sandbox =
            code("echo pass > code/train.py").with("TRAINIT_DATA", "/no/such").with("TRAINIT_COMMAND", command);
        String::from_utf8(sandbox.told().stderr).unwrap()
    };
    let half = told("python finetune.py");
    assert!(half.contains("this start, corrected, except for code.entry ("), "{half}");
    for whole in [told("python train.py"), told("python trian.py")] {
        assert!(whole.contains("this start, corrected (") && !whole.contains("except for"), "{whole}");
    }
    assert!(told("python trian.py").contains("→ did you mean train.py?"));
}
