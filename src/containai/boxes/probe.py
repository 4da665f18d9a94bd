"""Whether a runtime is any good here: a box of it boots, its Docker runs and builds, files fit."""

import os
import secrets
import tempfile
from collections.abc import Callable

from containai.boxes import archives, design, spec
from containai.engine.client import Engine
from containai.errors import ContainAIError
from containai.host import files
from containai.host.machine import Machine
from containai.ssh import hosts

#: How long a probe's box may take to boot and to do its work, in seconds: emulated machines too.
TIMEOUT = 400.0
_ANSWER = "Error response from daemon: "


def probe(engine: Engine, image: str, runtime: str, say: Callable[[str], None]) -> str:
    """Try a runtime with a box that is gone afterwards.

    Returns what does not work, "" where all does. Raises ContainAIError only where the box cannot
    be removed again.
    """
    name = f"cai-probe-{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory(dir=files.TEMPORARY, prefix="cai-probe-") as workspace:
        try:
            _boot(engine, image, runtime, name, workspace, say)
            return _work(engine, name, workspace, say)
        except ContainAIError as failed:
            return reason(str(failed))
        finally:
            engine.docker("rm", "--force", "--volumes", name, ok=(0, 1))
            _empty(engine.host, workspace)


def script() -> str:
    """Return what is run in the box, by its root."""
    return files.read(os.path.join(os.path.dirname(__file__), "probe.sh")) or ""


def reason(said: str) -> str:
    """Return the line that says why: what dockerd answered, else the last one."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    answers = [line.partition(_ANSWER)[2] for line in lines if _ANSWER in line]
    return (answers or lines[-1:] or ["no reason was given"])[0].removesuffix(": unknown")


def _boot(
    engine: Engine,
    image: str,
    runtime: str,
    name: str,
    workspace: str,
    say: Callable[[str], None],
) -> None:
    say(f"booting a box with {runtime}")
    made = spec.BoxSpec(
        name=name,
        workspace=workspace,
        image=image,
        ssh_port=0,
        owner=engine.layout.uid,
        runtime=runtime,
    )
    engine.docker(*spec.create_arguments(made))
    key = hosts.new_key(engine.host)
    placed = {design.HOST_KEY_IN_BOX: (key.private, 0o600)}
    engine.docker("cp", "-", f"{name}:/", stdin=archives.tar(placed))
    engine.docker("start", name)


def _work(engine: Engine, name: str, workspace: str, say: Callable[[str], None]) -> str:
    say("running and building in its Docker")
    words = ("exec", "--interactive", name, "sh", "-s")
    done = engine.docker(*words, stdin=script().encode(), ok=None, timeout=TIMEOUT)
    if done.code != 0:
        container = engine.container(name)
        if container is not None and not container.running:
            last = engine.docker("logs", "--tail", "1", name, ok=None)
            return f"it ended with code {container.exit_code}: {reason(last.out + last.err)}"
        return reason(done.err.strip() or done.out.strip() or f"code {done.code}")
    seen = os.stat(os.path.join(workspace, "probe")).st_uid
    owner = os.stat(workspace).st_uid
    return "" if seen == owner else f"a file of the agent is {seen}'s outside, not {owner}'s"


def _empty(host: Machine, workspace: str) -> None:
    # A runtime that maps wrongly leaves files there that are not ours to remove.
    if any(
        os.lstat(os.path.join(workspace, name)).st_uid != os.geteuid()
        for name in os.listdir(workspace)
    ):
        host.run(["find", workspace, "-xdev", "-mindepth", "1", "-delete"], root=True, ok=None)
