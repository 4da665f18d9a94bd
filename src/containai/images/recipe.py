"""Recipes: what an image is made of. The digest of one is in the name of the image it makes."""

import hashlib
import os
from collections.abc import Iterator
from typing import NamedTuple

from containai.config.settings import Settings
from containai.errors import ImageError
from containai.layout import IMAGE_REPOSITORY

#: name → the image whose layers it begins with, or "" for one that begins with a root file system.
#: The files of a recipe are in the directory of that name beside this file.
PARENTS = {"base": ""}

#: The argument of every recipe that says what it begins with.
ROOT = "ROOT"
#: Arguments that the files of the recipes say by themselves: with them it is the same image.
_OF_FILES = {(ROOT, Settings.image_root.default)}


class Recipe(NamedTuple):
    """Files, the recipe of the image that it begins with, and arguments of its Dockerfile."""

    name: str
    directory: str
    parent: "Recipe | None" = None
    arguments: tuple[tuple[str, str], ...] = ()

    @property
    def digest(self) -> str:
        """A digest of all that the image is made of: another one is another image."""
        files = digest_of_files(self.directory)
        arguments = sorted(set(self.arguments) - _OF_FILES)
        if not arguments and self.parent is None:
            return files
        parent = self.parent.digest if self.parent else ""
        return hashlib.sha256(repr((files, arguments, parent)).encode()).hexdigest()

    @property
    def reference(self) -> str:
        """The reference of the image that it makes."""
        return f"{IMAGE_REPOSITORY}/{self.name}:recipe-{self.digest[:16]}"


def find(name: str, root: str) -> Recipe:
    """Return the recipe of an image, on a root file system. Raises ImageError where there is none.

    `root` is where that is pulled from if a registry answers.
    """
    if name not in PARENTS:
        raise ImageError(
            f"there is no image {name!r}",
            hint=f"image.name in config.toml can be: {', '.join(PARENTS)}",
        )
    directory = os.path.join(os.path.dirname(__file__), name)
    if PARENTS[name]:
        return Recipe(name, directory, find(PARENTS[name], root))
    return Recipe(name, directory, arguments=((ROOT, root),))


def wanted(settings: Settings) -> Recipe:
    """Return the recipe of the image of new boxes. Raises ImageError where there is none."""
    return find(settings.image_name, settings.image_root)


def digest_of_files(directory: str) -> str:
    """Return a digest of files: their names, modes (executable or not) and content."""
    digest = hashlib.sha256()
    for path in _files(directory):
        executable = os.access(path, os.X_OK) and not os.path.islink(path)
        digest.update(f"{os.path.relpath(path, directory)}\0{executable}\0".encode())
        if os.path.islink(path):
            digest.update(os.readlink(path).encode())
        else:
            with open(path, "rb") as file:
                digest.update(file.read())
        digest.update(b"\0")
    return digest.hexdigest()


def _files(directory: str) -> Iterator[str]:
    for parent, children, names in os.walk(directory):
        children[:] = sorted(child for child in children if child != "__pycache__")
        yield from (os.path.join(parent, name) for name in sorted(names))
