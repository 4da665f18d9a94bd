"""Documentation is checked like code."""

import os
import re

import pytest

import containai
from containai import errors
from containai.config.settings import Settings
from containai.provision import steps
from containai.provision.step import Choices

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PACKAGE = os.path.join(ROOT, "src", "containai")


def read(*parts):
    with open(os.path.join(ROOT, *parts), encoding="utf-8") as file:
        return file.read()


def test_tests_are_of_this_source():
    assert os.path.dirname(os.path.abspath(containai.__file__)) == PACKAGE


def test_the_reference_has_the_rows_of_the_settings():
    lines = [
        "| setting | default | variable | flag | what it is for |",
        "|---|---|---|---|---|",
    ]
    for row in Settings.rows():
        words = (row.key, row.default, row.variable, row.flag)
        cells = [f"`{word}`" if word else "\N{EN DASH}" for word in words]
        lines.append("| " + " | ".join([*cells, row.doc]) + " |")
    wanted = "\n".join(lines)
    assert f"\n\n{wanted}\n\n" in read("docs", "reference.md"), wanted


CODES = sorted(set(map(int, re.findall(r"Error +(\d+)", errors.__doc__))))


@pytest.mark.parametrize("code", CODES)
def test_exit_code_is_documented(code):
    assert re.search(rf"^\| *`?{code}`? *\|", read("docs/reference.md"), re.MULTILINE)


def test_every_check_of_doctor_is_documented():
    section = read("docs", "reference.md").split("\n## Checks\n")[1].split("\n## ")[0]
    for step in steps.checks(Choices(Settings().over({"image.name": "…"}))):
        assert f"`{step.title}`" in section


DOCUMENTS = sorted(
    os.path.relpath(os.path.join(parent, name), ROOT)
    for top in (ROOT, os.path.join(ROOT, "docs"), os.path.join(ROOT, ".github"))
    for parent, _, names in os.walk(top)
    if top != ROOT or parent == ROOT
    for name in names
    if name.endswith(".md")
)


def anchors(text):
    """Return what a link to a heading of a page can be: as GitHub makes it of the words."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", DOCUMENTS)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\((?!https?:|<)([^)\s]*)\)", read(path)):
        file, _, anchor = target.partition("#")
        there = os.path.normpath(os.path.join(os.path.dirname(path), file)) if file else path
        assert os.path.exists(os.path.join(ROOT, there)), target
        assert not anchor or anchor in anchors(read(there)), target


def test_changes_are_by_version_and_kind():
    versions = re.findall(r"^## (.+)$", read("CHANGELOG.md"), re.MULTILINE)
    assert versions[0] == "Unreleased"
    dated = r"\d+\.\d+\.\d+ \(\d{4}-\d\d-\d\d\)"
    assert [each for each in versions[1:] if not re.fullmatch(dated, each)] == []
    kinds = re.findall(r"^### (.+)$", read("CHANGELOG.md"), re.MULTILINE)
    assert set(kinds) <= {"Added", "Changed", "Fixed", "Security"}
