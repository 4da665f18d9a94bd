"""Agents in boxes: what starts one, and what it is given."""

from collections.abc import Iterator

import pytest

from containai.errors import UsageError
from harness.site import refused
from harness.space import Space

#: A stand-in for an agent, as its package would put it there.
STAND_IN = """\
mkdir -p ~/.local/bin
printf '#!/bin/sh\\necho "$0 $*"; env\\n' >~/.local/bin/claude
chmod +x ~/.local/bin/claude
"""


@pytest.fixture
def claude(shared: Space) -> Iterator[Space]:
    shared.sh(STAND_IN)
    yield shared
    shared.sh("rm ~/.local/bin/claude")


def test_an_agent_gets_its_own_login_and_nothing_else_of_the_host(claude: Space) -> None:
    env = {"ANTHROPIC_API_KEY": "sk-one", "OPENAI_API_KEY": "sk-two", "GH_TOKEN": "gh-three"}
    done = claude.site.cai("run", claude.path, env=env)
    lines = done.stdout.decode().splitlines()
    assert lines[0] == "/home/agent/.local/bin/claude "
    assert "ANTHROPIC_API_KEY=sk-one" in lines
    assert not {"sk-two", "gh-three"} & {line.partition("=")[2] for line in lines}
    assert b"cai: claude is given ANTHROPIC_API_KEY" in done.stderr
    # Nobody else is given it.
    assert b"sk-one" not in claude.run("env", env=env).stdout


def test_an_agent_that_does_not_ask(claude: Space) -> None:
    done = claude.site.cai("run", claude.path, env={"CONTAINAI_AGENT_UNATTENDED": "true"})
    first = done.stdout.decode().splitlines()[0]
    assert first == "/home/agent/.local/bin/claude --dangerously-skip-permissions"
    assert b"does not ask before it acts" in done.stderr


def test_one_that_is_not_there_and_one_that_nobody_knows(shared: Space) -> None:
    done = shared.site.cai("run", "--agent", "aider", shared.path, check=False)
    assert (done.returncode, done.stdout) == (127, b"")
    assert f"hint: install it there: cai run {shared.path} -- sh -c ".encode() in done.stderr
    refused(shared.site.cai("run", "--agent", "cluade", shared.path, check=False), UsageError)
