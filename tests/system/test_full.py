"""The image that has the agents."""

import json
import re

import pytest

from containai import agents
from containai.agents import Agent
from harness.space import Space

#: Where a version that npm or PyPI gives begins: claude says only the number.
NUMBER = r"\d+\.\d+\.\d+"
IMAGE_HAS = [agent for agent in agents.AGENTS if not agent.left_out]


@pytest.fixture(scope="module")
def manifest(full: Space) -> dict[str, str]:
    """Return what the image says about itself: agent's command → version."""
    found = json.loads(full.run("cat", "/usr/share/containai/image/full.json").stdout)
    versions = found["versions"]
    assert isinstance(versions, dict)
    assert found["left_out"] == {
        each.name: each.left_out for each in agents.AGENTS if each.left_out
    }
    return versions


@pytest.mark.parametrize("agent", IMAGE_HAS, ids=lambda agent: agent.name)
def test_an_agent_says_its_version(full: Space, manifest: dict[str, str], agent: Agent) -> None:
    said = full.run(agent.binary, agent.version).stdout.decode()
    assert re.search(NUMBER, said)
    # Copilot may be a newer one than was installed: it takes that from its own cache.
    assert manifest[agent.binary] in said


def test_doctor_says_which_there_are(full: Space, manifest: dict[str, str]) -> None:
    before = full.site.container_names()
    done = full.site.cai("doctor", "--json", env={"CONTAINAI_IMAGE_NAME": "full"}, check=False)
    rows = json.loads(done.stdout)["checks"]
    (row,) = [row for row in rows if row["step"] == "agents"]
    assert row["ok"]
    known = [f"{each.name} {manifest[each.binary]}" for each in IMAGE_HAS]
    assert row["seen"].startswith(", ".join(known) + "; without aider (")
    assert full.site.container_names() == before


def test_what_github_is_spoken_to_with(full: Space) -> None:
    assert full.run("gh", "--version").stdout.startswith(b"gh version ")


def test_they_are_the_users_to_update(full: Space) -> None:
    script = "for each in ~/.local/bin/*; do realpath $each; done | xargs stat --format %U"
    assert set(full.sh(script).split()) == {"agent"}
    assert full.sh("test -w $(npm root --global) && echo yes") == "yes"


def test_nothing_is_left_of_what_was_fetched(full: Space) -> None:
    image = full.inspect()["Image"]
    words = ("run", "--rm", "--entrypoint", "sh", image, "-c")
    script = "ls -A /home/agent/.cache /home/agent/.npm /root/.npm /var/lib/apt/lists /build"
    assert full.site.docker(*words, f"{script} 2>/dev/null || true") in ("", "/var/lib/apt/lists:")


def test_the_sandbox_of_codex_refuses_what_it_should(full: Space) -> None:
    done = full.run("codex", "sandbox", "--", "touch", "/etc/x", check=False)
    assert done.returncode != 0
    assert b"Read-only file system" in done.stderr
    assert full.run("codex", "sandbox", "--", "true").returncode == 0


def test_the_sandbox_of_claude_starts_a_command_and_refuses_what_it_should(full: Space) -> None:
    package = ("--prefix", "/tmp/srt", "@anthropic-ai/sandbox-runtime")
    full.run("npm", "install", "--no-audit", "--no-fund", *package)
    srt = "/tmp/srt/node_modules/.bin/srt"
    assert full.run(srt, "echo", "hi").stdout == b"hi\n"
    for attempt, said in (
        (["touch", "/home/agent/written"], b"Read-only file system"),
        (["curl", "--silent", "--show-error", "https://registry.npmjs.org"], b"403"),
    ):
        # It is the sandbox that refuses: without it, it is done.
        full.run(*attempt)
        done = full.run(srt, *attempt, check=False)
        assert done.returncode != 0
        assert said in done.stderr


def test_a_missing_agent_says_how_it_comes_and_one_that_is_there_starts(full: Space) -> None:
    done = full.site.cai("run", "--agent", "aider", full.path, check=False)
    assert done.returncode == 127
    assert b"uv tool install" in done.stderr
    done = full.site.cai("run", "--agent", "claude", full.path, check=False)
    assert b"not in this box" not in done.stderr
