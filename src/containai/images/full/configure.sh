#!/bin/sh
# Installs the agents, as the user.
set -eu
export LC_ALL=C.UTF-8
cd "$(dirname "$0")"

# As in a log-in of the user's, with what is there to trust meanwhile.
as_agent() { runuser -u agent -- env HOME=/home/agent bash -lc "bash $PWD/install-agents.sh $*"; }
as_agent

manifest=/usr/local/lib/containai/manifest
# shellcheck source=/dev/null
. /etc/os-release
"$manifest" full source "$SOURCE" "$PRETTY_NAME"
as_agent --versions | while read -r name version; do "$manifest" full tool "$name" "$version"; done
while read -r name why; do "$manifest" full left-out "$name" "$why"; done <left-out.txt

# What a log-in shell noted of its environment here is not so in a box.
rm -rf /home/agent/.cache /root/.npm /root/.cache /tmp/*
