"""What is said of certificates and clocks: of the user, and of the server."""

import pytest

from containai.incus.sight import Certificate, Unseen
from containai.incus.validity import Validity
from containai.work.actions import State

from .of_places import DAY, NOW, RIGHT
from .test_judge import only, said

TITLES = {"own_valid": "end of your certificate", "server_valid": "end of its certificate"}


def test_which_projects_a_certificate_is_for():
    assert said()["your certificate"].seen == "known, restricted to boxes"
    found = said(certificate=Certificate(True, ("a", "b")))["your certificate"]
    assert found.seen == "known, restricted to a, b"


def test_a_certificate_that_is_not_restricted_is_a_warning():
    found = only(State.NONE, certificate=Certificate(False, ()))
    assert "root of the server" in found.seen
    assert "incus config trust edit" in found.hint


@pytest.mark.parametrize("part", TITLES)
@pytest.mark.parametrize(
    ("begins", "ends", "state", "says"),
    [
        (-1, 31, State.OK, "good until 2027-02-15"),
        (-1, 29, State.NONE, "in 29 days"),
        (-9, -1, State.WRONG, "it ended on 2027-01-14"),
        (1, 99, State.WRONG, "good from 2027-01-16 on, and a clock says 2027-01-15"),
    ],
)
def test_when_a_certificate_is_good(part, begins, ends, state, says):
    found = said(**{part: Validity(NOW + begins * DAY, NOW + ends * DAY)})
    assert found[TITLES[part]].state is state
    assert says in found[TITLES[part]].seen
    assert {each.state for title, each in found.items() if title != TITLES[part]} == {State.OK}


def test_what_is_to_be_done_about_a_certificate_that_ended():
    over = Validity(NOW - 9 * DAY, NOW - DAY)
    mine, theirs = only(State.WRONG, own_valid=over), only(State.WRONG, server_valid=over)
    assert "no server knows it" in mine.seen
    assert "token" in mine.hint
    assert "cai remote add" in theirs.hint


def test_a_certificate_is_good_by_the_servers_clock():
    soon = Validity(NOW - DAY, NOW + 40 * DAY)
    found = said(own_valid=soon, ahead=20.0 * DAY)
    assert found["end of your certificate"].state is State.NONE
    behind = said(own_valid=Validity(NOW - 60, NOW + 99 * DAY), ahead=-3600.0)
    assert behind["end of your certificate"].state is State.WRONG
    assert "NTP" in behind["end of your certificate"].hint
    unseen = said(own_valid=soon, ahead=Unseen("its answer has no date"))
    assert unseen["end of your certificate"].ok


@pytest.mark.parametrize("part", TITLES)
def test_a_certificate_in_another_form(part):
    assert said(RIGHT, **{part: Unseen("it is in no form")})[TITLES[part]].is_unknown


@pytest.mark.parametrize("seconds", [-61, 61])
def test_a_clock_that_is_off(seconds):
    assert "61 s" in only(State.WRONG, ahead=float(seconds)).seen


def test_a_clock_that_is_a_little_off():
    assert said(ahead=-59.0)["its clock"].seen == "within 59 s of this machine's"
