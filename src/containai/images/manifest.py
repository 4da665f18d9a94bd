"""What an image says of itself: a file of JSON for each of its layers, written by its build."""

import contextlib
import io
import json
import tarfile
from typing import Any, NamedTuple

from containai.engine.client import Engine
from containai.engine.container import Image
from containai.errors import ImageError
from containai.images import look

#: Where they are: NAME.json for each layer.
DIRECTORY = "/usr/share/containai/image"
#: How much of that an image may have, in bytes.
LIMIT = 4 << 20
#: How long reading them may take, in seconds.
TIMEOUT = 60.0


class Manifest(NamedTuple):
    """What a layer's file says. `content` is all of it."""

    name: str
    source: str
    root: str
    versions: dict[str, Any]
    left_out: list[Any] | dict[str, Any]
    content: dict[str, Any]


def read(engine: Engine, image: Image) -> list[Manifest]:
    """Return the manifests of an image, by name; none where it has none.

    Nothing of the image runs: they are read through a container that is never started.
    """
    with look.container(engine, image) as container:
        argv = engine.argv("cp", f"{container}:{DIRECTORY}", "-")
        done = engine.host.run_limited(
            argv, stdin=b"", limit=LIMIT, timeout=TIMEOUT, root=engine.needs_root
        )
    if done.code == 0:
        return parsed(done.out.encode())
    if "could not find the file" in done.err.lower() or "no such" in done.err.lower():
        return []
    raise ImageError(f"the manifest of {image.id[7:19]} cannot be read: {done.err.strip()[-300:]}")


def parsed(archive: bytes) -> list[Manifest]:
    """Return the manifests in a tar archive, by name. What is none of them is left out."""
    manifests = []
    with (
        contextlib.suppress(tarfile.TarError),
        tarfile.open(fileobj=io.BytesIO(archive)) as entries,
    ):
        for entry in entries:
            file = entries.extractfile(entry) if entry.isreg() else None
            if file is not None and entry.name.endswith(".json"):
                with contextlib.suppress(ValueError, RecursionError):
                    manifests.append(_manifest(json.loads(file.read())))
    return sorted(filter(None, manifests), key=lambda manifest: manifest.name)


def _manifest(content: object) -> Manifest | None:
    if not isinstance(content, dict):
        return None
    name, source, root = (str(content.get(key, "")) for key in ("name", "source", "root"))
    versions, left_out = content.get("versions"), content.get("left_out")
    return Manifest(
        name,
        source,
        root,
        versions if isinstance(versions, dict) else {},
        left_out if isinstance(left_out, dict | list) else [],
        content,
    )
