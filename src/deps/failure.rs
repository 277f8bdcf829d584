//! Classifies a failed installation: its class, whether another try can help, the lines that explain it, and the remedy. The classes are a
//! table of texts that installers write; a new class is a new row.

use super::build_log;
use super::installer::Tool;
use super::installer_view::plain;
use super::run::ProgramEnd;
use std::os::unix::process::ExitStatusExt;
use sys::Signal;

/// A class of failures.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FailureClass {
    /// The failure in a few words.
    pub says: &'static str,
    /// Whether trying again can help.
    pub again: RetryAdvice,
    /// Whether the failure would be the same for every start with the same requirements, on any machine.
    pub is_everywhere: bool,
    /// The remedy.
    pub hint: &'static str,
    /// Texts of installers for this failure, any of which is enough. Every run of blanks in the output is one space by then.
    signs: &'static [&'static str],
}

/// Whether another try can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RetryAdvice {
    /// No try can help.
    Never,
    /// One more try without caches can help: a truncated download looks like a tampered one.
    Fresh,
    /// A later try can help, here or on another node.
    Later,
}

const fn permanent(says: &'static str, hint: &'static str, signs: &'static [&'static str]) -> FailureClass {
    FailureClass { says, again: RetryAdvice::Never, is_everywhere: true, hint, signs }
}

/// Makes a class that depends on this machine or this user.
const fn here(says: &'static str, hint: &'static str, signs: &'static [&'static str]) -> FailureClass {
    FailureClass { is_everywhere: false, ..permanent(says, hint, signs) }
}

const fn passing(says: &'static str, hint: &'static str, signs: &'static [&'static str]) -> FailureClass {
    FailureClass { again: RetryAdvice::Later, ..permanent(says, hint, signs) }
}

const NO_SPACE: FailureClass = here(
    "no space is left",
    "make room, or point TMPDIR and the cache elsewhere (UV_CACHE_DIR, PIP_CACHE_DIR)",
    &["No space left on device", "Errno 28]", "Disk quota exceeded"],
);
/// What Python and uv say of errors that pass on this machine or another one: EINTR, EIO, ENOMEM, ENOTCONN, ESTALE.
const MACHINE: FailureClass = FailureClass {
    is_everywhere: false,
    ..passing(
        "the machine or a file system failed at this moment",
        "try again, here later or on another machine; look at its memory (docker run --memory) and at its mounts",
        &[
            "[Errno 4]",
            "[Errno 5]",
            "[Errno 12]",
            "[Errno 107]",
            "[Errno 116]",
            "MemoryError",
            "(os error 4)",
            "(os error 5)",
            "(os error 12)",
            "(os error 107)",
            "(os error 116)",
        ],
    )
};
const MODULE_MISSING: FailureClass = permanent(
    "a build needs a package that is not there while it runs",
    "install it first, or take a version with a wheel",
    &["ModuleNotFoundError: No module named"],
);
const COMPILED: FailureClass = permanent(
    "a package has to be compiled, and that failed",
    "take a version with a wheel for this Python, or put a compiler into the image (apt-get install gcc)",
    &[
        "Failed building wheel",
        "failed-wheel-build-for-install",
        "metadata-generation-failed",
        "subprocess-exited-with-error",
        "The build backend returned an error",
        "error: command 'gcc' failed",
        "error: command 'x86_64-linux-gnu-gcc' failed",
        "Failed to build `",
    ],
);

/// Classes for failed builds in which no compiler failed.
const IN_BUILDS: &[FailureClass] = &[NO_SPACE, MODULE_MISSING];

