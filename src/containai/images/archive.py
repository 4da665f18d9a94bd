"""Images as one file, as `docker save` writes it: for a machine without a network.

All of a file is looked at before the engine gets any of it. What it says is believed as far as
checksums go: whoever made the file made what will run in boxes.
"""

import hashlib
import json
import os
import posixpath
import re
import tarfile
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from containai.engine.client import Engine
from containai.errors import EngineError, ImageError, NoSpaceError
from containai.host import files, proc, space
from containai.host.background import Background
from containai.images.recipe import Recipe
from containai.layout import IMAGE_REPOSITORY, LABEL_RECIPE
from containai.work.ui import Progress

#: How large a file of an archive may be that is kept to be read, and all of these, in bytes.
_SMALL, _KEPT = 4 << 20, 64 << 20
#: How many files an archive may have.
_FILES = 20_000
_PART = 1 << 20


class Archived(NamedTuple):
    """An image in an archive: its id, its names, its labels."""

    id: str
    tags: tuple[str, ...]
    labels: dict[str, str]

    @property
    def recipe(self) -> str:
        """The digest of the recipe that it says it is of."""
        return self.labels.get(LABEL_RECIPE, "")


class Contents(NamedTuple):
    """What an archive holds, and how large it is unpacked, in bytes."""

    images: list[Archived]
    size: int


class _Files(NamedTuple):
    """The files of an archive: their checksums, the content of small ones, where links lead to."""

    sums: dict[str, str]
    texts: dict[str, bytes]
    links: dict[str, str]

    def at(self, name: str) -> str:
        """Return the name of the file that a link of an archive leads to."""
        name = posixpath.normpath(name)
        return self.links.get(name, name)


def load(
    engine: Engine, wanted: Sequence[Recipe], path: str, progress: Progress = lambda *_: None
) -> list[Recipe]:
    """Take images from an archive; return which of the wanted there were.

    Raises ImageError for an archive that is damaged or has none of them, and NoSpaceError; nothing
    of it is taken then.
    """
    # Its layers are unpacked beside a copy of the archive.
    data, what = engine.layout.engine_data, f"loading {path}"
    space.require(engine.host, data, 2 * os.path.getsize(path), what)
    contents = examine(path, progress)
    held = {archived.recipe: archived for archived in contents.images}
    present = [recipe for recipe in wanted if recipe.digest in held]
    if not present:
        raise _another(path, contents.images, wanted)
    _refuse_impostors(path, contents.images)
    space.require(engine.host, data, 2 * contents.size, what)
    progress(f"loading {path}", None)
    try:
        said = engine.docker("load", "--input", path, timeout=None).out
    except EngineError as failed:
        raise ImageError(f"{path} could not be loaded: {failed}") from None
    _refuse_changed(engine, path, said, contents.images)
    for recipe in present:
        engine.docker("tag", held[recipe.digest].id, recipe.reference)
    return present


def save(
    engine: Engine, references: Sequence[str], size: int, path: str, progress: Progress
) -> int:
    """Write images to a file, whole or not at all; return its size. `size` is theirs, in bytes.

    Raises NoSpaceError before anything is written, ImageError for a file that cannot be.
    """
    where = os.path.dirname(path)
    space.require(engine.host, where, size, f"writing {os.path.basename(path)}")
    if os.path.lexists(path) and not os.path.isfile(path):
        raise ImageError(f"{path} is no ordinary file", hint="give another name")
    argv = engine.argv("save", *references)
    root = engine.needs_root
    try:
        with files.replacing(path) as file:
            saving = Background(lambda: engine.host.run(argv, stdout_file=file, root=root))
            while not saving.ends_within(0.3):
                progress(f"writing {path}", min(os.fstat(file.fileno()).st_size / size, 1.0))
            saving.result()
            file.flush()
            return os.fstat(file.fileno()).st_size
    except proc.ProcessError as failed:
        if "no space left" in failed.done.err:
            raise NoSpaceError(f"no space left to write {path}", hint="free some there") from None
        raise ImageError(f"{path} could not be written: {failed}") from None


def examine(path: str, progress: Progress = lambda *_: None) -> Contents:
    """Return what an archive holds. Raises ImageError where it is damaged, or none of images."""
    whole = os.path.getsize(path) or 1
    files = _Files({}, {}, {})
    size = kept = 0
    try:
        with open(path, "rb") as raw, tarfile.open(fileobj=raw, mode="r|*") as archive:
            for entry in archive:
                name = posixpath.normpath(entry.name)
                if entry.issym() or entry.islnk():
                    above = posixpath.dirname(name) if entry.issym() else ""
                    files.links[name] = posixpath.normpath(posixpath.join(above, entry.linkname))
                if not entry.isreg():
                    continue
                small = entry.size <= _SMALL and kept + entry.size <= _KEPT
                kept += entry.size if small else 0
                size += entry.size
                files.sums[name], files.texts[name] = _summed(archive, entry, keep=small)
                if len(files.sums) > _FILES:
                    raise _damaged(path, "it has too many files")
                progress(f"checking {path}", min(raw.tell() / whole, 1.0))
    except (tarfile.TarError, EOFError, zlib.error, OSError, OverflowError) as wrong:
        if isinstance(wrong, OSError) and wrong.errno is not None:
            raise ImageError(f"{path} cannot be read: {wrong.strerror}") from None
        raise _damaged(path, str(wrong)) from None
    return Contents(_images(path, files), size)


