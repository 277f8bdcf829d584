#!/usr/bin/env bash
# Makes sure that there is an image with Python to build on, and prints its name: python:3.12-slim where a registry answers, else
# trainit-base:bookworm, which is made here with debootstrap, once.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

pulled=python:3.12-slim
made=trainit-base:bookworm
archive="$cache/base-bookworm-$(uname -m).tar"

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

need_debootstrap() {
    have debootstrap && return 0
    [ "$(id -u)" = 0 ] && have apt-get && apt-get install -qq -y debootstrap >/dev/null 2>&1 && return 0
    fail "no registry answers ('docker pull $pulled' fails) and debootstrap is not here to make an image with:" \
        "install debootstrap, or load any image with Python and name it: docker tag IMAGE $made"
}

# Installs uv into the tree, so that later installations take seconds. Without an index to get uv from, pip installs.
add_uv() {
    local bundle inside=() name
    bundle=$(host_certificates)
    if [ -n "$bundle" ]; then
        as_root install -m 0644 "$bundle" "$1/tmp/host-certificates.pem"
        for name in $certificate_variables; do inside+=("$name=/tmp/host-certificates.pem"); done
    fi
    as_root env -u PIP_FIND_LINKS "${inside[@]}" chroot "$1" \
        python3 -m pip install -q --break-system-packages --root-user-action ignore uv >&2 || say "uv could not be fetched: pip will install"
    as_root rm -f "$1/tmp/host-certificates.pem"
}

make_archive() {
    need_debootstrap
    local work
    work=$(mktemp -d)
    # shellcheck disable=SC2064 # the trap takes the directory's name of this moment
    trap "as_root rm -rf '$work'" EXIT
    say "making $made with debootstrap (a minute or two, once; kept in $archive)"
    as_root debootstrap --variant=minbase --include=python3,python3-venv,python3-pip,ca-certificates,procps \
        bookworm "$work/root" >"$work/log" 2>&1 || { tail -5 "$work/log" >&2; fail "debootstrap failed"; }
    as_root chroot "$work/root" ln -sf python3 /usr/bin/python
    add_uv "$work/root"
    as_root tar -C "$work/root" --exclude='./dev/*' --exclude='./var/cache/apt/*' --exclude='./var/lib/apt/lists/*' \
        --exclude='./usr/share/doc/*' --exclude='./usr/share/locale/*' --exclude='./root/.cache' -cf "$work/base.tar" .
    mv "$work/base.tar" "$archive.$$" && mv "$archive.$$" "$archive"
}

import_archive() {
    [ -f "$archive" ] || make_archive
    docker import -c 'CMD ["python3"]' -c 'ENV PYTHONUNBUFFERED=1' "$archive" "$made" >/dev/null
}

one_at_a_time base-image
first_image "$pulled" "$made" import_archive
