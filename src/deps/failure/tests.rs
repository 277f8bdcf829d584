use super::*;
use crate::deps::failure_class::{MODULE_MISSING, NO_WHEEL, RetryAdvice};
use std::process::ExitStatus;

fn uv_tool() -> Tool {
    Tool::Uv { path: "uv".into(), version: "0.9.0".into(), settings: Default::default() }
}

fn pip() -> Tool {
    Tool::Pip { version: "24.0".into(), variables: Vec::new() }
}

fn failed() -> ProgramEnd {
    ProgramEnd::Exited(ExitStatus::from_raw(1 << 8))
}

fn says(tool: &Tool, said: &str, log: &str) -> (&'static str, bool) {
    let failure = classify(tool, failed(), false, said, log);
    (failure.class.says, failure.class.again == RetryAdvice::Later)
}

#[test]
fn a_closed_port_is_a_passing_failure_also_where_pip_hides_it() {
    let log = "2026-01-01T00:00:00,000 Could not fetch URL http://h/simple/x/: connection error: HTTPConnectionPool(host='h', port=9): \
               Max retries exceeded (Caused by NewConnectionError('…: [Errno 111] Connection refused')) - skipping";
    let said = "ERROR: Could not find a version that satisfies the requirement x (from versions: none)\nERROR: No matching distribution found for x";
    assert_eq!(says(&pip(), said, log), ("the index cannot be reached", true));
    assert_eq!(says(&pip(), said, ""), ("a package does not exist under this name", false));
    let said = "error: Failed to fetch: http://127.0.0.1:9/simple/x/\n  cause: client error (Connect)\n  cause: Connection refused (os error 111)";
    assert_eq!(says(&uv_tool(), said, ""), ("the index cannot be reached", true));
}

#[test]
fn an_error_of_the_machine_is_a_passing_failure() {
    let what = ("the machine or a file system failed at this moment", true);
    for said in [
        "OSError: [Errno 12] Cannot allocate memory: '/usr/lib/x'",
        "InterruptedError: [Errno 4] Interrupted system call",
    ] {
        assert_eq!(says(&pip(), said, ""), what, "{said}");
    }
    assert_eq!(says(&uv_tool(), "error: failed to read\n  cause: Stale file handle (os error 116)", ""), what);
}

#[test]
fn a_break_that_pip_got_over_is_not_the_cause() {
    let said = "WARNING: Retrying (Retry(total=4)) after connection broken by 'NewConnectionError': /simple/x/\n\
                ERROR: ResolutionImpossible: for help visit https://pip.pypa.io/";
    assert!(!says(&pip(), said, "").1);
    let said =
        "WARNING: Retrying (Retry(total=4)) after 'ReadTimeoutError'\nERROR: No matching distribution found for x==9";
    assert_eq!(says(&pip(), said, ""), ("a version does not exist", false));
}

#[test]
fn each_text_of_uv_finds_its_class_though_frames_break_its_lines() {
    let unknown = "  × No solution found when resolving dependencies:\n  ╰─▶ Because nosuch was not\n      found in the package registry and you require nosuch";
    assert_eq!(says(&uv_tool(), unknown, ""), ("a package does not exist under this name", false));
    let version = "error: No solution found\n  cause: Because there is no version of numpy==99 and you require numpy==99, we can conclude";
    assert_eq!(says(&uv_tool(), version, ""), ("a version does not exist", false));
    let conflict =
        "error: No solution found\n  cause: Because a==1 depends on b==1 and you require b==2, we can conclude";
    assert_eq!(says(&uv_tool(), conflict, ""), ("two requirements contradict each other", false));
    let denied = "error: No solution found\nhint: An index URL (https://h/) could not be queried due to a lack of valid authentication credentials (401 Unauthorized).";
    assert_eq!(says(&uv_tool(), denied, ""), ("the index refuses the user", false));
}

#[test]
fn the_way_it_ended_can_be_the_class() {
    let end = |raw| {
        classify(&uv_tool(), ProgramEnd::Exited(ExitStatus::from_raw(raw)), false, "Downloading x\n", "").class.says
    };
    assert_eq!(end(9), KILLED.says);
    assert_eq!(end(15), SIGNALLED.says);
    assert_eq!(classify(&uv_tool(), failed(), true, "", "").class, &OUT_OF_MEMORY);
    assert_eq!(end(1 << 8), OTHER.says);
    assert_eq!(classify(&uv_tool(), ProgramEnd::TimedOut, false, "", "").class, &TIME_OUT);
}

#[test]
fn the_lines_that_matter_are_kept() {
    let said = "Collecting a\nERROR: Could not find a version that satisfies the requirement a==2 (from versions: 1)\nERROR: No matching distribution found for a==2\n[notice] update\n";
    let failure = classify(&pip(), failed(), false, said, "");
    assert_eq!(failure.lines.len(), 2);
    assert!(failure.lines[0].contains("from versions: 1"));
    assert_eq!(classify(&pip(), failed(), false, "one\ntwo\nthree\nfour\n", "").lines, ["two", "three", "four"]);
}

