"""The root file system that the first layer begins with: a registry's, or one made here."""

import hashlib
import os
from enum import StrEnum
from typing import NamedTuple

from containai.engine.client import Engine
from containai.errors import EngineError, ImageError
from containai.host import packages, scripts
from containai.layout import IMAGE_REPOSITORY
from containai.work.ui import Progress

#: How long a registry may take until its first answer, in seconds.
REGISTRY_TIMEOUT = 20.0

#: The distribution's archive that a root file system is bootstrapped from.
SUITE = "trixie"
MIRROR = "http://deb.debian.org/debian"
SECURITY_MIRROR = "http://deb.debian.org/debian-security"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class Source(StrEnum):
    """Where what is in images comes from."""

    #: Upstream where a registry answers, else the distribution.
    AUTO = "auto"
    #: A registry, the distribution's archive, and who makes a tool.
    UPSTREAM = "upstream"
    #: Debian's archive, PyPI and npm only.
    DISTRO = "distro"


class Root(NamedTuple):
    """A root file system that the engine has, and where it and all upon it come from."""

    reference: str
    source: Source


def ensure(engine: Engine, pulled: str, source: str, progress: Progress) -> Root:
    """Return a root file system: the one that is pulled, or one that is made of the archive.

    `source` is one of Source. Raises EngineError, or ImageError where a registry has to answer and
    does not.
    """
    bootstrapped = bootstrapped_reference()
    if source != Source.DISTRO and engine.image(pulled) is not None:
        return Root(pulled, Source.UPSTREAM)
    if source != Source.UPSTREAM and engine.image(bootstrapped) is not None:
        return Root(bootstrapped, Source.DISTRO)
    if source != Source.DISTRO:
        progress(f"asking the registry for {pulled}", 0.0)
        try:
            engine.docker("pull", "--quiet", pulled, timeout=REGISTRY_TIMEOUT * 15)
            return Root(pulled, Source.UPSTREAM)
        except EngineError as failed:
            why = str(failed).splitlines()[-1].strip()
        if source == Source.UPSTREAM:
            raise ImageError(
                f"{pulled} cannot be pulled: {why}",
                hint="look at image.root and the network; image.source = auto or distro makes the "
                "images without a registry",
            )
        progress(f"no registry ({why[:100]}); bootstrapping Debian {SUITE} instead", 0.02)
    _bootstrap(engine, bootstrapped, progress)
    return Root(bootstrapped, Source.DISTRO)


def bootstrapped_reference() -> str:
    """Return what a root file system is called that was made of the archive as it is made now."""
    digest = hashlib.sha256(repr(bootstrap_argv("", "", "")).encode()).hexdigest()
    return f"{IMAGE_REPOSITORY}/rootfs:{SUITE}-{digest[:16]}"


def bootstrap_argv(directory: str, image: str, host: str) -> list[str]:
    """Return the command that makes a minimal root file system and gives it to the engine.

    It works in `directory`, which is root's and has nothing else in it. `host` is the engine's.
    """
    bootstrap = [
        "mmdebstrap",
        "--variant=minbase",
        f"--keyring={KEYRING}",
        "--include=ca-certificates",
        "--aptopt=Acquire::Languages \"none\"",
        # What is taken away by a later layer is in the image all the same.
        *(f"--dpkgopt={option}" for option in dpkg_options()),
        SUITE,
        f"{directory}/root.tar",
        # Up to date at once: what a later layer brings up to date is in the image twice.
        f"deb {MIRROR} {SUITE} main",
        f"deb {MIRROR} {SUITE}-updates main",
        f"deb {SECURITY_MIRROR} {SUITE}-security main",
    ]  # fmt: skip
    return scripts.argv("images/import.sh", directory, image, host, *bootstrap)


def dpkg_options() -> list[str]:
    """Return what the image has as its configuration of dpkg."""
    path = os.path.join(os.path.dirname(__file__), "base", "dpkg.cfg")
    with open(path, encoding="utf-8") as file:
        lines = [line.partition("#")[0].strip() for line in file]
    return [line for line in lines if line]


def _bootstrap(engine: Engine, target: str, progress: Progress) -> None:
    packages.ensure(
        engine.host, ("mmdebstrap", "debian-archive-keyring"), lambda line: progress(line, 0.03)
    )
    seen = 0

    def on_line(line: str) -> None:
        nonlocal seen
        seen += 1
        if line.startswith("I: "):
            progress("bootstrapping: " + line[3:], min(0.05 + seen * 0.02, 0.3))

    layout = engine.layout
    host = f"unix://{layout.engine_socket}"
    engine.host.stream(bootstrap_argv(layout.build_dir, target, host), on_line, root=True)
