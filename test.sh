#!/bin/bash
# Runs every test, as root, on a bare Debian: ./test.sh [unit|system] [pytest arguments]
# All it makes is below .venv and a temporary directory; it installs Debian packages.
set -euo pipefail
cd "$(dirname "$0")"

# Unit first: what fails in seconds should not wait for what takes minutes.
levels=(tests/unit tests/system)
case ${1:-} in
    unit | system) levels=("tests/$1") && shift ;;
esac

if [[ $(id -u) != 0 ]]; then
    echo "test: boxes and their engine need root; run: sudo ./test.sh" >&2
    exit 1
fi

packages=()
/usr/bin/python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv)
command -v ssh >/dev/null || packages+=(openssh-client)
command -v git >/dev/null || packages+=(git)
# For `systemd-analyze verify`; without systemd-sysv it does not become PID 1.
command -v systemd-analyze >/dev/null || packages+=(systemd)
if ((${#packages[@]})); then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
fi

[[ -x .venv/bin/python ]] || /usr/bin/python3 -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check --editable '.[dev]'
exec .venv/bin/python -m pytest "${levels[@]}" "$@"
