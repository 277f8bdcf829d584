#!/usr/bin/env bash
# Makes sure that there is an image without glibc's files and without Python, and prints its name: alpine:3 where a registry
# answers, else trainit-busybox, which holds Debian's static busybox and nothing more. That image is *like* Alpine (no dynamic
# linker, no bash, busybox's sh), but is not Alpine.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

pulled=alpine:3
made=trainit-busybox:local

static_busybox() {
    local found
    found=$(command -v busybox || true)
    if [ -n "$found" ] && ! ldd "$found" >/dev/null 2>&1; then
        cp "$found" "$1/busybox"
        return 0
    fi
    have apt-get && have dpkg-deb || return 1
    (cd "$1" && { apt-get download -qq busybox-static || { apt-get update -qq && apt-get download -qq busybox-static; }; } &&
        dpkg-deb -x busybox-static_*.deb package && cp package/bin/busybox busybox) >&2 2>/dev/null
}

make_image() {
    local work
    work=$(mktemp -d)
    # shellcheck disable=SC2064 # the trap takes the directory's name of this moment
    trap "rm -rf '$work'" EXIT
    static_busybox "$work" || fail "no registry answers and no static busybox can be had (on Debian: apt-get install busybox-static)"
    mkdir -p "$work/root/bin" "$work/root/etc" "$work/root/root"
    install -d -m 1777 "$work/root/tmp"
    install -m 0755 "$work/busybox" "$work/root/bin/busybox"
    # A link for every applet, so that `sleep` and the like are found on PATH.
    local applet
    for applet in $("$work/busybox" --list); do
        [ "$applet" = busybox ] || ln -s busybox "$work/root/bin/$applet"
    done
    echo 'root:x:0:0:root:/root:/bin/sh' >"$work/root/etc/passwd"
    echo 'root:x:0:' >"$work/root/etc/group"
    tar -C "$work/root" --owner=0 --group=0 -c . | docker import -c 'CMD ["/bin/sh"]' - "$made" >/dev/null
}

one_at_a_time busybox-image
first_image "$pulled" "$made" make_image
