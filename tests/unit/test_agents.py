import os
import re
import subprocess

import pytest

from containai import agents
from containai.agents import Source
from containai.config.settings import Settings
from containai.errors import UsageError

INTO = "cai run 'my api'"


def started(agent, tmp_path, *, unattended=False, **programs):
    """Start an agent where these programs are; return the finished shell."""
    for program, script in programs.items():
        (tmp_path / program).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (tmp_path / program).chmod(0o755)
    argv = agents.start_command(agent, INTO, unattended=unattended)
    environ = os.environ | {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    return subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)


def test_rows():
    names = [agent.name for agent in agents.AGENTS]
    assert names == sorted(set(names))
    for agent in agents.AGENTS:
        assert agents.find(agent.name) is agent
        # It stands in single quotes in the advice.
        assert re.fullmatch(r"[a-z0-9@/-]+", agent.package)
        assert re.fullmatch(r"[a-z]+", agent.binary)
        assert bool(agent.megabytes) != bool(agent.left_out)
        assert all(path.startswith("~/.") for path in agent.settings + agent.logins)
        assert all(re.fullmatch(r"[A-Z_]+", each) for each in agent.variables + agent.wider)
        # A token for all of somebody's repositories is nobody's login.
        assert not {"GH_TOKEN", "GITHUB_TOKEN"} & set(agent.variables)
        assert agent.variables
        assert agent.unattended
    assert agents.find(Settings().agent_default)


def test_what_they_need():
    needs = {agent.name: agent.needs for agent in agents.AGENTS}
    assert needs["claude"] == "Node ≥ 22"
    assert needs["opencode"] == "nothing"
    assert needs["vibe"] == "Python >=3.12"


@pytest.mark.parametrize("name", ["mine", "Claude", "claude ", "$(touch /tmp/x)", "-v", "%s"])
def test_one_that_nobody_knows(name):
    with pytest.raises(UsageError, match="known are aider, claude, codex, ") as raised:
        agents.find(name)
    assert repr(name) in str(raised.value)
    assert "cai run . -- COMMAND" in raised.value.hint


def test_one_that_is_there_is_started(tmp_path):
    done = started(agents.find("claude"), tmp_path, claude="echo $0 $#; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, f"{tmp_path}/claude 0\n", "")


@pytest.mark.parametrize("agent", agents.AGENTS, ids=lambda agent: agent.name)
def test_one_that_does_not_ask(tmp_path, agent):
    done = started(agent, tmp_path, unattended=True, **{agent.binary: 'printf "%s\\n" "$@"'})
    assert (done.returncode, done.stdout.splitlines()) == (0, list(agent.unattended))


@pytest.mark.parametrize("agent", agents.AGENTS, ids=lambda agent: agent.name)
def test_one_that_is_not_there_says_how_it_comes(tmp_path, agent):
    done = started(agent, tmp_path)
    assert (done.returncode, done.stdout) == (127, "")
    assert f"the agent {agent.name!r} is not in this box" in done.stderr
    assert f"hint: install it there: {INTO} -- sh -c '" in done.stderr
    assert agent.package in done.stderr


@pytest.mark.parametrize("agent", agents.AGENTS, ids=lambda agent: agent.name)
def test_the_advice_is_a_command_as_printed(tmp_path, agent):
    """What it says to run is run here with programs that say what they are told."""
    tell = 'echo "${0##*/} $*"'
    hint = started(agent, tmp_path).stderr.splitlines()[1].partition(" -- ")[2]
    for name in ("npm", "uv", "sudo", "pipx"):
        (tmp_path / name).write_text(f"#!/bin/sh\n{tell}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    environ = os.environ | {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": "/home/agent"}
    done = subprocess.run(
        ["sh", "-c", hint], env=environ, capture_output=True, text=True, check=True
    )
    said = done.stdout.splitlines()[-1]
    node = " node@24" if agent.node > 20 else ""
    assert (
        said
        == {
            Source.NPM: f"npm i -g {agent.package}{node} --prefix /home/agent/.local",
            Source.PYPI: f"uv tool install --python {agent.python} {agent.package}",
        }[agent.source]
    )


def test_only_its_own_logins_are_carried():
    environ = {"ANTHROPIC_API_KEY": "k", "OPENAI_API_KEY": "o", "GH_TOKEN": "g", "HOME": "/"}
    assert agents.carried(agents.find("claude"), environ) == ["ANTHROPIC_API_KEY"]
    assert agents.carried(agents.find("copilot"), environ) == []
    assert agents.carried(agents.find("opencode"), environ | {"ANTHROPIC_API_KEY": ""}) == [
        "OPENAI_API_KEY"
    ]


def test_a_box_takes_those_and_no_others():
    lines = agents.accepted().splitlines()[1:]
    assert lines == sorted(set(lines))
    assert {line.split()[1] for line in lines} == {
        name for agent in agents.AGENTS for name in agent.variables
    }


def test_the_image_has_those_that_are_not_left_out():
    lines = [line.split() for line in agents.listed().splitlines()[1:]]
    assert ["npm", "claude", "@anthropic-ai/claude-code"] in [line[:3] for line in lines]
    assert [line[1] for line in lines] == [
        agent.binary for agent in agents.AGENTS if not agent.left_out
    ]
    others = [line.partition(" ")[::2] for line in agents.left_out().splitlines()]
    assert others == [(each.name, each.left_out) for each in agents.AGENTS if each.left_out]
