"""`cai prune`: what nobody has used for long, and what is left of what is gone."""

import datetime
import json
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from containai.boxes import design, keeping, lookup, volumes
from containai.boxes.box import Box, Status
from containai.engine import api
from containai.errors import ContainAIError
from containai.host import locks
from containai.layout import KIND_DATA, LABEL_KIND, LABEL_PART_OF

if TYPE_CHECKING:
    from containai.app import App
    from containai.engine.client import Engine

#: How long the engine may take to add up what all takes, in seconds.
_SIZES_TIMEOUT = 120.0
_DAY = 86400
_UNITS = {"h": 3600, "d": _DAY, "w": 7 * _DAY}


class Doomed(NamedTuple):
    """What would be removed: of what kind it is, and why. `size` is in bytes, if it is known."""

    kind: str
    name: str
    why: str
    size: int | None = None
    id: str = ""


class Wanted(NamedTuple):
    """What is to go: boxes that were stopped so many seconds ago; data volumes of no box, too."""

    age: int
    data: bool = False


def seconds(text: str) -> int:
    """Parse an age: 12h, 30d, 2w. Raises ValueError for none."""
    found = re.fullmatch("([0-9]{1,5})([hdw])", text)
    if found is None:
        raise ValueError("an age is like 12h, 30d or 2w")
    return int(found[1]) * _UNITS[found[2]]


def found(app: "App", wanted: Wanted) -> list[Doomed]:
    """Return what would be removed, of this user's; nothing on a bare machine.

    Raises EngineError where the engine cannot be asked: then nobody can judge.
    """
    from containai.boxes import locate
    from containai.engine import configuration
    from containai.flows import image_moves

    if configuration.read(app.layout) is None:
        return []
    boxes = locate.listed(app.engine)
    sizes = _sizes(app.engine)
    rows = [
        Doomed("box", box.name, why, sizes.get(box.container), box.container)
        for box in boxes
        if (why := _why(app, box, wanted))
    ]
    rows += [Doomed("volume", *row, sizes.get(row[0])) for row in _parts(app.engine)]
    images = image_moves.unneeded(app)
    rows += [Doomed("image", f"{r.name} {r.id[7:19]}", "of no use", r.size, r.id) for r in images]
    if cache := sizes.get(_CACHE):
        rows.append(Doomed("cache", "of builds", "made again where it is needed", cache))
    if wanted.data:
        rows += [Doomed("data", *row, sizes.get(row[0])) for row in _data(app.engine)]
    return rows


class Pruned(NamedTuple):
    """What was removed, and what was said of the rest."""

    removed: list[Doomed]
    failures: list[ContainAIError]


def remove(app: "App", rows: list[Doomed], wanted: Wanted) -> Pruned:
    """Remove what was found; what is used again by now stays."""
    done = Pruned([], [])
    acts: dict[str, Callable[[Doomed], bool]] = {
        "box": lambda row: _remove_box(app, row, wanted),
        "volume": lambda row: _remove_volume(app, row),
        "data": lambda row: _remove_volume(app, row),
        "image": lambda row: _remove_image(app, row),
        "cache": lambda _: bool(app.engine.docker("builder", "prune", "--force")),
    }
    for row in rows:
        app.ui.say(f"removing {row.kind} {row.name}")
        try:
            if acts[row.kind](row):
                done.removed.append(row)
        except ContainAIError as failed:
            done.failures.append(failed)
    return done


def _why(app: "App", box: Box, wanted: Wanted) -> str:
    """Return why a box would go, or nothing."""
    if not box.status.is_off or keeping.is_kept(app.layout, box):
        return ""
    # What is being made anew right now, or was when it was interrupted.
    if box.name != design.kept(box.name.removesuffix(design.kept(""))):
        if box.status is Status.UNFINISHED:
            return "it was never finished"
        gone = [problem for problem in box.problems if problem.endswith("is gone")]
        if gone:
            return gone[0]
        container = app.engine.container(box.container)
        off = _since(container.finished if container is not None else "")
        if box.status is Status.STOPPED and off is not None and off >= wanted.age:
            return f"stopped {_days(off)} ago"
    return ""


def _since(finished: str) -> float | None:
    """Return how many seconds ago something was, as the engine says when; None if never."""
    try:
        then = datetime.datetime.fromisoformat(re.sub(r"\.\d+", "", finished))
    except ValueError:
        return None
    if then.year < 2000 or then.tzinfo is None:
        return None
    return (datetime.datetime.now(datetime.UTC) - then).total_seconds()


def _days(count: float) -> str:
    whole = int(count // _DAY)
    return f"{whole} day{'s' * (whole != 1)}" if whole else "less than a day"


def _parts(engine: "Engine") -> Iterator[tuple[str, str]]:
    """Give the volumes that are parts of this user's boxes which are gone."""
    for name in engine.volumes(f"label={LABEL_PART_OF}", "dangling=true"):
        labels = (engine.inspect("volume", name) or {}).get("Labels") or {}
        owner, _, box = str(labels.get(LABEL_PART_OF, "")).partition(":")
        if owner == str(engine.layout.uid):
            yield name, f"a part of the box {box}, which is gone"


def _data(engine: "Engine") -> Iterator[tuple[str, str]]:
    """Give this user's data volumes that no box has."""
    whose = volumes.adopted(engine.layout)
    for name in engine.volumes(f"label={LABEL_KIND}={KIND_DATA}", "dangling=true"):
        volume = volumes.parsed(engine.inspect("volume", name) or {"Name": name})
        if volume is not None and volume.owner == engine.layout.uid:
            workspace = volume.workspace or whose.get(name, "no workspace")
            yield name, f"data of {workspace}, which no box has"


def _remove_box(app: "App", row: Doomed, wanted: Wanted) -> bool:
    box = lookup.get(app.engine, row.id)
    if box is None:
        return True
    # Judged once more where nobody can start it meanwhile.
    return app.boxes.remove(box, still=lambda now: bool(_why(app, now, wanted)))


def _remove_volume(app: "App", row: Doomed) -> bool:
    # A box that is being made has it before its container shows it.
    with locks.hold(app.host, locks.CHOICE, wait=60, what="choosing a volume"):
        app.engine.docker("volume", "rm", row.name)
    return True


def _remove_image(app: "App", row: Doomed) -> bool:
    image = app.engine.image(row.id)
    for name in (image.tags or (image.id,)) if image is not None else ():
        app.engine.docker("rmi", name)
    return True


#: What the size of the cache of builds is found under.
_CACHE = ""


def _sizes(engine: "Engine") -> dict[str, int]:
    """Return what containers by their ids, volumes by their names, and the cache of builds take.

    What is not known has none; a box has what its own Docker has, too.
    """
    try:
        if engine.needs_root:
            return {}
        path = engine.layout.engine_socket
        said = json.loads(api.request(path, "GET", "/system/df", timeout=_SIZES_TIMEOUT).body)
        sizes = {each["Name"]: _size(each) for each in said.get("Volumes") or []}
        for container in said.get("Containers") or []:
            own = [sizes.get(mount.get("Name", ""), 0) for mount in container.get("Mounts") or []]
            sizes[container["Id"]] = int(container.get("SizeRw") or 0) + sum(own)
        cache = [int(each.get("Size") or 0) for each in said.get("BuildCache") or []]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}
    return sizes | {_CACHE: sum(cache)}


def _size(volume: dict[str, dict[str, int]]) -> int:
    return max(0, int((volume.get("UsageData") or {}).get("Size") or 0))
