"""Takes the probes into a box, and reads what comes back as what it is: written by the enemy."""

import json
import os
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from containai.errors import SelfTestError
from containai.host import files
from containai.host.machine import Machine

#: What may come back, in bytes, and how long it may take, in seconds.
OUTPUT_LIMIT = 1 << 18
TIMEOUT = 600.0
#: Longest text of an answer that is shown.
TEXT_LIMIT = 300
#: The system's Python in a box.
PYTHON = ("/usr/bin/python3", "-IS", "-")
STATUSES = ("ok", "found", "unverified")

#: Runs words in a box, with what they read: returns their code, and what they said.
Through = Callable[[Sequence[str], bytes], tuple[int, bytes, bytes]]

PACKAGES = ("containai", "containai.attack", "containai.attack.inside")
#: Makes modules of SOURCES, (name, text) each, without a file anywhere in the box.
_LOADER = """
import sys, types
for name, text in SOURCES:
    module = types.ModuleType(name)
    module.__package__ = name if name in PACKAGES else name.rpartition(".")[0]
    if name in PACKAGES:
        module.__path__ = []
    sys.modules[name] = module
    parent, _, own = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], own, module)
    exec(compile(text, name, "exec"), module.__dict__)
sys.modules["containai.attack.probe"].HOST_PORTS.update(HOST_PORTS)
sys.modules["containai.attack.probe"].PLACES.update(PLACES)
sys.modules["containai.attack.inside.run"].main()
"""


class Answer(NamedTuple):
    """What a probe in the box said."""

    probe: str
    status: str
    seen: str


def program(opened: str = "", places: Sequence[str] = ()) -> str:
    """Return the probes as one program for `python3 -IS -`.

    `opened` are the ports of the host that boxes may use, as in layout.opened_ports; `places` are
    where the box has more of the host than its workspace, by design.
    """
    here = os.path.dirname(__file__)
    # Each module after those that it imports: run imports all, all import look, look imports probe.
    first, last = ("probe", "inside.look"), "inside.run"
    names = {
        f"inside.{n[:-3]}" for n in os.listdir(os.path.join(here, "inside")) if n[-3:] == ".py"
    }
    order = [*first, *sorted(names - {*first, last, "inside.__init__"}), last]
    sources = [(package, "") for package in PACKAGES]
    for name in order:
        text = files.read(os.path.join(here, name.replace(".", "/") + ".py"))
        if text is None:
            raise SelfTestError(f"the probes are not complete: {name} is missing")
        sources.append((f"{PACKAGES[1]}.{name}", text))
    ports = [int(port) for port in re.findall(r"^tcp (\d+)$", opened, re.MULTILINE)]
    values = {"SOURCES": sources, "PACKAGES": PACKAGES, "HOST_PORTS": ports, "PLACES": [*places]}
    return "".join(f"{name} = {value!r}\n" for name, value in values.items()) + _LOADER


def run(
    host: Machine,
    argv: Sequence[str | bytes],
    *,
    opened: str = "",
    places: Sequence[str] = (),
    root: bool = False,
) -> list[Answer]:
    """Run the probes behind a command line that leads into the box; return what they said.

    `opened` and `places` as for program().
    Raises SelfTestError where they do not run or what comes back is not what they print.
    """
    words = [os.fsdecode(word) for word in argv]
    done = host.run_limited(
        words,
        stdin=program(opened, places).encode(),
        limit=OUTPUT_LIMIT,
        timeout=TIMEOUT,
        root=root,
    )
    return answered(done.code, done.out, done.err)


def run_through(act: Through) -> list[Answer]:
    """Run the probes by whatever runs a command in the box; return what they said.

    Raises SelfTestError as `run`, and what `act` does.
    """
    code, out, err = act(PYTHON, program().encode())
    if len(out) > OUTPUT_LIMIT:
        raise SelfTestError(f"the probes say more than {OUTPUT_LIMIT} bytes")
    return answered(code, *(each.decode("utf-8", "replace") for each in (out, err[:OUTPUT_LIMIT])))


def answered(code: int, out: str, err: str) -> list[Answer]:
    """Return what probes said that ended with a code. Raises SelfTestError."""
    if code != 0:
        said = shown((err.strip() or out.strip())[-TEXT_LIMIT:])
        raise SelfTestError(f"the probes ended with code {code}: {said or 'nothing said'}")
    return parsed(out)


def parsed(text: str) -> list[Answer]:
    """Read what the probes printed. Raises SelfTestError for anything else than that."""
    answers = []
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            raise SelfTestError("the box answers something that is no probe's") from None
        if (
            not isinstance(value, dict)
            or value.keys() != {"probe", "status", "seen"}
            or not all(isinstance(field, str) for field in value.values())
            or value["status"] not in STATUSES
        ):
            raise SelfTestError("the box answers something that is no probe's")
        answers.append(Answer(value["probe"], value["status"], shown(value["seen"])))
    return answers


def shown(text: str) -> str:
    """Return a text of the box as it may be shown: printable, and not long."""
    clean = "".join(c if c.isprintable() else "?" for c in text)
    return clean if len(clean) <= TEXT_LIMIT else clean[: TEXT_LIMIT - 1] + "…"
