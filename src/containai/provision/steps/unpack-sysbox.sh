# usage: PACKAGE TARGET SHA256
# Puts the three programs of Sysbox's package in their place. What is not one of them is not even
# unpacked. Nothing has its name before it is all there; the file `release` says what it was made
# from.
set -eu
export LC_ALL=C
umask 022
package=$1 target=$2 sha256=$3
mkdir -p "$(dirname "$target")"
staging=$(mktemp -d "$target.XXXXXX")
trap 'rm -rf "$staging"' EXIT
dpkg-deb --fsys-tarfile "$package" >"$staging/files.tar"
tar -x -f "$staging/files.tar" -C "$staging" --no-same-owner --strip-components=3 \
    ./usr/bin/sysbox-runc ./usr/bin/sysbox-mgr ./usr/bin/sysbox-fs
rm "$staging/files.tar"
for each in sysbox-runc sysbox-mgr sysbox-fs; do
    if [ -L "$staging/$each" ] || [ ! -f "$staging/$each" ]; then
        echo "$each in the package is no file" >&2
        exit 1
    fi
done
chmod 755 "$staging" "$staging"/sysbox-*
echo "$sha256" >"$staging/release"
sync
rm -rf "$target"
mv -T "$staging" "$target"
