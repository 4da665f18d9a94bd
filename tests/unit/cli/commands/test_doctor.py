import json
import os

import pytest

from containai.cli import main as cli
from containai.cli.commands import doctor
from containai.errors import BoxNotFoundError, EngineError
from containai.provision.step import Area, Fact
from containai.work.actions import Finding, unknown


class Fixed(Fact):
    area = Area.HOST
    holds = otherwise = looks = means = ""

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
    assert cli.main(["doctor", "--quiet"]) == 0
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
    row = {"state": "wrong", "ok": False, "seen": "gone", "optional": False, "hint": ""}
    assert json.loads(capsys.readouterr().out) == {
        "version": 1,
        "box": None,
        "fine": False,
        "checks": [{"step": "step 1", "area": "host", **row, "means": ""}],
    }


def test_what_is_optional_is_no_finding(setup_of, capsys):
    setup_of(Finding(False, "gone", optional=True))
    assert cli.main(["doctor", "--quiet"]) == 0
    assert capsys.readouterr() == ("none     step 1: gone\n", "")


def test_what_could_not_be_looked_at_is_not_all_right(setup_of, capsys):
    setup_of(Finding(True, "there"), unknown("nobody answers", hint="ask"))
    assert cli.main(["doctor"]) == 1
    out, err = capsys.readouterr()
    assert out.endswith("unknown  step 2: nobody answers\n         hint: ask\n")
    assert "cai: something could not be looked at\n" in err
    assert "--fix" not in err


def test_a_check_that_nobody_expected_to_fail_hides_no_other(have_steps, capsys, tmp_path):
    class Broken(Fixed):
        def check(self, host):
            raise KeyError("dns")

    have_steps(Broken("step 1", None), Fixed("step 2", Finding(True, "there")))
    for words in ([], ["--fix"]):
        assert cli.main(["doctor", "--quiet", *words]) == 1
        out, err = capsys.readouterr()
        assert "unknown  step 1: not looked at: KeyError: 'dns' (test_doctor.py:" in out
        assert "ok       step 2: there\n" in out
        assert "Traceback" not in err


def test_what_takes_long_is_looked_at_where_asked_for(have_steps, capsys):
    long = Fixed("step 2", Finding(True, "at last"))
    long.slow = True
    have_steps(Fixed("step 1", Finding(True, "there")), long)
    assert cli.main(["doctor", "--quiet"]) == 0
    assert capsys.readouterr().out == "ok       step 1: there\n"
    assert cli.main(["doctor", "--quiet", "--all"]) == 0
    assert capsys.readouterr().out == "ok       step 1: there\nok       step 2: at last\n"


def test_settings_that_cannot_be_read_are_one_finding_of_many(bare):
    os.makedirs(os.path.dirname(bare.layout.config_file))
    with open(bare.layout.config_file, "w", encoding="utf-8") as file:
        file.write('[ssh]\nport_range = "many"\n')
    report = doctor.run(bare)
    rows = {row["step"]: row for row in report.value["checks"]}
    assert (report.code, rows["settings"]["state"]) == (1, "wrong")
    assert "config.toml" in rows["settings"]["seen"]
    assert rows["kernel"]["state"] == "ok"


def test_a_box_that_is_named(app, workspace):
    app.add_box(workspace, name="one")
    report = doctor.run(app, box="one")
    assert report.value["box"] == "one"
    [state] = [row for row in report.value["checks"] if row["step"] == "state"]
    assert state["seen"].startswith("running, one, of ")
    assert doctor.run(app, box=".").value == report.value
    with pytest.raises(BoxNotFoundError):
        doctor.run(app, box="gone")


def test_what_is_known_of_a_box_is_the_engines_to_say(app):
    app.stop_engine()
    with pytest.raises(EngineError, match="nothing can be seen of a box"):
        doctor.run(app, box="one")
