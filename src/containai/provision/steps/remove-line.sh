# usage: LINE FILE ...
# Takes a line out of each file; the line has nothing that is special to sed.
set -eu
line=$1
shift
sed -i "/^$line\$/d" "$@"
