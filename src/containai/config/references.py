"""Names of images in registries, parsed."""

import re
from typing import NamedTuple

#: A host with a dot, a port, or a name of its own; then parts of a path (distribution's reference).
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = rf"(?:[A-Za-z0-9.-]*[A-Za-z0-9](?::[0-9]{{1,5}})?/)?{_PART}(?:/{_PART})*"
_TAG, _DIGEST = r"[\w][\w.-]{0,127}", r"sha256:[0-9a-f]{64}"


def repository(value: object) -> str:
    """Parse a registry with a path, or a path alone. Raises ValueError for what is none."""
    if isinstance(value, str) and len(value) < 200 and re.fullmatch(_REPOSITORY, value, re.ASCII):
        return value
    raise ValueError("expected a registry and a path, for example ghcr.io/containai")


class Reference(NamedTuple):
    """An image's repository, and its tag or digest."""

    repository: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        tag, digest = self.tag and f":{self.tag}", self.digest and f"@{self.digest}"
        return f"{self.repository}{tag}{digest}"


def reference(value: object) -> Reference:
    """Parse a reference of an image. Raises ValueError for what is none."""
    pattern = rf"({_REPOSITORY})(?::({_TAG}))?(?:@({_DIGEST}))?"
    parts = re.fullmatch(pattern, value, re.ASCII) if isinstance(value, str) else None
    if parts is None or len(parts[1]) > 200:
        raise ValueError(
            "expected a reference, for example ghcr.io/containai/full:latest or NAME@sha256:…"
        )
    return Reference(parts[1], parts[2] or "", parts[3] or "")
