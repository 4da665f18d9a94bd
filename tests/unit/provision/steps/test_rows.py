"""Every check says of itself what a user needs to know."""

import pytest

from containai.boxes.box import Box, Status
from containai.config.settings import Settings
from containai.host.fake import FakeMachine
from containai.layout import Layout
from containai.provision import steps
from containai.provision.step import Area, Choices

MACHINE = FakeMachine(Layout("/", "/home/u", 1000))
BOX = Box("one", "id", "/w", 2300, 1000, Status.RUNNING, "", "")
OF_MACHINE = steps.checks(MACHINE, Choices(Settings()))
OF_BOX = steps.checks_of_box(BOX)


@pytest.mark.parametrize("step", [*OF_MACHINE, *OF_BOX], ids=lambda step: step.title)
def test_a_check_says_what_it_is(step):
    assert step.area in Area
    for word in (step.title, step.holds, step.looks, step.means, step.otherwise):
        assert word
        assert not word.endswith(".") or ". " in word, word
    assert isinstance(step.interrupts, str)
    assert isinstance(step.slow, bool)


@pytest.mark.parametrize("rows", [OF_MACHINE, OF_BOX], ids=["machine", "box"])
def test_no_two_checks_have_one_title(rows):
    titles = [step.title for step in rows]
    assert len(set(titles)) == len(titles)
