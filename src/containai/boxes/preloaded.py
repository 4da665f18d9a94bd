"""Images that the Docker of new boxes begins with.

A volume of the engine has them, as the /var/lib/docker of a Docker that was stopped. A new box gets
a copy before its first start, which shares its bytes where the file system can (FICLONE: btrfs,
xfs). The same files it never gets: who may open another box's file can make that box wait for it
(F_SETLEASE, fcntl(2)), and a mount of them all would let it.
"""

import contextlib
import json
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from containai.boxes import spec
from containai.boxes.spec import DOCKER_IN_BOX
from containai.engine.client import Engine, engine_error
from containai.errors import ContainAIError, EngineError, ImageError
from containai.host import locks, proc, scripts
from containai.layout import LABEL
from containai.machine_layout import RUNTIME

#: Of the volume of preloaded images: the uid of the user whose they are.
LABEL_PRELOADED = LABEL + "preloaded"
#: How long another cai may change or copy them, in seconds.
LOCK_TIMEOUT = 600.0
#: What is said of it where a box is made.
COPYING = "copy the preloaded images into its Docker"
#: What a copy ends with where a change of them was interrupted (preloaded.sh).
_HALF = 3
#: A name with a tag, as `docker load` gives it again: no digest.
_NAMED = re.compile(r"[a-z0-9][a-zA-Z0-9._:/-]*:[\w.-]+")


class Preloaded(NamedTuple):
    """An image, by all its names; `size` is in bytes."""

    names: tuple[str, ...]
    id: str
    size: int


def named(reference: str) -> str:
    """Return a reference with its tag. Raises ImageError for what a box could not name."""
    tagged = reference if ":" in reference.rpartition("/")[2] else f"{reference}:latest"
    if not _NAMED.fullmatch(tagged):
        raise ImageError(
            f"{reference!r} is no name of an image with a tag", hint="for example: postgres:17"
        )
    return tagged


def exist(engine: Engine) -> bool:
    """Whether this user has any."""
    return engine.inspect("volume", _volume(engine)) is not None


def listed(engine: Engine, image: str) -> list[Preloaded]:
    """Return those of this user. `image` is one of boxes, in which they are looked at."""
    if not exist(engine):
        return []
    with _locked(engine):
        said = engine.docker("run", *_words(engine, image, "list")).out
    return [_parsed(json.loads(line)) for line in said.splitlines()]


def _parsed(value: dict[str, Any]) -> Preloaded:
    return Preloaded(tuple(value["names"] or ()), value["id"], value["size"])


def add(engine: Engine, image: str, references: Sequence[str] = (), archive: str = "") -> None:
    """Add images that the engine has, or those of an archive of `docker save`.

    Raises ImageError where they cannot be loaded, and NoSpaceError.
    """
    with _locked(engine):
        is_new = not exist(engine)
        if is_new:
            label = f"{LABEL_PRELOADED}={engine.layout.uid}"
            engine.docker("volume", "create", "--label", label, _volume(engine))
        try:
            words = _words(engine, image, "load")
            if archive:
                _load(engine, words, archive)
            else:
                _send(engine, words, references)
        except ContainAIError as failed:
            if is_new:
                engine.docker("volume", "rm", _volume(engine), ok=(0, 1))
            if not isinstance(failed, EngineError):
                raise
            what = archive or ", ".join(references)
            raise ImageError(
                f"{what} could not be loaded: {failed}",
                hint="an archive is one of `docker save`, and whole",
            ) from None


def _load(engine: Engine, words: Sequence[str], archive: str) -> None:
    try:
        with open(archive, "rb") as file:
            argv = engine.argv("run", *words)
            engine.host.run(argv, stdin_file=file, root=engine.needs_root)
    except OSError as wrong:
        raise ImageError(
            f"{archive} cannot be read: {wrong.strerror}", hint="it is one of `docker save`"
        ) from None
    except proc.ProcessError as failed:
        raise engine_error(failed) from None


def _send(engine: Engine, words: Sequence[str], references: Sequence[str]) -> None:
    socket = f"unix://{engine.layout.engine_socket}"
    argv = scripts.argv("boxes/send.sh", socket, " ".join(references), *words)
    try:
        engine.host.run(argv, root=engine.needs_root)
    except proc.ProcessError as failed:
        raise engine_error(failed) from None


def remove(engine: Engine, image: str, references: Sequence[str]) -> None:
    """Remove some; boxes that have them keep them. Raises ImageError where one is not there."""
    there = {name for each in listed(engine, image) for name in each.names}
    missing = [each for each in references if each not in there]
    if missing:
        raise ImageError(
            f"not preloaded: {', '.join(missing)}", hint="see: cai image preload --list"
        )
    if there <= set(references):
        remove_all(engine)
        return
    with _locked(engine):
        engine.docker("run", *_words(engine, image, "remove", *references))


def remove_all(engine: Engine) -> None:
    """Remove all of this user's, also those that an interrupted change left."""
    with _locked(engine):
        if exist(engine):
            engine.docker("volume", "rm", _volume(engine))


def fill(engine: Engine, container: str, image: str, say: Callable[[str], None]) -> None:
    """Give a box that has never run a copy of them. Raises as `Engine.docker` does."""
    if not exist(engine):
        return
    say("copying the preloaded images into its Docker")
    with _locked(engine):
        done = engine.docker("run", *copying(engine, container, image), ok=(0, _HALF))
    if done.code == _HALF:
        say("they are not whole, so it is made without them: repeat cai image preload")


def copying(engine: Engine, container: str, image: str) -> list[str]:
    """Return the words of `docker run` that copy them into a box's volume."""
    inspected = engine.inspect("container", container) or {}
    mounts = inspected.get("Mounts") or []
    volume = next(each["Name"] for each in mounts if each["Destination"] == DOCKER_IN_BOX)
    target = spec.mount(type="volume", source=volume, target="/to", **{"volume-nocopy": "true"})
    return _words(engine, image, "copy", more=("--mount", target), readonly=True)


def _words(
    engine: Engine,
    image: str,
    *words: str,
    more: Sequence[str] = (),
    readonly: bool = False,
) -> list[str]:
    """Return the words of `docker run`: rights as a box has them, no network."""
    fields = {"type": "volume", "source": _volume(engine), "target": DOCKER_IN_BOX}
    fields["volume-nocopy"] = "true"
    if readonly:
        fields["readonly"] = "true"
    return [
        "--rm",
        "--interactive",
        "--runtime", RUNTIME,
        "--network", "none",
        *spec.RIGHTS,
        "--tmpfs", "/run:exec",
        "--mount", spec.mount(**fields),
        *more,
        "--entrypoint", "sh",
        image,
        "-c", scripts.text("boxes/preloaded.sh"), "preloaded", *words,
    ]  # fmt: skip


def _volume(engine: Engine) -> str:
    return f"containai-preloaded-{engine.layout.uid}"


def _locked(engine: Engine) -> contextlib.AbstractContextManager[None]:
    what = "the preloaded images"
    return locks.hold(engine.host, locks.PRELOADED, wait=LOCK_TIMEOUT, what=what)
