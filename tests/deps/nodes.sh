# Runs as the init of a Linux in user mode, whose root is this machine's, read-only: an NFS server, and two nodes that are its clients, each
# with a network, a name and process ids of its own. $D is shared with the test; each start leaves there what it said.
exec </dev/null
export PATH=/usr/sbin:/usr/bin:/sbin:/bin container=docker

mount -t proc proc /proc
mount -t sysfs sys /sys
for place in /run /tmp /var/lib/nfs /mnt /dev/shm; do mount -t tmpfs none $place; done
# The test's own directory may have been below one of these.
mkdir -p "$D"
mount -t hostfs -o "$SHARED" none "$D"
echo booted > "$D/booted.txt"

serve() {
    mkdir -p /mnt/modules/lib/modules /var/lib/nfs/rpc_pipefs /var/lib/nfs/v4recovery /mnt/export
    ln -s "/usr/lib/uml/modules/$(uname -r)" "/mnt/modules/lib/modules/$(uname -r)"
    for module in nfsd nfsv4 veth; do modprobe -d /mnt/modules $module || return; done
    : > /var/lib/nfs/etab; : > /var/lib/nfs/rmtab
    ip link set lo up
    mount -t nfsd nfsd /proc/fs/nfsd
    mount -t tmpfs -o size=64m none /mnt/export
    for store in new dead; do mkdir /mnt/export/$store; chmod 777 /mnt/export/$store; done
    exportfs -o rw,fsid=0,no_subtree_check,insecure '*:/mnt/export'
    rpc.mountd -N 2 -N 3 && rpc.nfsd -N 3 -U 4
}

# A node of this name and number: a network of its own, and what else makes it another machine.
node() {
    ip netns add "$1"
    ip link add "to-$1" type veth peer name eth0 netns "$1" || return
    ip addr add "10.0.$2.1/24" dev "to-$1"; ip link set "to-$1" up
    ip -n "$1" addr add "10.0.$2.2/24" dev eth0; ip -n "$1" link set eth0 up; ip -n "$1" link set lo up
    ip netns exec "$1" unshare -u -m -p -f --mount-proc sh "$D/node" "$1" "$2" "$3" "$4" > "$D/$1.txt" 2>&1
}

# The environment's key is known from the first store: in the second a builder of a third machine died, whose clock was three hours ahead.
die() {
    key=$(basename /mnt/export/new/*.tar.lz4 .tar.lz4)
    echo '{"host":"node-z","pid":7,"space":"elsewhere","began":1,"id":"z","doing":"beginning","beat":3}' > "/mnt/export/dead/$key.lease"
    touch -d "$(date -d '+3 hours' '+%F %T')" "/mnt/export/dead/$key.lease"
}

if serve > "$D/serve.txt" 2>&1; then
    node a 1 new 4 & node b 2 new 4 & wait
    die
    node c 3 dead 1 & node d 4 dead 1 & wait
    ls /mnt/export/new /mnt/export/dead > "$D/store.txt"
fi
sync
echo o > /proc/sysrq-trigger
sleep 10