/// Classes that are final whatever else the output contains.
const FINAL: &[FailureClass] = &[
    NO_SPACE,
    MACHINE,
    FailureClass {
        says: "a download is not what its hash says",
        again: RetryAdvice::Fresh,
        is_everywhere: true,
        hint: "the file was replaced on the index, or the hashes are old: make them anew",
        signs: &["DO NOT MATCH THE HASHES", "Hash mismatch for"],
    },
    permanent(
        "hashes are missing",
        "with one hash every requirement needs one, dependencies included",
        &["Hashes are required in --require-hashes mode", "In `--require-hashes` mode"],
    ),
    permanent(
        "a line cannot be understood",
        "correct the line that is named",
        &[
            "Invalid requirement",
            "Couldn't parse requirement",
            "InvalidRequirement",
            "Unexpected '",
            "Expected `--hash`",
            "no such option",
            "InvalidMarker",
            "Error parsing included file",
            "Invalid URL in",
            "did not contain valid UTF-8",
            "UnicodeDecodeError",
        ],
    ),
    permanent(
        "two requirements contradict each other",
        "loosen one of the versions that are named",
        &["ResolutionImpossible", "have conflicting dependencies"],
    ),
    permanent(
        "no version fits this Python",
        "use an image with the Python that is asked for, or an older version of the package",
        &[
            "requires a different Python",
            "require a different python version",
            "does not satisfy Python",
            "requires Python >",
        ],
    ),
    MODULE_MISSING,
    COMPILED,
    here(
        "pip cannot replace what another tool installed (conda, apt)",
        "leave the image's version, or install over it: TRAINIT_DEPS_TARGET=layer",
        &["Cannot uninstall", "uninstall-no-record-file", "uninstall-distutils-installed-package"],
    ),
    here(
        "a file that is named does not exist",
        "correct the path: one in a requirement file is relative to that file",
        &[
            "Distribution not found at: file:",
            "[Errno 2] No such file or directory",
            "does not appear to be a Python project",
        ],
    ),
    here(
        "files cannot be written",
        "make the directory writable for this user, or start without --read-only",
        &["Permission denied", "Read-only file system", "Errno 13]", "Errno 30]"],
    ),
    here(
        "this Python belongs to the system",
        "make a virtual environment and put it first on PATH",
        &["externally-managed-environment", "is externally managed"],
    ),
];

/// Classes of network failures on the way to an index.
const NETWORK: &[FailureClass] = &[
    here(
        "the index refuses the user",
        "check user and token of the index (UV_DEFAULT_INDEX, PIP_INDEX_URL, ~/.netrc)",
        &[
            "401 Client Error",
            "401 Error",
            "401 Unauthorized",
            "403 Client Error",
            "403 Forbidden",
            "HTTP error 401",
            "HTTP error 403",
            "Credentials not correct",
        ],
    ),
    here(
        "pip passes over an index without https",
        "use https, or allow it: PIP_TRUSTED_HOST=name-of-the-host",
        &["is not a trusted or secure host"],
    ),
    here(
        "the certificate of the index is not trusted",
        "mount your authority's certificate and name it: SSL_CERT_FILE=/path, PIP_CERT=/path",
        &["CERTIFICATE_VERIFY_FAILED", "invalid peer certificate", "UnknownIssuer"],
    ),
    here(
        "the proxy wants a password",
        "put user and password into HTTPS_PROXY",
        &["407 Proxy Authentication", "407 Client Error", "HTTP error 407", "proxy authorization required"],
    ),
    passing(
        "the proxy cannot be reached",
        "check HTTPS_PROXY and HTTP_PROXY, or name the index in NO_PROXY",
        &["ProxyError", "Cannot connect to proxy", "Unable to connect to proxy", "tunnel error", "proxy error"],
    ),
    passing(
        "the name of the index cannot be looked up",
        "without a way out use a mirror (UV_DEFAULT_INDEX, PIP_INDEX_URL) or bake the packages into the image",
        &[
            "NameResolutionError",
            "Temporary failure in name resolution",
            "Name or service not known",
            "failed to lookup address",
            "dns error",
        ],
    ),
    passing(
        "the index cannot be reached",
        "check network and proxy (HTTPS_PROXY, NO_PROXY), or use a mirror (UV_DEFAULT_INDEX, PIP_INDEX_URL)",
        &[
            "NewConnectionError",
            "Failed to establish a new connection",
            "ConnectTimeoutError",
            "ReadTimeoutError",
            "ReadTimeout",
            "Connection refused",
            "Connection reset",
            "ConnectionResetError",
            "RemoteDisconnected",
            "IncompleteRead",
            "tcp connect error",
            "operation timed out",
            "client error (Connect)",
            "error sending request",
            "connection closed before message completed",
            "Network is unreachable",
        ],
    ),
    passing(
        "the index is down or wants fewer questions",
        "try again later, or use a mirror (UV_DEFAULT_INDEX, PIP_INDEX_URL)",
        &[
            "500 Server Error",
            "502 Server Error",
            "503 Server Error",
            "504 Server Error",
            "429 Client Error",
            "HTTP status server error",
            "HTTP error 5",
            "500 Internal Server Error",
            "502 Bad Gateway",
            "503 Service Unavailable",
            "504 Gateway",
            "429 Too Many Requests",
            "too many 50",
        ],
    ),
];

