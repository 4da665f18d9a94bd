"""Images from and to registries, through the engine, which checks every digest.

A connection that breaks is taken up where it broke, a few times; what fails says why in words.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from containai.engine.client import Engine
from containai.engine.container import Image
from containai.errors import EngineError, ImageError, NoSpaceError
from containai.layout import IMAGE_REPOSITORY, LABEL_RECIPE
from containai.work.ui import Progress


class Trouble(NamedTuple):
    """What the engine says of a registry, as a pattern; what that means; what to do."""

    pattern: str
    what: str
    hint: str


_LOGIN = "log in: docker login REGISTRY; and look whether the name is right"
_LATER = "wait a while and try again"
#: The first that fits counts. The words are those of dockerd 20.10 to 29.
TROUBLES = (
    Trouble(
        "verification failed for digest|manifest verification failed|does not match digest",
        "the registry sent something else than what its digest says",
        "do not use that registry; what was sent is not kept",
    ),
    Trouble(
        "manifest unknown|manifest for .* not found|name unknown|not found: |no such manifest",
        "the registry has no such image",
        "look for its tag or digest there; or build a layer: cai image build",
    ),
    Trouble(
        "unauthorized|authentication required|no basic auth|denied|may require 'docker login'",
        "the registry does not let you",
        _LOGIN,
    ),
    Trouble(
        "toomanyrequests|429|rate limit", "the registry has had too many requests for now", _LATER
    ),
    Trouble(
        "no matching manifest",
        "the registry has it, but not for this machine's processors",
        "build it: cai image build",
    ),
    Trouble(
        r"HTTP (response to HTTPS|status: 5)|HTTP 5\d\d|status: 5\d\d|status code 5\d\d"
        "|Internal Server Error|Bad Gateway|Service Unavailable|Gateway Time",
        "the registry failed",
        _LATER,
    ),
    Trouble(
        "x509|certificate",
        "the registry shows a certificate that this machine does not trust",
        "add its authority to the host's: /usr/local/share/ca-certificates, update-ca-certificates",
    ),
    Trouble(
        "unexpected EOF|unexpected end of JSON|invalid character|connection reset|broken pipe"
        "|error parsing|looking for beginning of value|closed network|: EOF",
        "what the registry sends breaks off, or is no answer of a registry",
        "try again; if it stays so, look at the proxy in between",
    ),
    Trouble(
        "connection refused|no such host|i/o timeout|timeout|network is unreachable|no route"
        "|server misbehaving|deadline exceeded",
        "the registry does not answer",
        "look at the name and the network; or build a layer: cai image build",
    ),
)


class Layers:
    """Reads how far a pull or a push is, by its layers."""

    def __init__(self) -> None:
        self._done: dict[str, bool] = {}

    def line(self, line: str) -> tuple[str, float | None]:
        """Take a line; return what to say of it, and how far it is."""
        news = re.match(r"([0-9a-f]{12}): (.+)", line)
        if news is None:
            return line.strip(), None
        layer, state = news.groups()
        ends = ("Pull complete", "Already exists", "Pushed", "Layer already exists", "Mounted from")
        self._done[layer] = state.startswith(ends)
        done, count = sum(self._done.values()), len(self._done)
        said = f", {state[0].lower()}{state[1:]}" if state.startswith("Retrying") else ""
        return f"{done} of {count} layers{said}", done / count


def pull(engine: Engine, reference: str, progress: Progress) -> Image:
    """Return an image, pulled. Raises ImageError where the registry does not give it."""
    _transfer(engine, "pull", reference, progress)
    image = engine.image(reference)
    if image is None:
        raise ImageError(f"{reference} is not there after it was pulled", hint="see: cai image ls")
    return image


def refuse_strange(image: Image, reference: str) -> None:
    """Raise ImageError for an image that no box can start from."""
    if not image.label(LABEL_RECIPE):
        raise ImageError(
            f"{reference} is not made from an image of ContainAI: it has nothing that a box needs",
            hint=f"build it with a Dockerfile that begins: FROM {IMAGE_REPOSITORY}/base",
        )


def ensure(
    engine: Engine,
    reference: str,
    progress: Progress,
    check: Callable[[Image, str], None] = refuse_strange,
) -> Image:
    """Return an image, pulled, that passes a check. One that does not, and is new, is not kept.

    Raises ImageError.
    """
    before = engine.image(reference)
    image = pull(engine, reference, progress)
    try:
        check(image, reference)
    except ImageError:
        if before is None or before.id != image.id:
            engine.docker("rmi", reference, ok=(0, 1))
        raise
    return image


def push(engine: Engine, reference: str, progress: Progress) -> str:
    """Push an image by its reference; return its digest. Raises ImageError."""
    said = _transfer(engine, "push", reference, progress)
    digests = [named[1] for line in said if (named := re.search(r"digest: (sha256:\w{64})", line))]
    if not digests:
        raise ImageError(f"the registry did not say the digest of {reference}", hint="try again")
    return digests[-1]


def _transfer(engine: Engine, verb: str, reference: str, progress: Progress) -> list[str]:
    reader, said = Layers(), list[str]()

    def on_line(line: str) -> None:
        said.append(line)
        text, share = reader.line(line)
        progress(text, share)

    try:
        engine.stream(verb, reference, on_line=on_line)
    except NoSpaceError:
        raise
    except EngineError as failed:
        raise trouble(f"{verb} {reference}", str(failed)) from None
    return said


def trouble(what: str, said: str) -> ImageError:
    """Return the error for a transfer that failed, by what the engine said of it."""
    last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), said)
    last = last.rpartition("Error response from daemon: ")[2]
    for known in TROUBLES:
        if re.search(known.pattern, last, re.IGNORECASE):
            return ImageError(f"{what}: {known.what} ({last})", hint=known.hint)
    return ImageError(f"{what}: {last}", hint="see: cai engine logs")
