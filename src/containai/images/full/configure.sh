#!/bin/sh
# Installs gh and, as the user, the agents.
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
cd "$(dirname "$0")"
chmod 0755 . ./*.sh

apt-get update
apt-get --yes --no-install-recommends -o Dpkg::Use-Pty=0 install gh
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log

# Where npm puts what is installed for everybody, for the Node that no version manager brought: the
# agent may write there. It is not said in ~/.npmrc, with which nvm refuses to work.
npm=$(runuser -u agent -- env HOME=/home/agent bash -lc 'command -v npm')
case $npm in
/home/agent/*) ;;
*)
    global=$(npm config get globalconfig)
    mkdir -p "$(dirname "$global")"
    echo 'prefix=/home/agent/.local' >>"$global"
    ;;
esac

runuser -u agent -- env HOME=/home/agent bash -lc "bash $PWD/install-agents.sh"

manifest=/usr/local/lib/containai/manifest
if [ -x "$manifest" ]; then
    runuser -u agent -- env HOME=/home/agent bash -lc "bash $PWD/install-agents.sh --versions" |
        while read -r name version; do "$manifest" full tool "$name" "$version"; done
    "$manifest" full tool gh "$(gh --version | sed -n '1s/gh version \([^ ]*\).*/\1/p')"
fi
