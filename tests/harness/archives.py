"""Archives of images, as `docker save` writes them."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from typing import Any

from containai.layout import LABEL_RECIPE

#: What the layers of an image are, and its labels and tags.
LAYERS = (b"first layer", b"second layer")


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def config(labels: Mapping[str, str], layers: Sequence[bytes] = LAYERS) -> bytes:
    """Return an image's configuration."""
    value = {
        "config": {"Labels": dict(labels)},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest(each)}" for each in layers]},
    }
    return json.dumps(value).encode()


def image(recipe: str, *tags: str, layers: Sequence[bytes] = LAYERS) -> dict[str, Any]:
    """Return the files of an image, and its entry in the manifest, as Docker up to 24 writes it."""
    text = config({LABEL_RECIPE: recipe} if recipe else {}, layers)
    name = f"{digest(text)}.json"
    paths = [f"{digest(each)}/layer.tar" for each in layers]
    entry = {"Config": name, "RepoTags": list(tags) or None, "Layers": paths}
    return {"files": dict(zip(paths, layers, strict=True)) | {name: text}, "entry": entry}


def packed(*images: dict[str, Any], files: Mapping[str, bytes | None] = {}) -> bytes:
    """Return an archive of images; `files` replace those of that name, None leaves one out."""
    found: dict[str, bytes | None] = {}
    for each in images:
        found |= each["files"]
    found["manifest.json"] = json.dumps([each["entry"] for each in images]).encode()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in (found | dict(files)).items():
            if content is not None:
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()
