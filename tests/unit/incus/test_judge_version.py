"""What is said of a server's version: that it is too old, that holes are known, what it can."""

import pytest

from containai.incus import holes
from containai.incus.holes import HOLES, PACKAGED
from containai.incus.server import Project
from containai.incus.sight import Unseen
from containai.layout import REMOTE_PACKAGE
from containai.work.actions import State

from .of_places import ABOUT, CONFIG
from .test_judge import only, said


def of(version, package="", **changes):
    """Return what is said of holes."""
    project = Project("boxes", "", CONFIG | {REMOTE_PACKAGE: package})
    about = ABOUT._replace(version=version)
    return said(**{"about": about, "project": project} | changes)["known holes"]


@pytest.mark.parametrize(
    ("version", "state"),
    [
        ("6.0.3", State.WRONG), ("5.21", State.WRONG), ("6.0.4", State.OK), ("6.0.6", State.OK),
        ("6.14", State.NONE), ("7.0.2", State.OK), ("7.3", State.OK), ("8.0", State.UNKNOWN),
        ("x", State.UNKNOWN), ("6..4", State.UNKNOWN), ("6.0.4-2", State.UNKNOWN),
    ],
)  # fmt: skip
def test_versions(version, state):
    assert said(about=ABOUT._replace(version=version))["version"].state is state


def test_another_kind_of_server():
    found = said(about=ABOUT._replace(kind="lxd"))
    assert "lxd is no Incus" in found["version"].seen
    assert (found["version"].state, found["known holes"].state) == (State.WRONG, State.UNKNOWN)


def test_extensions():
    about = ABOUT._replace(extensions=ABOUT.extensions - {"operation_wait"})
    assert only(State.WRONG, about=about).seen == "operation_wait missing"
    about = ABOUT._replace(extensions=ABOUT.extensions - {"instance_port_forward"})
    assert "reached by an exec" in said(about=about)["extensions of its API"].seen


@pytest.mark.parametrize("version", ["7.6", "7.7.1", "7.0.3", "6.0.8", "8.1"])
def test_a_version_without_known_holes(version):
    assert of(version).ok


@pytest.mark.parametrize(
    ("version", "cve", "more"),
    [
        ("7.5", "CVE-2026-130773", ""),
        ("6.0.7", "CVE-2026-130773", ""),
        ("7.0.1", "CVE-2026-130773", "and 2 of before"),
        ("6.14", "CVE-2026-130773", f"and {len(HOLES) - 1} of before"),
        ("6.0.5", "CVE-2026-130773", f"and {len(HOLES) - 1} of before"),
    ],
)
def test_a_version_with_known_holes_is_wrong(version, cve, more):
    found = of(version)
    assert (found.state, found.hint) == (State.WRONG, "upgrade the server")
    assert cve in found.seen
    assert more in found.seen
    assert HOLES[0].gives in found.seen


@pytest.mark.parametrize(
    "package",
    [
        "6.0.4-2+deb13u12", "6.0.4-2+deb13u13", "6.0.4-2+deb13u12~bpo12+1", "6.0.4-3",
        "7.0.2-3~bpo13+1", "7.0.2-4",
    ],
)  # fmt: skip
def test_a_package_of_debians_that_is_mended(package):
    found = of(package.partition("-")[0], package)
    assert (found.ok, package in found.seen) == (True, True)


@pytest.mark.parametrize(
    "package", ["6.0.4-2+deb13u11", "6.0.4-2", "6.0.4-2~bpo12+1", "7.0.2-2~bpo13+1"]
)
def test_of_one_that_was_not_when_it_was_noted_nobody_knows_what_is_there_now(package):
    found = of(package.partition("-")[0], package)
    assert found.is_unknown
    assert found.seen.startswith(f"{package} has CVE-2026-130773")
    assert "incus project set boxes" in found.hint
    assert "apt-get install incus-base" in found.hint


@pytest.mark.parametrize("package", ["", "installed", "7.0.2-9", "6.0.40-9"])
def test_a_package_that_was_not_noted_or_is_of_another_version_mends_nothing(package):
    assert of("6.0.4", package).seen.startswith("6.0.4 has CVE-")


def test_nothing_noted_is_said_where_the_project_is_not_seen():
    assert "incus project set PROJECT" in of("6.0.4", project=Unseen("403")).hint
    assert of("x").is_unknown


def test_every_hole_is_mended_in_something_newer_and_the_newest_is_first():
    assert [each.cve for each in HOLES] == sorted(
        (each.cve for each in HOLES), key=lambda cve: int(cve.rpartition("-")[2]), reverse=True
    )
    for each in HOLES:
        assert each not in holes.known(max(each.fixed))
        assert each in holes.known((6, 0, 4))
        assert each.packages[0].startswith("6.0.4-")
    for version in PACKAGED:
        named = ".".join(map(str, version))
        assert any(p.startswith(f"{named}-") for each in HOLES for p in each.packages)
