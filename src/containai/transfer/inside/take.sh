# usage: HEAD BRANCH STAGED WORK BASE_HEAD BASE
# Brings ~/workspace from BASE, which both sides had, to WORK, with what the box has done since. All
# are commits, or "". What both have changed is written with a zero behind each, and ends it with 5; commits
# that neither side has of the other end it with 6, the branch's name is written then. Nothing is changed in both.
head=$1 branch=$2 staged=$3 work=$4 base_head=$(printf %s "$5") base=$6
enter
base=$(commit "${base:-none}")
[ -n "$base" ] && base=$base^{tree} || base=$(git hash-object -t tree -w --stdin </dev/null)

# Ends what was cut off: its files are partly those from before. What lies there is kept first.
finish() {
    before=$(commit refs/cai/before) goal=$(commit refs/cai/goal)
    [ -n "$goal" ] || return 0
    look
    git update-ref refs/cai/saved "$(git commit-tree "$now" </dev/null)"
    GIT_INDEX_FILE=$temporary/goal git read-tree "$goal"
    git diff-tree -r --no-renames --diff-filter=D --name-only -z "$before" "$goal" |
        xargs -0 -r rm -f --
    git diff-tree -r --no-renames --diff-filter=d --name-only -z "$before" "$goal" |
        GIT_INDEX_FILE=$temporary/goal git checkout-index --force --quiet -z --stdin
    git update-ref -d refs/cai/goal
}

# Says which commit HEAD is to be at: ours, or that of the box where it has ours.
choose() {
    here=$(commit HEAD)
    there=$(commit "refs/heads/${branch:-.}")
    new=$here
    if [ -z "$here" ] || [ "$here" = "$base_head" ]; then
        new=$head
    elif [ -n "$head" ] && git merge-base --is-ancestor "$here" "$head"; then
        new=$head
    elif [ -n "$head" ] && ! git merge-base --is-ancestor "$head" "$here"; then
        git symbolic-ref --quiet --short HEAD || echo HEAD
        exit 6
    fi
    if [ "$new" = "$head" ] && [ -n "$there" ] && [ "$there" != "$base_head" ] &&
        ! git merge-base --is-ancestor "$there" "${head:-$there}"; then
        printf '%s\n' "$branch"
        exit 6
    fi
}

# Has the tree $goal: what lies there with what is new from BASE to WORK.
unite() {
    cp -p -- "$index" "$temporary/united" 2>/dev/null || :
    export GIT_INDEX_FILE="$temporary/united"
    git read-tree -m --aggressive "$base" "$now" "$work^{tree}" 2>"$temporary/said" ||
        refuse "$(tail -n 1 "$temporary/said")"
    if [ -n "$(git ls-files --unmerged | head -c 1)" ]; then
        git ls-files --unmerged -z | tr '\0\n' '\n\0' | cut -f 2- | sort -u | tr '\0\n' '\n\0'
        exit 5
    fi
    goal=$(git write-tree)
    unset GIT_INDEX_FILE
}

# Ends where what is ignored, and so nowhere kept, has the place of something new.
make_way() {
    git diff-tree -r --no-renames --diff-filter=A --name-only -z "$now" "$goal" >"$temporary/new"
    [ -s "$temporary/new" ] || return 0
    GIT_INDEX_FILE=$index git ls-files --others -z >"$temporary/others"
    python3 -ISc '
import sys
new, others = ([each for each in open(path, "rb").read().split(b"\0") if each] for path in sys.argv[1:])
above = lambda path: {path[:at] for at, each in enumerate(path) if each == 47}
taken, within = set(new), {each for path in new for each in above(path)}
for path in (each.rstrip(b"/") for each in others):
    if path in taken or path in within or taken & above(path):
        sys.stdout.buffer.write(path + b"\0")
' "$temporary/new" "$temporary/others" >"$temporary/in-the-way"
    if [ -s "$temporary/in-the-way" ]; then
        cat -- "$temporary/in-the-way"
        exit 5
    fi
}

point() {
    if [ -z "$branch" ]; then
        git update-ref --no-deref HEAD "$head"
        return
    fi
    [ -z "$head" ] || git update-ref "refs/heads/$branch" "$head"
    git symbolic-ref HEAD "refs/heads/$branch"
}

finish
look
choose
unite
make_way
git update-ref refs/cai/before "$(git commit-tree "$now" </dev/null)"
git update-ref refs/cai/goal "$(git commit-tree "$goal" </dev/null)"
if ! GIT_INDEX_FILE=$index git read-tree -m -u "$now" "$goal" 2>"$temporary/said"; then
    git update-ref -d refs/cai/goal
    refuse "$(grep -v '^ *$' "$temporary/said" | head -n 2 | tr '\n\t' '  ')"
fi
mine=$new
[ "$new" != "$head" ] || [ "$goal" != "$(git rev-parse "$work^{tree}")" ] || mine=$staged
mine=$([ -n "$mine" ] && echo "$mine^{tree}" || git hash-object -t tree -w --stdin </dev/null)
GIT_INDEX_FILE=$index git read-tree -m "$mine"
GIT_INDEX_FILE=$index git update-index -q --refresh >/dev/null || :
[ "$new" != "$head" ] || point
(set -C && cat -- "$index" >"$dir/index.lock") || {
    echo "a git runs in ~/$space" >&2
    exit 7
}
mv -f -- "$dir/index.lock" "$dir/index"
git update-ref refs/cai/base "$work"
git update-ref -d refs/cai/goal
