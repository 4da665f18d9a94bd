"""The site is built of the pages as they are, without a warning; it fetches nothing elsewhere."""

import html
import json
import os
import re
import runpy
import shlex
import subprocess
import sys

import pytest

from containai.cli import command, registry, topics

pytestmark = pytest.mark.lint
pytest.importorskip("mkdocs", reason="the extra docs is not installed")

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The directory that a build makes; what it warns of, fails it."""
    made = tmp_path_factory.mktemp("site")
    words = ["build", "--strict", "--quiet", "-f", "docs/site/mkdocs.yml", "-d", str(made)]
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", *words],
        cwd=ROOT,
        # The theme's news of its successor.
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    return made


def documents(site):
    return {
        path.relative_to(site).as_posix(): path.read_text(encoding="utf-8")
        for path in site.rglob("*.html")
    }


def test_every_topic_is_a_page_that_can_be_found(site):
    made = documents(site)
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    titles = {each["location"]: each["title"] for each in index["docs"]}
    for topic in topics.every():
        path = os.path.relpath(topic.file, ROOT).removesuffix(".md")
        page = re.sub("README$", "index", path) + ".html"
        assert page in made
        # By the words of its heading, whatever they are: nothing is left out.
        assert titles[page]


#: What a browser fetches by itself.
FETCHED = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*?\s(?:src|href)=\"?([^\" >]+)")


def test_nothing_is_from_elsewhere(site):
    for page, text in documents(site).items():
        fetched = FETCHED.findall(text)
        assert fetched
        assert [each for each in fetched if "://" in each or each.startswith("//")] == [], page
        # For it the theme asks GitHub how many stars a repository has.
        assert 'data-md-component="source"' not in text


def test_what_is_from_elsewhere_is_seen():
    assert FETCHED.findall('<script async src="https://x.org/y">') == ["https://x.org/y"]
    assert FETCHED.findall("<link rel=x href=//x.org/y>") == ["//x.org/y"]


def test_the_picture_is_of_lines_that_are_understood_and_fetches_nothing():
    with open(f"{ROOT}/docs/picture.svg", encoding="utf-8") as file:
        svg = html.unescape(file.read()).replace("\N{NO-BREAK SPACE}", " ")
    lines = runpy.run_path(f"{ROOT}/docs/picture.py")["LINES"]
    for line in lines:
        assert line in re.sub("<[^>]+>", "", svg), "run: python docs/picture.py"
        program, *words = shlex.split(line.partition("|")[0], comments=True)
        assert program == "cai"
        command.parse(*registry.find(words))
    assert not re.search(r"(?:href=|src=|url\()[\"']?(?:https?:)?//", svg)


def test_navigation_is_by_kind(site):
    front = (site / "index.html").read_text(encoding="utf-8")
    tabs = re.findall(r'md-tabs__link"[^>]*>\s*([^<]+?)\s*<', front)
    kinds = dict.fromkeys(topic.kind.capitalize() for topic in topics.every())
    assert tabs == ["Start", *kinds, "Project"]


def test_links_to_what_is_no_page_lead_into_the_repository(site):
    text = (site / "docs/explanation/images.html").read_text(encoding="utf-8")
    assert "/blob/main/src/containai/images/versions.env" in text
