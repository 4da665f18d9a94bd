# usage: COMMIT…
# Says what is not in COMMITs, which were fetched or came from there: "commits COUNT" of all
# branches, "changed COUNT" of files against the one that is nearest, or HEAD; "stash COUNT".
if ! [ -e "$space/.git" ]; then
    # Nothing was ever sent, or what somebody else has put there.
    changed=$([ ! -d "$space" ] || find "$space" -type f | wc -l)
    printf 'commits 0\nchanged %s\nstash 0\n' "${changed:-0}"
    exit
fi
enter
look
changed=
for each in HEAD "$@"; do
    each=$(commit "$each")
    [ -n "$each" ] || continue
    count=$(git diff-tree -r --name-only -z "$each^{tree}" "$now" | tr -cd '\0' | wc -c)
    [ -n "$changed" ] && [ "$changed" -le "$count" ] || changed=$count
done
if [ -z "$changed" ]; then
    changed=$(git ls-tree -r -z --name-only "$now" | tr -cd '\0' | wc -c)
fi
: >"$temporary/known"
for each; do
    [ -z "$(commit "$each")" ] || printf '^%s\n' "$each" >>"$temporary/known"
done
commit HEAD >>"$temporary/known"
echo "commits $(git rev-list --count --branches --stdin <"$temporary/known")"
echo "changed $changed"
echo "stash $(git rev-list --walk-reflogs --count refs/stash 2>/dev/null || echo 0)"
