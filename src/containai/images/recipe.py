"""Recipes: what an image is made of. The digest of one is in the name of the image it makes."""

import functools
import hashlib
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from containai.config import references
from containai.config.settings import Settings
from containai.errors import ImageError
from containai.layout import IMAGE_REPOSITORY

#: name → the image whose layers it begins with, or "" for one that begins with a root file system.
#: The files of a recipe are in the directory of that name beside this file.
PARENTS = {"base": "", "sdks": "base", "full": "sdks"}

#: The image of a workspace's own Dockerfile; the files of that name are sent along with it.
WORKSPACE = "workspace"
#: All of them, each after what it begins with.
NAMES = (*PARENTS, WORKSPACE)
#: The argument of every recipe that says what it begins with.
ROOT = "ROOT"
#: The argument that says where what is in it comes from.
SOURCE = "SOURCE"
#: The arguments of the tool chains: steps that are left out, and versions other than the file's.
WITHOUT, OTHER_VERSIONS = "WITHOUT", "VERSIONS"
#: Arguments that the files of the recipes say by themselves: with them it is the same image.
_OF_FILES = {(ROOT, Settings.image_root.default), (SOURCE, Settings.image_source.default)}

#: Versions of what no archive pins, in sections: `## NAME` begins that of the image NAME.
VERSIONS = "versions.env"


class Recipe(NamedTuple):
    """Files, the recipe of the image that it begins with, and arguments of its Dockerfile.

    `generated` has files that are made here: names, and what is in them. One without a directory is
    no recipe of ours but a reference, its name: that image is pulled.
    """

    name: str
    directory: str
    parent: "Recipe | None" = None
    arguments: tuple[tuple[str, str], ...] = ()
    generated: tuple[tuple[str, str], ...] = ()

    @property
    def is_pulled(self) -> bool:
        """Whether it is an image of a registry."""
        return not self.directory

    @property
    def digest(self) -> str:
        """A digest of all that the image is made of: another one is another image."""
        if self.is_pulled:
            return hashlib.sha256(self.name.encode()).hexdigest()
        files = _digest_of_ours(self.directory) or digest_of_files(self.directory)
        arguments = sorted(set(self.arguments) - _OF_FILES)
        if not arguments and self.parent is None and not self.generated:
            return files
        parent = self.parent.digest if self.parent else ""
        made_of = (files, arguments, parent, *self.generated)
        return hashlib.sha256(repr(made_of).encode()).hexdigest()

    @property
    def reference(self) -> str:
        """The reference of the image that it makes."""
        if self.is_pulled:
            return self.name
        return f"{IMAGE_REPOSITORY}/{self.name}:recipe-{self.digest[:16]}"

    @property
    def without(self) -> list[str]:
        """The parts that are left out of it."""
        return dict(self.arguments).get(WITHOUT, "").split()

    @property
    def chain(self) -> "tuple[Recipe, ...]":
        """The recipes of all layers, the first one to build first."""
        return (*(self.parent.chain if self.parent else ()), self)


def find(name: str, settings: Settings) -> Recipe:
    """Return the recipe of an image. Raises ImageError where there is none."""
    if name not in PARENTS:
        return _pulled(name)
    directory = os.path.join(os.path.dirname(__file__), name)
    versions = versions_of(name)
    generated = ((VERSIONS, versions),) if versions else ()
    parent = find(PARENTS[name], settings) if PARENTS[name] else None
    return Recipe(name, directory, parent, _arguments(name, settings), generated)


def _pulled(name: str) -> Recipe:
    try:
        if any(mark in name for mark in ":/@"):
            return Recipe(str(references.reference(name)), "")
        why = "there is no image of ours"
    except ValueError as wrong:
        why = str(wrong)
    raise ImageError(
        f"there is no image {name!r}: {why}",
        hint=f"image.name in config.toml can be: {', '.join(PARENTS)}; or a reference like "
        "registry.example.com/team/box:1",
    ) from None


def wanted(settings: Settings) -> Recipe:
    """Return the recipe of the image of new boxes. Raises ImageError where there is none."""
    return find(settings.image_name, settings)


def upon(parent: Recipe, dockerfile: str) -> Recipe:
    """Return the recipe of an image that a workspace's Dockerfile, as it is sent, makes of one."""
    directory = os.path.join(os.path.dirname(__file__), WORKSPACE)
    return Recipe(WORKSPACE, directory, parent, generated=(("Dockerfile", dockerfile),))


def _arguments(name: str, settings: Settings) -> tuple[tuple[str, str], ...]:
    """Return the arguments of an image that settings say, those that say nothing left out."""
    said = {
        "base": {
            SOURCE: settings.image_source,
            # Nothing is pulled for a distribution's.
            ROOT: settings.image_root if settings.image_source != "distro" else "",
        },
        "sdks": {WITHOUT: settings.image_without, OTHER_VERSIONS: settings.image_versions},
    }
    return tuple((key, value) for key, value in said.get(name, {}).items() if value)


def versions_of(name: str) -> str:
    """Return the section of an image in the file of versions: another's changes are not its own."""
    with open(os.path.join(os.path.dirname(__file__), VERSIONS), encoding="utf-8") as file:
        sections = re.split(r"^## (\w+)\n", file.read(), flags=re.MULTILINE)
    return dict(zip(sections[1::2], sections[2::2], strict=True)).get(name, "").strip()


def digest_of_files(directory: str) -> str:
    """Return a digest of files: their names, modes (executable or not) and content."""
    digest = hashlib.sha256()
    for path in paths(directory):
        name = path.removeprefix(directory).lstrip("/")
        digest.update(f"{name}\0{is_executable(path)}\0".encode())
        if os.path.islink(path):
            digest.update(os.readlink(path).encode())
        else:
            with open(path, "rb") as file:
                digest.update(file.read())
        digest.update(b"\0")
    return digest.hexdigest()


@functools.cache
def _digest_of_ours(directory: str) -> str:
    """Return the digest of a recipe of ours, or "": what we came with stays as it was imported."""
    own = os.path.join(os.path.dirname(__file__), "")
    return digest_of_files(directory) if directory.startswith(own) else ""


def is_executable(path: str) -> bool:
    """Whether a file of a recipe is a program."""
    return os.access(path, os.X_OK) and not os.path.islink(path)


def paths(directory: str) -> Iterator[str]:
    """Yield the paths of a recipe's files, in order."""
    for parent, children, names in os.walk(directory):
        children[:] = sorted(child for child in children if child != "__pycache__")
        yield from (os.path.join(parent, name) for name in sorted(names))
