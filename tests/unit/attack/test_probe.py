"""What a probe answers."""

from containai.attack.probe import Seen, fine, found, verdict


def test_verdict_shows_the_first_of_many():
    assert verdict([], "none") == fine("none")
    assert verdict(list("abcdef"), "none") == found("a, b, c, d and 2 more")


def test_seen_is_plain():
    assert Seen(found=True, text="x") == found("x")
