"""Boxes on a server of Incus that the product prepared, of `admin` on the same machine."""

from __future__ import annotations

import json

import pytest

from .machine import Result
from .product import HOME, IN_BOX, PROJECT, SLOW
from .served import INCUS, POOL, TOKEN, URL, Served

pytestmark = [pytest.mark.machine, pytest.mark.timeout(3600)]

#: What is a box's own.
IDENTITY = "hostname; cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub /proc/self/uid_map"
#: What its Docker has made.
INNER = "test -e ~/inner; docker run --rm built busybox echo inner"


def test_a_box_lives_there_and_goes_without_a_trace(served: Served) -> None:
    """Plain ssh, its own Docker, limits, off and on, forks, snapshots; gone on both sides."""
    name, machine = served.name, served.machine
    script = f"ssh {name} 'id -un; hostname; pwd'; scp -q a {name}:/tmp/x; ssh {name} cat /tmp/x"
    said = machine.run(f"cd {PROJECT}; {script}", user="admin", timeout=SLOW).stdout.split()
    assert said == ["agent", name, "/home/agent/workspace", "one", "two"]
    # From inside an unprivileged one it cannot be read.
    pid = f"{INCUS} info {name} | sed -n 's/^PID: //p'"
    profile = machine.run(f"cat /proc/$({pid})/attr/current", timeout=SLOW).stdout
    assert profile.startswith(f"incus-boxes_{name}_")
    machine.run(f"cd {PROJECT}; scp -q busybox {name}:workspace/busybox", user="admin")
    build = 'printf "FROM busybox\\nRUN [\\"busybox\\", \\"true\\"]\\n" | docker build -qt built -'
    served.sh(f"{IN_BOX}; {build}; touch ~/inner")
    served.cai("stop", ".")
    assert served.product.boxes()[0]["status"] == "stopped"
    served.cai("limit", "--memory", "1g", ".")
    assert served.sh(f"grep -o '[0-9]*' /proc/meminfo | head -1; {INNER}") == "1048576\ninner"
    _forked_and_put_back(served, name)
    refused = served.cai("move", name, "--to", "node2", check=False)
    assert refused.returncode == 33
    assert "is one server, not a cluster" in refused.stderr
    served.cai("rm", "--yes", ".")
    assert served.left(name) == []


def _forked_and_put_back(served: Served, name: str) -> None:
    """Have a fork beside a box, with all that it has but its identity; and the box as it was."""
    served.cai("snapshot", "add", name, "before")
    fork = served.cai("fork", name).stdout.strip()
    mine = served.sh(IDENTITY).splitlines()
    *its, inner = served.sh(f"{IDENTITY}; {INNER}", "--name", fork).splitlines()
    assert (its[0], inner) == (fork, "inner")
    assert [a for a, b in zip(mine, its, strict=True) if a == b] == []
    served.cai("rm", "--yes", "--name", fork)
    served.sh("rm ~/inner; docker rmi -f built")
    served.cai("snapshot", "restore", "--yes", name, "before")
    assert served.sh(INNER) == "inner"


#: What an agent leaves for whoever runs git in its repository.
PLANT = """
for hook in post-merge post-checkout post-commit pre-commit pre-push reference-transaction; do
    printf '#!/bin/sh\\ntouch /tmp/hook\\n' >.git/hooks/$hook; chmod +x .git/hooks/$hook
done
git config core.fsmonitor 'touch /tmp/fsmonitor; false'
git config user.name agent; git config user.email agent@example.com
echo three >d; git add d; git commit -qm two; echo four >>b
ls /tmp/hook /tmp/fsmonitor; rm /tmp/hook /tmp/fsmonitor
"""


def test_work_goes_out_and_comes_back(served: Served) -> None:
    """A git workspace with changes on both sides; what the box plants does not run here."""
    name, machine = served.name, served.machine
    seen = served.sh("git status --short; git log --format=%s; cat a; ls c 2>/dev/null || :")
    assert seen.splitlines() == ["M a", "?? b", "one", "one", "two"]
    # Inside, it bites.
    assert served.sh(PLANT).splitlines() == ["/tmp/fsmonitor", "/tmp/hook"]
    machine.run(f"echo five >{PROJECT}/e", user="admin")
    refused = served.cai("rm", ".", check=False)
    assert refused.returncode == 1
    assert "not fetched of its work are commits: 1, changed files: 2" in refused.stderr
    served.cai("pull", "--merge", ".")
    here = "git log --format=%s; git status --short; cat b d e; ls /tmp/hook /tmp/fsmonitor || :"
    came = machine.run(f"cd {PROJECT}; {here}", user="admin").stdout.splitlines()
    assert came == ["two", "one", " M a", "?? b", "?? e", "new", "four", "three", "five"]
    served.cai("push", ".")
    assert served.sh("cat e") == "five"
    machine.run("test ! -e /tmp/hook; test ! -e /tmp/fsmonitor")
    served.cai("rm", ".")
    assert served.left(name) == []


#: What a new box is made in, in order, once its image is there (`Served.make`).
STEPS = (
    "containai.away.incus:IncusPlace.create",
    "containai.away.incus:IncusPlace.put",
    "containai.away.incus:IncusPlace.finish",
    "containai.away.incus:IncusPlace.start",
    "containai.away.lifecycle:AwayBoxes._connect",
)
SEND = "containai.transfer.exchange:push"


