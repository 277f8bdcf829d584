# Runs as the init of a Linux in user mode, whose root is this machine's, read-only: an NFS server and its client on the loopback device,
# and control groups of version 2. $D is shared with the test; each answer is left there as NAME.json, or NAME.txt.
exec </dev/null
export PATH=/usr/sbin:/usr/bin:/sbin:/bin container=docker TRAINIT_CHECKS='code=off host=off user=off gpu=off'

mount -t proc proc /proc
mount -t sysfs sys /sys
for place in /run /tmp /var/lib/nfs /mnt /dev/shm; do mount -t tmpfs none $place; done
# The test's own directory may have been below one of these.
mkdir -p "$D"
mount -t hostfs -o "$SHARED" none "$D"
echo "booted" > "$D/booted.txt"

serve() {
    mkdir -p /mnt/modules/lib/modules /var/lib/nfs/rpc_pipefs /var/lib/nfs/v4recovery /mnt/export
    ln -s "/usr/lib/uml/modules/$(uname -r)" "/mnt/modules/lib/modules/$(uname -r)"
    modprobe -d /mnt/modules nfsd && modprobe -d /mnt/modules nfsv4 || return
    : > /var/lib/nfs/etab; : > /var/lib/nfs/rmtab
    ip link set lo up
    mount -t nfsd nfsd /proc/fs/nfsd
    mount -t tmpfs -o size=16m none /mnt/export
    export_as rw
    rpc.mountd -N 2 -N 3 && rpc.nfsd -N 3 -U 2 || return
    mkdir -p /mnt/nas
    mount -i -t nfs4 -o addr=127.0.0.1,clientaddr=127.0.0.1,vers=4.2 127.0.0.1:/ /mnt/nas
}

export_as() { exportfs -o "$1,fsid=0,no_subtree_check,insecure" 127.0.0.1:/mnt/export; exportfs -f; }

# As seen from a container: a directory of the mount.
bound() { mkdir -p "/mnt/$1" && mount --bind "/mnt/nas/$1" "/mnt/$1"; }

# NAME KEY=VALUE…: a check with these variables.
check() {
    name=$1; shift
    env "$@" "$TRAINIT" check --json > "$D/$name.json" 2> "$D/$name.err"
}

nfs() {
    # Before a client has looked at it: what it knows it believes for a while.
    for name in open closed roots full gone; do mkdir "/mnt/export/$name"; echo data > "/mnt/export/$name/a.tar"; done
    chmod 777 /mnt/export/open /mnt/export/full
    chown 1000:1000 /mnt/export/closed /mnt/export/closed/a.tar
    chmod 700 /mnt/export/closed /mnt/export/roots
    for name in open closed roots full gone; do bound $name; done
    check open TRAINIT_DATA=/mnt/open:rw TRAINIT_OUTPUT=/mnt/open:min_free=1MiB
    check closed TRAINIT_DATA=/mnt/closed:rw
    check owner TRAINIT_DATA=/mnt/closed:rw TRAINIT_OUTPUT=/mnt/closed:min_free=1MiB TRAINIT_USER=1000:1000
    check roots TRAINIT_OUTPUT=/mnt/roots
    NB_UID=1001 NB_GID=1001 CHOWN_EXTRA=/mnt/closed "$TRAINIT" exec -- id -u > "$D/chown.txt" 2>&1
    head -c 17000000 /dev/zero > /mnt/export/full/big 2>/dev/null
    check full TRAINIT_OUTPUT=/mnt/full
    rm /mnt/export/full/big
    ls /mnt/gone >/dev/null; rm -r /mnt/export/gone; mkdir /mnt/export/gone
    check stale TRAINIT_DATA=/mnt/gone:rw
    export_as ro
    check exported TRAINIT_OUTPUT=/mnt/open
    export_as rw
    rpc.nfsd 0
    TRAINIT_DATA=/mnt/open:rw,timeout=2s unshare --pid --fork --mount-proc "$TRAINIT" -- echo never > "$D/dead.txt" 2>&1
    echo "ended $?" >> "$D/dead.txt"
}

control_groups() {
    mount -t cgroup2 none /sys/fs/cgroup || return
    echo '+memory +pids' > /sys/fs/cgroup/cgroup.subtree_control
    mkdir /sys/fs/cgroup/job /sys/fs/cgroup/job/below
    echo 64M > /sys/fs/cgroup/job/memory.max
    echo 500 > /sys/fs/cgroup/job/pids.max
    sh -c 'echo $$ > /sys/fs/cgroup/job/below/cgroup.procs; exec "$0" check --json' "$TRAINIT" > "$D/limits.json" 2> "$D/limits.err"
}

TRAINIT_CHECKS='code=off user=off gpu=off' control_groups
if serve > "$D/serve.txt" 2>&1; then nfs; fi
sync
echo o > /proc/sysrq-trigger
sleep 10
