# usage: FILE VALUE ...
# Writes what it can: in a container /proc/sys is often read-only.
while [ $# -gt 1 ]; do
    echo "$2" >"$1" || :
    shift 2
done
