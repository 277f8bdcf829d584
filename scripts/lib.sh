# Sourced by the other scripts and by ./demo: the cache, the abilities of this machine, and a container's way to an index. Knows
# nothing of trainit.
# shellcheck shell=bash

# shellcheck disable=SC2034 # used by the scripts that source this file
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Where things that are slow to make stay between runs: outside the tree, so that a fresh clone finds them, too.
cache="${XDG_CACHE_HOME:-$HOME/.cache}/trainit"

# Prints messages to stderr, because stdout is for a script's answer.
say() { printf '%s\n' "$@" >&2; }

fail() {
    say "$(basename "$0"): $*"
    exit 1
}

# quietly COMMAND…: runs a command, and shows its output only when it fails.
quietly() {
    local output
    output=$("$@" 2>&1) || { say "$output"; return 1; }
}

have() { command -v "$1" >/dev/null 2>&1; }

have_docker() { have docker && timeout 20 docker info >/dev/null 2>&1; }

have_image() { docker image inspect "$1" >/dev/null 2>&1; }

# pull IMAGE: true when the image is here now. A registry that cannot be reached fails at once or, behind a firewall, never.
pull() { timeout "${2:-90}" docker pull -q "$1" >/dev/null 2>&1; }

# first_image PULLED MADE MAKE...: prints the image that is here or can be pulled; else MAKE... makes MADE.
first_image() {
    local pulled="$1" made="$2"
    shift 2
    if have_image "$pulled"; then
        echo "$pulled"
    elif have_image "$made"; then
        echo "$made"
    elif pull "$pulled"; then
        echo "$pulled"
    else
        "$@"
        echo "$made"
    fi
}

# one_at_a_time NAME: waits until no other script holds NAME, and holds it until this script ends.
one_at_a_time() {
    mkdir -p "$cache"
    have flock || return 0
    exec 9>"$cache/$1.lock"
    flock 9
}

# The variables that point programs to certificates. All are set together, because requests prefers REQUESTS_CA_BUNDLE to pip's own
# PIP_CERT.
certificate_variables="SSL_CERT_FILE PIP_CERT REQUESTS_CA_BUNDLE CURL_CA_BUNDLE"

# Prints the file of certificates that this machine trusts, if there is one: a company's proxy opens TLS with certificates of its
# own.
host_certificates() {
    local name
    for name in $certificate_variables; do
        if [ -f "${!name:-}" ]; then
            readlink -f "${!name}"
            return 0
        fi
    done
}

# Sets the array `network` to the options of `docker run` with which a container reaches a package index as the host does: its
# proxies and indexes, and the certificates of a proxy that opens TLS.
network_options() {
    network=()
    local name bundle
    for name in HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY http_proxy https_proxy no_proxy all_proxy \
        PIP_INDEX_URL PIP_EXTRA_INDEX_URL UV_INDEX_URL UV_DEFAULT_INDEX; do
        [ -n "${!name:-}" ] && network+=(-e "$name")
    done
    bundle=$(host_certificates)
    [ -n "$bundle" ] || return 0
    network+=(-v "$bundle:/run/host-certificates.pem:ro")
    for name in $certificate_variables; do
        network+=(-e "$name=/run/host-certificates.pem")
    done
}

# find_network IMAGE: as network_options, and adds `--network host` where Docker's own network leads nowhere. False when no package
# index can be reached either way.
find_network() {
    network_options
    reaches_index "$1" && return 0
    network+=(--network host)
    reaches_index "$1"
}

reaches_index() {
    timeout 60 docker run --rm --entrypoint python3 "${network[@]}" "$1" \
        -m pip download -q --no-deps --retries 1 --timeout 10 -d /tmp/probe safetensors >/dev/null 2>&1
}
