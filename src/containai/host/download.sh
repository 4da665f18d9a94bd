# Keep what was fetched, from stdin, if it is what is pinned: PATH SHA256. Runs as root.
#
# The copy that counts is checked where root has it; it gets its name only then.
set -eu
export LC_ALL=C
umask 022
mkdir -p "$(dirname "$1")"
temporary=$(mktemp "$1.XXXXXX")
trap 'rm -f "$temporary"' EXIT
cat >"$temporary"
echo "$2  $temporary" | sha256sum --check --quiet
chmod 644 "$temporary"
sync "$temporary"
mv -T "$temporary" "$1"
