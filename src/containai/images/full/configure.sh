#!/bin/sh
# Installs gh and, as the user, the agents.
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
cd "$(dirname "$0")"

apt-get update
apt-get --yes --no-install-recommends -o Dpkg::Use-Pty=0 install gh
apt-get clean

# As in a log-in of the user's, with what is there to trust meanwhile.
as_agent() { runuser -u agent -- env HOME=/home/agent bash -lc "bash $PWD/install-agents.sh $*"; }
as_agent

manifest=/usr/local/lib/containai/manifest
# shellcheck source=/dev/null
. /etc/os-release
"$manifest" full source "$SOURCE" "$PRETTY_NAME"
"$manifest" full tool gh "$(gh --version | sed -n '1s/gh version \([^ ]*\).*/\1/p')"
as_agent --versions | while read -r name version; do "$manifest" full tool "$name" "$version"; done
while read -r name why; do "$manifest" full left-out "$name" "$why"; done <left-out.txt

# What a log-in shell noted of its environment here is not so in a box.
rm -rf /home/agent/.cache /root/.npm /root/.cache /tmp/* /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/man \
    /var/cache/debconf/*-old /var/lib/dpkg/*-old /var/log/apt /var/log/dpkg.log
