#!/usr/bin/env bash
# Builds trainit as one static file and prints its path. `--dev` builds quickly instead of small.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

profile=release
words=(--release)
[ "${1:-}" = --dev ] && profile=debug && words=()

have cargo || fail "cargo is not here: install Rust (rustup.rs), then try again"
triple="$(uname -m)-unknown-linux-musl"
cd "$root"

has_target() { [ -d "$(rustc --print sysroot)/lib/rustlib/$1/lib" ]; }

if ! has_target "$triple" && have rustup; then
    say "adding Rust's target $triple"
    rustup target add "$triple" >&2 || true
fi
if has_target "$triple"; then
    cargo build --quiet --locked --bin trainit "${words[@]}" --target "$triple" >&2
else
    triple="$(uname -m)-unknown-linux-gnu"
    say "Rust's musl target is not here and cannot be fetched: building a static binary with glibc instead"
    RUSTFLAGS="-C target-feature=+crt-static" cargo build --quiet --locked --bin trainit "${words[@]}" --target "$triple" >&2
fi
printf '%s\n' "${CARGO_TARGET_DIR:-$root/target}/$triple/$profile/trainit"
