# Make a directory of locks, for everybody to read: DIRECTORY NAME...
set -eu
umask 022
# What is none is nobody's lock: it can only have been put there by root.
[ -d "${1%/*}" ] || rm -f "${1%/*}"
[ -d "$1" ] && [ ! -h "$1" ] || rm -f "$1"
install -d -m 0755 "$1"
cd "$1"
shift
# One that is there is not emptied, whoever made it just now.
set -C
for name do
    if [ -h "$name" ] || { [ -e "$name" ] && [ ! -f "$name" ]; }; then rm -rf "$name"; fi
    [ -e "$name" ] || true >"$name" || [ -e "$name" ]
done
