"""Sends an archive to a box's data: into a running box, or beside the volume."""

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from containai import kept
from containai.boxes import data
from containai.boxes.data import Place
from containai.boxes.way import Way
from containai.engine.client import Engine, engine_error
from containai.errors import CopyError
from containai.host import proc, scripts
from containai.layout import DATA_IN_BOX, HOME_IN_BOX

#: The system's Python in a box.
PYTHON = ("/usr/bin/python3", "-IS", "-c")
#: Dictionaries that a program writes all the time: what it has there beside what comes stays.
MERGED = (".claude.json", ".copilot/config.json")
#: What may come back, in bytes, and how long it may take, in seconds.
_LIMIT, _TIMEOUT = 8 << 20, 600.0
#: How long a name or a reason may be that comes back.
_LENGTH = 300


class Done(NamedTuple):
    """What was done with each file, by its path below the home; what failed, and why."""

    new: Sequence[str]
    replaced: Sequence[str]
    same: Sequence[str]
    failed: Sequence[tuple[str, str]]


def into_box(way: Way, archive: bytes) -> Done:
    """Put an archive into the data of a running box, whose home leads there. Raises CopyError."""
    words = (*PYTHON, *_script(HOME_IN_BOX))
    done = _ended(lambda: way.ask(words, stdin=archive, limit=_LIMIT, timeout=_TIMEOUT))
    if done.code != 0:
        why = " ".join(done.err.split())[-_LENGTH:]
        raise CopyError(
            f"the box {way.box.name} took nothing (code {done.code}): {why or 'it said nothing'}",
            hint="look at it: cai shell",
        )
    return parsed(done.out)


def into_volume(engine: Engine, place: Place, archive: bytes) -> Done:
    """Put an archive into a volume, which no box needs to have."""
    argv = engine.argv("run", *data.words(engine, place, "python", *_script("")))
    done = _ended(
        lambda: engine.host.run_limited(
            argv, stdin=archive, limit=_LIMIT, timeout=_TIMEOUT, root=engine.needs_root
        )
    )
    if done.code != 0:
        raise engine_error(proc.failure(engine.argv("run", "…"), done))
    return parsed(done.out)


def _script(home: str) -> list[str]:
    table = {row.path: row.kind for row in kept.KEPT}
    text = scripts.text("sync/inside/put.py")
    return [text, DATA_IN_BOX, home, json.dumps(table), json.dumps(MERGED)]


def _ended(run: Callable[[], proc.Done]) -> proc.Done:
    try:
        return run()
    except proc.ProcessError as failed:
        raise CopyError(
            f"the box took nothing: {failed}", hint="start it again: cai restart"
        ) from None


def parsed(said: str) -> Done:
    """Read what came back: in a box, its agent decides what that is. Raises CopyError."""
    try:
        value: dict[str, Any] = json.loads(said)
        new, replaced, same = (list(map(_text, value[key])) for key in ("new", "replaced", "same"))
        failed = [(_text(name), _text(why)) for name, why in value["failed"]]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise CopyError("the box answered something else", hint="look at it: cai shell") from None
    return Done(new, replaced, same, failed)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value[:_LENGTH]
