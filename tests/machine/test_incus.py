"""Boxes on an Incus server that the product prepared: the client is `admin`, on the same machine.

The image is the engine's, packed and brought there by cai. A draft that never ran as a whole: only
where CONTAINAI_TEST_INCUS is set.
"""

from __future__ import annotations

import json
import os
import shlex
import time
from typing import TYPE_CHECKING

import pytest

from containai.incus import prepare

from .product import HOME, PROJECT, SLOW, Product

if TYPE_CHECKING:
    from .conftest import States

pytestmark = [
    pytest.mark.machine,
    pytest.mark.timeout(7200),
    pytest.mark.skipif("CONTAINAI_TEST_INCUS" not in os.environ, reason="it is a draft"),
]

URL = "https://127.0.0.1:8443"
WANTED = prepare.Wanted("admin", subnet="10.77.0.1/24", size="12GiB")
#: Words of incus, as root of the server, in the project.
INCUS = f"incus --project {WANTED.project}"
REPOSITORY = """
git init -q -b main .; git config user.name admin; git config user.email admin@example.com
echo one >a; git add a; git commit -qm one
echo two >>a; echo new >b; echo no >c; echo c >.gitignore
"""


def _prepare(product: Product) -> str:
    """Prepare the server; return the user's token."""
    script = f"export DEBIAN_FRONTEND=noninteractive\n{prepare.script(WANTED)}"
    return product.machine.run(script, timeout=SLOW).stdout.split()[-1]


@pytest.fixture
def served(states: States) -> Product:
    """A server that cai and Incus are on, which admin has added as `work`."""

    def add() -> None:
        token = _prepare(states.product)
        states.product.cai("remote", "add", "work", URL, "--token", token)

    return states._reach("incus", states.set_up, add)


def _on(product: Product, script: str) -> str:
    """Run a script in the project's box on the server, made where need be."""
    words = ("run", "--on", "work", ".", "--", "sh", "-euc", script)
    return product.cai(*words).stdout.strip()


def _name(product: Product) -> str:
    (box,) = (each for each in product.boxes() if each["on"] == "work")
    return str(box["name"])


def _left(product: Product) -> tuple[str, str]:
    """Return what is left of boxes: on the server, and of the user's."""
    there = product.machine.run(f"{INCUS} list --format csv --columns n").stdout
    state = f"{HOME}/.local/state/containai"
    here = product.machine.run(
        f"cat {HOME}/.config/containai/known_hosts; ls {HOME}/.ssh/containai.d | grep conf$; "
        f"ls -A {state}/transfer | grep -v lock$; cat {state}/away.json",
        check=False,
    ).stdout
    return there, here


def test_a_box_from_nothing_to_nothing(served: Product) -> None:
    """All of a box's life: made, entered by plain ssh, its own Docker, limits, off and on, gone."""
    assert _on(served, "id -un; pwd") == "agent\n/home/agent/workspace"
    name = _name(served)
    assert served.cai("run", ".", "--", "hostname").stdout.strip() == name
    ssh = served.machine.run(f"ssh {name} id -u", user="admin", timeout=SLOW)
    assert ssh.stdout.strip() == "1000"
    copy = f"echo x >{HOME}/x; scp -q {HOME}/x {name}:/tmp/x; ssh {name} cat /tmp/x"
    assert served.machine.run(copy, user="admin", timeout=SLOW).stdout.strip() == "x"
    served.machine.run(f"scp -q {PROJECT}/busybox {name}:busybox", user="admin", timeout=SLOW)
    nested = (
        "cd; mkdir -p i/bin; cp busybox i/bin/; ln -sf busybox i/bin/sh; "
        "tar -C i -c . | docker import - busybox >/dev/null; "
        "docker run --rm busybox busybox echo nested; "
        'printf "FROM busybox\\nRUN [\\"busybox\\", \\"true\\"]\\n" | docker build -q - >/dev/null'
    )
    assert served.cai("exec", ".", "--", "sh", "-euc", nested).stdout.strip() == "nested"
    served.cai("limit", "--memory", "1g", "--cpus", "1", ".")
    total = served.cai("exec", ".", "--", "sh", "-c", "nproc; grep MemTotal /proc/meminfo").stdout
    assert total.split() == ["1", "MemTotal:", str(1 << 20), "kB"]
    served.cai("stop", ".")
    assert served.boxes()[0]["status"] == "stopped"
    kept = "test -f ~/busybox; docker run --rm busybox busybox true"
    served.cai("exec", ".", "--", "sh", "-euc", kept)
    _forked_and_put_back(served, name, kept)
    served.cai("rm", "--yes", ".")
    assert _left(served) == ("", "")


