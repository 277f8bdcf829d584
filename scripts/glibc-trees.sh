#!/usr/bin/env bash
# Makes small root directories with the C libraries of several Debian releases, in which gpu-probe has to run, and prints one path a
# line. With the word `musl`, makes one with musl instead, as in Alpine's images. Only libraries that apt can fetch here are used;
# the directories are kept in the cache. The mirror is the one in apt's own sources.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

releases=(bullseye bookworm trixie)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

mirror() {
    local files=(/etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources)
    grep -hosE 'https?://[^ ]+/debian/?($| )' "${files[@]}" 2>/dev/null | head -1 | tr -d ' '
}

# Runs apt with directories of its own, so that nothing of this machine changes.
apt_for() {
    local at=$1; shift
    local no_other=(-o Dir::Etc::sourceparts=/dev/null -o Dir::State::status=/dev/null -o APT::Sandbox::User=root)
    apt-get -qq "${no_other[@]}" -o "Dir::Etc::sourcelist=$at/sources.list" -o "Dir::State=$at/state" \
        -o "Dir::Cache=$at/cache" -o Acquire::Languages=none "$@"
}

make_tree() {
    local release=$1 tree=$2 library=$3 work
    work=$(mktemp -d)
    mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$work/root"
    echo "deb [signed-by=$keyring] $(mirror) $release main" >"$work/sources.list"
    (
        cd "$work" && apt_for "$work" update && apt_for "$work" download "$library"
        dpkg-deb -x "$library"_*.deb root
    ) >"$work/log" 2>&1 || { say "no tree of $release: $(tail -1 "$work/log")"; rm -rf "$work"; return 0; }
    # The link of /usr-merged systems, which the loader of every release accepts.
    [ "$library" != libc6 ] || [ -e "$work/root/lib64" ] || ln -s usr/lib64 "$work/root/lib64"
    mv "$work/root" "$tree" && rm -rf "$work"
}

{ have apt-get && have dpkg-deb && [ -n "$(mirror)" ]; } || fail "apt and a Debian mirror are needed to fetch C libraries"
one_at_a_time glibc-trees
library=libc6 name=glibc
if [ "${1:-}" = musl ]; then library=musl name=musl releases=(bookworm); fi
for release in "${releases[@]}"; do
    tree="$cache/$name-$release-$(uname -m)"
    [ -d "$tree" ] || make_tree "$release" "$tree" "$library"
    [ -d "$tree" ] && printf '%s\n' "$tree"
done
