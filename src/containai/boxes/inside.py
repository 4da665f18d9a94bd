"""What boxes say of themselves, asked as their root through the engine: one question for all of it.

An answer is a box's word, and its root may say whatever it likes: how much and how long is bounded,
what would steer a terminal goes, numbers are numbers, and no command is ever made of it.
"""

import re
from collections.abc import Sequence
from concurrent import futures
from typing import NamedTuple

from containai.boxes import design, pinned, sshd
from containai.boxes.box import Box
from containai.boxes.spec import DOCKER_IN_BOX
from containai.engine.client import Engine
from containai.layout import DATA_IN_BOX, HOME_IN_BOX

#: How many boxes are asked at once, and how long one may take to answer, in seconds.
AT_ONCE, TIMEOUT = 4, 60.0
#: How much of a word is kept, how many failed units are named.
_LONGEST, _MOST = 60, 5
#: What is asked for space, and in a box of an earlier version may not be there.
PLACES = ("/", HOME_IN_BOX, DOCKER_IN_BOX, DATA_IN_BOX, "/tmp")  # noqa: S108 - the box's own

_PERCENT = re.compile("[0-9]{1,3}")
#: sshd's own key is what it has; where root locked that up, the other half says it, too.
_KEY = f"/{design.HOST_KEY_IN_BOX}"
#: A Docker that does nothing has been stopped: asked, it starts, and stops again by itself.
SCRIPT = f"""
say() {{ printf '%s %s\\n' "$1" "$2"; }}
say system "$(timeout 5 systemctl is-system-running 2>/dev/null | head -c 60)"
timeout 5 systemctl list-units --failed --plain --no-legend --no-pager 2>/dev/null |
    head -n {_MOST + 1} | while read -r unit _; do say failed "$unit"; done
say sshd "$(timeout 5 systemctl is-active ssh.service 2>/dev/null | head -c 60)"
say key "$( (ssh-keygen -y -P '' -f {_KEY} </dev/null || cat {_KEY}.pub) 2>/dev/null | head -c 400)"
say letsin "$(head -c 400 /{design.AUTHORIZED_KEYS_IN_BOX} 2>/dev/null | head -n 1)"
version=$(timeout 30 docker version --format '{{{{.Server.Version}}}}' 2>/dev/null | head -c 60)
say docker "$version"
for place in {" ".join(PLACES)}; do
    set -- $(timeout 5 df --output=pcent,ipcent "$place" 2>/dev/null | tail -n 1)
    say disk "$place ${{1%\\%}} ${{2%\\%}}"
done
say end 1
"""


class Inside(NamedTuple):
    """What a box said of itself; what it did not say is empty.

    `full` has of each place how many percent of its space and of its inodes are taken.
    """

    system: str = ""
    failed: tuple[str, ...] = ()
    sshd: str = ""
    key: str = ""
    lets_in: str = ""
    docker: str = ""
    full: tuple[tuple[str, int, int], ...] = ()
    #: Whether it answered to the end.
    whole: bool = False

    @classmethod
    def parse(cls, text: str) -> "Inside":
        """Read an answer. Never raises."""
        rows = [line.partition(" ")[::2] for line in text.splitlines()]
        said = dict(rows)
        places = filter(None, (_place(value) for key, value in rows if key == "disk"))
        failed = [plain(value) for key, value in rows if key == "failed" and value]
        return cls(
            system=plain(said.get("system", "")),
            failed=tuple(failed[:_MOST] + ["…"] * (len(failed) > _MOST)),
            sshd=plain(said.get("sshd", "")),
            key=_key(said.get("key", "")),
            lets_in=_key(said.get("letsin", "")),
            docker=plain(said.get("docker", "")),
            full=tuple(places),
            whole="end" in said,
        )


def plain(text: str) -> str:
    """Return a word of a box's as it is shown: short, and without what steers a terminal."""
    legible = "".join(c for c in text if c.isprintable()).strip()
    return legible if len(legible) <= _LONGEST else f"{legible[:_LONGEST]}…"


def _key(text: str) -> str:
    """Return a public key without its comment, or nothing."""
    key = " ".join(text.split()[:2])
    return key if pinned.is_key(key) else ""


def _place(text: str) -> tuple[str, int, int] | None:
    """Return what is said of a place that was asked for."""
    place, *said = text.split(" ")
    if place not in PLACES or len(said) != 2:
        return None
    space, inodes = (int(each) if _PERCENT.fullmatch(each) else 0 for each in said)
    return place, min(space, 100), min(inodes, 100)


def ask(engine: Engine, boxes: Sequence[Box]) -> dict[str, Inside]:
    """Return what running boxes say of themselves, by their containers, several at once."""
    return {
        container: Inside.parse(said)
        for container, said in answers(engine, boxes, SCRIPT, TIMEOUT).items()
    }


def answers(engine: Engine, boxes: Sequence[Box], script: str, timeout: float) -> dict[str, str]:
    """Return what a script of root's prints in each box, nothing where it did not end in time."""

    def one(box: Box) -> str:
        done = sshd.ask(engine, box.container, ("sh", "-c", script), timeout=timeout)
        return done.out if done is not None else ""

    with futures.ThreadPoolExecutor(AT_ONCE) as pool:
        said = list(pool.map(one, boxes))
    return {box.container: text for box, text in zip(boxes, said, strict=True)}
