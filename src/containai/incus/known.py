"""The remote places of a user, as a file of theirs has them: it is read on the way to every box.

It has no secret: what lets in is the key beside it.
"""

from __future__ import annotations

import json

from containai.errors import DamagedError, UsageError
from containai.incus.tls import Address, Identity, Server, address
from containai.layout import LOCAL
from containai.light import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The version of the file's form.
VERSION = 1


#: What names of places are made of, as those of boxes.
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


def check_name(text: str) -> None:
    """Raise UsageError for what a place cannot be called."""
    if text == LOCAL:
        raise UsageError("local is this machine", hint="call the place otherwise: cai remote add")
    if not 0 < len(text) < 64 or not _LETTERS.issuperset(text) or text[0] == "-":
        raise UsageError(
            f"{text!r} is no name for a place",
            hint="it is 1 to 63 of a-z, 0-9 and -, not beginning with -",
        )


class Remote(NamedTuple):
    """A place: its name, addresses, the certificate's fingerprint, the project that boxes are in.

    `server` is what the server calls itself.
    """

    name: str
    addresses: tuple[Address, ...]
    pin: str
    project: str
    server: str = ""

    def served(self, identity: Identity | None) -> Server:
        """Return the server that it is, for whom it knows by a certificate."""
        return Server(self.addresses, self.pin, identity, self.name)


class Places(NamedTuple):
    """All places, by their names, and the one that counts where none is named."""

    remotes: dict[str, Remote]
    default: str = LOCAL


def parsed(text: str | None, path: str) -> Places:
    """Return the places that a file has; None is for no file. Raises DamagedError."""
    if text is None:
        return Places({})
    try:
        said = json.loads(text)
        if said["version"] != VERSION:
            raise DamagedError(
                f"{path} is of another version of cai: {said['version']!r}",
                hint="update cai, or move the file away and add the places anew: cai remote add",
            )
        found = {str(name): _remote(str(name), each) for name, each in said["remotes"].items()}
        default = str(said.get("default") or LOCAL)
    except DamagedError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _damaged(path) from None
    except Exception as wrong:
        raise _damaged(path) from wrong
    return Places(found, default if default in found else LOCAL)


def written(places: Places) -> str:
    """Return the text of a file that has these places."""
    remotes = {
        name: {
            "addresses": [str(each) for each in remote.addresses],
            "pin": remote.pin,
            "project": remote.project,
            "server": remote.server,
        }
        for name, remote in sorted(places.remotes.items())
    }
    said = {"version": VERSION, "default": places.default, "remotes": remotes}
    return json.dumps(said, indent=2) + "\n"


def read(path: str) -> Places:
    """Return the places of a user, from their file. Raises DamagedError.

    Not as `host.files` has it, whose import is not for whom ssh starts.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return parsed(file.read(), path)
    except FileNotFoundError:
        return Places({})
    except (OSError, UnicodeDecodeError):
        raise _damaged(path) from None


def _remote(name: str, said: Mapping[str, Any]) -> Remote:
    addresses = tuple(address(each) for each in said["addresses"])
    if not addresses or not isinstance(said["pin"], str) or len(said["pin"]) != 64:
        raise ValueError(name)
    return Remote(name, addresses, said["pin"], str(said["project"]), str(said.get("server") or ""))


def _damaged(path: str) -> DamagedError:
    return DamagedError(
        f"{path} is damaged",
        hint=f"mend it, or move it away and add the places anew: mv {path} {path}.old; then: "
        "cai remote add",
    )
