"""Documentation is checked like code."""

import importlib.util
import os
import re

import pytest

import containai
from containai import errors

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PACKAGE = os.path.join(ROOT, "src", "containai")


def read(*parts):
    with open(os.path.join(ROOT, *parts), encoding="utf-8") as file:
        return file.read()


def test_tests_are_of_this_source():
    assert os.path.dirname(os.path.abspath(containai.__file__)) == PACKAGE


def generator():
    path = os.path.join(ROOT, "docs", "generate.py")
    spec = importlib.util.spec_from_file_location("generate", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGES = generator().pages()


@pytest.mark.parametrize("page", PAGES)
def test_a_reference_page_is_as_the_program_is(page):
    assert read("docs", "reference", page) == PAGES[page], "run: python docs/generate.py"


@pytest.mark.parametrize("code", sorted(set(map(int, re.findall(r"Error +(\d+)", errors.__doc__)))))
def test_the_tree_of_errors_is_as_drawn(code):
    assert f"| {code} |" in PAGES["exit-codes.md"]


def documents():
    for parent, directories, names in os.walk(ROOT):
        directories[:] = [name for name in directories if not name.startswith(".")]
        for name in names:
            if name.endswith(".md"):
                yield os.path.relpath(os.path.join(parent, name), ROOT)


def anchors(text):
    """Return what the headings of a page are reached by, as GitHub makes it."""
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("path", sorted(documents()))
def test_no_link_leads_nowhere(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", read(path)):
        if "://" in target or target.startswith("mailto:"):
            continue
        page, _, anchor = target.partition("#")
        there = os.path.normpath(os.path.join(os.path.dirname(path), page)) if page else path
        assert os.path.exists(os.path.join(ROOT, there)), f"{path}: {target}"
        assert not anchor or anchor in anchors(read(there)), f"{path}: {target}"
