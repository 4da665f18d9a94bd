# usage: <WANTED
# Writes a pack with the commits of stdin, a line each, without those that begin with "^".
enter
while read -r each; do
    [ -z "$(commit "${each#^}")" ] || printf '%s\n' "$each"
done >"$temporary/wanted"
git pack-objects --revs --stdout --thin --delta-base-offset -q <"$temporary/wanted"
