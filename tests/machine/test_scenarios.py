"""What people's servers do to `cai setup`."""

import pytest

from .product import Product

pytestmark = [pytest.mark.machine, pytest.mark.timeout(3600)]


def test_no_network(installed: Product) -> None:
    # All but the harness's own connection.
    rules = ("ip daddr 10.0.2.2 tcp sport 22 accept", "oif lo accept", "drop")
    installed.machine.run(
        "nft 'add table ip cut; add chain ip cut out { type filter hook output priority 0; }; "
        + "; ".join(f"add rule ip cut out {rule}" for rule in rules)
        + "'"
    )
    failed = installed.cai("setup", "--yes", "--runtime", "embedded", check=False)
    assert failed.returncode == 1, failed.stderr
    assert "The package lists could not be fetched" in failed.stderr
    installed.machine.run("! command -v dockerd; test ! -e /usr/sbin/policy-rc.d")


def test_disk_too_full_for_setup(installed: Product) -> None:
    machine = installed.machine
    machine.run("fallocate -l $(($(stat -f -c '%f * %S' /) - (40 << 20))) /full")
    failed = installed.cai("setup", "--yes", "--runtime", "embedded", check=False)
    assert failed.returncode == 20, failed.stderr
    machine.run("rm /full; ! command -v dockerd; test ! -e /usr/sbin/policy-rc.d")
