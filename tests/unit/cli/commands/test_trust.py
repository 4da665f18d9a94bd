import shutil

import pytest

from containai.cli.commands import _trust
from containai.cli.report import Table
from containai.errors import ContainAIError, ImageError, UsageError
from containai.images import trust
from containai.images.trust import Trusted

TEXT = "FROM base\nRUN true\n"


def run(app, path=None, *, only_list=False, remove=False):
    return _trust.run(app, path=path, list=only_list, remove=remove)


@pytest.fixture
def mine(workspace):
    (workspace / ".containai").mkdir()
    (workspace / ".containai" / "Dockerfile").write_text(TEXT, encoding="utf-8")
    return Trusted(str(workspace), TEXT)


def status(app):
    return [(row.workspace, row.trust) for row in run(app, only_list=True).value]


def test_a_file_is_shown_and_trusted(app, mine):
    report = run(app)
    assert report.value == [(mine.workspace, "trusted", mine.sha256)]
    assert report.views == [
        Table(
            [[mine.workspace, "trusted", mine.sha256[:16]]], ["WORKSPACE", "DOCKERFILE", "SHA256"]
        )
    ]
    assert "   2  RUN true\n" in app.user.told[0]
    assert trust.every(app.layout) == [mine]
    # No engine is needed, and nobody is asked twice.
    assert (run(app).value, len(app.user.asked)) == (report.value, 1)
    assert (app.machine.ran, app.docker.requests) == ([], [])


def test_nobody_agrees(app, mine):
    app.user.agrees = False
    with pytest.raises(ContainAIError, match="nothing is trusted") as raised:
        run(app, mine.workspace)
    assert raised.value.hint == "run: cai image trust --yes"
    assert trust.every(app.layout) == []


def test_there_is_none(app, workspace):
    with pytest.raises(ImageError, match=r"has no \.containai/Dockerfile"):
        run(app)
    assert run(app, only_list=True).views == []


def test_the_list_says_what_has_become_of_them(app, mine, workspace):
    run(app)
    assert status(app) == [(mine.workspace, "trusted")]
    (workspace / ".containai" / "Dockerfile").write_text("FROM full\n", encoding="utf-8")
    assert status(app) == [(mine.workspace, "changed")]
    (workspace / ".containai" / "Dockerfile").write_text("FROM debian\n", encoding="utf-8")
    assert status(app) == [(mine.workspace, "changed")]
    shutil.rmtree(workspace)
    assert status(app) == [(mine.workspace, "gone")]
    assert run(app, mine.workspace, remove=True).value[0].trust == "not trusted"
    assert status(app) == []


def test_what_is_not_trusted_is_not_taken_back(app, mine):
    with pytest.raises(ContainAIError, match="is trusted") as raised:
        run(app, remove=True)
    assert raised.value.hint == "see: cai image trust --list"


@pytest.mark.parametrize("words", [{"path": "x"}, {"remove": True}])
def test_a_list_is_of_all(app, words):
    with pytest.raises(UsageError, match="--list excludes"):
        run(app, only_list=True, **words)
