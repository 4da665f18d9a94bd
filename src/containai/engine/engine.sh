#!/bin/sh
# What surrounds a dockerd that is started and stopped. Written by cai. Runs as root.
#
#     engine prepare CONFIG COPY DATA SUBNET GROUP BUNDLES    before dockerd starts, and before it reloads
#     engine stop COPY SOCKET [PID] UNIT                      instead of a plain SIGTERM
#
# dockerd reads a copy of its configuration, because of live-restore: with it boxes outlive a
# dockerd that crashes or is upgraded, but also one that is told to stop. So `stop` first switches
# it off in the copy. dockerd then shuts the boxes down itself, each through its own systemd, and
# remembers which of them to start again. A restart is no stop: what upgrades libraries (needrestart),
# or the administrator with `systemctl restart`, wants another dockerd and no boxes shut down.
set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH LC_ALL=C

prepare() {
    config=$1 copy=$2 data=$3 subnet=$4 group=$5 bundles=$6
    mkdir -p -m 0711 "${copy%/*}"
    # For files of boxes that have not run yet, of whoever may use the engine.
    install -d -m 0770 -g "$group" "${copy%/*}/given"
    cp "$config" "$copy.new"
    mv -T "$copy.new" "$copy"
    # What a killed containerd had half removed; containers of those ids could never start again.
    [ -z "$bundles" ] || rm -rf --one-file-system "$bundles"/.[0-9a-f]*
    move_ports "${copy%/*}/moved" "$data/containers"
    # dockerd gives the bridge the address that it stored with its networks, whatever is configured.
    mark=$data/containai-subnet
    [ "$(cat "$mark" 2>/dev/null)" = "$subnet" ] && return
    mkdir -p -m 0710 "$data"
    rm -f "$data/network/files/local-kv.db"
    echo "$subnet" >"$mark.new"
    mv -T "$mark.new" "$mark"
}

# Docker cannot change what a container publishes, but reads it as it starts: CONTAINER OLD NEW a line.
move_ports() {
    [ -f "$1" ] || return 0
    while read -r id old new; do
        case $id-$old-$new in *[!0-9a-f-]*) continue ;; esac
        for file in hostconfig.json config.v2.json; do
            [ -f "$2/$id/$file" ] || continue
            sed -E "s/\"(HostPort|containai\.ssh-port)\":\"$old\"/\"\1\":\"$new\"/" \
                "$2/$id/$file" >"$2/$id/$file.cai"
            chmod 0600 "$2/$id/$file.cai"
            mv -T "$2/$id/$file.cai" "$2/$id/$file"
        done
    done <"$1"
    rm -f "$1"
}

# When a process began, in ticks since the boot; its name, which is before that, may hold blanks.
began() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }

# Whether the pid is still that of the dockerd that was to be stopped.
same() { [ -n "$first" ] && [ "$(began "$pid")" = "$first" ]; }

# Whether systemd, which alone tells us a MAINPID, starts the unit again once it is stopped.
restarts() {
    [ -n "${MAINPID:-}" ] && systemctl list-jobs --no-legend "$1" 2>/dev/null | grep -q ' restart '
}

wait_for_the_end() {
    while same && ! grep -q '^State:.*Z' "/proc/$pid/status" 2>/dev/null; do
        sleep 0.1
    done
}

stop() {
    copy=$1 socket=$2 unit='' pid=''
    shift 2
    # systemd leaves out a PID that there is not; an earlier version's unit does not say which it is.
    for word; do
        case $word in *.service) unit=$word ;; *) pid=$word ;; esac
    done
    # A unit whose dockerd ended by itself has nothing left to stop.
    [ -n "$pid" ] && first=$(began "$pid") && same || return 0
    if [ -n "$unit" ] && restarts "$unit"; then
        kill -TERM "$pid"
        wait_for_the_end
        return
    fi
    mkdir -p -m 0711 "${copy%/*}"
    # Of a copy that is gone or damaged, this one thing is what counts now.
    /usr/bin/python3 -ISc 'import json, os, sys
last = {"live-restore": False}
try:
    known = json.load(open(sys.argv[1])) if os.path.isfile(sys.argv[1]) else {}
    last = known | last
except (OSError, ValueError, TypeError, RecursionError):
    pass
json.dump(last, sys.stdout, indent=4)' "$copy" >"$copy.new"
    [ ! -d "$copy" ] || rm -rf "$copy"
    mv -T "$copy.new" "$copy"
    same || return 0
    kill -HUP "$pid"
    tries=0
    while [ -S "$socket" ] && [ $tries -lt 100 ]; do
        [ "$(timeout 5 docker --host "unix://$socket" info --format '{{.LiveRestoreEnabled}}')" = false ] && break
        tries=$((tries + 1))
        sleep 0.1
    done
    same || return 0
    kill -TERM "$pid"
    wait_for_the_end
}

case $1 in
    prepare) prepare "$2" "$3" "$4" "$5" "${6:-root}" "${7:-}" ;; # an earlier version's unit has fewer
    stop) shift; stop "$@" ;; # so here
    *) echo "engine: there is no action '$1'" >&2; exit 2 ;;
esac
