# What all scripts of the transfer know. They run in a box, as the agent, in its home.
set -euf
export LC_ALL=C GIT_TERMINAL_PROMPT=0 GIT_OPTIONAL_LOCKS=0 GIT_LITERAL_PATHSPECS=1
export GIT_AUTHOR_NAME=ContainAI GIT_AUTHOR_EMAIL=cai@localhost GIT_AUTHOR_DATE='@1 +0000'
export GIT_COMMITTER_NAME=ContainAI GIT_COMMITTER_EMAIL=cai@localhost GIT_COMMITTER_DATE='@1 +0000'
space=workspace
refuse() {
    printf '%s\n' "$1" >&2
    exit 3
}
# The hooks of the box are for the agent's own commits.
git() {
    command git -c core.hooksPath=/dev/null -c core.fsmonitor=false -c gc.auto=0 "$@"
}
command -v git >/dev/null || {
    echo "there is no git" >&2
    exit 127
}
cd
temporary=
trap '[ -z "$temporary" ] || rm -rf -- "$temporary"' EXIT
trap 'exit 130' HUP INT TERM PIPE
enter() {
    cd -- "$space" 2>/dev/null || refuse "there is no ~/$space"
    git rev-parse --git-dir >/dev/null || refuse "~/$space is no git repository"
    dir=$(git rev-parse --absolute-git-dir)
    temporary=$(mktemp -d -- "$dir/cai-XXXXXXXX")
    index=$temporary/index
}
commit() {
    git rev-parse --quiet --verify "$1^{commit}" || :
}
# Has all that lies there, but what is ignored, in $index, and as the tree $now.
look() {
    rm -f -- "$index"
    [ ! -f "$dir/index" ] || cp -p -- "$dir/index" "$index"
    GIT_INDEX_FILE=$index git add --all --ignore-errors -- . >/dev/null 2>"$temporary/said" ||
        [ -f "$index" ] || refuse "$(tail -n 1 "$temporary/said")"
    now=$(GIT_INDEX_FILE=$index git write-tree)
}
