# A node of the guest: it mounts the server and starts so many containers at once. NAME NUMBER STORE COUNT
hostname "node-$1"
mkdir -p /mnt/nas /tmp/containers
mount -i -t nfs4 -o "addr=10.0.$2.1,clientaddr=10.0.$2.2,vers=4.2" "10.0.$2.1:/" /mnt/nas || exit

# The check of the code has a deadline that several nodes in one processor do not keep; it is not what is tested here.
# A container: the image's files are as they were, and what it writes is its own.
start() {
    own=/tmp/containers/$1
    mkdir -p "$own"
    cp -a "$D/venv" "$own/venv"
    unshare -m sh -ec '
        mount --bind "$1/venv" "$D/venv"
        cd "$D/code"
        export TRAINIT_CHECKS=code=off HOME=$1 TMPDIR=$1 PATH=$D/venv/bin:$D:/usr/bin:/bin PIP_NO_INDEX=1 PIP_FIND_LINKS=$D/wheels
        exec "$TRAINIT" exec --set deps.requirements=requirements.txt --set "deps.store=/mnt/nas/$2" -- \
            python -c "import tiny, needy; print(\"both\", tiny.VERSION)"
    ' sh "$own" "$2" > "$D/start-$1.txt" 2>&1
    echo "ended $?" >> "$D/start-$1.txt"
}

for number in $(seq "$4"); do start "$1$number" "$3" & done
wait
