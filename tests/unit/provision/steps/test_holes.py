"""Which versions of runc, containerd and Docker have a known hole that matters."""

import pytest

from containai.attack.holes import CONTAINERD, DOCKER, RUNC
from containai.provision.steps.holes import judged

DEBIAN_12 = "runc version 1.1.5+ds1\ncommit: 1.1.5+ds1-1+deb12u1\n"
NEW, CONTAINERD_NEW, DOCKER_NEW = "runc version 1.4.0\n", (2, 2, 1), (29, 5, 0)


@pytest.mark.parametrize(
    ("runc", "cves"),
    [
        ("runc version 1.0.0-rc6\n", {"2019-5736", "2021-30465", "2024-21626"}),
        ("runc version 1.1.11\n", {"2024-21626"}),
        ("runc version 1.1.5+ds1\ncommit: 1.1.5+ds1-1\n", {"2024-21626"}),
    ],
)
def test_a_hole_by_which_a_container_got_out_is_wrong(runc, cves):
    found = judged(runc, CONTAINERD_NEW, DOCKER_NEW)
    assert not found.ok
    assert {hole.cve for hole in RUNC if hole.cve in found.seen} == {f"CVE-{each}" for each in cves}
    assert "update runc" in found.hint


@pytest.mark.parametrize(
    ("runc", "containerd", "docker", "named"),
    [
        (NEW, CONTAINERD_NEW, DOCKER_NEW, set()),
        ("runc version 1.3.2\n", CONTAINERD_NEW, DOCKER_NEW, {hole.cve for hole in RUNC[3:]}),
        (NEW, (1, 7, 28), DOCKER_NEW, {"CVE-2024-25621", "CVE-2025-64329"}),
        (NEW, (1, 7, 29), DOCKER_NEW, set()),
        (NEW, (1, 6, 4), DOCKER_NEW, {hole.cve for hole in CONTAINERD}),
        (NEW, CONTAINERD_NEW, (26, 1, 4), {"CVE-2024-41110"}),
        (NEW, CONTAINERD_NEW, (26, 1, 5), set()),
        (NEW, CONTAINERD_NEW, (28, 3, 2), {"CVE-2025-54388"}),
        (NEW, CONTAINERD_NEW, (28, 1, 1), set()),
        (NEW, CONTAINERD_NEW, (20, 10, 24), {"CVE-2024-29018", "CVE-2024-41110"}),
    ],
)
def test_what_is_nothing_to_a_box_is_named_with_the_reason(runc, containerd, docker, named):
    found = judged(runc, containerd, docker)
    assert found.ok
    every = {hole.cve for hole in (*RUNC, *CONTAINERD, *DOCKER)}
    assert {cve for cve in every if cve in found.seen} == named
    assert (found.seen == "no known hole") is (not named)


def test_a_distributions_mended_package_is_fine():
    assert judged(DEBIAN_12, CONTAINERD_NEW, DOCKER_NEW).ok


@pytest.mark.parametrize(
    ("runc", "containerd", "docker"),
    [("", CONTAINERD_NEW, DOCKER_NEW), (NEW, (), DOCKER_NEW), (NEW, CONTAINERD_NEW, ())],
)
def test_a_version_that_nobody_knows_is_not_fine(runc, containerd, docker):
    found = judged(runc, containerd, docker)
    assert not found.ok
    assert "does not say its version" in found.seen
