#!/bin/sh
# Installs packages.txt on a minimal Debian or Ubuntu. apt's output says how far it is.
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
cd "$(dirname "$0")"

fail() {
    echo "E: $*" >&2
    exit 1
}

ID='' VERSION_ID='' VERSION_CODENAME='' PRETTY_NAME='a system without a name'
# shellcheck source=/dev/null
[ ! -e /etc/os-release ] || . /etc/os-release
command -v apt-get >/dev/null ||
    fail "image.root is $PRETTY_NAME, without apt: it has to be a Debian or an Ubuntu"

# One list of sources for Debian, whoever made the root: one may have no updates, no security.
write_debian_sources() {
    rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
    cat >/etc/apt/sources.list.d/debian.sources <<END
Types: deb
URIs: ${MIRROR:-http://deb.debian.org/debian}
Suites: $VERSION_CODENAME $VERSION_CODENAME-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: ${SECURITY_MIRROR:-http://deb.debian.org/debian-security}
Suites: $VERSION_CODENAME-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
}

# Ubuntu's own names everything; only where from may be another.
take_mirrors() {
    for list in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
        [ ! -f "$list" ] || sed -i \
            -e "s|http://security.ubuntu.com/ubuntu/*|${SECURITY_MIRROR:-&}|" \
            -e "s|http://\(archive\|ports\).ubuntu.com/ubuntu\(-ports\)*/*|${MIRROR:-&}|" "$list"
    done
}

# Minimal roots are tuned for what they are (docker-clean, no manual pages, ...), which does not
# suit a machine that people install on.
undo_minimal() {
    rm -f /etc/apt/apt.conf.d/docker-* /etc/apt/apt.conf.d/99mmdebstrap
    rm -f /etc/dpkg/dpkg.cfg.d/docker* /etc/dpkg/dpkg.cfg.d/excludes /etc/dpkg/dpkg.cfg.d/99mmdebstrap
    install -m 0644 dpkg.cfg /etc/dpkg/dpkg.cfg.d/containai
    echo 'Acquire::Languages "none";' >/etc/apt/apt.conf.d/60containai
    # Ubuntu's `man` only says that there are none.
    if [ "$(dpkg-divert --truename /usr/bin/man)" = /usr/bin/man.REAL ]; then
        rm -f /usr/bin/man
        dpkg-divert --quiet --remove --rename /usr/bin/man
    fi
}

# Says which package a line of packages.txt means: "a|b" the first that the archive has, "a?" one
# that may be missing.
choose() {
    case $1 in
    *\|* | *\?) ;;
    *) echo "$1" && return ;;
    esac
    for name in $(echo "${1%\?}" | tr '|' ' '); do
        if apt-cache show --no-all-versions "$name" >/dev/null 2>&1; then
            echo "$name"
            return
        fi
    done
    [ "$1" != "${1%\?}" ] || fail "$PRETTY_NAME has no package $1"
}

# The pages of what a minimal root has already: only they, so that no file is in the image twice.
add_manual_pages() {
    apt-get --yes --no-install-recommends -o Dpkg::Use-Pty=0 -o Dir::Cache::archives=/build/pages \
        --reinstall --download-only install "$@" >/dev/null
    for package in pages/*.deb; do
        dpkg-deb --fsys-tarfile "$package" |
            tar -x -C / --wildcards --keep-old-files './usr/share/man/man*' 2>/dev/null || true
    done
}

without_manual_pages() {
    dpkg-query --show --showformat '${binary:Package}\n' | while read -r package; do
        page=$(dpkg-query --listfiles "$package" | grep -m 1 '^/usr/share/man/man[^/]*/') || continue
        [ -e "$page" ] || [ -L "$page" ] || echo "$package"
    done
}

case $ID:$VERSION_ID in
debian:?*) write_debian_sources ;;
*) take_mirrors ;;
esac
undo_minimal

# Nothing is started while the image is built, and no index of manual pages is made at every
# installation in a box: for `man -k`, run mandb.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod 0755 /usr/sbin/policy-rc.d
echo man-db man-db/auto-update boolean false | debconf-set-selections

apt-get update
packages=''
# shellcheck disable=SC2013 # the names have no blanks
for line in $(sed 's/#.*//' packages.txt); do
    packages="$packages $(choose "$line")"
done
# One transaction: what the root has is brought up to date with what is installed.
# shellcheck disable=SC2086
apt-get --yes --no-install-recommends -o Dpkg::Use-Pty=0 dist-upgrade $packages
[ -e /lib/systemd/systemd ] || fail "image.root is $PRETTY_NAME, whose archive has no systemd"

bare=$(without_manual_pages)
mkdir -p pages/partial
# shellcheck disable=SC2086
[ -z "$bare" ] || add_manual_pages $bare
rm -r pages
rm -f /var/lib/man-db/auto-update

# In this layer, so that the image has it once. Where it cannot be done, dockerd stays as it is.
program=$(command -v dockerd)
if python3 prelink.py "$program" dockerd; then
    chmod --reference="$program" dockerd
    ./dockerd --version
    mv dockerd "$program"
fi

apt-get clean
rm -rf /usr/sbin/policy-rc.d /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/cache/man \
    /var/cache/debconf/*-old /var/log/dpkg.log /var/log/alternatives.log /var/lib/dpkg/*-old
# openssh-server's installation makes host keys, systemd's an id: not even a layer below may have any.
rm -f /etc/ssh/ssh_host_* /var/lib/dbus/machine-id
: >/etc/machine-id
