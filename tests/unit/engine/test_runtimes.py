import os

import pytest

from containai.engine import runtimes
from containai.engine.runtimes import Choice

SYSBOX = Choice("sysbox-runc", "it passed its probe", {"kernel": "6.12"})


def write(path, text=""):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def test_without_a_choice_boxes_are_started_by_the_embedded_one(layout):
    assert runtimes.read_choice(layout) is None
    assert runtimes.chosen(layout) == "cai-runc"


def test_a_choice_is_read_as_it_was_written(layout):
    write(layout.runtime_choice, runtimes.choice_text(SYSBOX))
    assert runtimes.read_choice(layout) == SYSBOX
    assert runtimes.chosen(layout) == "sysbox-runc"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "1", "{}", '{"runtime": "runc", "why": "", "versions": {}}']
)
def test_a_damaged_record_chooses_nothing(layout, text):
    write(layout.runtime_choice, text)
    assert runtimes.read_choice(layout) is None


def test_sysbox_is_registered_where_it_is(layout):
    ours = {"cai-runc": layout.runtime_program}
    assert runtimes.programs(layout) == ours
    write(layout.sysbox_program)
    assert runtimes.programs(layout) == ours | {"sysbox-runc": layout.sysbox_wrapper}


def test_the_sysbox_of_the_host_is_for_the_machines_own_only(layout, tmp_path, monkeypatch):
    monkeypatch.setattr(runtimes, "HOST_SYSBOX", str(tmp_path / "sysbox-runc"))
    write(runtimes.HOST_SYSBOX)
    assert runtimes.sysbox_program(layout) is None
    monkeypatch.setattr(type(layout), "is_default", True)
    assert runtimes.sysbox_program(layout) == runtimes.HOST_SYSBOX
