"""Debian packages: which are there, and installing more without starting what they bring."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from containai.errors import UnsupportedError
from containai.host import scripts

if TYPE_CHECKING:
    from containai.host.machine import Machine

#: Debian's own way to keep a maintainer script from starting a service (invoke-rc.d(8)).
POLICY = "/usr/sbin/policy-rc.d"
#: Options by which apt knows no archive (sources.list(5)).
NO_ARCHIVE = ("-o", "Dir::Etc::SourceList=/dev/null", "-o", "Dir::Etc::SourceParts=/dev/null")
#: What those packages bring.
SERVICES = ("docker", "containerd", "lxcfs", "docker-registry")


def missing(host: "Machine", names: Sequence[str]) -> list[str]:
    """Return those packages that are not installed."""
    done = host.run(
        ["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Abbrev}\n", *names],
        ok=(0, 1),
    )
    there = {line.split()[0] for line in done.out.splitlines() if " ii" in line}
    return [name for name in names if name not in there]


def unfinished(host: "Machine", names: Sequence[str]) -> list[str]:
    """Return those packages whose installation has begun and not ended well (dpkg(1))."""
    form = "${Package} ${db:Status-Abbrev}\n"
    done = host.run(["dpkg-query", "--show", "--showformat", form, *names], ok=None)
    rows = [line.split(" ", 1) for line in done.out.splitlines()]
    return sorted(row[0] for row in rows if len(row) == 2 and row[1][1:2] in tuple("HUFWt"))


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
    """Return the command that installs a daemon's packages, neither enabled nor running.

    Of `if_known` those are installed that the archive has. Runs as root.
    """
    return _quietly(host, "archive", *if_known, "--", *install_argv(names))


def quiet_offline_argv(host: "Machine", directory: str, sums: Mapping[str, str]) -> list[str]:
    """Return the command that installs package files as `quiet_install_argv` does.

    `sums` are the sha256 digests by file name: they are checked where only root writes. Nothing is
    fetched.
    """
    pairs = [word for name, digest in sums.items() for word in (digest, name)]
    # No archive is known to it, so none is asked. (With --no-download, apt takes no file.)
    install = install_argv(NO_ARCHIVE)
    return _quietly(host, "files", os.path.abspath(directory), *pairs, "--", *install)


def _quietly(host: "Machine", *words: str) -> list[str]:
    policy = "" if os.path.exists(POLICY) else POLICY
    manager = "systemd" if host.has_systemd() else ""
    services = [name for name in SERVICES if not _has_service(name)]
    return scripts.argv("host/install-packages.sh", policy, manager, *services, "--", *words)


def _has_service(name: str) -> bool:
    directories = ("/lib/systemd/system", "/usr/lib/systemd/system", "/etc/systemd/system")
    paths = [f"{directory}/{name}.service" for directory in directories] + [f"/etc/init.d/{name}"]
    return any(os.path.exists(path) for path in paths)
