import sys

from containai import __version__
from containai.cli.commands import version
from containai.engine import api

PYTHON = ".".join(map(str, sys.version_info[:3]))


def test_a_machine_that_is_not_set_up(bare):
    report = version.run(bare)
    assert report.value == {
        "version": __version__, "python": PYTHON, "engine": None, "runtime": None, "images": [],
    }  # fmt: skip
    assert report.views == [f"cai {__version__}\n"]
    assert bare.machine.ran == []


def test_an_engine_that_does_not_run_is_not_started(app):
    report = version.run(app)
    assert report.value["engine"] == {"running": False, "version": None, "api": None}
    assert report.value["runtime"]["name"] == "cai-runc"
    assert report.views[1] == "engine does not run, or is not yours\n"
    assert (app.machine.ran, app.docker.requests) == ([], [])


def test_one_that_runs(app, monkeypatch):
    answers = {
        "/version": b'{"Version": "28.0", "ApiVersion": "1.48"}',
        "/images/json": b'[{"RepoTags": ["r/base:1"], "Labels": {"containai.image": "base", '
        b'"containai.recipe": "0123456789abcdef"}}, {"RepoTags": null, "Labels": null}]',
    }

    def answer(path, method, address, **options):
        return api.Answer(200, answers[address.partition("?")[0]])

    monkeypatch.setattr(api, "request", answer)
    report = version.run(app)
    assert report.value["engine"] == {"running": True, "version": "28.0", "api": "1.48"}
    assert report.views[1:] == [
        "engine Docker 28.0\n",
        "runtime cai-runc\n",
        "image base 0123456789ab\n",
    ]
    answers["/version"] = b"[]"
    answers["/images/json"] = b"broken"
    assert version.run(app).value["images"] == []
