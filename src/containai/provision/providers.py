"""Where Docker's programs come from: Docker's own archive, the distribution's, or a directory."""

import os
import re
from typing import NamedTuple

from containai.errors import ContainAIError, UnsupportedError
from containai.host import files, packages
from containai.host.machine import Machine
from containai.work.actions import Action, Fetch, Pin, Run, WriteFile

#: Docker's archive, and the key that signs it: the file is the same for Debian and Ubuntu, of the
#: primary key 9DC8 5822 9FC7 DD38 854A E2D8 8D81 803C 0EBF CD88 (docs.docker.com/engine/install).
ARCHIVE = "https://download.docker.com/linux"
KEY_SHA256 = "1500c1f56fa9e26b9b8f42452a553675796ade0807cdce11975eb98170b3a570"
KEY_SIZE = 16 << 10
#: How long the archive may take until it answers before `auto` takes the distribution, in seconds.
REACH_TIMEOUT = 5.0

SOURCES = "etc/apt/sources.list.d/containai-docker.sources"
KEYRING = "etc/apt/keyrings/containai-docker.asc"


class Provider(NamedTuple):
    """The packages of Docker's programs, by program; `if_known` are for archives that have them."""

    name: str
    packages: dict[str, str]
    if_known: dict[str, str] = {}


DOCKER_CE = Provider(
    "docker-ce",
    {
        "dockerd": "docker-ce",
        "docker": "docker-ce-cli",
        "runc": "containerd.io",
        "containerd": "containerd.io",
    },
)
#: Debian's and Ubuntu's. The client is a part of docker.io up to Debian 12, and in Ubuntu.
DISTRO = Provider(
    "distro",
    {"dockerd": "docker.io", "docker": "docker.io", "runc": "runc", "containerd": "containerd"},
    {"docker": "docker-cli"},
)
PROVIDERS = {provider.name: provider for provider in (DOCKER_CE, DISTRO)}
#: The first that can be reached.
AUTO = "auto"


def choose(host: Machine, name: str, *, archive: str = ARCHIVE) -> Provider:
    """Return the provider to use.

    Raises UnsupportedError where docker-ce is asked for and would push out packages that are here.
    """
    theirs = sorted({*DISTRO.packages.values(), *DISTRO.if_known.values()})
    in_the_way = sorted(set(theirs) - set(packages.missing(host, theirs)))
    if name == AUTO:
        if in_the_way or release(host) is None or not reachable(host, archive):
            return DISTRO
        return DOCKER_CE
    if name == DOCKER_CE.name and in_the_way:
        raise UnsupportedError(
            f"docker-ce would push out {', '.join(in_the_way)}, which this machine has",
            hint='engine.provider = "distro" adds to them instead',
        )
    if name == DOCKER_CE.name and release(host) is None:
        raise UnsupportedError(
            "Docker publishes no packages for this distribution",
            hint='engine.provider = "distro"',
        )
    return PROVIDERS[name]


def release(host: Machine) -> tuple[str, str] | None:
    """Return this machine's distribution and release as Docker's archive names them, or None."""
    system = host.os_release()
    name, codename = system.get("ID", ""), system.get("VERSION_CODENAME", "")
    return (name, codename) if name in ("debian", "ubuntu") and codename else None


def reachable(host: Machine, archive: str) -> bool:
    """Whether the archive has something for this release, and answers soon."""
    distribution, codename = release(host) or ("", "")
    from containai.host import download  # it and urllib cost 40 ms

    return download.answers(f"{archive}/{distribution}/dists/{codename}/Release", REACH_TIMEOUT)


def add_archive(host: Machine, archive: str = ARCHIVE) -> list[Action]:
    """Return what makes apt know Docker's archive, and trust its key for that one only."""
    layout = host.layout
    if any(archive in (files.read(path) or "") for path in _sources()):
        # Two entries for one archive with different keys are an error for apt.
        return []
    distribution, _ = release(host) or ("", "")
    pin = Pin(f"{archive}/{distribution}/gpg", KEY_SHA256, KEY_SIZE)
    keyring = os.path.join(layout.root, KEYRING)
    fetch = Fetch(pin, os.path.join(layout.downloads, "docker"))
    return [
        fetch,
        Run(["install", "-D", "-m", "644", fetch.path, keyring]),
        WriteFile(os.path.join(layout.root, SOURCES), sources(host, archive, keyring)),
    ]


def sources(host: Machine, archive: str, keyring: str) -> str:
    """Return apt's description of Docker's archive (sources.list(5), deb822)."""
    distribution, codename = release(host) or ("", "")
    return (
        "# Written by cai.\nTypes: deb\n"
        f"URIs: {archive}/{distribution}\nSuites: {codename}\nComponents: stable\n"
        f"Signed-By: {keyring}\n"
    )


def _sources() -> list[str]:
    directory = "/etc/apt/sources.list.d"
    names = os.listdir(directory) if os.path.isdir(directory) else []
    ours = os.path.basename(SOURCES)
    others = [os.path.join(directory, name) for name in names if name != ours]
    return ["/etc/apt/sources.list", *others]


def offline(host: Machine, directory: str) -> Action:
    """Return what installs the packages in a directory, each as its SHA256SUMS vouches for it.

    Raises ContainAIError where a package is not listed, or the list is not one.
    """
    path = os.path.join(directory, "SHA256SUMS")
    text = files.read(path)
    if text is None:
        raise ContainAIError(
            f"{path} is missing: it has to say what each package is",
            hint=f"where the packages are from: (cd {directory} && sha256sum *.deb >SHA256SUMS)",
        )
    sums = checksums(text)
    there = sorted(name for name in os.listdir(directory) if name.endswith(".deb"))
    unlisted = [name for name in there if name not in sums]
    absent = [name for name in sums if name.endswith(".deb") and name not in there]
    if not there or unlisted or absent:
        wrong = unlisted and f"not listed: {', '.join(unlisted)}"
        wrong = wrong or (absent and f"listed, but not there: {', '.join(absent)}")
        raise ContainAIError(
            f"{directory} is not what its SHA256SUMS says: {wrong or 'it has no package'}",
            hint="packages and SHA256SUMS have to come together",
        )
    wanted = {name: sums[name] for name in there}
    title = f"install packages of {directory}: {' '.join(wanted)}"
    return Run(packages.quiet_offline_argv(host, directory, wanted), title=title)


def checksums(text: str) -> dict[str, str]:
    """Return the digests of a SHA256SUMS, by file name. Raises ContainAIError for other text."""
    sums = {}
    for line in text.splitlines():
        match = re.fullmatch(r"([0-9a-f]{64}) [ *]([A-Za-z0-9._+~%:-]+)", line)
        if match is None:
            raise ContainAIError(f"this is no line of a SHA256SUMS: {line[:100]!r}")
        sums[match[2]] = match[1]
    return sums
