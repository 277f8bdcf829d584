#!/usr/bin/env bash
# static-binary.sh [--dev|--demo|--auditable] [--transfer] [x86_64|aarch64]: builds trainit as one static file, for this machine's
# architecture or the named one, and prints the file's path. `--dev` builds quickly instead of small, `--demo` as well and without
# names for a debugger, `--auditable` writes the list of crates into the file (needs cargo-auditable). `--transfer` builds
# trainit-transfer instead, which needs a C compiler for the named machine.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

profile=release program=trainit
words=(--release) build=(build)
while true; do
    case "${1:-}" in
    --dev) profile=debug words=() ;;
    --demo) profile=demo words=(--profile demo) ;;
    --auditable) build=(auditable build) ;;
    --transfer) program=trainit-transfer ;;
    *) break ;;
    esac
    shift
done
if [ "$program $profile" = "trainit-transfer release" ]; then profile=transfer words=(--profile transfer); fi
machine="${1:-$(uname -m)}"

have cargo || fail "cargo is not here: install Rust (rustup.rs), then try again"
triple="$machine-unknown-linux-musl"
cd "$root"

has_target() { [ -d "$(rustc --print sysroot)/lib/rustlib/$1/lib" ]; }

if ! has_target "$triple" && have rustup; then
    say "adding Rust's target $triple"
    rustup target add "$triple" >&2 || true
fi
# Sets the array `remap`, so that the names of this machine's directories are not in the binary, and two machines build the same bytes.
remap_paths() {
    local home="${CARGO_HOME:-$HOME/.cargo}" directory flags
    cargo fetch --quiet --locked --target "$triple" >&2
    flags="'--remap-path-prefix=$home=/cargo', '--remap-path-prefix=$root=/trainit'"
    for directory in "$home"/registry/src/*; do
        flags="$flags, '--remap-path-prefix=$directory=/cargo/registry'"
    done
    remap=(--config "target.$triple.rustflags = [$flags]")
}

# The C compiler of the one dependency that has C code, where its name is not the usual one for musl. Nothing of the C library is
# linked from it.
c_compiler() {
    local prefix= home="${CARGO_HOME:-$HOME/.cargo}" name="${triple//-/_}"
    [ "$machine" = "$(uname -m)" ] || prefix="$machine-linux-gnu-"
    [ "$prefix" != "" ] || ! have "$machine-linux-musl-gcc" || return 0
    have "${prefix}gcc" || fail "${prefix}gcc is not here (on Debian: apt-get install gcc${prefix:+-${machine/_/-}-linux-gnu})"
    export "CC_$name=${prefix}gcc" "AR_$name=${prefix}ar"
    export "CFLAGS_$name=-U_FORTIFY_SOURCE -ffile-prefix-map=$home=/cargo -ffile-prefix-map=$root=/trainit"
}

[ "$program" = trainit ] || c_compiler
remap=()
if has_target "$triple"; then
    case "$profile" in release | transfer) remap_paths ;; esac
    cargo "${build[@]}" --quiet --locked --package "$program" --bin "$program" "${words[@]}" "${remap[@]}" --target "$triple" >&2
elif [ "$machine" != "$(uname -m)" ]; then
    fail "Rust's target $triple is not here (rustup target add $triple)"
else
    triple="$machine-unknown-linux-gnu"
    say "Rust's musl target is not here and cannot be fetched: building a static binary with glibc instead"
    RUSTFLAGS="-C target-feature=+crt-static" cargo "${build[@]}" --quiet --locked --package "$program" --bin "$program" "${words[@]}" --target "$triple" >&2
fi
printf '%s\n' "${CARGO_TARGET_DIR:-$root/target}/$triple/$profile/$program"
