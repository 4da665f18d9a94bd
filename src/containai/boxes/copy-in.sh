# usage: PATH NAME KIND
# Takes an archive of one "item" and puts it at PATH, or by its NAME into the directory there; with no
# NAME, what is in the item goes into that directory. KIND is "directory" or "file". A PATH that does
# not begin with "/" is below the home. Nothing has its name before it is whole.
set -euf
path=$1 name=$2 kind=$3
refuse() {
    printf '%s\n' "$1" >&2
    exit 3
}
cd
case $path in /*) ;; *) path=./$path ;; esac
if [ -d "$path" ]; then
    final=${path%/}${name:+/$name}
elif [ "${path%/}" != "$path" ]; then
    refuse "there is no directory ${path#./}"
else
    final=$path
fi
above=${final%/*}
above=${above:-/}
merge=
if [ "$kind" = directory ] && [ -d "$final" ]; then
    merge=yes above=$final
elif [ -d "$final" ]; then
    refuse "${final#./} is a directory, and no file takes its place"
elif [ "$kind" = directory ] && { [ -e "$final" ] || [ -h "$final" ]; }; then
    refuse "${final#./} is no directory"
elif ! [ -d "$above" ]; then
    refuse "there is no directory ${above#./}"
fi
stage=
trap '[ -z "$stage" ] || rm -rf -- "$stage"' EXIT
trap 'exit 130' HUP INT TERM PIPE
stage=$(mktemp -d -- "$above/.cai-XXXXXXXX" 2>&1) || {
    why=$stage stage=
    refuse "nothing can be written to ${above#./}: ${why##*: }"
}
tar --extract --preserve-permissions --no-same-owner --directory "$stage" >&2
if [ -n "$merge" ]; then
    cp --archive --link --remove-destination -- "$stage/item/." "$final/" >&2
else
    mv --no-target-directory --force -- "$stage/item" "$final" >&2
fi
