#!/bin/bash
# usage: install-agents.sh [--versions]
# Installs the agents of agents.txt for whoever runs it, side by side, and leaves no cache; or says
# which versions there are. "progress DONE WHOLE MB" on a line says how far it is.
set -euo pipefail
cd "$(dirname "$0")"
list=$(grep -v '^#' agents.txt)
bin=$HOME/.local/bin
PATH=$bin:$PATH
mkdir -p "$bin"

# All that a package leaves beside itself goes with this directory.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work XDG_CACHE_HOME=$work/cache XDG_CONFIG_HOME=$work/config \
    XDG_STATE_HOME=$work/state UV_NO_PROGRESS=1 \
    npm_config_cache=$work/npm npm_config_loglevel=error \
    npm_config_fund=false npm_config_audit=false npm_config_update_notifier=false

version_of() { # SOURCE PACKAGE
    case $1 in
    npm) node -p "require('$(npm root --global)/$2/package.json').version" ;;
    pypi) uv tool list | sed -n "s/^$2 v//p" ;;
    esac
}

if [ "${1:-}" = --versions ]; then
    while read -r source command package _; do
        echo "$command $(version_of "$source" "$package")"
    done <<<"$list"
    exit
fi

# A newer npm runs no script of a package that is not allowed to; some place their program with one,
# and again when they update themselves.
if [ "$(npm config get allow-scripts)" != undefined ]; then
    packages=$(awk '$1 == "npm" { print $3 }' <<<"$list")
    npm config set --location=global "allow-scripts=$(paste -s -d , - <<<"$packages")"
fi

install() { # SOURCE PACKAGE
    case $1 in
    npm) npm install --global "$2" ;;
    pypi) uv tool install --quiet "$2" ;;
    esac
}

declare -A running
while read -r source command package _; do
    install "$source" "$package" >"$work/$command.log" 2>&1 &
    running[$!]=$command
done <<<"$list"

whole=$(awk '{ sum += $4 } END { print sum }' <<<"$list")
{
    while sleep 1; do
        # Files come and go under it.
        done=$({ du -sm "$work" 2>/dev/null || true; } | cut -f 1)
        echo "progress $((done < whole ? done : whole)) $whole MB"
    done
} &
teller=$!

failed=
for pid in "${!running[@]}"; do
    wait "$pid" || failed="$failed ${running[$pid]}"
done
kill "$teller" 2>/dev/null || true
for command in $failed; do
    cat "$work/$command.log"
    echo "E: the agent $command could not be installed"
done
[ -z "$failed" ] || exit 1

# What a version manager's Node keeps to itself is found whichever Node is in use.
global=$(npm prefix --global)/bin
while read -r _ command _; do
    [ -e "$bin/$command" ] || ln -s "$global/$command" "$bin/$command"
done <<<"$list"

# Both builds of opencode come along, and the one for this processor is linked beside them.
find "$(npm root --global)/opencode-ai/node_modules" -name opencode -links 1 -size +50M -delete
