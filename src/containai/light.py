"""What modules on the warm path take of Python's library, without what that imports.

`typing` is a fifth of that way, and OpenSSL, which hashlib brings along, as much. A type checker
sees typing's own. A module that uses it begins with `from __future__ import annotations`, so that
nobody evaluates what is not there.
"""

from __future__ import annotations

import sys
from collections import namedtuple

#: Python's own, which has no OpenSSL.
_SHA256 = "_sha2" if sys.version_info >= (3, 12) else "_sha256"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NamedTuple
else:
    Any = object

    class _Making(type):
        def __new__(cls, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> type:
            """Return a named tuple of what a class body annotates, as typing.NamedTuple does."""
            if not bases:
                return super().__new__(cls, name, bases, space)
            fields = space.pop("__annotations__", {})
            defaults = [space.pop(field) for field in fields if field in space]
            module = space.pop("__module__")
            made = namedtuple(name, fields, defaults=defaults, module=module)  # noqa: PYI024
            for key, value in space.items():
                setattr(made, key, value)
            made.__annotations__ = fields
            return made

    class NamedTuple(metaclass=_Making):
        """A named tuple with the fields that the body of a class annotates."""


def sha256(data: bytes) -> str:
    """Return the SHA-256 of a few bytes, in hexadecimal."""
    # One that is not there would be looked for at every call.
    try:
        return str(__import__(_SHA256).sha256(data).hexdigest())
    except ImportError:
        import hashlib

    return hashlib.sha256(data).hexdigest()


__all__ = ["TYPE_CHECKING", "Any", "NamedTuple", "sha256"]
