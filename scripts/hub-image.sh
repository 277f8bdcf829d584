#!/usr/bin/env bash
# hub-image.sh BINARY VERSION: makes an image that JupyterHub of this version can start: trainit is its ENTRYPOINT, and mode jupyter what it
# starts. Prints the image's name. What comes from an index is kept in an image of its own.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

binary=$1 version=$2
packed=trainit-hub-packages:$version made=trainit-hub:local

install() {
    local base container
    base=$("$root/scripts/base-image.sh")
    find_network "$base" || fail "no package index can be reached from a container"
    container=$(docker create --entrypoint sh "${network[@]}" "$base" -c "
        python3 -m pip --version >/dev/null && install='python3 -m pip install -q --break-system-packages --root-user-action ignore'
        command -v uv >/dev/null && install='uv pip install -q --system --break-system-packages'
        \$install jupyterlab 'jupyterhub==$version'")
    if quietly docker start -a "$container"; then
        # An import, because a commit would keep the variables that lead this machine to an index.
        docker export "$container" | docker import -c 'CMD ["python3"]' -c 'ENV PYTHONUNBUFFERED=1' - "$packed" >/dev/null
        docker rm "$container" >/dev/null
    else
        docker rm "$container" >/dev/null
        fail "the packages cannot be installed"
    fi
}

have_docker || fail "no Docker daemon answers"
one_at_a_time hub-image
have_image "$packed" || install
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$binary" "$work/trainit"
printf 'FROM %s\nCOPY trainit /usr/local/bin/trainit\nENTRYPOINT ["trainit"]\nCMD ["jupyter"]\n' "$packed" >"$work/Dockerfile"
quietly docker build -q -t "$made" "$work" || fail "the image cannot be made"
echo "$made"
