"""What a build of an image is sent: the files of its recipe, as an archive that is made here."""

import io
import os
import tarfile
from collections.abc import Iterable

from containai.host.certificates import Certificate
from containai.images import recipe as recipes
from containai.images.recipe import Recipe


def archive(recipe: Recipe, trusted: Iterable[Certificate]) -> bytes:
    """Return the context of a recipe's build: a tar archive, the same for the same content.

    `trusted` are there for the length of a build that has to fetch; the image's name does not
    follow from them.
    """
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path in recipes.paths(recipe.directory):
            name = os.path.relpath(path, recipe.directory)
            if os.path.islink(path):
                _add(tar, name, link=os.readlink(path))
                continue
            with open(path, "rb") as file:
                _add(tar, name, file.read(), 0o755 if recipes.is_executable(path) else 0o644)
        for name, text in recipe.generated:
            _add(tar, name, text.encode() + b"\n")
        directory = tarfile.TarInfo("certificates")
        directory.type, directory.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(directory)
        for name, text in sorted(trusted):
            _add(tar, f"certificates/{name}", text.encode())
    return out.getvalue()


def _add(
    tar: tarfile.TarFile, name: str, content: bytes = b"", mode: int = 0o644, link: str = ""
) -> None:
    entry = tarfile.TarInfo(name)
    entry.mode, entry.size = mode, len(content)
    if link:
        entry.type, entry.linkname = tarfile.SYMTYPE, link
    tar.addfile(entry, io.BytesIO(content))