def test_a_server_that_is_killed_full_or_off(served: Served) -> None:
    """Whatever step of a first run is cut off, the next run ends right; what cannot is said."""
    name, machine = served.name, served.machine
    served.cai("rm", "--yes", ".")
    machine.run(f"head -c 16M /dev/urandom >{PROJECT}/big", user="admin")
    for step in STEPS:
        # Each goes on behind what was done before, up to here.
        _died(served.dying(step), step)
    # btrfs has less room than it says.
    most = f"fallocate -l $(($(stat -f -c '%a * %S' {POOL}) - (256 << 20))) {POOL}/most"
    rest = f"head -c 1G /dev/zero >{POOL}/rest 2>/dev/null || truncate -s -8M {POOL}/rest"
    machine.run(f"{most}; {rest}; sync", timeout=SLOW)
    on = ("run", "--on", "work", ".", "--", "sh", "-c", "git status --short; cat a; wc -c <big")
    full = served.cai(*on, check=False)
    assert full.returncode == 20, full.stderr
    machine.run(f"rm {POOL}/most {POOL}/rest; sync")
    _died(served.dying(SEND), SEND)
    whole = [" M a", "?? b", "?? big", "one", "two", str(16 << 20)]
    assert served.cai(*on).stdout.splitlines() == whole
    there = f"{INCUS} list --format csv --columns ns; {INCUS} image list --format csv | wc -l"
    assert machine.run(there).stdout == f"{name},RUNNING\n1\n"
    served.cai("rm", "--yes", ".")
    assert served.left(name) == []
    machine.run("systemctl stop incus.socket incus", timeout=SLOW)
    assert "work: the server does not answer" in served.cai("ls").stderr
    assert served.cai(*on, check=False).returncode == 31


def _died(done: Result, step: str) -> None:
    """Have it said in one line, where what was begun did not end all the same."""
    assert done.returncode in (0, 11, 13, 31), (step, done)
    assert done.returncode == 0 or "\ncai: " in done.stderr, (step, done)


#: What is asked for in the name of a box that has nothing, by what else it is to have.
MAKE = {"name": "forbidden", "source": {"type": "none"}}
#: What a restricted certificate is not good for: method, path and body.
FORBIDDEN = [
    *(
        ("POST", "/instances?project=boxes", MAKE | more)
        for more in (
            {"config": {"security.privileged": "true"}},
            {"config": {"raw.lxc": "lxc.hook.pre-start=/bin/true"}},
            {"devices": {"x": {"type": "disk", "source": "/", "path": "/x"}}},
            {"devices": {"x": {"type": "unix-char", "source": "/dev/kmsg", "path": "/dev/kmsg"}}},
            {"devices": {"x": {"type": "proxy", "listen": "tcp:127.0.0.1:9",
                               "connect": "tcp:127.0.0.1:22"}}},
        )
    ),
    ("POST", "/instances?project=default", MAKE),
    ("PATCH", "/projects/boxes", {"config": {"restricted": "false"}}),
    ("PATCH", "", {"config": {"core.https_address": ":9"}}),
    ("DELETE", "/networks/incusbr0", {}),
    ("POST", "/storage-pools", {"name": "own", "driver": "dir"}),
    ("POST", "/certificates", {"type": "client", "token": True, "name": "own"}),
]  # fmt: skip
#: Asks with the user's certificate for what it reads, and says the statuses.
ASK = f"""
import http.client, json, ssl, sys
context = ssl._create_unverified_context()
context.load_cert_chain(*(f"{HOME}/.config/containai/client.{{each}}" for each in ("crt", "key")))
for method, path, body in json.load(sys.stdin):
    server = http.client.HTTPSConnection("127.0.0.1", 8443, context=context)
    server.request(method, "/1.0" + path, json.dumps(body))
    print(server.getresponse().status)
"""


def test_who_is_who(served: Served) -> None:
    """Rights, tokens, certificates; and what a server has again after it was started anew."""
    machine = served.machine
    rows = [("POST", "/instances?project=boxes", MAKE), *FORBIDDEN]
    asking = machine.run(["python3", "-c", ASK], user="admin", stdin=json.dumps(rows), timeout=SLOW)
    allowed, *refused = map(int, asking.stdout.split())
    assert allowed == 202
    assert [(row, code) for row, code in zip(FORBIDDEN, refused, strict=True) if code < 400] == []
    machine.run(f"{INCUS} delete forbidden", timeout=SLOW)
    again = served.cai(
        "remote", "add", "own", URL, "--token", served.token(), user="root", check=False
    )
    assert again.returncode == 31
    assert "the server knows no such token: it was used before" in again.stderr
    assert "trusted already" in machine.run(f"sh {HOME}/prepare", timeout=SLOW).stderr
    machine.run("incus config trust remove $(incus config trust list --format csv --columns f)")
    # What is connected stays so.
    unknown = served.cai("stop", ".", check=False)
    assert unknown.returncode == 31
    assert "cai remote add" in unknown.stderr
    machine.run(f"sh {HOME}/prepare >{TOKEN}", timeout=SLOW)
    served.cai("remote", "add", "work", "--token", served.token())
    # As where a cluster is enabled: the server has another certificate.
    machine.run("rm /var/lib/incus/server.crt /var/lib/incus/server.key")
    machine.reboot()
    machine.run("systemctl is-active containai-boxes@incusbr0.service incus", timeout=SLOW)
    rules = machine.run("nft list ruleset").stdout
    assert "table inet containai-incusbr0" in rules
    assert "table bridge containai-incusbr0" in rules
    other = served.cai("run", ".", "--", "true", check=False)
    assert other.returncode == 32
    shown = machine.run("openssl x509 -in /var/lib/incus/server.crt -noout -fingerprint -sha256")
    pin = shown.stdout.partition("=")[2].strip()
    assert pin.replace(":", "").lower() in other.stderr
    served.cai("remote", "add", "work", "--fingerprint", pin)
    assert served.sh("cat a") == "one\ntwo"
    assert "what the profile closes: system calls" in served.cai("remote", "doctor", "work").stdout
