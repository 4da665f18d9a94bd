import pytest

from containai.boxes import inside
from containai.boxes.inside import Inside

ANSWER = """\
system degraded
failed a.service
failed b.service
sshd active
key ssh-ed25519 AAAA root@box
letsin ssh-ed25519 BBBB containai
docker 27.1
disk / 12 3
disk /tmp 99 -
end 1
"""


def test_an_answer():
    said = Inside.parse(ANSWER)
    assert (said.system, said.failed, said.sshd) == (
        "degraded", ("a.service", "b.service"), "active",
    )  # fmt: skip
    assert (said.key, said.lets_in) == ("ssh-ed25519 AAAA", "ssh-ed25519 BBBB")
    assert said.full == (("/", 12, 3), ("/tmp", 99, 0))
    assert said.whole


def test_one_that_was_cut_off_is_none():
    assert not Inside.parse(ANSWER.partition("end")[0]).whole


@pytest.mark.parametrize(
    "hostile",
    [
        "",
        "\0" * 100,
        "system \x1b]0;title\x07\x1b[2Jrunning" + "x" * 9000,
        "failed " + "\N{RIGHT-TO-LEFT OVERRIDE}" * 100,
        "failed x\n" * 5000,
        "disk / " + "9" * 60000 + " 1",
        "disk / \N{ARABIC-INDIC DIGIT FIVE} 1",
        "disk / 1 2 3\ndisk /etc/shadow 99 99\ndisk",
        "key ssh-ed25519 $(reboot)\nletsin ecdsa x",
        "end",
    ],
)
def test_what_a_box_says_steers_nothing(hostile):
    """Whatever its root answers is short, can be printed, and names no place that is not ours."""
    said = Inside.parse(hostile)
    words = [said.system, said.sshd, said.docker, said.key, said.lets_in, *said.failed]
    assert all(word.isprintable() and len(word) <= 100 for word in words)
    assert len(said.failed) <= 6
    assert all(0 <= each <= 100 for _, *rest in said.full for each in rest)
    assert {place for place, *_ in said.full} <= {*inside.PLACES}
    assert not said.key
    assert not said.lets_in
