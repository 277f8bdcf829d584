#!/usr/bin/env bash
# Gets the files that run a program of the other architecture here, qemu's user mode and glibc for 64-bit ARM. Prints both paths,
# one a line. The files come from Debian's packages by apt and are kept in the cache; nothing is installed.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

qemu=usr/bin/qemu-aarch64-static
libraries=usr/aarch64-linux-gnu
tree="$cache/arm"

make_tree() {
    local work
    work=$(mktemp -d)
    (
        cd "$work"
        apt-get -qq -o APT::Sandbox::User=root download qemu-user-static libc6-arm64-cross
        dpkg-deb --fsys-tarfile qemu-user-static_*.deb | tar -x "./$qemu"
        dpkg-deb -x libc6-arm64-cross_*.deb .
        mkdir root && mv usr root
    ) >"$work/log" 2>&1 || { tail -1 "$work/log" >&2; rm -rf "$work"; fail "qemu-user-static and libc6-arm64-cross cannot be fetched"; }
    mv "$work/root" "$tree" && rm -rf "$work"
}

{ have apt-get && have dpkg-deb; } || fail "apt is needed to fetch qemu"
[ "$(uname -m)" = x86_64 ] || fail "this is not the other architecture's machine"
one_at_a_time arm-tree
[ -d "$tree" ] || make_tree
printf '%s\n' "$tree/$qemu" "$tree/$libraries"
