import re

import pytest

from containai.away import design

OWNER = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "name", ["api", "api-12345678", "1", "42-x", "a" * 63, "9" * 63, "x-", "0-", "a" + "-" * 62]
)
def test_what_incus_takes_for_a_name(name):
    made = [*design.instances(name, OWNER)]
    assert len(set(made)) == 2
    for each in made:
        assert re.fullmatch("[a-z]([a-z0-9-]{0,61}[a-z0-9])?", each), each


def test_a_name_that_fits_stays_and_others_stay_apart():
    assert next(design.instances("api-1", OWNER)) == "api-1"
    assert next(design.instances("1", OWNER)) != next(design.instances("2", OWNER))
    long = ["9" * 62 + each for each in "12"]
    assert len({next(design.instances(each, OWNER)) for each in long}) == 2


def test_the_second_name_says_whose_it_is():
    first, second = design.instances("api", OWNER)
    assert (first, second) == ("api", "api-01234567")


def test_what_a_new_box_is_given():
    given = design.files({"etc/own": ("x", 0o600)}, "ssh-ed25519 KEY me", ("PRIVATE", "PUBLIC"))
    assert given["etc/own"] == ("x", 0o600)
    assert given["etc/ssh/ssh_host_ed25519_key"] == ("PRIVATE", 0o600)
    assert given["etc/ssh/ssh_host_ed25519_key.pub"] == ("PUBLIC\n", 0o644)
    assert given["etc/containai/authorized_keys/agent"] == ("ssh-ed25519 KEY me\n", 0o644)
    assert ".ssh" not in given["etc/containai/kept"][0].split()
    assert given["etc/containai/kept"][1] == 0o644
    assert not any("docker-pools" in path or "around" in path for path in given)
