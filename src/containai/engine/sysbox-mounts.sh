# Take away what a sysbox-fs that was killed left mounted below DIRECTORY: with such a mount in its
# place, no box of the same name starts.
#
# Run before a sysbox-fs starts. What answers is nobody's leftover, and stays; what does not answer
# in time either has no process behind it or one that is about to end.
export LC_ALL=C
while read -r source target kind _; do
    case "$source $kind $target" in
        "sysboxfs fuse $1/"* | "sysboxfs fuse."*" $1/"*) ;;
        *) continue ;;
    esac
    case $target in */../*) continue ;; esac
    timeout --signal=KILL 5 stat --file-system "$target" >/dev/null 2>&1 ||
        umount --lazy --no-canonicalize "$target" || :
done </proc/mounts
