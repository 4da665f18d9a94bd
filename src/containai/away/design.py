"""What a box on a remote place is to be, decided from values. Pure."""

from collections.abc import Iterator

from containai import kept as kepts
from containai.boxes import design
from containai.boxes.given import Files
from containai.light import sha256

#: The longest name of an instance of Incus (IsHostname in shared/validate), and what makes another
#: of one that somebody else has.
LONGEST = 63
_OTHER = 8


def instances(name: str, owner: str) -> Iterator[str]:
    """Give what a box may be called on its place, the first one first.

    Letters, digits and hyphens, beginning with a letter. Two users of a place can have boxes of one
    name: of the second one's, whose certificate has the fingerprint `owner`, it says so.
    """
    fits = name if name[0].isalpha() and not name.endswith("-") else f"box-{name.strip('-')}"
    if len(fits) > LONGEST or fits == "box-":
        fits = f"{fits[: LONGEST - _OTHER - 1].strip('-')}-{sha256(name.encode())[:_OTHER]}"
    yield fits
    yield f"{fits[: LONGEST - _OTHER - 1].strip('-')}-{owner[:_OTHER]}"


def files(own: Files, authorized: str, key: tuple[str, str]) -> Files:
    """Return what a new box is given before it boots, beside what is its user's `own`.

    `authorized` is the key that its user has, `key` its host key. Nothing of this machine's network
    is among it: it is in another.
    """
    return (
        own
        | design.host_key(*key)
        | {
            design.AUTHORIZED_KEYS_IN_BOX: (authorized + "\n", 0o644),
            design.KEPT_IN_BOX: (kepts.table(), 0o644),
        }
    )
