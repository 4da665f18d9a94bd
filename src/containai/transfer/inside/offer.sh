# usage:
# Says what there is to fetch: "head COMMIT", "work COMMIT", "branch NAME", "ref COMMIT NAME" for each branch, and
# "stash COUNT".
enter
look
head=$(commit HEAD)
work=$head
if [ -z "$head" ] || [ "$(git rev-parse "$head^{tree}")" != "$now" ]; then
    work=$(git commit-tree "$now" ${head:+-p "$head"} </dev/null)
fi
git update-ref refs/cai/work "$work"
echo "head $head"
echo "work $work"
echo "branch $(git symbolic-ref --quiet HEAD || :)"
git for-each-ref --count=1000 --format='ref %(objectname) %(refname)' refs/heads
echo "stash $(git rev-list --walk-reflogs --count refs/stash 2>/dev/null || echo 0)"
