# Sourced by ./demo: the job in a container. This file and demo-host.sh both define prepare, start_job, stop_job, start_again,
# is_running, settle, exit_code and clean_up, which use `binary`, `example`, `checkpoints`, `work`, `log` and `job`.
# shellcheck shell=bash disable=SC2154 # ./demo sets them

container="trainit-demo-$$"
image="trainit-demo:$$"
binary_image="trainit-demo-binary:$$"
follower=

prepare() {
    step "An image: docker/bases/python-slim with this trainit in it"
    local base context="$work/context"
    base=$("$root/scripts/base-image.sh") || fail "there is no image to build on"
    mkdir "$context"
    cp "$binary" "$context/trainit"
    printf 'FROM scratch\nCOPY trainit /trainit\n' >"$context/Dockerfile"
    quietly docker build -t "$binary_image" "$context"
    shown docker build --build-arg "BASE=$base" -t "$image" docker/bases/python-slim
    quietly docker build --build-arg "TRAINIT=$binary_image" --build-arg "BASE=$base" -t "$image" "$root/docker/bases/python-slim"
    find_network "$base" || fail "a container reaches no package index, with or without --network host"
}

start_job() {
    local mounts=(-v "$example/code:/code:ro" -v "$example/data:/data:ro" -v "$checkpoints:/checkpoints")
    shown docker run --stop-timeout 60 --shm-size 1g "${mounts[@]}" "$image" "${job[@]}"
    docker run -d --name "$container" --stop-timeout 60 --shm-size 1g "${network[@]}" "${mounts[@]}" "$image" "${job[@]}" >/dev/null
    follow
}

# Shows the container's output from now on (or from a given time on), and keeps it in the log.
follow() {
    docker logs -f "$@" "$container" > >(tee -a "$log") 2>&1 &
    follower=$!
}

stop_job() {
    shown docker stop "$container"
    docker stop "$container" >/dev/null
    settle
}

# Starts the same container, in which the installed packages are still there.
start_again() {
    local since
    since=$(docker inspect -f '{{.State.FinishedAt}}' "$container")
    shown docker start "$container"
    docker start "$container" >/dev/null
    follow --since "$since"
}

is_running() { [ "$(docker inspect -f '{{.State.Running}}' "$container" 2>/dev/null)" = true ]; }

settle() { wait "$follower" || true; }

exit_code() { docker inspect -f '{{.State.ExitCode}}' "$container"; }

clean_up() {
    set +e
    docker rm -f "$container" >/dev/null 2>&1
    # The job ran as root, so only root may be able to remove its files.
    rm -rf "$work" 2>/dev/null || docker run --rm --entrypoint rm -v "$work:/work" "$image" -rf /work/checkpoints >/dev/null 2>&1
    rm -rf "$work"
    docker rmi "$image" "$binary_image" >/dev/null 2>&1
}
