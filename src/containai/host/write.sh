# Write a file of the machine from stdin, whole or not at all: PATH MODE. Runs as root.
set -eu
umask 022
mkdir -p "$(dirname "$1")"
umask 077
temporary=$(mktemp "$1.XXXXXX")
trap 'rm -f "$temporary"' EXIT
cat >"$temporary"
chmod "$2" "$temporary"
sync "$temporary"
mv -T "$temporary" "$1"
