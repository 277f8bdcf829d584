#!/usr/bin/env bash
# Runs the commands of README.md for baking trainit into an image, word for word: builds the image `trainit`, starts it, bakes it
# into a base, and starts the result. Prints the path of the binary, taken out of the image with trainit-transfer beside it. Ends with
# 75 where no image with Rust can be had.
#
# The images that the README's command needs and leaves are removed afterwards, or restored as they were: an image with Rust under
# the name in docker/Dockerfile, the image `trainit`, and the layers between them.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

out="${CARGO_TARGET_DIR:-$root/target}/readme-image"
rust=$(sed -n 's/^ARG RUST=//p' "$root/docker/Dockerfile")
baked=trainit-readme-baked:$$
work=$(mktemp -d)
made='' before=''

layers() { docker image inspect -f '{{join .RootFS.Layers " "}}' "$1" 2>/dev/null; }

# Removes the images that docker build keeps of a stage from which no image was made.
remove_stages() {
    local image lower
    lower=$(layers "$rust") || return 0
    for image in $(docker images -q --filter dangling=true); do
        case "$(layers "$image")" in "$lower "*) docker rmi -f "$image" ;; esac
    done
}

clean_up() {
    {
        docker rmi -f "$baked"
        if [ -n "$before" ]; then docker tag "$before" trainit; else docker rmi trainit; fi
        remove_stages
        if [ -n "$made" ]; then docker rmi "$rust"; fi
    } >/dev/null 2>&1 || true
    rm -rf "$work"
}

# Runs the README's command as it is written there.
build() {
    local command
    command=$(grep -o '`docker build [^`]*`' "$root/README.md" | head -1 | tr -d '`')
    [ -n "$command" ] || fail "README.md has no docker build command"
    say "\$ $command"
    (cd "$root" && quietly bash -c "$command")
}

# Builds the README's Dockerfile on another base.
bake() {
    local base
    base=$("$root/scripts/base-image.sh")
    sed -n '/^```dockerfile/,/^```$/{/^```/d;p}' "$root/README.md" | sed "s#^FROM .*#FROM $base#" >"$work/Dockerfile"
    say "$(cat "$work/Dockerfile")"
    printf 'stop:\n  grace: 20s\n' >"$work/trainit.yaml"
    quietly docker build -t "$baked" "$work"
}

# expect CODE TEXT COMMAND…
expect() {
    local code="$1" text="$2" said ended=0
    shift 2
    said=$("$@" 2>&1) || ended=$?
    [ "$ended" = "$code" ] && [[ "$said" == *"$text"* ]] || fail "$*: expected $code and '$text', got $ended and: $said"
}

try() {
    expect 0 "trainit $(sed -n 's/^version = "\(.*\)"/\1/p' "$root/Cargo.toml" | head -1)" docker run --rm trainit --version
    expect 0 "usage: trainit-transfer" docker run --rm --entrypoint /trainit-transfer trainit --help
    expect 0 "" docker run --rm trainit init -- /trainit health --help
    expect 7 "start python3 -c" docker run --rm "$baked" python3 -c 'import os; assert os.getpid() != 1; raise SystemExit(7)'
    expect 111 "/data" docker run --rm -e TRAINIT_DATA=/data "$baked" true
}

one_at_a_time readme-image
trap clean_up EXIT
before=$(docker image inspect -f '{{.Id}}' trainit 2>/dev/null || true)
made=$("$root/scripts/rust-image.sh" "$rust") || exit 75
build
bake
try
mkdir -p "$out"
container=$(docker create trainit)
docker cp "$container:/trainit" "$out/trainit" >/dev/null
docker cp "$container:/trainit-transfer" "$out/trainit-transfer" >/dev/null
docker rm "$container" >/dev/null
printf '%s\n' "$out/trainit"
