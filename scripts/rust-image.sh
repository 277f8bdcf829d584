#!/usr/bin/env bash
# rust-image.sh NAME: makes sure that there is an image NAME with Rust to build trainit in. The image is a registry's, or is made
# here from base-image.sh's Debian, Debian's gcc, this machine's Rust and the crates of Cargo.lock, so that cargo asks no index.
# Prints `made` if it was made.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

name=$1
# A Debian with a compiler is an image of its own, so that apt asks a mirror once.
compiler=trainit-rust:compiler

compiler_image() {
    local base
    base=$("$root/scripts/base-image.sh")
    have_image "$compiler" && return 0
    network_options
    local words=(build -q -t "$compiler")
    say "making $compiler (once)"
    local text="FROM $base
RUN apt-get update -qq && apt-get install -qq -y --no-install-recommends gcc libc6-dev >/dev/null && rm -rf /var/lib/apt/lists/*"
    quietly docker "${words[@]}" - <<<"$text" || quietly docker "${words[@]}" --network host - <<<"$text"
}

# Packs Rust without documentation and without developers' tools, and the crates as cargo keeps them.
archive() {
    local sysroot crates
    sysroot=$(rustc --print sysroot)
    crates="${CARGO_HOME:-$HOME/.cargo}/registry"
    cargo fetch --quiet --locked --manifest-path "$root/Cargo.toml"
    tar -c --exclude='./share/*' --exclude='./lib/rustlib/src/*' --exclude='./bin/rust-analyzer*' --exclude='./bin/*clippy*' \
        --exclude='./bin/rustdoc*' --exclude='./bin/rust-gdb*' --exclude='./bin/rust-lldb*' --exclude='./lib/rustlib/etc/*' \
        --transform 's,^\./,rust/,' -C "$sysroot" . -C "$crates" --transform 's,^cache,cargo/registry/cache,;s,^index,cargo/registry/index,' cache index \
        -C "$work" Dockerfile
}

make_image() {
    compiler_image
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    printf '%s\n' "FROM $compiler" "COPY rust /usr/local/" "COPY cargo /usr/local/cargo" \
        "ENV CARGO_HOME=/usr/local/cargo CARGO_NET_OFFLINE=true" >"$work/Dockerfile"
    archive | quietly docker build -q -t "$name" -
    echo made
}

one_at_a_time rust-image
have_image "$name" || pull "$name" || make_image
