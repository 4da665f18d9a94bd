# Make a directory of locks, for everybody to read: DIRECTORY NAME...
set -eu
umask 022
install -d -m 0755 "$1"
cd "$1"
shift
# One that is there is not emptied, whoever made it just now.
set -C
for name do
    true >"$name" || [ -e "$name" ]
done
