# Recipes for those who have `just`; each is one command that can also be typed.

# All tests
test:
    ./scripts/test

# What the tests need, installed
setup:
    ./scripts/setup

# The long sets; or one of them
nightly *sets:
    ./scripts/nightly {{sets}}

# Formatting, lints and the host's own tests
check:
    ./scripts/test quick

# The job of the README: stopped in the middle, resumed, finished
demo:
    ./demo

# Only what starts real processes as PID 1
pid1:
    cargo test --test init --test docker

# The static binary and its size
size:
    ls -l "$(./scripts/static-binary.sh)"

# Archives, packages, wheels, checksums
release:
    ./scripts/release

# Advisories, licences, sources (needs cargo-deny)
deny:
    cargo deny --locked check

# Added time of a start, beside tini, dumb-init and bash
bench:
    ./benches/start

# Fuzz one target with libFuzzer; without a name: list them
fuzz target="" seconds="60":
    ./scripts/fuzz {{target}} {{ if target == "" { "" } else { seconds } }}
