#!/bin/sh
# What surrounds a dockerd that is started and stopped. Written by cai. Runs as root.
#
#     engine prepare CONFIG COPY DATA SUBNET GROUP BUNDLES    before dockerd starts, and before it reloads
#     engine stop COPY SOCKET PID                             instead of a plain SIGTERM
#
# dockerd reads a copy of its configuration, because of live-restore: with it boxes outlive a
# dockerd that crashes or is upgraded, but also one that is told to stop. So `stop` first switches
# it off in the copy. dockerd then shuts the boxes down itself, each through its own systemd, and
# remembers which of them to start again.
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
    # dockerd gives the bridge the address that it stored with its networks, whatever is configured.
    mark=$data/containai-subnet
    [ "$(cat "$mark" 2>/dev/null)" = "$subnet" ] && return
    mkdir -p -m 0710 "$data"
    rm -f "$data/network/files/local-kv.db"
    echo "$subnet" >"$mark.new"
    mv -T "$mark.new" "$mark"
}

# When a process began, in ticks since the boot; its name, which is before that, may hold blanks.
began() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }

# Whether the pid is still that of the dockerd that was to be stopped.
same() { [ -n "$first" ] && [ "$(began "$pid")" = "$first" ]; }

stop() {
    copy=$1 socket=$2 pid=$3
    # A unit whose dockerd ended by itself has nothing left to stop.
    [ -n "$pid" ] && first=$(began "$pid") && same || return 0
    /usr/bin/python3 -ISc 'import json, sys
json.dump(json.load(sys.stdin) | {"live-restore": False}, sys.stdout, indent=4)' \
        <"$copy" >"$copy.new"
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
    while same && ! grep -q '^State:.*Z' "/proc/$pid/status" 2>/dev/null; do
        sleep 0.1
    done
}

case $1 in
    prepare) prepare "$2" "$3" "$4" "$5" "${6:-root}" "${7:-}" ;; # an earlier version's unit has fewer
    stop) stop "$2" "$3" "${4:-}" ;;
    *) echo "engine: there is no action '$1'" >&2; exit 2 ;;
esac
