# usage: POLICY MANAGER SERVICE… -- archive KNOWN… -- COMMAND…
#        POLICY MANAGER SERVICE… -- files DIRECTORY (SHA256 NAME)… -- COMMAND…
# Installs packages by COMMAND, which takes more of them at its end, and leaves the SERVICEs that
# they bring neither enabled nor running. Services that were there before stay as they are.
#
# archive: with those of KNOWN that the archive has: which it has is known only once its lists are
#   fetched, which a fresh machine never did.
# files: package files of a directory, checked where only root writes. Nothing is fetched.
#
# POLICY: where to forbid starting them meanwhile (invoke-rc.d(8)); "" where the administrator has a
#   policy-rc.d: it may forbid more than ours does, and then nothing is started either way.
# MANAGER: "systemd" where it runs, else "".
set -euf
policy=$1 manager=$2
shift 2
services=
while [ "$1" != -- ]; do services="$services $1" && shift; done
kind=$2
shift 2

# What is there for the time of it goes however it ends, also when it is interrupted.
stage=
trap '[ -z "$policy" ] || rm -f "$policy"; [ -z "$stage" ] || rm -rf "$stage"' EXIT
trap 'exit 1' HUP INT TERM
if [ -n "$policy" ]; then
    # 101 is "forbidden". Only what the engine's packages bring is; other services are free.
    cat >"$policy" <<'END'
#!/bin/sh
# Written by cai for the time of one installation.
case $1 in docker* | containerd* | lxcfs*) exit 101 ;; esac
exit 0
END
    chmod 755 "$policy"
fi

more=
if [ "$kind" = archive ]; then
    # An archive of somebody else's that is down need not matter; if it does, that was the cause.
    lists=new
    apt-get update --error-on=any -o DPkg::Lock::Timeout=300 || lists=old
    while [ "$1" != -- ]; do
        ! apt-cache show "$1" >/dev/null 2>&1 || more="$more $1"
        shift
    done
else
    lists=new
    stage=$(mktemp -d /var/tmp/cai-XXXXXX)
    directory=$1
    shift
    while [ "$1" != -- ]; do
        cp -- "$directory/$2" "$stage"
        (cd "$stage" && echo "$1  $2" | sha256sum --strict --check --quiet)
        more="$more $stage/$2"
        shift 2
    done
    # apt's own sandbox user reads them.
    chmod -R a+rX "$stage"
fi
shift
# Names of packages and their files have no spaces.
"$@" $more || {
    code=$?
    if [ $lists = old ]; then
        echo "The package lists could not be fetched: is there a network, and does the archive answer?" >&2
    fi
    exit $code
}

for service in $services; do
    update-rc.d "$service" disable 2>/dev/null || true
    if [ "$manager" = systemd ]; then
        # One at a time: systemctl does nothing at all where one of several units is unknown.
        for unit in "$service.service" "$service.socket"; do
            systemctl disable --now "$unit" 2>/dev/null || true
        done
    else
        # deb-systemd-helper enables units also where systemd does not run.
        deb-systemd-helper disable "$service.service" "$service.socket" 2>/dev/null || true
    fi
done
