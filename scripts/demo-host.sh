# Sourced by ./demo: the job on this machine. This file and demo-docker.sh both define prepare, start_job, stop_job, start_again,
# is_running, settle, exit_code and clean_up, which use `binary`, `example`, `checkpoints`, `work`, `log` and `job`.
# shellcheck shell=bash disable=SC2154 # ./demo sets them

namespace=()
pid=
status=

prepare() {
    choose_namespace
    have python3 || fail "python3 is not here: the job needs it"
    step "A virtual environment, so that nothing on this machine changes"
    shown python3 -m venv "$work/venv"
    python3 -m venv "$work/venv" || fail "that failed (on Debian and Ubuntu: apt install python3-venv)"
}

choose_namespace() {
    local own=(unshare --fork --pid --mount-proc --kill-child)
    if "${own[@]}" true 2>/dev/null; then
        namespace=("${own[@]}")
        say "No container: trainit is PID 1 of a PID namespace of its own on this machine."
    elif "${own[@]}" --user --map-root-user true 2>/dev/null; then
        namespace=("${own[@]}" --user --map-root-user)
        say "No container: trainit is PID 1 of a user and a PID namespace of its own on this machine."
    else
        say "No container, and this machine forbids new PID namespaces: trainit runs as an ordinary process."
    fi
}

start_job() {
    # Nothing is mounted here, and the job's own trainit.yaml has the paths of a container.
    local settings=(
        VIRTUAL_ENV="$work/venv" PATH="$work/venv/bin:$PATH" PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
        TRAINIT_STATE_DIR="$work" TRAINIT_DATA="$example/data:mounted=no"
        TRAINIT_OUTPUT="$checkpoints:mounted=no" TRAINIT_STOP_DONE_FILE="$checkpoints/DONE"
    )
    local words=("${namespace[@]}" "$binary" "${job[@]}" --data ../data --checkpoints "$checkpoints")
    shown "cd examples/digits/code;" "${words[@]}"
    (cd "$example/code" && exec env "${settings[@]}" "${words[@]}") > >(tee -a "$log") 2>&1 &
    pid=$!
}

# Prints trainit's pid as seen from here: with a namespace, trainit is the child of unshare.
trainits_pid() { if [ ${#namespace[@]} -gt 0 ]; then pgrep -P "$pid" -x trainit; else echo "$pid"; fi; }

stop_job() {
    local target
    target=$(trainits_pid)
    shown kill -TERM "$target"
    kill -TERM "$target"
    settle
}

start_again() { start_job; }

is_running() { kill -0 "$pid" 2>/dev/null; }

settle() {
    status=0
    wait "$pid" || status=$?
}

exit_code() { echo "$status"; }

clean_up() {
    set +e
    [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null
    rm -rf "$work"
}
