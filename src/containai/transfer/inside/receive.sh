# usage: SHALLOW
# Takes a pack from stdin. SHALLOW has the commits whose parents are not in it, a line each.
enter
if [ -n "$1" ]; then
    printf '%s\n' "$1" >"$temporary/shallow"
    [ ! -f "$dir/shallow" ] || cat -- "$dir/shallow" >>"$temporary/shallow"
    sort -u -o "$temporary/shallow" -- "$temporary/shallow"
    mv -f -- "$temporary/shallow" "$dir/shallow"
fi
git index-pack --stdin --fix-thin >/dev/null
