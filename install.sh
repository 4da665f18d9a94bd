#!/bin/sh
# Installs ContainAI for the user who runs this: a private Python environment and a link to `cai`.
# In a clone it is the clone's; anywhere else, as in `curl … | sh`, a release's, whose files are
# checked against their sums. It changes nothing else; `cai setup` (or the first `cai run`) sets the
# machine up.
set -eu

# Where releases are. A copy of them elsewhere is named by CAI_RELEASES.
releases=${CAI_RELEASES:-https://github.com/containai/containai/releases}
# In the install.sh of a release (.ci/release-files): its version, and the sha256 of its SHA256SUMS.
release=
sums=

home=${HOME:?HOME is not set}/.local
target=$home/share/containai
bin=$home/bin
yes=${CAI_YES:-}

usage() {
    cat <<END
usage: ./install.sh [--yes] [--version VERSION] [--uninstall]
       curl -fsSL $releases/latest/download/install.sh | sh -s -- [--yes] ...

  --yes              agree to what would be asked (installing a Debian package)
  --version VERSION  install that release; else, in a clone, what is in it, or the newest release
  --uninstall        remove what this script installed; boxes, settings and keys stay

Installs into ~/.local/share/containai and links ~/.local/bin/cai and containai.
CAI_PYTHON=/path/to/python3 names a Python (3.11 or newer) that is not the system's.
CAI_RELEASES=https://... names a copy of the releases.
END
}

say() { printf 'install: %s\n' "$*"; }
die() {
    printf 'install: %s\n' "$1" >&2
    [ -z "${2:-}" ] || printf '  hint: %s\n' "$2" >&2
    exit 1
}

# Only links that lead into our own environment are ours to remove or replace.
ours() { [ -L "$1" ] && case $(readlink "$1") in "$target"/*) true ;; *) false ;; esac; }

uninstall() {
    if ours "$bin/cai" && [ -x "$bin/cai" ]; then
        "$bin/cai" completion --remove 2>/dev/null | while read -r line; do say "completion for $line"; done
        "$bin/cai" help --remove 2>/dev/null | while read -r line; do say "man: $line"; done
    fi
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
}

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
        die "root is needed for: $*" "run it as root, then run $again again"
    fi
}

# The system's own Python: a private environment of it survives changes to other Pythons.
find_python() {
    python=
    for candidate in ${CAI_PYTHON:+"$CAI_PYTHON"} /usr/bin/python3 python3; do
        if command -v "$candidate" >/dev/null &&
            "$candidate" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            python=$(command -v "$candidate")
            break
        fi
    done
    if [ -n "$python" ] && "$python" -I -c 'import ensurepip, venv' 2>/dev/null; then
        return
    fi
    command -v apt-get >/dev/null ||
        die "Python 3.11 or newer with venv is missing" "install it, then run $again again"
    packages="python3 python3-venv"
    agree "install the Debian packages $packages?" ||
        die "the Debian packages $packages are needed" "run: $again --yes"
    say "installing $packages"
    as_root apt-get update -qq
    # shellcheck disable=SC2086 # two words
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages
    python=/usr/bin/python3
    "$python" -I -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' ||
        die "$("$python" --version) is too old: 3.11 or newer is needed"
}

# Fetch the wheels of a release into the directory $1: all of them, each with its sum, or none. The
# sums come over https; where this script is a release's own, it knows theirs.
fetch() {
    pinned=
    [ "$version" != "$release" ] || pinned=$sums
    "$python" -I - "$releases" "$version" "$pinned" "$1" <<'END'
import hashlib, re, sys, urllib.parse, urllib.request

releases, version, pinned, directory = sys.argv[1:]
place = f"{releases}/download/v{version}" if version else f"{releases}/latest/download"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
LIMIT = 1 << 26


def refuse(what, hint="nothing was installed; try again, or name another --version"):
    sys.exit(f"install: {what}\n  hint: {hint}")


def check(address):
    parts = urllib.parse.urlsplit(address)
    if parts.scheme != "https" and (parts.scheme, parts.hostname in LOOPBACK) != ("http", True):
        refuse(f"{address} is not https", "CAI_RELEASES has to be")
    return parts.hostname in LOOPBACK


class Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, request, file, code, message, headers, address):
        check(address)
        return super().redirect_request(request, file, code, message, headers, address)


def get(name):
    address = f"{place}/{name}"
    handlers = [urllib.request.ProxyHandler({})] if check(address) else []
    try:
        with urllib.request.build_opener(Redirects, *handlers).open(address, timeout=60) as answer:
            content = answer.read(LIMIT)
            length = answer.headers.get("Content-Length", len(content))
    except (OSError, ValueError, urllib.request.http.client.HTTPException) as failed:
        refuse(f"{address}: {failed}")
    if int(length) != len(content):
        refuse(f"{address}: {len(content)} bytes of {length} arrived")
    return content


def check_sum(name, content, wanted):
    seen = hashlib.sha256(content).hexdigest()
    if seen != wanted:
        refuse(f"{place}/{name}: its sha256 is {seen}, not {wanted}")


listed = get("SHA256SUMS")
if pinned:
    check_sum("SHA256SUMS", listed, pinned)
lines = listed.decode(errors="replace").splitlines()
files = [re.fullmatch(r"([0-9a-f]{64}) [ *](\w[\w.+-]*-none-any\.whl)", line) for line in lines]
if not all(files) or sum(each[2].startswith("containai-") for each in files) != 1:
    refuse(f"{place}/SHA256SUMS does not list the wheels of a release")
if version and not any(each[2].startswith(f"containai-{version}-") for each in files):
    refuse(f"{place}/SHA256SUMS is of another version")
for wanted, name in (each.groups() for each in files):
    content = get(name)
    check_sum(name, content, wanted)
    with open(f"{directory}/{name}", "wb") as file:
        file.write(content)
END
}

# Have the old environment again where the new one is not, or does not work.
put_back() {
    [ -n "$old" ] && [ -d "$old" ] || return 0
    rm -rf -- "$target/venv"
    mv -- "$old" "$target/venv"
}

# Print the program that starts cai in $fresh, which will be elsewhere ($1). Its interpreter is isolated:
# PYTHONPATH and a sitecustomize.py in a workspace are the agent's to fill. It starts without `site`,
# which takes a third of an empty start to look for what is not there.
launcher() {
    packages=$("$fresh/bin/python" -I -c 'import sys, sysconfig
print(repr(sys.argv[1] + sysconfig.get_path("purelib").removeprefix(sys.prefix)))' "$1")
    first="#!$1/bin/python -IS"
    case $1 in *[[:space:]]*) first= ;; esac
    if [ -z "$first" ] || [ ${#first} -gt 127 ]; then
        # The kernel would take the line apart, or cut it off (execve(2)). To Python it is a string.
        printf '%s\n' '#!/bin/sh' \
            "'''exec' \"\$(dirname -- \"\$(readlink -f -- \"\$0\")\")/python\" -IS \"\$0\" \"\$@\"" "' '''"
    else
        printf '%s\n' "$first"
    fi
    printf '%s\n' 'import sys' "sys.path.append($packages)" 'from containai.cli.main import main' \
        'sys.exit(main())'
}

install() {
    find_python
    scratch=$(mktemp -d)
    fresh=$target/venv.$$
    old=
    trap 'put_back; rm -rf -- "$fresh" "$scratch"' EXIT
    trap 'exit 1' HUP INT TERM
    if [ -n "$clone" ]; then
        from=$clone
    else
        from=${version:+version $version of }$releases
        say "fetching ${version:-the newest release} from $releases"
        fetch "$scratch" || exit 1
    fi

    mkdir -p -- "$target" "$bin"
    for name in cai containai; do
        if [ -e "$bin/$name" ] || [ -L "$bin/$name" ]; then
            ours "$bin/$name" || die "$bin/$name is there and is not ours" "move it away"
        fi
    done

    # Built beside the old one and exchanged at the end: an interrupted run leaves the old one working.
    say "making a private environment in $target ($("$python" --version))"
    "$python" -I -m venv "$fresh"
    say "installing containai from $from"
    # A release has all wheels that it needs; where one is missing, no other is taken for it.
    if [ -n "$clone" ]; then set -- "$clone"; else set -- --no-index "$scratch"/*.whl; fi
    "$fresh/bin/python" -I -m pip install --quiet --disable-pip-version-check "$@"
    launcher "$target/venv" >"$fresh/bin/cai"
    cat "$fresh/bin/cai" >"$fresh/bin/containai"
    # For `cai update`, which believes no variable.
    [ -n "$clone" ] || printf '%s\n' "$releases" >"$fresh/releases"
    "$fresh/bin/python" -I -m containai --version >/dev/null ||
        die "what was installed does not work" "the cai from before is still there"
    # Where anything ends here, `old` is put back (or removed, once the new one is in place).
    old=$target/venv.old.$$
    [ ! -d "$target/venv" ] || mv -- "$target/venv" "$old"
    mv -- "$fresh" "$target/venv"

    for name in cai containai; do
        ln -sfn -- "$target/venv/bin/$name" "$bin/$name"
    done
    "$bin/cai" --version >/dev/null || die "what was installed does not work"
    rm -rf -- "$old"
    old=
    say "linked $bin/cai: $("$bin/cai" --version)"
    # Conveniences: where they cannot be written, cai is installed all the same.
    "$bin/cai" completion --install 2>/dev/null | while read -r line; do say "completion for $line"; done
    "$bin/cai" help --install 2>/dev/null | while read -r line; do say "man: $line"; done
    say "to update: $update"
    say "to remove: $bin/cai uninstall && $again --uninstall"
    case :$path: in
        *:"$bin":*) ;;
        *) say "add it to your PATH: export PATH=\"$bin:\$PATH\"" ;;
    esac
}

main() {
    case $(uname -s) in
        Linux) ;;
        *)
            say "boxes need a Linux machine, and this is $(uname -s)" >&2
            say "a virtual machine on this one (on a Mac: Lima), or one over ssh, with cai in it:" >&2
            say "https://github.com/containai/containai/blob/main/docs/how-to/windows-and-macos.md" >&2
            exit 19
            ;;
    esac
    # A virtual environment of the current directory may be first on the PATH, and a workspace's
    # directories on PYTHONPATH: neither decides what is run here.
    path=$PATH
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    export PATH

    version=$release
    remove=
    while [ $# -gt 0 ]; do
        case $1 in
            -y | --yes) yes=1 ;;
            --uninstall) remove=1 ;;
            --version)
                version=${2:-}
                version=${version#v}
                case $version in "" | [!0-9]* | *[!0-9A-Za-z.]*) usage >&2; exit 2 ;; esac
                shift
                ;;
            -h | --help) usage; exit 0 ;;
            *) usage >&2; exit 2 ;;
        esac
        shift
    done

    # Piped into a shell, $0 is the shell's name, and the current directory nobody's word for a clone.
    clone=
    case $0 in
        */install.sh | install.sh)
            here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
            [ -n "$version" ] || [ ! -e "$here/src/containai/__init__.py" ] || clone=$here
            ;;
    esac
    again="curl -fsSL $releases/latest/download/install.sh | sh -s --"
    update="$bin/cai update"
    if [ -n "$clone" ]; then again=./install.sh update="git pull && ./install.sh"; fi

    if [ -n "$remove" ]; then uninstall; else install; fi
}

# To the last line this is read before any of it is run: half a download does nothing.
{
    main "$@"
    exit
}
