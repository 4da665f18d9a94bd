"""What nobody foresaw: one line for whoever ran the command, and the traceback in a file."""

import contextlib
import os
import tempfile
import traceback

from containai import __version__
from containai.errors import ContainAIError, UnexpectedError
from containai.host import files
from containai.layout import Layout

#: Where a report goes.
_ISSUES = "https://github.com/containai/containai/issues"


def told(failed: BaseException) -> UnexpectedError:
    """Return what is said of an exception that nobody foresaw, once its traceback is in a file."""
    kind = type(failed).__name__
    said = str(failed).partition("\n")[0]
    message = f"a mistake in cai itself: {kind}: {said}".removesuffix(": ")
    path = _noted("".join(traceback.format_exception(failed)))
    if not path:
        return UnexpectedError(message, hint=f"tell what you ran: {_ISSUES}")
    hint = f"its traceback is in {path}: read it for names and paths, then tell {_ISSUES}"
    return UnexpectedError(message, hint=hint)


def _noted(text: str) -> str:
    """Write a traceback to a file of the user's alone; return its path, or "" where none can be.

    There is one, of what happened last; where the user has no directory of cai's, one each.
    """
    state = Layout.from_environment().state_dir
    text = f"cai {__version__}\n{text}"
    with contextlib.suppress(OSError, ContainAIError):
        if os.path.isdir(state):
            path = os.path.join(state, "traceback.txt")
            files.write(path, text, 0o600)
            return path
        fd, path = tempfile.mkstemp(prefix="cai-traceback-", dir=files.TEMPORARY)
        with open(fd, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
        return path
    return ""
