#!/bin/bash
# A server of the fleet: `node.sh DIRECTORY NETNS CGROUP` becomes PID 1 of namespaces of its own, on an overlay
# of unpacked packages over this machine's root. DIRECTORY has `debs`, and keeps `incus` and `log`.
set -eu
directory=$1 netns=$2 cgroup=$3 step=${4-join}

hierarchies() {
    findmnt --raw --noheadings --types cgroup,cgroup2 --output TARGET,FSTYPE,FS-OPTIONS
}

if [[ $step == join ]]; then
    # In each hierarchy, a cgroup that will be the root that the server sees.
    while read -r target _ _; do
        mkdir -p "$target/$cgroup"
        above=$target
        for part in ${cgroup//// }; do
            for file in cpuset.cpus cpuset.mems; do
                [[ ! -e $above/$part/$file || -e $target/cgroup.controllers ]] ||
                    cat "$above/$file" >"$above/$part/$file"
            done
            above=$above/$part
        done
        echo $$ >"$target/$cgroup/cgroup.procs"
    done < <(hierarchies)
    exec unshare --fork --kill-child --pid --mount --uts --cgroup --propagation private \
        nsenter --net="/run/netns/$netns" "$0" "$directory" "$netns" "$cgroup" main
fi

root=$directory/root
mount -t tmpfs -o mode=755 tmpfs "$root"
mkdir "$root"/{packages,upper,work,top}
for deb in "$directory"/debs/*.deb; do dpkg-deb --extract "$deb" "$root/packages"; done
# Directories here would hide the links that a merged /usr has in their place.
for each in bin lib lib64 sbin; do
    [[ ! -d $root/packages/$each ]] ||
        { cp -a "$root/packages/$each" "$root/packages/usr/" && rm -r "$root/packages/$each"; }
done
mount -t overlay -o "lowerdir=$root/packages:/,upperdir=$root/upper,workdir=$root/work" overlay "$root/top"
top=$root/top
# Prepared by the product, which asks what is installed.
for deb in "$directory"/debs/*.deb; do
    ! grep -qx "Package: $(dpkg-deb --field "$deb" Package)" "$top/var/lib/dpkg/status" || continue
    echo
    dpkg-deb --field "$deb" | sed '/^Package:/a Status: install ok installed'
done >"$root/status"
cat "$root/status" >>"$top/var/lib/dpkg/status"
mount -t proc proc "$top/proc"
mount -t sysfs sysfs "$top/sys"
[[ $(stat -fc %T /sys/fs/cgroup) == cgroup2fs ]] || mount -t tmpfs tmpfs "$top/sys/fs/cgroup"
while read -r target kind options; do
    mkdir -p "$top$target"
    mount -t "$kind" -o "$options" cgroup "$top$target"
done < <(hierarchies)
mount --rbind /dev "$top/dev"
for each in run tmp; do mount -t tmpfs tmpfs "$top/$each"; done
mkdir -p "$top"/var/l{ib,og}/incus "$top/var/lib/lxcfs" "$top/usr/local/sbin"
mount --bind "$directory/incus" "$top/var/lib/incus"
mount --bind "$directory/log" "$top/var/log/incus"
echo root:1000000:1000000000 | tee "$top/etc/subuid" >"$top/etc/subgid"
hostname "${directory##*/}"

# The kernel is this machine's: its limits stay as they are.
printf '#!/bin/sh\n[ "$1" != --values ] || echo 9223372036854775807\n' >"$top/usr/local/sbin/sysctl"
# Without the rules of a module that the kernel may not have (nft_meta_bridge).
cat >"$top/usr/local/sbin/nft" <<'END'
#!/bin/sh
/usr/sbin/nft "$@" 2>/dev/null && exit
[ "$1" = --file ] || exec /usr/sbin/nft "$@"
grep -v ibrname "$2" | /usr/sbin/nft --file -
END
chmod 0755 "$top"/usr/local/sbin/{sysctl,nft}

mkdir -p "$top/mnt"
cd "$top"
pivot_root . mnt
exec chroot . /bin/bash -c '
cd /
umount -l /mnt
export PATH=/usr/libexec/incus:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
ldconfig
groupadd -rf incus-admin
groupadd -rf incus
id incus >/dev/null 2>&1 || useradd -r -g incus -d /var/lib/incus -s /usr/sbin/nologin incus
echo 1 >/proc/sys/net/ipv4/ip_forward
lxcfs /var/lib/lxcfs &
ulimit -n "$(ulimit -Hn)"
trap : CHLD
while :; do
    incusd --group incus-admin --logfile=/var/log/incus/incus.log &
    incusd=$!
    touch /run/ready
    while kill -0 $incusd 2>/dev/null; do wait $incusd || :; done
    sleep 1
done'
