#!/bin/sh
# Installs ContainAI for the user who runs this: a private Python environment and a link to `cai`.
# It changes nothing else; `cai setup` (or the first `cai run`) sets the machine up.
set -eu
# A virtual environment of the current directory may be first on the PATH, and a workspace's
# directories on PYTHONPATH: neither decides what is run here.
path=$PATH
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

usage() {
    cat <<END
usage: ./install.sh [--yes] [--uninstall]

  --yes        agree to what would be asked (installing a Debian package)
  --uninstall  remove what this script installed; boxes, settings and keys stay

Installs into ~/.local/share/containai and links ~/.local/bin/cai and containai.
CAI_PYTHON=/path/to/python3 names a Python (3.11 or newer) that is not the system's.
END
}

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
home=${HOME:?HOME is not set}/.local
target=$home/share/containai
bin=$home/bin
yes=${CAI_YES:-}
uninstall=

say() { printf 'install: %s\n' "$*"; }
die() {
    printf 'install: %s\n' "$1" >&2
    [ -z "${2:-}" ] || printf '  hint: %s\n' "$2" >&2
    exit 1
}

for argument do
    case $argument in
        -y | --yes) yes=1 ;;
        --uninstall) uninstall=1 ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
done

# Only links that lead into our own environment are ours to remove or replace.
ours() { [ -L "$1" ] && case $(readlink "$1") in "$target"/*) true ;; *) false ;; esac; }

if [ -n "$uninstall" ]; then
    for name in cai containai; do
        if ours "$bin/$name"; then
            rm -- "$bin/$name"
            say "removed $bin/$name"
        fi
    done
    if [ -d "$target" ]; then
        rm -rf -- "$target"
        say "removed $target"
    fi
    say "boxes, settings (~/.config/containai) and keys are still there"
    exit 0
fi

agree() {
    [ -n "$yes" ] && return 0
    [ -t 0 ] || return 1
    printf 'install: %s [y/N] ' "$1"
    read -r answer && case $answer in y | Y | yes) true ;; *) false ;; esac
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -- "$@"
    else
        die "root is needed for: $*" "run it as root, then run ./install.sh again"
    fi
}

# The system's own Python: a private environment of it survives changes to other Pythons.
python=
for candidate in ${CAI_PYTHON:+"$CAI_PYTHON"} /usr/bin/python3 python3; do
    if command -v "$candidate" >/dev/null &&
        "$candidate" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$(command -v "$candidate")
        break
    fi
done
if [ -z "$python" ] || ! "$python" -I -c 'import ensurepip, venv' 2>/dev/null; then
    command -v apt-get >/dev/null ||
        die "Python 3.11 or newer with venv is missing" "install it, then run ./install.sh again"
    packages="python3 python3-venv"
    agree "install the Debian packages $packages?" ||
        die "the Debian packages $packages are needed" "run: ./install.sh --yes"
    say "installing $packages"
    as_root apt-get update -qq
    # shellcheck disable=SC2086 # two words
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages
    python=/usr/bin/python3
    "$python" -I -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' ||
        die "$("$python" --version) is too old: 3.11 or newer is needed"
fi

mkdir -p -- "$target" "$bin"
for name in cai containai; do
    if [ -e "$bin/$name" ] || [ -L "$bin/$name" ]; then
        ours "$bin/$name" || die "$bin/$name is there and is not ours" "move it away"
    fi
done

# Built beside the old one and exchanged at the end: an interrupted run leaves the old one working.
fresh=$target/venv.$$
trap 'rm -rf -- "$fresh"' EXIT
trap 'exit 1' HUP INT TERM
say "making a private environment in $target ($("$python" --version))"
"$python" -I -m venv "$fresh"
say "installing containai from $here"
"$fresh/bin/python" -I -m pip install --quiet --disable-pip-version-check "$here"
# The scripts name the interpreter they were installed with. It is started isolated: PYTHONPATH and
# a sitecustomize.py in a workspace are the agent's to fill.
sed -i "1s|$fresh\(.*\)|$target/venv\1 -I|" "$fresh/bin/cai" "$fresh/bin/containai"
rm -rf -- "$target/venv"
mv -- "$fresh" "$target/venv"

for name in cai containai; do
    ln -sfn -- "$target/venv/bin/$name" "$bin/$name"
done
say "linked $bin/cai: $("$bin/cai" version)"
case :$path: in
    *:"$bin":*) ;;
    *) say "add it to your PATH: export PATH=\"$bin:\$PATH\"" ;;
esac
