import pytest

from containai.cli import main as cli
from containai.cli import registry
from containai.cli.commands import docker
from containai.cli.report import Become, Report
from containai.errors import NotSetUpError


def test_every_argument_is_dockers(app):
    words = ["--help", "-h", "--", "--json", "", "a b", "--name", "help"]
    outcome = docker.run(app, words)
    assert isinstance(outcome, Become)
    assert outcome.argv[1:] == ["--host", f"unix://{app.layout.engine_socket}", *words]
    assert not [name for name in outcome.keep if name in ("DOCKER_HOST", "DOCKER_CONTEXT")]


def test_words_reach_the_command_as_they_are(monkeypatch, capsys):
    got = []

    def run(app, command):
        got.append(command)
        return Report()

    row = registry.rows("docker")[0]
    monkeypatch.setattr(docker, "COMMANDS", [row._replace(run=run)])
    for words in (["--help"], ["help"], ["run", "-h", "--", "x"], ["--yes", "--debug"], []):
        assert cli.main(["docker", *words]) == 0
        assert got.pop() == words
    assert cli.main(["help", "docker"]) == 0
    assert "usage: cai docker ARGUMENT" in capsys.readouterr().out


def test_without_an_engine(bare):
    with pytest.raises(NotSetUpError) as refused:
        docker.run(bare, ["ps"])
    assert refused.value.hint == "run: cai setup"
