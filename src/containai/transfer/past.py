"""What is known of the exchange with a box, for one that is put back, or that another begins as.

A box that is as it was has in common with this machine what it had in common then.
"""

import contextlib
import os
import shutil

from containai.host import files
from containai.transfer.source import OID
from containai.transfer.state import MANIFEST, STATE, Place

#: Where that is, by the names of snapshots, and what keeps their objects in our repository.
_DIRECTORY, _REFERENCES = "snapshots", "refs/cai/past"


def note(place: Place, snapshot: str) -> None:
    """Note how it is with a box of which a snapshot is about to be taken. `place` is held."""
    drop(place, snapshot)
    there = _there(place, snapshot)
    files.private_directory(os.path.dirname(there))
    files.private_directory(there)
    for name in (STATE, MANIFEST):
        with contextlib.suppress(FileNotFoundError):
            shutil.copy2(os.path.join(place.directory, name), os.path.join(there, name))
    base = place.load("", "").base.work
    if OID.fullmatch(base) and os.path.isdir(os.path.join(place.store, "refs")):
        os.makedirs(os.path.join(place.store, _REFERENCES), 0o700, exist_ok=True)
        files.write(_reference(place, snapshot), base + "\n")


def back(place: Place, snapshot: str) -> None:
    """Have it as it was, for a box that is so again. Of a snapshot that is not known it stays."""
    _put(_there(place, snapshot), place)


def drop(place: Place, snapshot: str) -> None:
    """Know nothing of a snapshot any more."""
    shutil.rmtree(_there(place, snapshot), ignore_errors=True)
    files.remove(_reference(place, snapshot))


def copy(place: Place, other: Place, snapshot: str) -> None:
    """Have the same known of another box, in the place of what was. Both are held.

    It is as it was at a snapshot, if that is known, or as it is.
    """
    shutil.rmtree(other.directory)
    shutil.copytree(
        place.directory, other.directory, symlinks=True, ignore=shutil.ignore_patterns("refs-*")
    )
    _put(_there(other, snapshot), other)
    shutil.rmtree(os.path.join(other.directory, _DIRECTORY), ignore_errors=True)


def _put(there: str, place: Place) -> None:
    if not os.path.isdir(there):
        return
    for name in (MANIFEST, STATE):
        now = os.path.join(place.directory, name)
        text = files.read(os.path.join(there, name))
        if text is None:
            files.remove(now)
        else:
            files.write(now, text, 0o600)


def _there(place: Place, snapshot: str) -> str:
    return os.path.join(place.directory, _DIRECTORY, _file(snapshot))


def _reference(place: Place, snapshot: str) -> str:
    return os.path.join(place.store, _REFERENCES, _file(snapshot))


def _file(snapshot: str) -> str:
    """Return what is beneath a directory, whatever the place calls its snapshots."""
    return "of-" + snapshot.replace("/", "%2f")