def _forked_and_put_back(served: Product, name: str, kept: str) -> None:
    """Have a fork beside a box, with all that it has but its identity; and the box as it was."""
    served.cai("snapshot", "add", name, "before")
    fork = served.cai("fork", name).stdout.strip()
    served.cai("exec", "--name", fork, "--", "sh", "-euc", kept)
    own = "hostname; cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub; cat /proc/self/uid_map"
    mine, its = (
        served.cai("exec", "--name", each, "--", "sh", "-c", own).stdout.splitlines()
        for each in (name, fork)
    )
    assert its[0] == fork
    assert [a for a, b in zip(mine, its, strict=True) if a == b] == []
    served.cai("exec", ".", "--", "sh", "-c", "rm ~/busybox; docker rmi -f busybox")
    served.cai("snapshot", "restore", "--yes", name, "before")
    served.cai("exec", ".", "--", "sh", "-euc", kept)
    refused = served.cai("move", name, "--to", "node2", check=False)
    assert refused.returncode == 33
    assert "is one server, not a cluster" in refused.stderr
    served.cai("rm", "--yes", "--name", fork)


def test_work_goes_out_and_comes_back(served: Product) -> None:
    """A git workspace with changes on both sides; what the box plants does not run here."""
    served.machine.run(f"cd {PROJECT}; {REPOSITORY}", user="admin")
    assert _on(served, "git status --short; cat a; ls c || :").split("\n")[:3] == [
        "M a", "?? b", "one",
    ]  # fmt: skip
    plant = "; ".join(
        f"printf '#!/bin/sh\\ntouch /tmp/planted\\n' >.git/hooks/{hook}; chmod +x .git/hooks/{hook}"
        for hook in ("post-merge", "post-checkout", "reference-transaction", "pre-commit")
    )
    served.cai(
        "exec", ".", "--", "sh", "-euc",
        f"{plant}; git config core.fsmonitor 'touch /tmp/planted'; git config user.name agent; "
        "git config user.email agent@example.com; echo three >d; git add d; git commit -qm two; "
        "echo four >>b; test -e /tmp/planted; rm /tmp/planted",
    )  # fmt: skip
    refused = served.cai("rm", ".", check=False)
    assert refused.returncode == 1
    served.cai("pull", "--merge", ".")
    served.machine.run(
        f"cd {PROJECT}; test ! -e /tmp/planted; grep -q three d; grep -q four b; "
        "git log --format=%s | grep -qx two; git status --short | grep -q '^ M a'",
        user="admin",
    )
    served.machine.run(f"echo five >>{PROJECT}/a", user="admin")
    served.cai("push", ".")
    assert "five" in served.cai("exec", ".", "--", "cat", "a").stdout
    served.cai("rm", ".")
    assert _left(served) == ("", "")


def test_what_goes_wrong_is_said_and_a_second_try_ends(served: Product) -> None:
    """A token twice, the server ended at each moment, a full pool, a certificate taken back."""
    machine = served.machine
    again = machine.run(
        f"{prepare.commands(WANTED)[-1].argv[-1]}", timeout=SLOW, check=False
    )  # the user is trusted: none is given
    assert "trusted already" in again.stderr
    for seconds in (1, 4, 8, 16, 30):
        words = shlex.join((f"{HOME}/.local/bin/cai", "run", "--on", "work", ".", "--", "true"))
        machine.run(
            f"cd {PROJECT}; {words} >/tmp/said 2>&1 & p=$!; sleep {seconds}; kill -9 $p || :",
            user="admin",
            timeout=SLOW,
            check=False,
        )
        machine.run("systemctl kill --signal KILL incus; systemctl restart incus", timeout=SLOW)
        assert _on(served, "echo there") == "there"
        served.cai("rm", "--yes", ".")
        assert _left(served)[0] == ""
    machine.run("systemctl stop incus.socket incus")
    begun = time.monotonic()
    listed = served.cai("ls")
    assert "work: the server does not answer" in listed.stderr
    assert time.monotonic() - begun < SLOW / 10
    assert served.cai("run", "--on", "work", ".", "--", "true", check=False).returncode == 31
    machine.run("systemctl start incus.socket incus", timeout=SLOW)
    _on(served, "true")
    fill = "fallocate -l 20G ~/full || head -c 20G /dev/zero >~/full || :; sync"
    served.cai("exec", ".", "--", "sh", "-c", fill, check=False)
    full = served.cai("run", "--on", "work", "--name", "other", ".", "--", "true", check=False)
    assert full.returncode in (0, 20, 27), full.stderr
    served.cai("rm", "--yes", "--name", "other", check=False)
    served.cai("rm", "--yes", ".")
    found = json.loads(machine.run("incus query /1.0/certificates?recursion=1").stdout)
    for each in found:
        machine.run(f"incus config trust remove {each['fingerprint']}")
    refused = served.cai("run", "--on", "work", ".", "--", "true", check=False)
    assert refused.returncode == 31
    assert "cai remote add" in refused.stderr
