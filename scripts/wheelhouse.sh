#!/usr/bin/env bash
# wheelhouse.sh IMAGE: fetches the digits job's requirements as wheels for IMAGE's Python, and prints their directory, which is kept
# between runs, so that tests install without a network.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

image=$1
requirements="$root/examples/digits/code/requirements.txt"

tag=$(docker run --rm --entrypoint python3 "$image" -c 'import sys, platform; print(sys.implementation.cache_tag, platform.machine(), sep="-")')
digest=$(grep -v '^#' "$requirements" | sha256sum | cut -c1-12)
wheels="$cache/wheels/$tag-$digest"

one_at_a_time wheelhouse
if [ ! -e "$wheels/.complete" ]; then
    find_network "$image" || fail "no package index can be reached from a container"
    say "fetching wheels into $wheels (once)"
    rm -rf "$wheels" && mkdir -p "$wheels"
    docker run --rm --entrypoint python3 "${network[@]}" -v "$wheels:/wheels" -v "$requirements:/requirements.txt:ro" "$image" \
        -m pip download -q --only-binary :all: -d /wheels -r /requirements.txt >&2
    touch "$wheels/.complete"
fi
printf '%s\n' "$wheels"
