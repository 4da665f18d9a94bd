import pytest

from containai.provision import compat
from containai.provision.compat import EMBEDDED, SYSBOX, Facts, Verdict, known
from harness.host import HOST

#: A machine of which no row speaks.
PLAIN = Facts((6, 8), (28, 0, 4), (1, 7, 24), (1, 2, 4), (0, 7, 1))
BREAKS, DOUBTFUL, WORKS = Verdict.BREAKS, Verdict.DOUBTFUL, Verdict.WORKS


def sources(facts, *verdicts):
    return [row.source.rpartition("/")[2] for row in known(SYSBOX, facts, *verdicts)]


def test_what_no_row_knows_is_left_to_the_probe():
    assert known(SYSBOX, PLAIN, *Verdict) == []
    assert known(SYSBOX, Facts(), *Verdict) == []
    assert known(EMBEDDED, PLAIN, *Verdict) == []


@pytest.mark.parametrize(
    ("change", "breaks"),
    [
        ({"kernel": (5, 18)}, ["Sysbox's user guide, host requirements"]),
        ({"kernel": (5, 19)}, []),
        ({"docker": (29, 5, 0), "sysbox": (0, 7, 0)}, ["1011"]),
        ({"docker": (29, 4, 9), "sysbox": (0, 7, 0)}, []),
        ({"docker": (29, 6, 1), "sysbox": (0, 7, 1)}, []),
        ({"sysbox": (0, 6, 7)}, ["973"]),
        ({"sysbox": (0, 7, 0)}, []),
        ({"sysbox": (0, 7, 0), "containerd": (2, 2, 1)}, ["1013"]),
        ({"sysbox": (0, 7, 0), "containerd": (2, 0), "kernel": (6, 7)}, []),
        ({"sysbox": (0, 6, 7), "containerd": (2, 0), "docker": (29, 5)}, ["1011", "973", "1013"]),
        ({"modules": False}, ["sysbox.md"]),
        ({"resource": False}, ["sysbox.md"]),
        ({"nested": True}, ["Sysbox's user guide, limitations"]),
    ],
)
def test_what_breaks(change, breaks):
    assert sources(PLAIN._replace(**change), BREAKS) == breaks


@pytest.mark.parametrize(
    ("change", "doubtful"),
    [
        ({"kernel": (6, 17), "containerd": (2, 2, 1)}, ["1035"]),
        ({"kernel": (6, 17), "containerd": (2, 2, 0)}, []),
        ({"kernel": (6, 16), "containerd": (2, 2, 1)}, []),
        ({"kernel": (7, 0), "containerd": (2, 10)}, ["1035"]),
        ({"fuse_confined": True}, ["947"]),
    ],
)
def test_what_is_doubtful_is_not_refused(change, doubtful):
    facts = PLAIN._replace(**change)
    assert sources(facts, DOUBTFUL) == doubtful
    assert sources(facts, BREAKS) == []


@pytest.mark.parametrize(
    ("facts", "works"),
    [
        (Facts((6, 18), (20, 10, 24), (1, 6, 20), (1, 1, 5)), True),
        (Facts((6, 12), (26, 1, 5), (1, 7, 24), (1, 1, 15)), True),
        (Facts((6, 12), (26, 1, 5), (1, 7, 24), (1, 2, 0)), False),
        (Facts((6, 18), (26, 1, 5), (1, 7, 24), (1, 1, 15)), False),
    ],
)
def test_what_our_own_tests_run_on_works(facts, works):
    assert bool(known(EMBEDDED, facts, WORKS)) is works


def test_the_embedded_runtime_needs_its_kernel():
    assert known(EMBEDDED, Facts((5, 18)), BREAKS)
    assert not known(EMBEDDED, Facts((5, 19)), BREAKS)


@pytest.mark.parametrize("row", SYSBOX + EMBEDDED, ids=lambda row: row.what[:40])
def test_every_row_names_its_source(row):
    assert row.what
    assert row.source


@pytest.mark.parametrize(
    ("printed", "version"),
    [
        ("Docker version 20.10.24+dfsg1, build 297e128", (20, 10, 24)),
        ("Docker version 29.5.0, build 98f1464", (29, 5, 0)),
        ("containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+b1", (1, 6, 20)),
        ("containerd github.com/containerd/containerd/v2 v2.2.1 dea7da592f5", (2, 2, 1)),
        ("runc version 1.1.5+ds1\ncommit: 1.1.5+ds1-1+deb12u1\nspec: 1.0.2-dev", (1, 1, 5)),
        ("sysbox-runc\n\tedition: \tCE\n\tversion: \t0.7.1\n\tcommit: \t1a2", (0, 7, 1)),
        ("runc version 1.3\n", (1, 3)),
        ("", ()),
        ("not found", ()),
    ],
)
def test_versions_are_read(printed, version):
    assert compat.parse_version(printed) == version


def test_a_program_that_is_missing_or_says_nothing_has_no_version(tmp_path):
    assert compat.version_of(HOST, str(tmp_path / "nothing")) == ()
    said = tmp_path / "said"
    said.write_text("#!/bin/sh\nexit 1\n")
    said.chmod(0o755)
    assert compat.version_of(HOST, str(said)) == ()
    said.write_text("#!/bin/sh\necho Docker version 26.1.5+dfsg1, build a72d7cd\n")
    assert compat.version_of(HOST, str(said)) == (26, 1, 5)


def test_a_missing_capability_is_seen():
    status = "Name:\tx\nCapBnd:\t{}\nCapAmb:\t0000000000000000\n"
    assert compat.may(status.format("000001ffffffffff"), 24)
    assert not compat.may(status.format("000001fffeffffff"), 24)
    assert compat.may("", 24)


def test_a_container_of_sysbox_knows_itself():
    inside = "90 80 0:50 /proc/sys /proc/sys rw,nosuid - fuse sysboxfs rw,user_id=0\n"
    outside = "90 80 0:50 / /var/lib/sysboxfs/1234 rw,nosuid - fuse sysboxfs rw,user_id=0\n"
    assert compat.in_sysbox(inside)
    assert not compat.in_sysbox(outside)


def test_this_machine_is_read():
    facts = compat.gather(HOST, (0, 7, 1))
    assert facts.kernel >= (5, 19)
    assert facts.sysbox == (0, 7, 1)
    assert facts.nested is False
