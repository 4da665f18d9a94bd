import os
import re
import sys

import pytest

from containai.cli import topics

EVERY = topics.every()


def test_pages_are_there_kind_by_kind():
    kinds = [topic.kind for topic in EVERY]
    assert {"how-to", "explanation", "reference"} <= set(kinds) <= set(topics.KINDS)
    assert kinds == sorted(kinds, key=list(topics.KINDS).index)


def test_every_directory_of_pages_is_a_kind():
    directory = os.path.dirname(os.path.dirname(topics.find("security").file))
    there = [each.name for each in os.scandir(directory) if each.is_dir()]
    # What was decided is for those who change it; the rest is made of these.
    assert set(there) - {"adr", "site", "__pycache__"} <= set(topics.KINDS)


@pytest.mark.parametrize("topic", EVERY, ids=lambda topic: topic.path)
def test_a_page_is_found_by_its_name_and_shown(topic):
    assert topics.find(topic.name) == topics.find(topic.path) == topic
    assert "Written by" not in topic.text
    shown = topics.rendered(topic.text, 80, colours=True)
    steering = re.sub(r"\x1b\[[\d;]*m", "", shown)
    assert not [c for c in steering if not c.isprintable() and c != "\n"]
    assert max(map(len, steering.split("\n"))) <= 80


@pytest.mark.parametrize("word", ["docs/how-to/install.md", "install.md", "install"])
def test_a_page_by_its_file(word):
    assert topics.find(word).path == "how-to/install"


def test_no_page_of_that_name():
    assert topics.find("../../README") is None


HOSTILE = (
    "# \x1b]0;title\x07 a\n\n`\x9b2J` &#27;[31m &#x9b;2J [x](\x1b[2J) \x1b[2J\n\n"
    "```\n\x1b[2J\n```\n"
)


@pytest.mark.parametrize("colours", [True, False])
def test_no_page_steers_a_terminal(colours):
    shown = topics.rendered(HOSTILE, 80, colours=colours)
    assert "title" in shown
    assert not re.search(r"\x1b(?!\[[\d;]*m)|[\x00-\x09\x0b-\x1a\x1c-\x1f\x7f-\x9f]", shown)
    assert colours or "\x1b" not in shown


def test_code_has_no_background():
    shown = topics.rendered("```sh\ncai run .  # yes\n```\n", 80, colours=True)
    assert "cai run .  # yes" in shown
    assert not re.search(r"\x1b\[[\d;]*(?:4|10)\d", shown)


def test_links_say_what_to_type():
    text = "[a](../how-to/install.md#x) [b](https://x.org/install.md) [c](../../ARCHITECTURE.md)"
    assert topics.linked(text) == "a (`cai help install`) [b](https://x.org/install.md) c"


def test_without_rich_as_it_is_written(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert topics.rendered("# A\x1b\n", 80, colours=True) == "# A\ufffd\n"
