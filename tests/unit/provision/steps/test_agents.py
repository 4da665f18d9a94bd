"""What doctor says of the agents that the image of new boxes has."""

import json

import pytest

from containai import agents
from containai.agents import AGENTS
from containai.boxes.archives import tar
from containai.config.settings import Settings
from containai.errors import UsageError
from containai.images import manifest, recipe
from containai.images.manifest import Manifest
from containai.provision.steps.agents import Agents, judged
from containai.work.actions import Finding, unknown

CLAUDE, AIDER = agents.find("claude"), agents.find("aider")
BASE = Manifest("base", "distro", "debian", {"git": "2.47.3"}, {}, {})
EVERY = {agent.binary: f"1.0.{n}" for n, agent in enumerate(AGENTS) if not agent.left_out}


def full(versions):
    return [BASE, Manifest("full", "distro", "debian", versions, {}, {})]


def test_all_of_the_table_but_what_images_leave_out():
    found = judged(full(EVERY | {"gh": "2.46.0"}), CLAUDE)
    assert found == Finding(
        True,
        "claude 1.0.1, codex 1.0.2, copilot 1.0.3, gemini 1.0.4, opencode 1.0.5, qwen 1.0.6, "
        f"vibe 1.0.7; without aider ({AIDER.left_out})",
    )


def test_one_that_an_older_image_has_not():
    found = judged(full({"claude": "2.1.332"}), CLAUDE)
    assert found.ok
    assert found.seen.startswith("claude 2.1.332; without aider (")
    assert found.seen.endswith("), codex, copilot, gemini, opencode, qwen, vibe")


@pytest.mark.parametrize(
    ("layers", "default"), [(full(EVERY), AIDER), ([BASE], CLAUDE), ([], CLAUDE)]
)
def test_where_the_one_that_is_started_is_not_there(layers, default):
    found = judged(layers, default)
    assert (found.ok, found.passes) == (False, True)
    assert f"cai run prints what installs {default.name} in a box" in found.hint
    assert found.seen == "the image has none" or "aider (" in found.seen


def test_versions_that_are_something_else():
    """An image may be anybody's."""
    odd = {"claude": ["1"], "codex": {"a": 1}, "gemini": None, "qwen": "9" * 10_000}
    found = judged(full(odd), CLAUDE)
    assert found.seen.startswith(f"qwen {'9' * 40}; without ")
    assert not found.ok


def asked(app, *, there):
    """Return what is found where the image of new boxes is there, or not."""
    look = app.engine.argv("image", "inspect", recipe.wanted(app.settings).reference)
    if there:
        app.machine.answer(*look, out='[{"Id": "sha256:1"}]')
    else:
        app.machine.answer(*look, code=1, err="Error: No such image")
    return Agents(app.settings).check(app.machine)


def test_it_is_read_from_the_image_of_new_boxes(app):
    text = json.dumps({"name": "full", "versions": EVERY})
    archive = tar({"image/full.json": (text, 0o644)}).decode()
    app.machine.answer(*app.engine.argv("create"), out="abc\n")
    app.machine.answer(*app.engine.argv("cp", f"abc:{manifest.DIRECTORY}"), out=archive)
    assert asked(app, there=True).seen.startswith("claude 1.0.1, codex 1.0.2, ")
    assert app.ran("rm", "--force", "--volumes", "abc")
    assert not app.ran("start")


def test_what_is_not_there_yet(app):
    assert asked(app, there=False) == unknown("the image is not there yet", optional=True)
    app.stop_engine()
    assert asked(app, there=True).seen == "the engine does not run"


def test_an_agent_that_nobody_knows(app):
    with pytest.raises(UsageError):
        Agents(Settings().over({"agent.default": "mine"})).check(app.machine)
