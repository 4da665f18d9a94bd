"""The file of settings, as it is read: TOML, and where in it something is said."""

from typing import Any

from containai.errors import ContainAIError


def read(path: str) -> str:
    """Return a file's text, or "" where there is none. Raises ContainAIError."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return ""
    except OSError as wrong:
        raise ContainAIError(f"{path} cannot be read: {wrong.strerror}") from None
    except ValueError as wrong:
        raise ContainAIError(f"{path} is not valid TOML: {wrong}", hint="correct it") from None


def parsed(path: str, text: str) -> dict[str, Any]:
    """Return what a file's text says. Raises ContainAIError for one that is not valid."""
    if not text:
        return {}
    import tomllib

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as wrong:
        raise ContainAIError(f"{path} is not valid TOML: {wrong}", hint="correct it") from None


def flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return tables within tables as one, by keys like "box.memory"."""
    keys: dict[str, Any] = {}
    for key, value in table.items():
        keys |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return keys


def line(text: str, key: str) -> int:
    """Return the line where a key of a valid TOML text gets its value.

    tomllib does not tell. But what is cut off between two statements is valid too: the statement
    ends where the text up to there first has the key, and begins after the last such cut before.
    """
    import tomllib

    lines, begins = text.split("\n"), 1
    for count in range(1, len(lines) + 1):
        try:
            table = tomllib.loads("\n".join(lines[:count]) + "\n")
        except ValueError:
            continue
        if key in flat(table):
            return begins
        begins = count + 1
    return begins