#[test]
fn what_a_build_said_is_told_though_pip_keeps_it_in_its_log() {
    let said = "  error: subprocess-exited-with-error\n  × python setup.py egg_info did not run successfully.\n  ╰─> See above for output.\n\
                error: metadata-generation-failed\n╰─> See above for output.\nhint: See above for details.\n";
    let log = |line: &str| {
        format!("0T   Running command python setup.py egg_info\n0T   {line}\n0T   ERROR: python exited with 1\n")
    };
    let of = |line: &str| classify(&pip(), failed(), false, said, &log(line));
    let compiled = of("Error: pg_config executable not found.");
    assert!(compiled.class.says.contains("a header or library"));
    assert_eq!(compiled.lines.last().unwrap(), "Error: pg_config executable not found.");
    assert!(compiled.hidden.len() == 1 && compiled.lines.iter().all(|line| !line.contains("See above")));
    assert_eq!(of("ModuleNotFoundError: No module named 'torch'").class, &MODULE_MISSING);
    let shown = format!("{said}Error: x\n");
    assert!(classify(&pip(), failed(), false, &shown, &log("Error: x")).hidden.is_empty());
}

#[test]
fn every_sign_is_on_one_line_and_every_class_says_what_to_do() {
    let by_their_end = [OUT_OF_MEMORY, KILLED, SIGNALLED, TIME_OUT, OTHER];
    for class in [FINAL, NETWORK, ANSWERS, &by_their_end].into_iter().flatten() {
        assert!(!class.hint.is_empty(), "{}: what to do?", class.says);
        for sign in class.signs {
            assert_eq!(one_line(sign), *sign);
        }
    }
}

#[test]
fn what_the_image_lacks_for_a_build_is_named() {
    for (said, what) in [
        ("error: command 'gcc' failed: No such file or directory", "no compiler"),
        (
            "error: command 'gcc' failed with exit code 1\nx.c:1:10: fatal error: Python.h: No such file or directory",
            "Python's headers",
        ),
        ("x.c:1:10: fatal error: sndfile.h: No such file or directory", "a header or library"),
        ("OSError: CUDA_HOME environment variable is not set. Please set it", "the CUDA compiler"),
        ("error: can't find Rust compiler", "Rust"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'cmake'", "cmake"),
        ("error: could not create 'mine.egg-info': Read-only file system", "read-only"),
        ("ValueError: something else", "failed"),
    ] {
        let uv = format!("  × Failed to build `x @ file:///code`\n  ╰─▶ The build backend returned an error\n{said}");
        let found = classify(&uv_tool(), failed(), false, &uv, "");
        assert!(found.class.says.contains(what), "uv: {said}: {}", found.class.says);
        let log = format!(
            "2026-01-01T00:00:00,000   Running command python setup.py egg_info\n{said}\n\
             2026-01-01T00:00:00,000   ERROR: python setup.py egg_info exited with 1\n"
        );
        let found = classify(&pip(), failed(), false, "error: subprocess-exited-with-error", &log);
        assert!(found.class.says.contains(what), "pip: {said}: {}", found.class.says);
    }
}

#[test]
fn what_git_says_of_a_repository_is_told() {
    for (said, what) in [
        ("Git executable not found. Ensure that Git is installed and available.", "git is not in the image"),
        (
            "ERROR: Error [Errno 2] No such file or directory: 'git' while executing command git version",
            "git is not in the image",
        ),
        ("ERROR: Cannot find command 'git' - do you have 'git' installed and in your PATH?", "git is not in the image"),
        (
            "Git operation failed\nfatal: unable to access 'https://h/x/': Could not resolve host: h",
            "cannot be reached",
        ),
        (
            "Git operation failed\nfatal: could not read Username for 'https://github.com': terminal prompts disabled",
            "not for this user",
        ),
        (
            "error: subprocess-exited-with-error\n× git clone --quiet x did not run successfully.\nremote: Repository not found.",
            "not for this user",
        ),
        (
            "error: subprocess-exited-with-error\n× git checkout -q abc did not run successfully.\nerror: pathspec 'abc' did not match any file(s) known to git",
            "no such branch",
        ),
    ] {
        for tool in [uv_tool(), pip()] {
            let found = classify(&tool, failed(), false, said, "");
            assert!(found.class.says.contains(what), "{tool}: {said}: {}", found.class.says);
        }
    }
}

#[test]
fn a_wheel_for_another_python_is_no_contradiction() {
    let said = "  × No solution found when resolving dependencies:\n  ╰─▶ Because abi-only==1.0 has no wheels with a matching Python ABI tag (e.g.,\n\
                `cp311`) and only abi-only==1.0 is available, we can conclude that all versions cannot be used.";
    assert_eq!(classify(&uv_tool(), failed(), false, said, "").class, &NO_WHEEL);
}
