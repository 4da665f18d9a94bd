"""A word that says which box is meant: its name, or the path of its workspace."""

from containai.boxes.target import Target
from containai.cli.command import Argument, box_name
from containai.errors import UsageError

#: Such a word, where it may be left out.
BOX = Argument("BOX", "its name, or the path of its workspace (default: of this directory)")


def target(word: str | None) -> Target:
    """Return what a word stands for; without one, the box of the current directory.

    A path has a slash, or is "." or "..". Raises UsageError for what is neither.
    """
    if word is None:
        return Target()
    if "/" in word or word in (".", ".."):
        return Target(path=word)
    try:
        return Target(name=box_name(word))
    except ValueError as wrong:
        raise UsageError(
            f"{word!r} is no name of a box: {wrong}", hint="the box of a directory: ./DIRECTORY"
        ) from None
