"""Holes of the kernel."""

import gzip

import pytest

from containai.attack import facts
from containai.attack.outside import kernel
from containai.attack.probe import Unverified

TRIXIE = "#1 SMP PREEMPT_DYNAMIC Debian 6.12.48-1 (2025-09-20)"

HOLES = {each.name: each for each in kernel.HOLES}


@pytest.mark.parametrize(
    ("hole", "release", "version", "bad"),
    [
        ("dirty-cow", "4.4.25", "", True),
        ("dirty-cow", "4.4.26", "", False),
        ("dirty-cow", "4.8.2", "", True),
        ("dirty-cow", "4.9.0", "", False),
        ("dirty-pipe", "5.7.19", "", False),
        ("dirty-pipe", "5.8.1", "", True),
        ("dirty-pipe", "5.15.24", "", True),
        ("dirty-pipe", "5.15.25", "", False),
        ("dirty-pipe", "5.10.0-11-amd64", "#1 SMP Debian 5.10.92-1 (2022-01-18)", True),
        ("dirty-pipe", "5.10.0-12-amd64", "#1 SMP Debian 5.10.103-1 (2022-03-07)", False),
        ("packet-socket", "6.12.41+deb13-amd64", "", True),
        ("packet-socket", "6.12.48+deb13-amd64", TRIXIE, False),
        ("packet-socket", "6.18.44-fc-v782", "#1 SMP @0", False),
        ("nf-tables", "6.1.75", "", True),
        ("nf-tables", "6.8.0-31-generic", "#31-Ubuntu SMP", False),
        ("dirty-frag", "6.12.86", "", True),
        ("dirty-frag", "6.19.14", "", True),
        ("dirty-frag", "6.18.44-fc-v782", "#1 SMP @0", False),
    ],
)
def test_kernel_versions(hole, release, version, bad):
    assert kernel.judged(HOLES[hole], release, version, "").found is bad


@pytest.mark.parametrize("release", ["6.1.0-31-generic", "5.14.0-427.el9.x86_64", "unknown"])
def test_kernel_that_does_not_say_is_not_fine(release):
    with pytest.raises(Unverified):
        kernel.judged(HOLES["nf-tables"], release, "#31-Ubuntu SMP", "CVE-2024-10860")


def test_kernel_whose_distribution_says_it_is_mended(tmp_path):
    release = "6.1.0-31-generic"
    directory = tmp_path / f"linux-modules-{release}"
    directory.mkdir()
    with gzip.open(directory / "changelog.Debian.gz", "wt") as file:
        file.write("linux (6.1.0-31.31)\n\n  * CVE-2024-1086\n    - netfilter: nf_tables: x\n")
    text = facts.changelog(release, str(tmp_path))
    assert kernel.judged(HOLES["nf-tables"], release, "#31-Ubuntu SMP", text).found is False
    assert facts.changelog("other", str(tmp_path)) == ""
