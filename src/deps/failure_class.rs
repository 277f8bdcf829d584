//! The classes of failed installations: what each is, whether another try can help, the texts of installers that show it, and the remedy.
//! A new class is a new row. The file knows no program and no file.

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
    /// Variables that may be the cause where they are set.
    pub settings: &'static [&'static str],
    /// Texts of installers for this failure, any of which is enough. Every run of blanks in the output is one space by then.
    pub signs: &'static [&'static str],
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

pub(super) const fn permanent(says: &'static str, hint: &'static str, signs: &'static [&'static str]) -> FailureClass {
    FailureClass { says, again: RetryAdvice::Never, is_everywhere: true, hint, settings: &[], signs }
}

/// Makes a class that depends on this machine or this user.
pub(super) const fn here(says: &'static str, hint: &'static str, signs: &'static [&'static str]) -> FailureClass {
    FailureClass { is_everywhere: false, ..permanent(says, hint, signs) }
}

pub(super) const fn passing(says: &'static str, hint: &'static str, signs: &'static [&'static str]) -> FailureClass {
    FailureClass { again: RetryAdvice::Later, ..permanent(says, hint, signs) }
}

impl FailureClass {
    /// Names the variables that may be the cause.
    pub(super) const fn perhaps_by(self, settings: &'static [&'static str]) -> Self {
        FailureClass { settings, ..self }
    }

    /// Checks whether the failure is about versions, which protected packages limit.
    pub(super) fn is_about_versions(&self) -> bool {
        [CONTRADICTION, NO_VERSION, NO_WHEEL.says, PYTHON.says].contains(&self.says)
    }
}

/// Variables that limit which packages are found.
const FINDING: &[&str] = &[
    "PIP_NO_INDEX",
    "UV_NO_INDEX",
    "UV_OFFLINE",
    "UV_EXCLUDE_NEWER",
    "PIP_ONLY_BINARY",
    "PIP_NO_BINARY",
    "UV_NO_BUILD",
    "UV_NO_BUILD_PACKAGE",
    "UV_NO_BINARY",
    "UV_NO_BINARY_PACKAGE",
    "PIP_PLATFORM",
    "PIP_PYTHON_VERSION",
    "UV_PYTHON_PLATFORM",
    "PIP_CONSTRAINT",
    "UV_CONSTRAINT",
    "UV_OVERRIDE",
];

/// A path in a requirement file or a setting leads nowhere.
pub(super) const MISSING_FILE: &str = "a file that is named does not exist";
const CONTRADICTION: &str = "two requirements contradict each other";
const NO_VERSION: &str = "a version does not exist";

/// What Python and the installers say of a version control program that is not there.
pub(super) const NO_GIT: FailureClass = here(
    "git is not in the image",
    "put it there (apt-get install git), or name an archive: NAME @ https://github.com/OWNER/REPOSITORY/archive/COMMIT.tar.gz",
    &[
        "Git executable not found",
        "Cannot find command 'git'",
        "No such file or directory: 'git'",
        "git: not found",
        "git: command not found",
    ],
);
/// The wheels are for other Pythons or machines.
pub(super) const NO_WHEEL: FailureClass = permanent(
    "no wheel fits this Python or this machine",
    "take a version with a wheel for them, or an image with another Python",
    &[
        "has no wheels with a matching",
        "have no wheels with a matching",
        "is not a supported wheel on this platform",
        "have a source distribution or wheel for the current platform",
        "has no usable wheels",
        "have no usable wheels",
    ],
)
.perhaps_by(FINDING);
/// The versions are for other Pythons.
pub(super) const PYTHON: FailureClass = permanent(
    "no version fits this Python",
    "use an image with the Python that is asked for, or an older version of the package",
    &[
        "requires a different Python",
        "does not satisfy Python",
        "requires Python >",
        "requires Python <",
        "requires Python =",
    ],
);

