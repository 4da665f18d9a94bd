"""The escape self-test as a whole: its tables, the documentation, the verdict."""

import os
from typing import Any

import pytest

from containai.attack import report, send
from containai.attack.design import BY_DESIGN
from containai.attack.probe import Probe, Unverified, fine
from containai.attack.send import Answer
from harness import attack_cases

#: Facts, where none are looked at.
UNUSED: Any = None

NAMES = [probe.name for probe in report.probes()]


def test_every_probe_has_a_case_where_it_bites():
    assert set(attack_cases.CASES) == set(NAMES)
    assert len(NAMES) == len(set(NAMES))
    for cases in attack_cases.CASES.values():
        assert cases
        assert set(cases) <= set(attack_cases.WEAKENED)


def test_every_module_of_probes_is_run():
    top = os.path.dirname(os.path.abspath(report.__file__))
    files = {
        name.removesuffix(".py")
        for part in ("inside", "outside")
        for name in os.listdir(os.path.join(top, part))
        if name.endswith(".py")
    }
    assert {each.__name__.rpartition(".")[2] for each in report.MODULES} == files - {
        "__init__",
        "look",
        "run",
    }


@pytest.mark.parametrize("probe", report.probes(), ids=NAMES)
def test_probe_says_what_it_is(probe):
    for text in (probe.stands_for, probe.looks_at, probe.remedy):
        assert text
        assert "|" not in text
    assert send.shown(probe.stands_for) == probe.stands_for


def test_documentation_is_of_these_probes():
    with open(attack_cases.DOCUMENT, encoding="utf-8") as page:
        assert page.read() == attack_cases.document(), "run: python tests/harness/attack_cases.py"


def test_scenarios_holes_and_designs_name_probes_that_exist():
    named = [*attack_cases.SCENARIOS.values(), *attack_cases.HOLES.values()]
    named += [each.relies_on for each in BY_DESIGN]
    assert {name for names in named for name in names} <= set(NAMES)
    assert len(attack_cases.SCENARIOS) == 18
    for hole, names in attack_cases.HOLES.items():
        probes = [probe for probe in report.probes() if probe.name in names]
        assert any(hole in probe.stands_for or hole.lower() == probe.name for probe in probes)


def test_benchmark_is_covered_without_a_gap():
    text = " ".join(
        [*(probe.stands_for for probe in report.probes()), *(each.check for each in BY_DESIGN)]
    )
    for number in range(1, 33):
        assert any(f"5.{number}{end}" in text + " " for end in ",; :"), f"CIS 5.{number}"


def probe(name, check=lambda: fine("")):
    return Probe(name, "x", "x", "x", check)


@pytest.fixture
def one_probe(monkeypatch):
    monkeypatch.setattr(report, "INSIDE", [probe("one")])
    monkeypatch.setattr(report, "OUTSIDE", [])


@pytest.mark.parametrize(
    ("answers", "status", "way"),
    [
        ({"root": ["ok"], "agent": ["ok"]}, "ok", "root"),
        ({"root": ["ok"], "agent": ["found"]}, "found", "agent"),
        ({"root": ["unverified"], "agent": ["found"]}, "found", "agent"),
        ({"root": ["ok"], "agent": []}, "unverified", "agent"),
        ({"root": ["ok", "ok"], "agent": ["ok"]}, "unverified", "root"),
    ],
)
def test_worst_answer_counts(one_probe, answers, status, way):
    ways = {
        name: lambda said=said: [Answer("one", each, "x") for each in said]
        for name, said in answers.items()
    }
    (row,) = report.run(ways, UNUSED)
    assert (row.status, row.way) == (status, way)


def test_probe_on_the_host_that_cannot_look_is_not_fine(monkeypatch):
    def cannot(facts):
        raise Unverified("hidden")

    monkeypatch.setattr(report, "OUTSIDE", [probe("one", cannot)])
    (row,) = report.from_host(UNUSED)
    assert (row.status, row.seen) == ("unverified", "hidden")
