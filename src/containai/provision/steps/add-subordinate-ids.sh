# usage: LINE FILE ...
# Adds the line to each file in which Sysbox has none (subuid(5)).
set -eu
line=$1
shift
for file do
    mkdir -p "$(dirname "$file")"
    touch "$file"
    grep -q '^sysbox:' "$file" || echo "$line" >>"$file"
done
