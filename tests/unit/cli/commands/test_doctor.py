import json

import pytest

from containai.cli import main as cli
from containai.work.actions import Finding


class Fixed:
    holds = otherwise = ""

    def __init__(self, title, finding):
        self.title, self.finding = title, finding

    def check(self, host):
        return self.finding

    def plan(self, host, finding):
        raise AssertionError("doctor changes nothing")


@pytest.fixture
def setup_of(monkeypatch, tmp_path, have_steps):
    monkeypatch.setenv("HOME", str(tmp_path))

    def fix(*findings):
        rows = [Fixed(f"step {n}", finding) for n, finding in enumerate(findings, 1)]
        have_steps(*rows)

    return fix


def test_all_right(setup_of, capsys):
    setup_of(Finding(True, "there"), Finding(True, "6.1"))
    assert cli.main(["doctor"]) == 0
    assert capsys.readouterr() == ("ok       step 1: there\nok       step 2: 6.1\n", "")


def test_one_wrong(setup_of, capsys):
    setup_of(Finding(True, "there"), Finding(False, "gone"))
    assert cli.main(["doctor"]) == 1
    out, err = capsys.readouterr()
    assert out == "ok       step 1: there\nwrong    step 2: gone\n"
    assert "hint: run: cai doctor --fix" in err


def test_json(setup_of, capsys):
    setup_of(Finding(False, "gone"))
    assert cli.main(["doctor", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == [
        {"step": "step 1", "ok": False, "seen": "gone", "optional": False, "hint": ""}
    ]


def test_what_is_optional_is_no_finding(setup_of, capsys):
    setup_of(Finding(False, "gone", optional=True))
    assert cli.main(["doctor"]) == 0
    assert capsys.readouterr() == ("none     step 1: gone\n", "")
