"""How much a command says: flags and a variable that every command takes. On the warm path."""

from collections.abc import Mapping, Sequence

from containai.errors import UsageError

QUIET, NORMAL, VERBOSE, DEBUG = range(-1, 3)
_BY_NAME = {"quiet": QUIET, "verbose": VERBOSE, "debug": DEBUG}
_BY_WORD = {"-q": QUIET} | {f"--{name}": value for name, value in _BY_NAME.items()}
VARIABLE = "CAI_OUTPUT"


def split(words: Sequence[str], environ: Mapping[str, str]) -> tuple[list[str], int]:
    """Take these flags out of a command line; return the rest, and what they or the variable say.

    They stand anywhere before `--`; before the command alone where what follows is not ours.
    Raises UsageError for a variable that says something else.
    """
    said = environ.get(VARIABLE, "")
    if said and said not in _BY_NAME:
        raise UsageError(
            f"{VARIABLE}={said!r} is not valid", hint="expected quiet, verbose or debug"
        )
    loudness = _BY_NAME.get(said, NORMAL)
    rest: list[str] = []
    for at, word in enumerate(words):
        if word == "--" or rest[:1] == ["docker"]:
            return [*rest, *words[at:]], loudness
        if word in _BY_WORD:
            loudness = _BY_WORD[word]
        else:
            rest.append(word)
    return rest, loudness
