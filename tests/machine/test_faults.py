"""Faults that only a whole machine has: broken together, each named, and mended at once."""

import json
from typing import NamedTuple

import pytest

from .product import Product

pytestmark = [pytest.mark.machine, pytest.mark.timeout(3600)]

UNITS = "/etc/systemd/system"


class Fault(NamedTuple):
    """What root does to the machine, which check then fails, and a part of what it says."""

    breaks: str
    title: str
    seen: str


FAULTS = (
    Fault(
        f"ln -sf /dev/null {UNITS}/containai-docker.service; systemctl daemon-reload",
        "engine configuration",
        "containai-docker.service",
    ),
    Fault("groupmod --gid 4711 containai", "engine socket", "not containai (4711)"),
    # As a firewall does that is started again.
    Fault("nft flush ruleset", "network", "the table ip cai0"),
    Fault("sysctl --quiet net.ipv4.ip_forward=0", "network", "forwarding"),
    Fault("sysctl --quiet fs.inotify.max_user_instances=128", "kernel limits", "128, wanted 8192"),
    # As an upgrade leaves it that lost power.
    Fault(
        "sed -i '/^Package: dnsmasq-base$/,/^$/s/^Status: .*/Status: install ok unpacked/' "
        "/var/lib/dpkg/status",
        "packages",
        "dnsmasq-base",
    ),
)


def _checks(product: Product, *words: str) -> dict[str, dict[str, str]]:
    said = json.loads(product.cai("doctor", "--json", *words, check=False).stdout)
    return {row["step"]: row for row in said["checks"]}


def _wrong(product: Product, *words: str) -> dict[str, str]:
    found = _checks(product, *words)
    return {title: row["seen"] for title, row in found.items() if row["state"] != "ok"}


def test_faults(running: Product) -> None:
    before, healthy = running.identity(), _wrong(running)
    (box,) = running.boxes()
    started = ("inspect", "--format", "{{.State.StartedAt}}", box["name"])
    since = running.docker(*started)
    for fault in FAULTS:
        running.machine.run(fault.breaks)
    seen = _wrong(running)
    assert [fault for fault in FAULTS if fault.seen not in seen.get(fault.title, "")] == []
    assert _wrong(running, "--fix") == healthy
    assert running.docker(*started) == since
    assert running.identity() == before
    units = ["systemctl", "is-enabled", "containai-docker.service", "containai-network.service"]
    assert running.machine.run(units).stdout == "enabled\nenabled\n"


def test_a_disabled_unit_and_a_clock_that_is_a_year_ahead(set_up: Product) -> None:
    """Nothing of ours sets the clock: what is said is what to do."""
    clock = _checks(set_up)["clock"]
    assert clock["state"] == "ok"
    set_up.machine.run("systemctl disable --quiet containai-docker.service")
    set_up.machine.run("systemctl stop systemd-timesyncd || true; date --set '+1 year'")
    seen = _checks(set_up)
    assert seen["engine configuration"]["state"] == "wrong"
    assert seen["engine configuration"]["seen"] == "not started at boot: containai-docker.service"
    clock = seen["clock"]
    assert (clock["state"], "by the hardware's" in clock["seen"]) == ("wrong", True)
    assert "date --set" in clock["hint"]
    set_up.machine.run("date --set @$(cat /sys/class/rtc/rtc0/since_epoch)")
    mended = json.loads(set_up.cai("doctor", "--fix", "--json").stdout)["checks"]
    assert {row["step"]: row["state"] for row in mended}["clock"] == "ok"
    set_up.machine.run("systemctl is-enabled containai-docker.service")
