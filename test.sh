#!/bin/bash
# Runs tests on a bare Debian: ./test.sh [unit|system|machine|all|fleet] [pytest arguments]
# Without a level: unit and system. `machine` boots whole servers under emulation, which takes long.
# `fleet`, which is no part of `all`, has two servers of Incus as a cluster on this machine.
# `unit` is for every user; the others need root, and install Debian packages, as `unit` does for root.
# All they make is below .venv, a temporary directory and (a machine's disk, which the next run uses
# again) /var/cache/containai-tests.
set -euo pipefail
cd "$(dirname "$0")"

# Unit first: what fails in seconds should not wait for what takes minutes.
levels=(unit system)
case ${1:-} in
    all) levels=(unit system machine) && shift ;;
    unit | system | machine | fleet) levels=("$1") && shift ;;
esac

if [[ $(id -u) != 0 && ${levels[*]} != unit ]]; then
    echo "test: boxes and their engine need root; run: sudo ./test.sh, or: ./test.sh unit" >&2
    exit 1
fi

packages=()
[[ -x .venv/bin/python ]] || /usr/bin/python3 -c 'import ensurepip, venv' 2>/dev/null ||
    packages+=(python3-venv)
command -v ssh >/dev/null || packages+=(openssh-client)
command -v git >/dev/null || packages+=(git)
# For `systemd-analyze verify`; without systemd-sysv it does not become PID 1.
command -v systemd-analyze >/dev/null || packages+=(systemd)
if [[ " ${levels[*]} " == *" system "* ]]; then
    # Completion is tried in every shell that there is: unit tests, which ask root for nothing.
    command -v zsh >/dev/null || packages+=(zsh)
    command -v fish >/dev/null || packages+=(fish)
    # It reads man pages as a linter.
    command -v mandoc >/dev/null || packages+=(mandoc)
    command -v rsync >/dev/null || packages+=(rsync)
    command -v sshfs >/dev/null || packages+=(sshfs)
    command -v docker-registry >/dev/null || packages+=(docker-registry)
    # Squid without it, which Debian has too, does not look into TLS.
    [[ -x /usr/lib/squid/security_file_certgen ]] || packages+=(squid-openssl)
fi
if [[ " ${levels[*]} " == *" machine "* ]]; then
    command -v qemu-system-x86_64 >/dev/null || packages+=(qemu-system-x86)
    command -v qemu-img >/dev/null || packages+=(qemu-utils)
    command -v mmdebstrap >/dev/null || packages+=(mmdebstrap)
    command -v mke2fs >/dev/null || packages+=(e2fsprogs)
    # It packs the image as a server of Incus takes it.
    command -v zstd >/dev/null || packages+=(zstd)
fi
# What its servers are made of, the tests download, and install nowhere.
[[ " ${levels[*]} " != *" fleet "* ]] || command -v ip >/dev/null || packages+=(iproute2)
if ((${#packages[@]})) && [[ $(id -u) != 0 ]]; then
    # Tests that want ssh or systemd-analyze are skipped, and say so; without Python's venv there are none.
    if [[ ${packages[0]} == python3-venv ]]; then
        echo "test: Python's venv is missing; run: sudo apt-get install ${packages[*]}" >&2
        exit 1
    fi
    echo "test: not here, so some tests are skipped: ${packages[*]}" >&2
elif ((${#packages[@]})); then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
fi

[[ -x .venv/bin/python ]] || /usr/bin/python3 -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check --editable '.[dev]'

# pytest on one level.
run() {
    local level=$1 parallel=()
    shift
    # An emulated machine is the work of one processor: two, if there are as many. Unit tests of a
    # file share what they make.
    case $level:$(nproc) in
        system:* | fleet:* | *:1) ;;
        machine:*) parallel=(--numprocesses 2 --maxschedchunk 1) ;;
        unit:*) parallel=(--numprocesses 2 --dist loadfile) ;;
    esac
    .venv/bin/python -m pytest "${parallel[@]}" "tests/$level" "$@"
}

# The code of the first level that failed; that nothing was chosen (5) counts only if it is so of all.
result=5
record() {
    local code=0
    "$@" || code=$?
    [[ $result != [05] || $code == 5 ]] || result=$code
}

if ((${#levels[@]} < 3)); then
    for level in "${levels[@]}"; do
        record run "$level" "$@"
        [[ $result == [05] ]] || break
    done
    exit $result
fi

record run unit "$@"
[[ $result == [05] ]] || exit $result
# Machines boot beside the system tests, and give way to them (qemu.py): one after the other, they
# would take half as long again. One build of the image does for both.
scratch=$(mktemp -d -p /var/tmp)
export CONTAINAI_TEST_IMAGE=${CONTAINAI_TEST_IMAGE:-$scratch/image.tar}
machines() {
    until [[ -e $CONTAINAI_TEST_IMAGE || -e $scratch/ended ]]; do sleep 1; done
    run machine "$@"
}
set -m # in a process group of its own, to be ended as by Ctrl-C
machines "$@" >"$scratch/machine" 2>&1 &
beside=$!
set +m
trap '{ kill -INT -- "-$beside" && wait "$beside"; } 2>/dev/null || true; rm -rf "$scratch"' EXIT

record run system "$@"
touch "$scratch/ended"
tail --pid=$beside --lines=+1 --follow "$scratch/machine"
record wait "$beside"
exit $result