/// Classes of an index's answers.
const ANSWERS: &[FailureClass] = &[
    permanent(
        "a package does not exist under this name",
        "check the spelling, and whether it is in another index",
        &[
            "(from versions: none)",
            "was not found in the package registry",
            "was not found in the provided package locations",
            "was not found in the cache",
            "not found in the",
        ],
    ),
    permanent(
        "a version does not exist",
        "check the version; the index has others",
        &[
            "Could not find a version that satisfies",
            "No matching distribution found",
            "there is no version of",
            "there are no versions of",
            "is available and you require",
            "are available and you require",
        ],
    ),
    permanent(
        "two requirements contradict each other",
        "loosen one of the versions that are named",
        &["No solution found"],
    ),
];

const OUT_OF_MEMORY: FailureClass = here(
    "it needed more memory than the container has",
    "raise the limit (docker run --memory, resources.limits.memory), or build less at a time: MAX_JOBS=1",
    &[],
);
const KILLED: FailureClass = here(
    "the installer was killed",
    "it may have used more memory than the node has: set MAX_JOBS=1, or bake the packages into the image",
    &[],
);
const SIGNALLED: FailureClass = passing(
    "the installer was ended by a signal",
    "who sent it is not known here; if it happens again, bake the packages into the image",
    &[],
);
const TIME_OUT: FailureClass = passing(
    "it took longer than deps.timeout",
    "raise it: TRAINIT_DEPS_TIMEOUT=1h, or bake the packages into the image",
    &[],
);
const OTHER: FailureClass = here(
    "the installer failed",
    "its own words are above; to start without installing: TRAINIT_DEPS_REQUIREMENTS=off",
    &[],
);

/// One failure with the lines that explain it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InstallFailure {
    /// The class of the failure.
    pub class: &'static FailureClass,
    /// The lines of the output that explain the failure, at most three.
    pub lines: Vec<String>,
    /// The end of a build's output that the tool did not show.
    pub hidden: Vec<String>,
}

/// The most lines of a build's output that are logged.
const HIDDEN: usize = 30;

/// Classifies a failure by the exit of the tool, its output, and pip's log. `starved` means that the kernel's OOM killer ended a process
/// of this cgroup meanwhile: the tool, or a compiler that it started.
pub(super) fn classify(tool: &Tool, end: ProgramEnd, starved: bool, said: &str, log: &str) -> InstallFailure {
    let (class, text) = match end {
        ProgramEnd::Exited(_) if starved => (&OUT_OF_MEMORY, said.to_owned()),
        ProgramEnd::TimedOut => (&TIME_OUT, said.to_owned()),
        ProgramEnd::Exited(status) => match status.signal().and_then(Signal::new) {
            Some(Signal::KILL) => (&KILLED, said.to_owned()),
            Some(_) => (&SIGNALLED, said.to_owned()),
            None => by_text(tool, said, log),
        },
    };
    let build = if *class == COMPILED { build_log::failed(log) } else { Vec::new() };
    let class = if build.is_empty() { class } else { in_build(class, &text, &build.join("\n"), log) };
    let is_shown = text.contains(NESTED) || build.last().is_some_and(|last| said.contains(last.trim()));
    let hidden = build.iter().skip(build.len().saturating_sub(HIDDEN)).filter(|_| !is_shown);
    let lines = lines(class, &format!("{text}\n{}", build.join("\n")));
    InstallFailure { class, lines, hidden: hidden.map(|line| (*line).to_owned()).collect() }
}

/// pip's text when the requirements of a build cannot be installed. That is the failure of a nested pip and not of a build.
const NESTED: &str = "install build dependencies did not run successfully";

