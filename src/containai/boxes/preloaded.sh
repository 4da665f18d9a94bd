# Images that the Docker of new boxes begins with: ACTION [IMAGE...]
# Runs in a container of its own. They are the /var/lib/docker here, of a Docker that only runs while
# they change; the file "preloaded" in it lists them, and is there while they are whole.
#
#     load               add what `docker save` wrote, from stdin
#     remove IMAGE...    remove some
#     list               print them, a JSON object a line
#     copy               copy them to /to, the /var/lib/docker of a new box
set -eu
action=$1
shift
store=/var/lib/docker
list=$store/preloaded

start() {
    dockerd --host "$DOCKER_HOST" --bridge none --iptables=false --ip6tables=false \
        --exec-root /run/preloaded --pidfile /run/preloaded.pid >/run/preloaded.log 2>&1 &
    dockerd=$!
    until docker version >/dev/null 2>&1; do
        kill -0 "$dockerd" 2>/dev/null || { tail -n 5 /run/preloaded.log >&2; exit 1; }
        sleep 0.1
    done
}

# What is left is images alone: a Docker's identity, networks and the like are not for two.
finish() {
    docker image prune --force >/dev/null
    docker image ls --quiet --no-trunc | sort -u | xargs --no-run-if-empty docker image inspect \
        --format '{"names":{{json .RepoTags}},"id":{{json .Id}},"size":{{.Size}}}' >/run/preloaded.list
    kill "$dockerd"
    wait "$dockerd" || true
    find "$store" -mindepth 1 -maxdepth 1 ! -name overlay2 ! -name image -exec rm -rf -- {} +
    cat /run/preloaded.list >"$list.new"
    sync --file-system "$store"
    mv "$list.new" "$list"
}

change() {
    rm -f "$list"
    start
    code=0
    "$@" >/dev/null || code=$?
    finish
    exit "$code"
}

DOCKER_HOST=unix:///run/preloaded.sock
export DOCKER_HOST
case $action in
    load) change docker image load --quiet ;;
    remove) change docker image rm -- "$@" ;;
    list) [ ! -e "$list" ] || cat "$list" ;;
    copy)
        [ -e "$list" ] || exit 3
        # An image of boxes that brings a /var/lib/docker of its own keeps it.
        [ -z "$(ls -A /to)" ] || exit 0
        cp -a --reflink=auto "$store/overlay2" "$store/image" /to/
        ;;
    *) echo "preloaded: there is no action '$action'" >&2; exit 2 ;;
esac
