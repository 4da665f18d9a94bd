"""Update: cai itself, where install.sh put it from a release. Its script does it, as at first.

Neither variable nor workspace says where a release is from: the place is the one it came from.
"""

import json
import os
import sys
from typing import NamedTuple

import containai
from containai.app import App
from containai.errors import ContainAIError, UsageError
from containai.host import files, releases
from containai.host.releases import Release
from containai.provision import versions

#: What install.sh leaves in its environment: where the release is from.
RECORD = "releases"


class Update(NamedTuple):
    """Which version this is, and which there is; `place` is where."""

    version: str
    available: str
    newer: bool
    place: str


def look(app: App, *, place: str | None, version: str | None) -> tuple[Update, Release]:
    """Return what could be installed. Raises ContainAIError where cai came here another way."""
    where = _place(app, _installed_by_script(app), place)
    app.ui.say(f"asking {where}")
    release = releases.fetch(where, version or "")
    own = containai.__version__
    newer = versions.numbers(release.version) > versions.numbers(own)
    return Update(own, release.version, newer, where), release


def install(app: App, update: Update, release: Release) -> None:
    """Have a release installed. The old one stays until the new one works.

    Raises ContainAIError where that fails, or the release is older.
    """
    refuse_older(update)
    progress = app.ui.step(f"cai {release.version}", 1, 1)
    with files.temporary_directory() as directory:
        script = os.path.join(directory, "install.sh")
        files.write(script, release.script.decode(errors="replace"), 0o600)
        app.host.stream(
            ["sh", script],
            lambda line: progress(line, None),
            env=app.host.environment(CAI_RELEASES=update.place),
        )


def commands(update: Update, release: Release) -> list[str]:
    """Return what would be done, a line each."""
    return [
        f"fetch {release.address}: cai {release.version}, SHA256SUMS of sha256 {release.sums}",
        f"$ CAI_RELEASES={update.place} sh install.sh",
    ]


def refuse_older(update: Update) -> None:
    """Raise ContainAIError where a release is older than this."""
    if versions.numbers(update.available) < versions.numbers(update.version):
        raise ContainAIError(
            f"cai {update.available}, which is at {update.place}, is older than this one, "
            f"{update.version}",
            hint="to go back: cai uninstall (boxes stay), install.sh --version "
            f"{update.available}, cai setup",
        )


def _installed_by_script(app: App) -> str:
    """Return the environment that install.sh made of a release. Raises ContainAIError else."""
    # Without `site`, as install.sh has us started, sys.prefix is that of the system's Python.
    prefix = os.path.realpath(os.path.dirname(os.path.dirname(sys.executable)))
    package = os.path.realpath(os.path.dirname(containai.__file__))
    if not package.startswith(f"{prefix}/"):
        tree = os.path.dirname(os.path.dirname(package))
        raise _not_ours(f"it runs from the checkout {tree}", "update that: git pull")
    if "/pipx/" in prefix:
        raise _not_ours("pipx installed it", "pipx upgrade containai")
    if prefix != os.path.realpath(app.layout.own_environment):
        raise _not_ours("pip installed it", f"{sys.executable} -m pip install --upgrade containai")
    clone = _clone(package)
    if clone:
        raise _not_ours(
            f"install.sh of the clone {clone} did it", "there: git pull && ./install.sh"
        )
    return prefix


def _not_ours(how: str, hint: str) -> ContainAIError:
    return ContainAIError(f"cai update is for a cai of a release: {how}", hint=hint)


def _clone(package: str) -> str:
    """Return the directory that pip installed cai from (PEP 610), or "" for a wheel."""
    beside = os.path.dirname(package)
    for name in os.listdir(beside):
        if name.startswith("containai-") and name.endswith(".dist-info"):
            try:
                said = json.loads(files.read(os.path.join(beside, name, "direct_url.json")) or "{}")
                if "dir_info" in said:
                    return str(said["url"]).removeprefix("file://")
            except (ValueError, KeyError, TypeError):
                continue
    return ""


def _place(app: App, prefix: str, said: str | None) -> str:
    recorded = (files.read(os.path.join(prefix, RECORD)) or "").strip() or releases.PLACE
    if said is not None:
        return releases.checked(said)
    other = app.environ.get("CAI_RELEASES", "").rstrip("/")
    if other and other != recorded.rstrip("/"):
        raise UsageError(
            f"CAI_RELEASES is {other!r}, and this cai is from {recorded}",
            hint="a variable alone does not say where programs are from: "
            f"cai update --releases {other}",
        )
    return releases.checked(recorded)
