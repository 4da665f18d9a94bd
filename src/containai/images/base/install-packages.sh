#!/bin/sh
# Installs packages.txt on a minimal Debian. apt's output says how far it is.
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
cd "$(dirname "$0")"

# One list of sources, whoever made the root: a bootstrapped one has no updates, no security.
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
cat >/etc/apt/sources.list.d/debian.sources <<EOF
Types: deb
URIs: $MIRROR
Suites: trixie trixie-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: $SECURITY_MIRROR
Suites: trixie-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
EOF

# What Docker's and mmdebstrap's root file systems tune for themselves (docker-clean, ...) does not
# suit a machine that people install on.
rm -f /etc/apt/apt.conf.d/docker-* /etc/apt/apt.conf.d/99mmdebstrap
rm -f /etc/dpkg/dpkg.cfg.d/docker* /etc/dpkg/dpkg.cfg.d/99mmdebstrap
install -m 0644 dpkg.cfg /etc/dpkg/dpkg.cfg.d/containai
echo 'Acquire::Languages "none";' >/etc/apt/apt.conf.d/60containai

# Nothing is started while the image is built.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod 0755 /usr/sbin/policy-rc.d

apt-get update
# One transaction: what the root has is brought up to date with what is installed.
# shellcheck disable=SC2046
apt-get --yes --no-install-recommends -o Dpkg::Use-Pty=0 \
    dist-upgrade $(sed 's/#.*//' packages.txt)

# In this layer, so that the image has it once. Where it cannot be done, dockerd stays as it is.
if python3 prelink.py /usr/sbin/dockerd dockerd; then
    chmod --reference=/usr/sbin/dockerd dockerd
    ./dockerd --version
    mv dockerd /usr/sbin/dockerd
fi

apt-get clean
rm -rf /usr/sbin/policy-rc.d /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt \
    /var/log/dpkg.log /var/log/alternatives.log
# openssh-server's installation makes host keys: not even a layer below may have any.
rm -f /etc/ssh/ssh_host_*
