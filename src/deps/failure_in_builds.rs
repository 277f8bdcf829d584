//! The classes of failed builds and of repositories that cannot be fetched: what the image lacks, or what git says. A new class is a new
//! row.

use super::failure_class::{FailureClass, MODULE_MISSING, NO_GIT, NO_SPACE, here, passing, permanent};

/// What git says of repositories.
pub(super) const GIT: &[FailureClass] = &[
    NO_GIT,
    FailureClass {
        is_everywhere: false,
        ..passing(
            "the repository cannot be reached",
            "check network and proxy (HTTPS_PROXY); ssh addresses (git+ssh://) need port 22",
            &["Could not resolve host", "Failed to connect to", "Could not resolve hostname", "Connection timed out"],
        )
    },
    here(
        "the repository is not there, or not for this user",
        "check its address; a private one needs a credential that git finds: a token in the address as ${NAME}, ~/.git-credentials, or a key for git+ssh://",
        &[
            "could not read Username",
            "could not read Password",
            "Authentication failed for",
            "Permission denied (publickey",
            "Host key verification failed",
            "Repository not found",
            "repository not found",
            "does not appear to be a git repository",
        ],
    ),
    permanent(
        "the repository has no such branch, tag or commit",
        "check what stands behind the @ of the address",
        &["couldn't find remote ref", "did not match any file(s) known to git", "not our ref", "failed to find branch"],
    ),
];

/// Failures of builds: programs and headers that the image lacks.
pub(super) const IN_BUILDS: &[FailureClass] = &[
    NO_SPACE,
    MODULE_MISSING,
    here(
        "a package has to be compiled, and the image has no compiler",
        "take a version with a wheel for this Python, or put a compiler into the image (apt-get install build-essential)",
        &[
            "' failed: No such file or directory",
            "unable to execute 'gcc'",
            "unable to execute 'cc'",
            "unable to execute 'x86_64-linux-gnu-gcc'",
            "gcc: not found",
            "cc: not found",
            "g++: not found",
            "No CMAKE_C_COMPILER could be found",
            "No CMAKE_CXX_COMPILER could be found",
            "C compiler cannot create executables",
            "Unknown compiler(s)",
        ],
    ),
    here(
        "a package has to be compiled, and Python's headers are not in the image",
        "take a version with a wheel for this Python, or put them into the image (apt-get install python3-dev)",
        &[
            "Python.h: No such file",
            "Could NOT find Python (missing: Python_INCLUDE_DIRS",
            "Python dependency not found",
        ],
    ),
    here(
        "a package has to be compiled, and the CUDA compiler is not in the image",
        "take a wheel for this torch and CUDA, or build in an image with nvcc (a tag with -devel) and set CUDA_HOME",
        &[
            "CUDA_HOME environment variable is not set",
            "nvcc was not found",
            "nvcc: not found",
            "No such file or directory: 'nvcc'",
            "bin/nvcc'",
            "Failed to find nvcc",
            "No CMAKE_CUDA_COMPILER could be found",
        ],
    ),
    here(
        "a package has to be compiled, and Rust is not in the image",
        "take a version with a wheel for this Python, or put Rust into the image (apt-get install cargo)",
        &[
            "can't find Rust compiler",
            "the Rust package manager, is not installed",
            "rustc: not found",
            "cargo: not found",
            "No such file or directory: 'cargo'",
            "No such file or directory: 'rustc'",
        ],
    ),
    here(
        "a package has to be compiled, and cmake or ninja is not in the image",
        "take a version with a wheel for this Python, or put them into the image (apt-get install cmake ninja-build)",
        &[
            "No such file or directory: 'cmake'",
            "CMake must be installed",
            "cmake: not found",
            "Could not find CMake",
            "No such file or directory: 'ninja'",
            "ninja: not found",
            "Ninja is required",
        ],
    ),
    here(
        "a package has to be compiled, and a header or library is not in the image",
        "take a version with a wheel for this Python, or put the library's -dev package into the image",
        &[
            ".h: No such file or directory",
            ".hpp: No such file or directory",
            "cannot find -l",
            "pg_config executable not found",
        ],
    ),
    here(
        "a build writes beside its sources, and their directory is read-only",
        "mount the code writable, or leave the project itself (. or -e .) out: with PYTHONPATH set to its sources it is imported as it is",
        &[
            "egg-info': Read-only",
            "egg-info': Permission denied",
            "Errno 30] Read-only file system",
            "Read-only file system (os error 30)",
        ],
    ),
];
