import os
import re
import subprocess

import pytest

from containai import agents
from containai.config.settings import Settings


def started(name, tmp_path, **programs):
    """Start an agent where these programs are; return the finished shell."""
    for program, script in programs.items():
        (tmp_path / program).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (tmp_path / program).chmod(0o755)
    argv = agents.start_command(name)
    environ = os.environ | {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    return subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)


def test_rows():
    names = [agent.name for agent in agents.AGENTS]
    assert names == sorted(set(names))
    for agent in agents.AGENTS:
        assert agents.find(agent.name) is agent
        # It stands in single quotes in the advice.
        assert re.fullmatch(r"[a-z0-9@/-]+", agent.package)
    assert agents.find(Settings().agent_default)


def test_an_agent_that_is_there_is_started(tmp_path):
    done = started("claude", tmp_path, claude="echo $0 $#; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, f"{tmp_path}/claude 0\n", "")


@pytest.mark.parametrize("agent", agents.AGENTS, ids=lambda agent: agent.name)
def test_one_that_is_not_there_says_how_it_comes(tmp_path, agent):
    done = started(agent.name, tmp_path)
    assert (done.returncode, done.stdout) == (127, "")
    assert f"the agent {agent.name!r} is not in this box" in done.stderr
    assert f"npm i -g {agent.package}" in done.stderr


@pytest.mark.parametrize("name", ["mine", "$(touch /tmp/x)", "'; exit 0; '", "-v", "%s"])
def test_one_that_nobody_knows(tmp_path, name):
    done = started(name, tmp_path)
    assert (done.returncode, done.stdout) == (127, "")
    assert "run a command: cai run . -- COMMAND" in done.stderr
