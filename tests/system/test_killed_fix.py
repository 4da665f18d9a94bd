"""`cai doctor --fix`, killed at whatever moment: run once more, to its end, all is right.

A seed that is printed says when; CONTAINAI_KILLED_SEED repeats it. CONTAINAI_KILLED_ROUNDS is how
many rounds there are.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import time

import pytest

from harness.faults import AGREED, Kept, checks
from harness.site import text
from harness.waiting import until

SEED = int(os.environ.get("CONTAINAI_KILLED_SEED", "0")) or random.SystemRandom().randrange(
    1, 10**6
)
ROUNDS = int(os.environ.get("CONTAINAI_KILLED_ROUNDS", "2"))
#: How often it is tried to kill one before it is done.
ATTEMPTS = 5
#: What is seen as wrong once all is broken; entries of boxes that are gone, once the engine runs.
BROKEN = {"engine configuration", "network", "engine", "runtime cai-runc", "Docker context", "ssh"}


def break_all(site, box):
    """Break much of a set-up, and kill its dockerd; boxes live on."""
    layout = site.layout
    shutil.copy(layout.ssh_block(box), layout.ssh_block("gone"))
    with open(layout.known_hosts, "a", encoding="utf-8") as file:
        file.write("containai-gone-too ssh-ed25519 AAAA\n")
    os.chmod(layout.ssh_key, 0o644)
    os.unlink(layout.ssh_config)
    shutil.rmtree(f"{layout.home}/.docker/contexts", ignore_errors=True)
    for path in (layout.network_program, layout.runtime_program):
        with open(path, "a", encoding="utf-8") as file:
            file.write("# changed\n")
    with open(layout.engine_config, encoding="utf-8") as file:
        config = json.load(file)
    with open(layout.engine_config, "w", encoding="utf-8") as file:
        json.dump(config | {"debug": True}, file)
    subprocess.run(["nft", "flush", "chain", "ip", layout.bridge, "postrouting"], check=True)
    with open(layout.engine_pidfile, encoding="ascii") as file:
        engine = int(file.read())
    os.kill(engine, signal.SIGKILL)
    until(lambda: not os.path.exists(f"/proc/{engine}/exe"))


def start_fix(site):
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    return site.start(
        "doctor", "--fix", env=AGREED, start_new_session=True, stderr=subprocess.PIPE, **quiet
    )


def end(fix, *, whole):
    """Kill one, or all that it has started in its session; return whether it was not done yet."""
    early = fix.poll() is None
    if early:
        os.killpg(fix.pid, signal.SIGKILL) if whole else fix.kill()
    fix.wait()
    fix.stderr.close()
    return early


def kept(site):
    """Return how all is, but for what a write that was killed never gave its name."""
    return Kept.of(site, without=("*/.cai-*",))


def is_right(site, shared, before):
    done = site.cai("doctor", "--fix", check=False, env=AGREED)
    assert done.returncode == 0, text(done)
    left = {row["step"]: row["seen"] for row in checks(site).values() if not passes(row)}
    assert left == {}
    now = kept(site)
    differ = {
        k: (before.files.get(k), now.files.get(k))
        for k in before.files.keys() | now.files.keys()
        if before.files.get(k) != now.files.get(k)
    }
    assert differ == {}
    assert now == before
    shared.run("true")


def passes(row):
    return row["state"] in ("ok", "none")


@pytest.fixture(scope="module")
def whole(site, shared_space):
    """How all is before, and how long mending takes that nobody ends, in seconds."""
    shared_space.run("touch", "kept")
    # What of it is another at its first mending is so from now on.
    is_right(site, shared_space, kept(site))
    before = kept(site)
    try:
        break_all(site, shared_space.box)
        seen = checks(site)
        assert {title for title, row in seen.items() if row["state"] == "wrong"} >= BROKEN
        begun = time.monotonic()
        fix = start_fix(site)
        _, said = fix.communicate()
        took = time.monotonic() - begun
        assert fix.returncode == 0, said.decode()
        is_right(site, shared_space, before)
        yield before, took
    finally:
        # Others find a site that is whole.
        site.cai("doctor", "--fix", check=False, env=AGREED)


@pytest.mark.parametrize("number", range(ROUNDS))
def test_killed_and_run_again_it_ends_right(site, shared_space, whole, number):
    before, took = whole
    chance = random.Random(f"{SEED} {number}")
    for attempt in range(ATTEMPTS):
        after, group = chance.random() * took / (attempt + 1), chance.random() < 0.5
        print(f"CONTAINAI_KILLED_SEED={SEED}: {number}, after {after:.2f} s, {group=}")
        break_all(site, shared_space.box)
        fix = start_fix(site)
        time.sleep(after)
        if end(fix, whole=group):
            break
        is_right(site, shared_space, before)
    else:
        pytest.fail("it is always done before")
    is_right(site, shared_space, before)
