"""Debian packages: which are there, and installing more without starting what they bring."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from containai.errors import UnsupportedError
from containai.host import proc

if TYPE_CHECKING:
    from containai.host.machine import Machine

POLICY = "/usr/sbin/policy-rc.d"
#: Debian's own way to keep a maintainer script from starting a service (invoke-rc.d(8)): 101 is
#: "forbidden". Only what the engine's packages bring is forbidden; other services are free.
POLICY_TEXT = """\
#!/bin/sh
# Written by cai for the time of one installation.
case $1 in docker* | containerd* | lxcfs*) exit 101 ;; esac
exit 0
"""
#: Options by which apt knows no archive (sources.list(5)).
NO_ARCHIVE = ("-o", "Dir::Etc::SourceList=/dev/null", "-o", "Dir::Etc::SourceParts=/dev/null")
SERVICES = ("docker", "containerd", "lxcfs")


NO_LISTS = (
    "The package lists could not be fetched: is there a network, and does the archive answer?"
)


def missing(host: "Machine", names: Sequence[str]) -> list[str]:
    """Return those packages that are not installed."""
    done = host.run(
        ["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Abbrev}\n", *names],
        ok=(0, 1),
    )
    there = {line.split()[0] for line in done.out.splitlines() if " ii" in line}
    return [name for name in names if name not in there]


def installed(host: "Machine") -> list[str]:
    """Return the names of all packages that are installed."""
    done = host.run(["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Abbrev}\n"])
    return sorted({line.split()[0] for line in done.out.splitlines() if " ii" in line})


def has_apt(host: "Machine") -> bool:
    """Whether this machine's packages are Debian's."""
    return host.which("apt-get") is not None


def known(host: "Machine", name: str) -> bool:
    """Whether this machine's package lists have a package of that name."""
    return host.run(["apt-cache", "show", name], ok=None).code == 0


def install_argv(names: Sequence[str]) -> list[str]:
    """Return the command that installs packages without asking."""
    return [
        "env", "DEBIAN_FRONTEND=noninteractive",
        "apt-get", "install", "--yes", "--no-install-recommends", "--no-remove",
        "-o", "DPkg::Lock::Timeout=300",
        *names,
    ]  # fmt: skip


def update_argv() -> list[str]:
    """Return the command that fetches the package lists."""
    return ["apt-get", "update", "-o", "DPkg::Lock::Timeout=300"]


def update(host: "Machine", on_line: Callable[[str], None]) -> None:
    """Fetch the package lists."""
    host.stream(update_argv(), on_line, root=True)


def ensure(host: "Machine", names: Sequence[str], on_line: Callable[[str], None]) -> None:
    """Install what is missing. Raises UnsupportedError without apt, ProcessError where it fails."""
    wanted = (
        missing(host, names) if has_apt(host) else [name for name in names if not host.which(name)]
    )
    if not wanted:
        return
    if not has_apt(host):
        raise UnsupportedError(
            f"{', '.join(wanted)} cannot be installed: this is no Debian or Ubuntu",
            hint="install it with this system's package manager and run the command again",
        )
    update(host, on_line)
    host.stream(install_argv(wanted), on_line, root=True)


def quiet_install_argv(
    host: "Machine", names: Sequence[str], if_known: Sequence[str] = ()
) -> list[str]:
    """Return the command that runs `quiet_install_script`."""
    return ["sh", "-c", quiet_install_script(host, names, if_known), "install"]


def quiet_offline_argv(host: "Machine", directory: str, sums: Mapping[str, str]) -> list[str]:
    """Return the command that runs `quiet_offline_script`."""
    return ["sh", "-c", quiet_offline_script(host, directory, sums), "install"]


def quiet_install_script(
    host: "Machine", names: Sequence[str], if_known: Sequence[str] = ()
) -> str:
    """Return the script that installs a daemon's packages, neither enabled nor running.

    Of `if_known` those are installed that the archive has: which it has is known only once the
    lists are fetched, which a fresh machine never did. Runs as root.
    """
    # An archive of somebody else's that is down need not matter; if it does, that was the cause.
    script = (
        "lists=\napt-get update --error-on=any -o DPkg::Lock::Timeout=300 || lists=old\nset --\n"
    )
    for name in if_known:
        script += f'! apt-cache show {name} >/dev/null 2>&1 || set -- "$@" {name}\n'
    install = proc.describe(install_argv(names))
    return _quietly(
        host,
        f'{script}{install} "$@" || {{\n'
        "    code=$?\n"
        f"    [ -z \"$lists\" ] || echo '{NO_LISTS}' >&2\n"
        "    exit $code\n"
        "}\n",
    )


def quiet_offline_script(host: "Machine", directory: str, sums: Mapping[str, str]) -> str:
    """Return the script that installs package files, checked where only root writes.

    `sums` are the sha256 digests by file name. Nothing is fetched. Runs as root.
    """
    sources = [os.path.join(os.path.abspath(directory), name) for name in sums]
    lines = "".join(f"{digest}  {name}\n" for name, digest in sums.items())
    # No archive is known to it, so none is asked. (With --no-download, apt takes no file.)
    install = proc.describe(install_argv(NO_ARCHIVE))
    staged = " ".join(f'"$stage"/{proc.describe([name])}' for name in sums)
    return _quietly(
        host,
        "stage=$(mktemp -d /var/tmp/cai-XXXXXX)\n"
        f'{proc.describe(["cp", "--", *sources])} "$stage"\n'
        'cd "$stage"\n'
        f"sha256sum --strict --check --quiet <<'END'\n{lines}END\n"
        # apt's own sandbox user reads them.
        'chmod -R a+rX "$stage"\n'
        f"{install} {staged}\n",
        cleanup='rm -rf "$stage"',
    )


def _quietly(host: "Machine", install: str, cleanup: str = "") -> str:
    """Return a script around an installation that keeps what it brings from being started.

    Services that were there before stay as they are. A policy-rc.d of the administrator's stays:
    it may forbid more than ours does, and then nothing is started either way.
    """
    ours = not os.path.exists(POLICY)
    # What is there for the time of it goes however it ends, also when it is interrupted.
    ends = "; ".join(filter(None, [f"rm -f {POLICY}" if ours else "", cleanup]))
    script = "set -eu\nstage=\n" if cleanup else "set -eu\n"
    if ends:
        script += f"trap '{ends}' EXIT\ntrap 'exit 1' HUP INT TERM\n"
    if ours:
        script += f"cat >{POLICY} <<'END'\n{POLICY_TEXT}END\nchmod 755 {POLICY}\n"
    script += install
    for name in SERVICES:
        if not _has_service(name):
            script += _disable(host, name)
    return script


def _has_service(name: str) -> bool:
    directories = ("/lib/systemd/system", "/usr/lib/systemd/system", "/etc/systemd/system")
    paths = [f"{directory}/{name}.service" for directory in directories] + [f"/etc/init.d/{name}"]
    return any(os.path.exists(path) for path in paths)


def _disable(host: "Machine", name: str) -> str:
    script = f"update-rc.d {name} disable 2>/dev/null || true\n"
    if host.has_systemd():
        # One at a time: systemctl does nothing at all where one of several units is unknown.
        for unit in (f"{name}.service", f"{name}.socket"):
            script += f"systemctl disable --now {unit} 2>/dev/null || true\n"
    else:
        # deb-systemd-helper enables units also where systemd does not run.
        script += f"deb-systemd-helper disable {name}.service {name}.socket 2>/dev/null || true\n"
    return script
