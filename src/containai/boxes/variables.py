"""The variables of a user that a box gets: gathered on the host, and told to it.

It is one file in the box, from which its `variables` program tells sessions and services. No
command line, label or message has a value.
"""

import os
import zlib
from collections.abc import Mapping
from typing import NamedTuple

from containai import trust
from containai.boxes.given import Files
from containai.config import env
from containai.config.env import Env
from containai.errors import ContainAIError
from containai.host import files
from containai.layout import Layout
from containai.ssh import session

#: The file, and the program in the box that takes another from stdin.
FILE_IN_BOX = "etc/containai/variables"
PLACE = ("/usr/local/lib/containai/variables", "place")


class Variables(NamedTuple):
    """The variables of a box, and on what they depend: names from the host, and files."""

    values: Mapping[str, str] = {}
    names: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The file for the box; nothing where there is nothing to tell."""
        return "".join(f"{name}={value}\0" for name, value in sorted(self.values.items()))

    @property
    def mark(self) -> str:
        """What tells these from others, in a word."""
        text = self.text
        return f"{zlib.crc32(text.encode()):08x}" if text else "none"

    @property
    def files(self) -> Files:
        """The file, as a new box is given it."""
        return {FILE_IN_BOX: (self.text, 0o600)} if self.values else {}

    @property
    def line(self) -> str:
        """The line for the host block, by which the next session sees if they are these still."""
        return session.variables(self.mark, self.names, self.paths)

    @property
    def shown(self) -> str:
        """The names, for people to look at."""
        return "".join(f"{name}=(not shown)\n" for name in sorted(self.values))


def seen(layout: Layout, said: Env, environ: Mapping[str, str], workspace: str) -> Variables:
    """Return the variables of a box of a workspace, as they are now.

    What is not set here is left out. Raises ContainAIError for a file that cannot be read, or a
    value that cannot be one.
    """
    paths = tuple(os.path.join(layout.home, path.removeprefix("~/")) for path in said.files)
    values: dict[str, str] = {}
    for path in paths:
        values |= _of_file(layout, path)
    try:
        named = {
            name: env.check_value(name, environ[name]) for name in said.names if name in environ
        }
    except ValueError as wrong:
        raise ContainAIError(f"env.import: {wrong}", hint="cai config list shows [env]") from None
    settings: tuple[str, ...] = ()
    if workspace:
        # Both decide on what is said there.
        own = os.path.join(workspace, trust.DIRECTORY, trust.CONFIG)
        settings = (own, trust.record(layout, workspace))
    return Variables(values | named | dict(said.literal), said.names, (*paths, *settings))


def _of_file(layout: Layout, path: str) -> dict[str, str]:
    """Return what a file says. No link on the way is followed: an agent may have made it."""
    home = layout.home.rstrip("/")
    is_at_home = path.startswith(f"{home}/")
    base = os.path.realpath(home) if is_at_home else "/"
    names = [part for part in path.removeprefix(home if is_at_home else "").split("/") if part]
    try:
        content = files.read_beneath(base, *names, limit=env.LIMIT)
        if content is None:
            raise OSError(0, "there is no such file")
        return env.dotenv(content.decode())
    except UnicodeDecodeError:
        why = "it is not valid UTF-8"
    except ValueError as wrong:
        why = str(wrong)
    except OSError as wrong:
        why = files.why_not(wrong)
    raise ContainAIError(
        f"{path} (env.file): {why}", hint="name a file itself, no link; see: cai config list"
    )
