# usage: PATH FOLLOW
# Writes what is at PATH as an archive: "." and what is in it where it is a directory, else one file.
# A PATH that does not begin with "/" is below the home. FOLLOW is "" or an option of tar's.
set -euf
path=$1 follow=$2
cd
shown=$path
case $path in /*) ;; *) shown=\~/$path path=./$path ;; esac
pack() {
    exec tar --create --format=posix --sparse --hard-dereference "$@"
}
if [ -d "$path" ]; then
    pack $follow --directory "$path" -- .
fi
if ! [ -e "$path" ]; then
    echo "there is no $shown, or it may not be looked at" >&2
    exit 3
fi
above=${path%/*}
pack --dereference --directory "${above:-/}" -- "./${path##*/}"
