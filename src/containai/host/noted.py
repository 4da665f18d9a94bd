"""Who is told of each program that is run, and of each question to the engine: `--debug`.

On the warm path: imports little.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from containai.light import TYPE_CHECKING

#: (its command line, as it may be shown; seconds; its exit code or status, None where it had none)
Observer = Callable[[str, float, int | None], None]
#: Those who are told: none, but for a process that was asked to.
observers: list[Observer] = []

_LONGEST = 400
#: What has a login in a URL; and a variable, an option or a header that is called as a secret is.
_IN_URL = r"(\w://)[^/\s@]+@"
_NAMED = r"(?:token|secret|passw|credential|api_?key|auth)[\w.-]*"


if TYPE_CHECKING:
    from typing import Concatenate, ParamSpec, Protocol, TypeVar

    class Ended(Protocol):
        """A process that has ended."""

        @property
        def code(self) -> int:
            """Its exit code."""
            ...

    Options = ParamSpec("Options")
    Outcome = TypeVar("Outcome", bound=Ended | int)
    Self = TypeVar("Self")


def noted(
    run: Callable[Concatenate[Self, Sequence[str], Options], Outcome],
) -> Callable[Concatenate[Self, Sequence[str], Options], Outcome]:
    """Have observers told of what a method runs, the first of whose arguments is a command line."""

    def noting(
        self: Self, argv: Sequence[str], /, *args: Options.args, **options: Options.kwargs
    ) -> Outcome:
        if not observers:
            return run(self, argv, *args, **options)
        begun, code = time.monotonic(), None
        try:
            ended = run(self, argv, *args, **options)
            code = ended if isinstance(ended, int) else ended.code
            return ended
        except Exception as failed:
            code = getattr(getattr(failed, "done", None), "code", None)
            raise
        finally:
            sign = "#" if options.get("root") else "$"
            tell(f"{sign} {shown(argv)}", time.monotonic() - begun, code)

    noting.__doc__ = run.__doc__
    return noting


def tell(text: str, seconds: float, code: int | None) -> None:
    """Tell all observers."""
    for observer in observers:
        observer(text, seconds, code)


def shown(argv: Sequence[str | bytes]) -> str:
    """Return a command line for people: without scripts, and without what may be a secret."""
    import os
    import shlex

    before, words = "", []
    for word in map(os.fsdecode, argv):
        words.append("…" if "\n" in word else shlex.quote(_masked(word, before)))
        before = word
    line = " ".join(words)
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]} …"


def is_secret(name: str) -> bool:
    """Whether a variable is called as a secret is."""
    import re

    return re.search(_NAMED, name.lower()) is not None


def _masked(word: str, before: str) -> str:
    import re

    # A variable that is set for a container may be anything.
    if before in ("-e", "--env") or word.startswith("--env="):
        return re.sub(r"^((?:--env=)?\w+=).*", r"\1…", word)
    if before.startswith("--") and "=" not in before and re.search(_NAMED, before.lower()):
        return "…"
    return re.sub(rf"(?i)({_NAMED}[=:] ?).*", r"\1…", re.sub(_IN_URL, r"\1…@", word))
