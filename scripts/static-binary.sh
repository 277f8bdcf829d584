#!/usr/bin/env bash
# static-binary.sh [--dev] [x86_64|aarch64]: builds trainit as one static file, for this machine's architecture or the named one,
# and prints the file's path. `--dev` builds quickly instead of small.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

profile=release
words=(--release)
if [ "${1:-}" = --dev ]; then profile=debug words=(); shift; fi
machine="${1:-$(uname -m)}"

have cargo || fail "cargo is not here: install Rust (rustup.rs), then try again"
triple="$machine-unknown-linux-musl"
cd "$root"

has_target() { [ -d "$(rustc --print sysroot)/lib/rustlib/$1/lib" ]; }

if ! has_target "$triple" && have rustup; then
    say "adding Rust's target $triple"
    rustup target add "$triple" >&2 || true
fi
if has_target "$triple"; then
    cargo build --quiet --locked --bin trainit "${words[@]}" --target "$triple" >&2
elif [ "$machine" != "$(uname -m)" ]; then
    fail "Rust's target $triple is not here (rustup target add $triple)"
else
    triple="$machine-unknown-linux-gnu"
    say "Rust's musl target is not here and cannot be fetched: building a static binary with glibc instead"
    RUSTFLAGS="-C target-feature=+crt-static" cargo build --quiet --locked --bin trainit "${words[@]}" --target "$triple" >&2
fi
printf '%s\n' "${CARGO_TARGET_DIR:-$root/target}/$triple/$profile/trainit"
