"""A spare box gets the limits that its workspace's box was to have, whatever it was made with."""

import pytest

from harness import spares
from harness.site import text

from .test_spares import MADE, TOOK


@pytest.fixture(scope="module", autouse=True)
def undisturbed(site):
    with spares.undisturbed(site):
        yield


def limits_of(space):
    """Return what limits a box has, as Docker knows them and as it sees them itself."""
    found = space.inspect()["HostConfig"]
    names = ("Memory", "MemorySwap", "NanoCpus", "PidsLimit")
    # On which processors, is as with any two boxes.
    seen = space.sh("nproc; free -b | awk '/Mem/ { print $2 }'; df --output=size /dev/shm")
    return {name: found[name] for name in names}, seen


@pytest.mark.parametrize(
    ("flags", "env"),
    [
        (["--memory", "600m", "--cpus", "1"], {"CONTAINAI_BOX_PIDS": "3000"}),
        (["--memory", "none", "--cpus", "none"], {}),
    ],
    ids=["less", "none"],
)
def test_one_has_the_limits_that_were_asked_for(site, make_space, flags, env):
    """Also where the settings said others when it was made."""
    one, other = make_space("made-small"), make_space("claimed-small")
    assert MADE in text(site.cai("run", *flags, one.path, "--", "true", env=env))
    made = spares.spare(site, {"CONTAINAI_BOX_MEMORY": "1g", "CONTAINAI_BOX_PIDS": "2000"})
    assert TOOK in text(site.cai("run", *flags, other.path, "--", "true", env=env))
    assert spares.is_claimed(other, made)
    cold, claimed = limits_of(one), limits_of(other)
    if "none" in flags:
        # Of what runs, Docker takes no limit away: it is as large as can be (boxes/limits.py).
        for name in ("Memory", "MemorySwap"):
            assert (cold[0].pop(name), claimed[0].pop(name) >= 1 << 62) == (0, True)
    assert cold == claimed
    site.cai("stop", other.path)
    assert limits_of(other)[1] == cold[1]