pub(super) const NO_SPACE: FailureClass = here(
    "no space is left",
    "make room, or point TMPDIR and the cache elsewhere (UV_CACHE_DIR, PIP_CACHE_DIR)",
    &["No space left on device", "Errno 28]", "Disk quota exceeded"],
);
/// What Python and uv say of errors that pass on this machine or another one: EINTR, EIO, ENOMEM, ENOTCONN, ESTALE.
const MACHINE: FailureClass = FailureClass {
    is_everywhere: false,
    ..passing(
        "the machine or a file system failed at this moment",
        "try again, here later or on another machine; look at the container's limit of memory and at its mounts",
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
pub(super) const MODULE_MISSING: FailureClass = permanent(
    "a build needs a package that is not there while it runs",
    "add the package that has this module to the requirements, or take a version with a wheel",
    &["ModuleNotFoundError: No module named"],
);
pub(super) const COMPILED: FailureClass = permanent(
    "a package has to be compiled, and that failed",
    "the build's own words are above; a version with a wheel for this Python needs no build",
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

/// Classes that are final whatever else the output contains.
pub(super) const FINAL: &[FailureClass] = &[
    NO_SPACE,
    MACHINE,
    NO_GIT,
    FailureClass {
        says: "a download is not what its hash says",
        again: RetryAdvice::Fresh,
        is_everywhere: true,
        hint: "the file was replaced on the index, or the hashes are old: make them anew",
        settings: &[],
        signs: &["DO NOT MATCH THE HASHES", "Hash mismatch for"],
    },
    permanent(
        "hashes are missing",
        "with one hash every requirement needs one, dependencies included",
        &[
            "Hashes are required in --require-hashes mode",
            "In `--require-hashes` mode",
            "In --require-hashes mode, all requirements must have their versions pinned",
        ],
    )
    .perhaps_by(&["PIP_REQUIRE_HASHES", "UV_REQUIRE_HASHES"]),
    here(
        "a setting of the installer forbids it",
        "take the setting back for this job",
        &[
            "Building source distributions is disabled",
            "Building source distributions for",
            "building from source is disabled",
            "Network connectivity is disabled",
            "network was disabled",
            "Can not perform a '--user' install",
            "Can not combine",
        ],
    )
    .perhaps_by(&["UV_NO_BUILD", "UV_OFFLINE", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "UV_NO_INDEX"]),
    permanent(
        "a path of the machine where conda built a package is named",
        "pip freeze writes such paths in a conda environment; pip list --format=freeze >requirements.txt writes versions",
        &[
            "not found at: file:///croot",
            "not found at: file:///home/conda/",
            "not found at: file:///opt/conda/conda-bld",
            "not found at: file:///tmp/build/",
            "not found at: file:///work/",
            "directory: '/croot",
            "directory: '/home/conda/",
            "directory: '/opt/conda/conda-bld",
            "directory: '/tmp/build/",
        ],
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
        CONTRADICTION,
        "loosen one of the versions that are named",
        &["ResolutionImpossible", "have conflicting dependencies"],
    )
    .perhaps_by(&["PIP_CONSTRAINT", "UV_CONSTRAINT", "UV_OVERRIDE"]),
    NO_WHEEL,
    PYTHON,
    MODULE_MISSING,
    COMPILED,
    here(
        "pip cannot replace what another tool installed (conda, apt)",
        "leave the image's version, or install over it: TRAINIT_DEPS_TARGET=layer",
        &["Cannot uninstall", "uninstall-no-record-file", "uninstall-distutils-installed-package"],
    ),
    here(
        MISSING_FILE,
        "correct the path: one in a requirement file is relative to that file",
        &[
            "Distribution not found at: file:",
            "[Errno 2] No such file or directory",
            "File not found:",
            "does not appear to be a Python project",
            "Could not find a suitable TLS CA certificate bundle",
            "Could not find the TLS certificate file",
            "Could not find the TLS key file",
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

/// Classes of an index's answers.
pub(super) const ANSWERS: &[FailureClass] = &[
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
    )
    .perhaps_by(FINDING),
    permanent(
        NO_VERSION,
        "check the version; the index has others",
        &[
            "Could not find a version that satisfies",
            "No matching distribution found",
            "there is no version of",
            "there are no versions of",
            "is available and you require",
            "are available and you require",
        ],
    )
    .perhaps_by(FINDING),
    permanent(CONTRADICTION, "loosen one of the versions that are named", &["No solution found"]).perhaps_by(FINDING),
];

pub(super) const OUT_OF_MEMORY: FailureClass = here(
    "it needed more memory than the container has",
    "raise the container's limit of memory, or build less at a time: MAX_JOBS=1",
    &[],
);
pub(super) const KILLED: FailureClass = here(
    "the installer was killed",
    "it may have used more memory than the node has: set MAX_JOBS=1, or bake the packages into the image",
    &[],
);
pub(super) const SIGNALLED: FailureClass = passing(
    "the installer was ended by a signal",
    "who sent it is not known here; if it happens again, bake the packages into the image",
    &[],
);
pub(super) const TIME_OUT: FailureClass = passing(
    "it took longer than deps.timeout",
    "raise it: TRAINIT_DEPS_TIMEOUT=1h, or bake the packages into the image",
    &[],
);
pub(super) const OTHER: FailureClass = here(
    "the installer failed",
    "its own words are above; to start without installing: TRAINIT_DEPS_REQUIREMENTS=off",
    &[],
);
