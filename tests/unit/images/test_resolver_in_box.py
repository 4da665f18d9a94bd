"""The program in a box on Incus that has /etc/resolv.conf follow networkd, tried outside of one."""

import subprocess

import pytest

from containai.images import incus

PROGRAM = f"{incus.FILES}/rootfs/usr/local/lib/containai/resolver"


@pytest.fixture
def box(tmp_path):
    """A directory in the place of the root directory, and what networkd says in it."""
    for name in ("run/systemd/netif", "var/lib/containai/etc/before", "var/lib/containai/etc/now"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    return tmp_path


def resolves(box, state):
    """Have networkd say something, and the program run; return what resolv.conf is then."""
    if state is not None:
        (box / "run/systemd/netif/state").write_text(state, encoding="utf-8")
    with open(PROGRAM, encoding="utf-8") as file:
        text = file.read()
    for directory in ("/run/", "/var/", "/etc/"):
        text = text.replace(f"={directory}", f"={box}{directory}")
        text = text.replace(f" {directory}", f" {box}{directory}")
    subprocess.run(["sh", "-c", text], check=True)
    path = box / "etc/resolv.conf"
    return path.read_text(encoding="utf-8") if path.exists() else None


def test_what_networkd_says_is_what_is_asked(box):
    state = "OPER_STATE=routable\nDNS=10.0.0.1 fd42::1\nNTP=10.0.0.9\nDOMAINS=incus\n"
    assert resolves(box, state) == "nameserver 10.0.0.1\nnameserver fd42::1\n"
    assert (box / "etc/resolv.conf").stat().st_mode & 0o777 == 0o644
    assert resolves(box, "DNS=10.0.0.2\n") == "nameserver 10.0.0.2\n"
    assert resolves(box, "DNS=10.0.0.2\n") == "nameserver 10.0.0.2\n"


@pytest.mark.parametrize("state", [None, "", "DNS=\n", "OPER_STATE=carrier\n"])
def test_nothing_is_said_yet(box, state):
    assert resolves(box, state) is None
    assert resolves(box, "DNS=10.0.0.1\n") == "nameserver 10.0.0.1\n"
    assert resolves(box, state or "") == "nameserver 10.0.0.1\n"


def test_what_somebody_wrote_stays(box):
    resolves(box, "DNS=10.0.0.1\n")
    (box / "etc/resolv.conf").write_text("nameserver 9.9.9.9\n", encoding="utf-8")
    assert resolves(box, "DNS=10.0.0.2\n") == "nameserver 9.9.9.9\n"
