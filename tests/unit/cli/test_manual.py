import re
import shutil
import subprocess

import pytest

from containai.cli import manual, registry, topics

PAGES = manual.pages()


def test_pages_that_they_name_are_there():
    named = {word for text in PAGES.values() for word in re.findall(r"cai help ([\\a-z-]+)", text)}
    found = {topics.find(word.replace("\\-", "-")) for word in named} - {None}
    assert {topic.path for topic in found} >= {
        f"reference/{name}" for name in ("exit-codes", "environment", "files")
    }


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    made = tmp_path_factory.mktemp("man1")
    for name, text in PAGES.items():
        (made / name).write_text(text)
    return made


def test_a_page_a_command_and_one_of_all():
    assert len(PAGES) == len(registry.every()) + 1
    assert all(text.startswith(manual.MARK) for text in PAGES.values())
    assert all(name.removesuffix(".1").replace("-", "\\-") in PAGES["cai.1"] for name in PAGES)


@pytest.mark.skipif(not shutil.which("mandoc"), reason="mandoc is not here")
def test_mandoc_finds_nothing(directory):
    paths = [str(directory / name) for name in PAGES]
    done = subprocess.run(
        ["mandoc", "-Tlint", "-Wall", *paths], capture_output=True, text=True, check=False
    )
    assert done.stdout + done.stderr == ""


@pytest.mark.skipif(not shutil.which("mandoc"), reason="mandoc is not here")
def test_what_a_row_says_is_shown(directory):
    shown = subprocess.run(
        ["mandoc", "-Tutf8", "-O", "width=1000", str(directory / "cai-run.1")],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    (row,) = registry.rows("run")
    assert row.more in " ".join(_without_overstrikes(shown).split())


def _without_overstrikes(text):
    kept = []
    for letter in text:
        if letter == "\b":
            kept.pop()
        else:
            kept.append(letter)
    return "".join(kept)


@pytest.mark.parametrize("text", [".so /etc/passwd", "'so x", "\\X'...'", "-a ~ ^ `x` …"])
def test_no_text_is_a_request(text):
    shown = manual._text(text)
    assert not shown.startswith((".", "'"))
    assert "'" not in shown
    assert "\\X" not in shown
    assert shown.isascii()
