# usage: DIRECTORY IMAGE HOST COMMAND ...
# Runs a command that makes root.tar in a directory, and imports it. The lock is held by whoever is
# left of it, so that what a killed build left is removed when, and not before, the last of its
# processes has ended.
set -eu
directory=$1 image=$2 host=$3
shift 3
mkdir -p -m 0755 "$directory"
exec 9>"$directory.lock"
flock --timeout 300 9 || { echo "E: another build is busy in $directory" >&2; exit 1; }
clean() { rm -rf --one-file-system -- "$directory"/*; }
clean
trap clean EXIT
TMPDIR=$directory "$@" &
trap 'kill $! && wait $! || true; exit 143' TERM
wait $!
echo "I: handing the root file system to the engine"
docker --host "$host" import "$directory/root.tar" "$image"