/// Classifies a failed build by its output.
fn in_build(class: &'static FailureClass, text: &str, build: &str, log: &str) -> &'static FailureClass {
    let order = match text.contains(NESTED) {
        true => [(NETWORK, given_up(log)), (NETWORK, build.to_owned()), (ANSWERS, build.to_owned())].to_vec(),
        false => vec![(IN_BUILDS, build.to_owned())],
    };
    order.into_iter().find_map(|(classes, text)| find(classes, &text)).unwrap_or(class)
}

fn by_text(tool: &Tool, said: &str, log: &str) -> (&'static FailureClass, String) {
    let said = without_retries(said);
    // pip warns of every network error, also of those that a retry solved, so final classes come first. uv reports the network only when
    // it gives up, as the reason for "no solution".
    let mut order = [(FINAL, said.clone()), (NETWORK, said.clone()), (NETWORK, given_up(log)), (ANSWERS, said.clone())];
    if matches!(tool, Tool::Uv { .. }) {
        order.swap(0, 1);
    }
    let found = order.into_iter().find_map(|(classes, text)| Some((find(classes, &one_line(&text))?, text)));
    found.unwrap_or((&OTHER, said))
}

/// Removes pip's "Retrying" lines: pip writes one before each retry, and reports the last failure in other words.
fn without_retries(said: &str) -> String {
    said.lines().filter(|line| !line.trim_start().starts_with("WARNING: Retrying")).collect::<Vec<_>>().join("\n")
}

/// Returns the lines of pip's log that name the skipped pages of an index. pip does not show them.
fn given_up(log: &str) -> String {
    const MARK: &str = "Could not fetch URL";
    log.lines().filter_map(|line| line.get(line.find(MARK)?..)).collect::<Vec<_>>().join("\n")
}

fn find(classes: &'static [FailureClass], text: &str) -> Option<&'static FailureClass> {
    classes.iter().find(|class| class.signs.iter().any(|sign| text.contains(sign)))
}

/// Joins the lines of a text: uv wraps long lines with frames of its own.
fn one_line(text: &str) -> String {
    let plain = plain(text).replace(['│', '╰', '─', '▶', '├', '×'], " ");
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns the lines with a sign of the class and their explanation, else the lines marked as errors, else the last lines.
fn lines(class: &FailureClass, text: &str) -> Vec<String> {
    const EXPLAIN: [&str; 4] = ["cause:", "hint:", "Hint:", "╰"];
    const ERRORS: [&str; 4] = ["error", "ERROR", "×", "cause:"];
    // Texts without information: pip's references to hidden output, and uv's general advice for builds.
    const EMPTY: [&str; 3] = ["See above for", "No available output", "Build failures usually indicate"];
    let text = plain(text);
    let says = |line: &&str| !line.is_empty() && !EMPTY.iter().any(|empty| line.contains(empty));
    let all: Vec<&str> = text.lines().map(str::trim).filter(says).collect();
    let begins = |line: &str, marks: &[&str]| marks.iter().any(|mark| line.starts_with(mark));
    let in_build = |line: &str| *class == COMPILED && (line.contains("Error: ") || line.contains(" error: "));
    let has_sign = |line: &str| class.signs.iter().any(|sign| line.contains(sign)) || in_build(line);
    if all.iter().any(|line| has_sign(line)) {
        return pick(&all, |line| has_sign(line) || begins(line, &EXPLAIN));
    }
    match pick(&all, |line| begins(line, &ERRORS) || begins(line, &EXPLAIN)) {
        marked if marked.is_empty() => all.iter().rev().take(3).rev().map(|line| shorten(line)).collect(),
        marked => marked,
    }
}

/// Picks at most three of the matching lines, the first and the last two: the failed step and the root cause.
fn pick(all: &[&str], wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let mut picked: Vec<String> = all.iter().filter(|line| wanted(line)).map(|line| shorten(bare(line))).collect();
    picked.dedup();
    if picked.len() > 3 {
        picked.drain(1..picked.len() - 2);
    }
    picked
}

/// Strips the word for the kind of a line, such as `error:`.
fn bare(line: &str) -> &str {
    let marks = ["error: ", "ERROR: ", "cause: ", "× ", "╰─▶ "];
    marks.iter().find_map(|mark| line.strip_prefix(mark)).unwrap_or(line)
}

fn shorten(line: &str) -> String {
    match line.char_indices().nth(400) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line.to_owned(),
    }
}

#[cfg(test)]
#[path = "failure/tests.rs"]
mod tests;