def _summed(archive: tarfile.TarFile, entry: tarfile.TarInfo, *, keep: bool) -> tuple[str, bytes]:
    """Return the checksum of a file, and its content where that is to be kept."""
    digest, content = hashlib.sha256(), b""
    file = archive.extractfile(entry)
    while file is not None and (part := file.read(_PART)):
        digest.update(part)
        content += part if keep else b""
    return digest.hexdigest(), content


def _images(path: str, files: _Files) -> list[Archived]:
    listed = _json(path, files, "manifest.json")
    if not isinstance(listed, list):
        raise _damaged(path, "its manifest.json is no list")
    return [_image(path, files, entry) for entry in listed]


def _image(path: str, files: _Files, entry: Any) -> Archived:
    """Return an image of an archive, all of whose parts are there and as they are to be."""
    try:
        name, layers = files.at(entry["Config"]), [files.at(layer) for layer in entry["Layers"]]
        tags = tuple(map(str, entry.get("RepoTags") or ()))
        config = _json(path, files, name)
        expected = [str(digest) for digest in config["rootfs"]["diff_ids"]]
        labels = {str(k): str(v) for k, v in (config["config"].get("Labels") or {}).items()}
    except (KeyError, TypeError, AttributeError):
        raise _damaged(path, "an image in it is not described") from None
    own = files.sums[name]
    # Docker up to 24 calls it after its checksum, and newer ones put it where its checksum says.
    if own not in (posixpath.basename(name).removesuffix(".json"), posixpath.basename(name)):
        raise _damaged(path, f"{name} has the checksum {own}")
    if len(layers) != len(expected):
        raise _damaged(path, f"it has {len(layers)} layers of {len(expected)}")
    for layer, digest in zip(layers, expected, strict=True):
        seen = files.sums.get(layer)
        # A compressed one is called after its own checksum; the engine looks at what is in it.
        if seen is None:
            raise _damaged(path, f"{layer} is missing")
        if f"sha256:{seen}" != digest and seen != posixpath.basename(layer):
            raise _damaged(path, f"{layer} has the checksum {seen}, and not {digest}")
    return Archived(f"sha256:{own}", tags, labels)


def _json(path: str, files: _Files, name: str) -> Any:
    try:
        return json.loads(files.texts[name])
    except KeyError:
        raise _damaged(path, f"it has no {name}") from None
    except (ValueError, RecursionError):
        raise _damaged(path, f"its {name} is not JSON") from None


def _damaged(path: str, why: str) -> ImageError:
    return ImageError(
        f"{path} is no whole archive of images: {why}",
        hint="make it again, and compare the files: sha256sum",
    )


def _another(path: str, held: Sequence[Archived], wanted: Sequence[Recipe]) -> ImageError:
    names = [tag for image in held for tag in image.tags or (image.id[7:19],)]
    which = " or ".join(recipe.name for recipe in wanted)
    return ImageError(
        f"{path} holds {', '.join(names) or 'no image'}, but not {which} as this version of cai "
        "makes it here",
        hint="on a machine with the same version and the same settings of images: "
        f"cai image export {os.path.basename(path)}",
    )


def _refuse_impostors(path: str, held: Sequence[Archived]) -> None:
    """Raise ImageError for an image that is called as one of another recipe is."""
    for image in held:
        for tag in image.tags:
            named = re.fullmatch(rf"{re.escape(IMAGE_REPOSITORY)}/.*:recipe-(\w+)", tag)
            if named and not image.recipe.startswith(named[1]):
                raise ImageError(
                    f"{path} calls an image {tag} that is of another recipe",
                    hint="do not use it: ask whoever made it",
                )


def _refuse_changed(engine: Engine, path: str, said: str, held: Sequence[Archived]) -> None:
    """Raise ImageError where the engine loaded something else than what was looked at."""
    loaded = re.findall(r"^Loaded image(?: ID)?: (\S+)$", said, re.MULTILINE)
    ids = {tag: image.id for image in held for tag in (*image.tags, image.id)}
    strange = []
    for name in loaded:
        image = engine.image(name)
        if image is None or ids.get(name) != image.id:
            strange.append(name)
            engine.docker("rmi", name, ok=(0, 1))
    if strange:
        raise ImageError(
            f"{path} changed while it was read: {', '.join(strange)}",
            hint="put it where nobody else writes, and try again",
        )
