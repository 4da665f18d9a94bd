import json
import sys

import pytest

import containai
from containai.errors import ContainAIError, DownloadError, UsageError
from containai.flows import update
from containai.host import releases

SCRIPT = b"#!/bin/sh\nrelease=%s\nsums=" + b"a" * 64 + b"\nexit\n"


@pytest.fixture
def ours(app, monkeypatch, tmp_path):
    """Have cai where install.sh puts it, from a wheel; return the package's dist-info."""
    environment = tmp_path / "home/.local/share/containai/venv"
    package = environment / "lib/containai"
    info = environment / "lib/containai-0.1.0.dist-info"
    package.mkdir(parents=True)
    info.mkdir()
    (info / "direct_url.json").write_text(json.dumps({"url": "file:///x.whl", "archive_info": {}}))
    (environment / "releases").write_text("https://mirror.example/releases\n")
    monkeypatch.setattr(sys, "executable", str(environment / "bin/python"))
    monkeypatch.setattr(containai, "__file__", str(package / "__init__.py"))
    monkeypatch.setattr(containai, "__version__", "0.1.0")
    return info


@pytest.fixture
def have(monkeypatch):
    def have(script):
        asked = []

        def content(address):
            asked.append(address)
            return script

        monkeypatch.setattr(releases, "_content", content)
        return asked

    return have


def look(app, **words):
    return update.look(app, **{"place": None, "version": None} | words)


def test_what_there_is_where_it_came_from(app, ours, have):
    asked = have(SCRIPT % b"0.2.0")
    seen, release = look(app)
    assert seen == ("0.1.0", "0.2.0", True, "https://mirror.example/releases")
    assert asked == ["https://mirror.example/releases/latest/download/install.sh"]
    update.install(app, seen, release)
    assert [words[0] for words in app.machine.ran] == ["sh"]
    assert look(app, place="https://other.example/")[0].place == "https://other.example"
    have(SCRIPT % b"0.1.0")
    assert not look(app)[0].newer


def test_an_older_one_is_refused(app, ours, have):
    have(SCRIPT % b"0.0.9")
    seen, release = look(app, version="0.0.9")
    with pytest.raises(ContainAIError, match=r"0\.0\.9.*is older than this one, 0\.1\.0"):
        update.install(app, seen, release)
    assert app.machine.ran == []


@pytest.mark.parametrize(
    "script", [b"", b"<html>", b"release=0.2.0\n", SCRIPT % b"", SCRIPT % b"$(id)", SCRIPT % b"9.9"]
)
def test_what_is_no_release_is_refused(app, ours, have, script):
    have(script)
    with pytest.raises(DownloadError):
        look(app, version="0.2.0")


@pytest.mark.parametrize(
    "place",
    ["", "http://example.com/x", "ftp://x", "file:///x", "https://", "https://x?y", "https://x\n"],
)
def test_what_is_no_place_is_refused(app, ours, place):
    with pytest.raises(UsageError, match="is no place of releases"):
        look(app, place=place)


def test_a_variable_alone_does_not_say_where_from(app, ours, have):
    asked = have(SCRIPT % b"0.2.0")
    app.environ = {"CAI_RELEASES": "https://evil.example"}
    with pytest.raises(UsageError, match=r"CAI_RELEASES is 'https://evil\.example'"):
        look(app)
    assert asked == []
    app.environ = {"CAI_RELEASES": "https://mirror.example/releases/"}
    assert look(app)[0].newer


def test_a_redirect_to_what_is_not_safe():
    with pytest.raises(ValueError, match="is not https"):
        releases._Redirects().redirect_request(None, None, 302, "", {}, "http://example.com")


def test_installed_in_another_way(app, ours, monkeypatch, tmp_path):
    told = json.dumps({"url": "file:///src/cai", "dir_info": {}})
    (ours / "direct_url.json").write_text(told)
    with pytest.raises(ContainAIError, match="the clone /src/cai") as refused:
        look(app)
    assert refused.value.hint == "there: git pull && ./install.sh"
    for prefix, seen in (("pipx/venvs/containai", "pipx"), ("venv", "pip"), ("other", "checkout")):
        package = tmp_path / (prefix if prefix != "other" else "elsewhere") / "containai"
        package.mkdir(parents=True)
        monkeypatch.setattr(sys, "executable", str(tmp_path / prefix / "bin/python"))
        monkeypatch.setattr(containai, "__file__", str(package / "__init__.py"))
        with pytest.raises(ContainAIError, match=f"cai update is for a cai of a release: .*{seen}"):
            look(app)
