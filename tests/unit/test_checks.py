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
OF_IMAGES = generator().of_images()
OF_PROGRAM = generator().of_program()


@pytest.mark.parametrize("page", PAGES)
def test_a_reference_page_is_as_the_program_is(page):
    assert read("docs", "reference", page) == PAGES[page], "run: python docs/generate.py"


@pytest.mark.parametrize("path", OF_IMAGES)
def test_what_images_know_of_agents_is_as_the_program_is(path):
    there = read("src", "containai", "images", *path.split("/"))
    assert there == OF_IMAGES[path], "run: python docs/generate.py"


@pytest.mark.parametrize("path", OF_PROGRAM)
def test_what_is_read_in_place_of_modules_is_as_they_are(path):
    there = read("src", "containai", *path.split("/"))
    assert there == OF_PROGRAM[path], "run: python docs/generate.py"


@pytest.mark.parametrize("code", sorted(set(map(int, re.findall(r"Error +(\d+)", errors.__doc__)))))
def test_the_tree_of_errors_is_as_drawn(code):
    assert f"\n## {code}\n" in PAGES["exit-codes.md"]


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


def files():
    """Return the paths of what is in the checkout, directories with a slash."""
    for parent, directories, names in os.walk(ROOT):
        directories[:] = [each for each in directories if each not in (".git", ".venv")]
        top = os.path.relpath(parent, ROOT)
        yield from (f"/{top}/{name}" for name in names)
        yield from (f"/{top}/{name}/" for name in directories)


@pytest.mark.parametrize("path", ["ARCHITECTURE.md", "CONTRIBUTING.md", "docs/releasing.md"])
def test_files_that_are_named_are_there(path):
    there = list(files())
    named = re.findall(r"`([\w./-]+(?:\.(?:py|sh|nft|md|toml)|/))`", read(path))
    assert len(named) > 5
    assert [name for name in named if not any(each.endswith("/" + name) for each in there)] == []


SCRIPTS = sorted(
    name.rpartition("/")[2]
    for name in files()
    if name.startswith("/src/") and re.search(r"(\.sh|/cai-runc|/lib/containai/[\w-]+)$", name)
)


def test_every_script_is_said_to_run_somewhere():
    section = read("ARCHITECTURE.md").split("\n## Which script runs where, as whom\n")[1]
    table = section.split("\n## ")[0]
    assert {"cai-runc", "engine.sh", "init"} <= set(SCRIPTS)
    assert [name for name in SCRIPTS if not re.search(rf"[`/]{re.escape(name)}`", table)] == []


def test_changes_are_by_version_and_kind():
    versions = re.findall(r"^## (.+)$", read("CHANGELOG.md"), re.MULTILINE)
    assert versions[0] == "Unreleased"
    dated = r"\d+\.\d+\.\d+ \(\d{4}-\d\d-\d\d\)"
    assert [each for each in versions[1:] if not re.fullmatch(dated, each)] == []
    kinds = re.findall(r"^### (.+)$", read("CHANGELOG.md"), re.MULTILINE)
    assert set(kinds) <= {"Added", "Changed", "Fixed", "Security"}
