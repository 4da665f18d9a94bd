# usage: FORMAT
# Has a repository at ~/workspace, and says what it has: "have COMMIT" a line. FORMAT is the kind of
# its object names.
if ! [ -e "$space/.git" ] && [ -d "$space" ] && [ -n "$(ls -A -- "$space")" ]; then
    refuse "~/$space has files already, and is no git repository"
fi
if ! [ -d "$space/.git/refs/cai" ]; then
    git init --quiet --object-format="$1" --initial-branch=main -- "$space" || exit 3
    mkdir -p -- "$space/.git/refs/cai"
fi
enter
[ "$(git rev-parse --show-object-format)" = "$1" ] || refuse "~/$space has not the object format $1"
echo "have $(commit HEAD)"
git for-each-ref --format='have %(objectname)' refs/heads refs/cai
