"""Runs every probe of this package and prints what each saw, a line of JSON each."""

import json
import signal
import sys

from containai.attack.inside import (
    addresses,
    cgroups,
    devices,
    ids,
    kernel_files,
    mounts,
    network,
    processes,
    quotas,
)
from containai.attack.probe import INSIDE, Probe, Unverified

#: The modules that have probes; importing them fills INSIDE.
MODULES = (ids, devices, kernel_files, mounts, cgroups, processes, network, addresses, quotas)
#: How long one probe may take, in seconds.
TIMEOUT = 120


def _late(signum: int, frame: object) -> None:
    raise Unverified(f"no answer within {TIMEOUT} s")


def look_at(probe: Probe) -> dict[str, str]:
    """Return what a probe saw, as it is printed."""
    try:
        signal.alarm(TIMEOUT)
        seen = probe.check()
        status, text = ("found" if seen.found else "ok"), seen.text
    except Unverified as why:
        status, text = "unverified", str(why)
    except Exception as why:  # any failure of a probe is its answer, and the next one runs
        status, text = "unverified", f"{type(why).__name__}: {why}"
    finally:
        signal.alarm(0)
    return {"probe": probe.name, "status": status, "seen": text}


def main() -> None:
    """Run them all."""
    signal.signal(signal.SIGALRM, _late)
    for probe in INSIDE:
        sys.stdout.write(json.dumps(look_at(probe)) + "\n")
        sys.stdout.flush()
