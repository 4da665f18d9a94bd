"""All probes of one box: run over every way in and from outside, the worst answer counts."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from containai.attack.facts import Facts
from containai.attack.inside import run as inside_run
from containai.attack.outside import container, isolation, kernel, machine
from containai.attack.probe import INSIDE, OUTSIDE, Probe, Unverified
from containai.attack.send import Answer

#: The modules that have probes; importing them fills INSIDE and OUTSIDE.
MODULES = (*inside_run.MODULES, isolation, container, machine, kernel)
#: From the host, where no way in is taken.
HOST = "host"
#: What is said of a host that cannot be looked at.
ELSEWHERE = "could not look: the host is another machine"
_WORST = {"ok": 0, "unverified": 1, "found": 2}

#: A way into the box, by its name: runs the probes there.
Ways = Mapping[str, Callable[[], list[Answer]]]


class Row(NamedTuple):
    """A probe and the worst that any way in showed; `way` says which."""

    probe: Probe
    status: str
    way: str
    seen: str


def probes() -> list[Probe]:
    """Return every probe there is."""
    return [*INSIDE, *OUTSIDE]


def run(ways: Ways, facts: Facts) -> list[Row]:
    """Run every probe. Raises SelfTestError where a way in does not lead there."""
    return [*_from_inside(ways), *from_host(facts)]


def run_elsewhere(ways: Ways) -> list[Row]:
    """Run the probes in a box whose host is another machine, which is not looked at.

    Of those that have to be, it is said so: nobody has seen that they are fine.
    """
    return [*_from_inside(ways), *(Row(probe, "unverified", HOST, ELSEWHERE) for probe in OUTSIDE)]


def _from_inside(ways: Ways) -> list[Row]:
    with ThreadPoolExecutor(max_workers=len(ways)) as pool:
        going = {way: pool.submit(act) for way, act in ways.items()}
        answers = {way: future.result() for way, future in going.items()}
    return [_worst(probe, answers) for probe in INSIDE]


def _worst(probe: Probe, answers: Mapping[str, list[Answer]]) -> Row:
    rows = []
    for way, said in answers.items():
        # A box that leaves one out, or says two things, has not shown that it is fine.
        own = [answer for answer in said if answer.probe == probe.name]
        if len(own) == 1:
            rows.append(Row(probe, own[0].status, way, own[0].seen))
        else:
            rows.append(Row(probe, "unverified", way, f"{len(own)} answers from the box"))
    return max(rows, key=lambda row: _WORST[row.status])


def from_host(facts: Facts) -> list[Row]:
    """Run the probes that look from the host."""
    rows = []
    for probe in OUTSIDE:
        try:
            seen = probe.check(facts)
            status, text = ("found" if seen.found else "ok"), seen.text
        except Unverified as why:
            status, text = "unverified", str(why)
        except Exception as why:  # what a probe did not expect is no reason to believe in it
            status, text = "unverified", f"{type(why).__name__}: {why}"
        rows.append(Row(probe, status, HOST, text))
    return rows


def as_json(rows: list[Row]) -> list[dict[str, Any]]:
    """Return the rows for machines."""
    return [
        {
            "probe": row.probe.name,
            "status": row.status,
            "way": row.way,
            "seen": row.seen,
            "stands_for": row.probe.stands_for,
            "looks_at": row.probe.looks_at,
            "remedy": row.probe.remedy,
        }
        for row in rows
    ]
