# Recipes for those who have `just`; each is one command that can also be typed.

# All that CI runs
test:
    ./scripts/test

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

# Advisories, licences, sources (needs cargo-deny)
deny:
    cargo deny --locked check

# Added time of a start, beside tini, dumb-init and bash
bench:
    ./benches/start

# Where functions stand in the file, by what a start calls now; before a release (x86_64, as root)
order:
    ./link/order.py

# Fuzz one target with libFuzzer; without a name: list them
fuzz target="" seconds="60":
    ./scripts/fuzz {{target}} {{ if target == "" { "" } else { seconds } }}
