"""What the documentation has a place for, what leads there, and that its commands are right."""

import os
import re
import shlex
import subprocess

import pytest

from containai import agents
from containai.cli import registry
from containai.config import variables
from containai.config.settings import Settings
from containai.errors import ContainAIError
from containai.images import labels as of_images
from containai.layout import LABEL_MANAGED, LABEL_WORKSPACE
from harness import pages
from harness.pages import ELSEWHERE, ROOT, RUN
from unit.test_checks import generator

GENERATOR = generator()
GENERATED = GENERATOR.of_docs()
PAGES = pages.pages("docs")
CHECKS = [*GENERATOR.of_machine(), *GENERATOR.of_box()]
#: What is shown there is a usage, which no shell understands; its examples are parsed as rows.
USAGES = "docs/reference/commands.md"
SHELL = ("sh", "", "console")


def read(path):
    return pages.read(f"{ROOT}/{path}")


def headings(path):
    return {head.strip("`") for head in re.findall(r"^#+ (.+)$", read(path), re.MULTILINE)}


def links(path):
    """Return what of the checkout a page leads to."""
    here = os.path.dirname(path)
    targets = re.findall(r"\]\(([^)\s#]+)[^)\s]*\)", read(path))
    return {os.path.normpath(os.path.join(here, each)) for each in targets if "://" not in each}


@pytest.mark.lint
@pytest.mark.parametrize("directory", GENERATED)
def test_generated_pages_are_as_the_program_is(directory):
    there = {
        os.path.relpath(path, f"docs/{directory}"): read(path)
        for path in pages.pages(f"docs/{directory}")
        if directory != "adr" or path.endswith("README.md")
    }
    assert there == GENERATED[directory], "run: python docs/generate.py"


@pytest.mark.parametrize(
    ("page", "wanted"),
    [
        ("settings", [row.key for row in Settings.rows()]),
        ("exit-codes", [str(code) for code in GENERATOR.meanings()]),
        ("environment", [row.name for row in variables.VARIABLES]),
        ("environment", [row.variable for row in Settings.rows() if row.variable]),
        ("checks", [step.title for step in CHECKS]),
        ("labels", [LABEL_MANAGED, LABEL_WORKSPACE, of_images.LABEL_IMAGE]),
        ("commands", [f"cai {row.path}" for row in registry.every()]),
    ],
)
def test_each_has_a_heading_of_its_own(page, wanted):
    assert wanted
    assert [each for each in wanted if each not in headings(f"docs/reference/{page}.md")] == []


def test_every_label_is_in_the_reference():
    name = re.compile(r"^LABEL_\w+ = ", re.MULTILINE)
    source = (
        os.path.join(parent, file)
        for parent, _, files in os.walk(f"{ROOT}/src/containai")
        for file in files
        if file.endswith(".py")
    )
    there = sum(len(name.findall(pages.read(path))) for path in source)
    assert there == len(headings("docs/reference/labels.md")) - 1 > 10


def test_every_exit_code_and_check_has_its_page_of_troubleshooting():
    made = GENERATED["troubleshooting"]
    assert [c for c in GENERATOR.meanings() if c and f"code-{c}.md" not in made] == []
    titles = "\n".join(text.splitlines()[2] for text in made.values())
    assert [s.title for s in CHECKS if f"# cai doctor: {s.title}" not in titles] == []


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        ("no free SSH port in", 21, "widen ssh.port_range in config.toml"),
        ("this machine is not set up, and nothing was changed", 16, "run: cai setup --yes"),
        ("SELinux is enforcing here", 19, "sudo setenforce 0"),
        ("is on a drive of Windows", 23, "cp -r"),
    ],
)
def test_an_error_is_found_by_its_own_words(words, code, hint):
    (found,) = [
        text for text in GENERATED["troubleshooting"].values() if words in text.splitlines()[2]
    ]
    assert f"(code-{code}.md)" in found
    assert f"  hint: {hint}" in found or hint in found


def test_every_agent_has_its_page():
    made = GENERATED["how-to/each-agent"]
    assert [each.name for each in agents.AGENTS if f"{each.name}.md" not in made] == []


@pytest.mark.lint
def test_of_every_exit_code_it_is_said_what_it_is_about():
    written = GENERATOR.beside("symptoms").known()["code"]
    assert [code for code in GENERATOR.meanings() if code and str(code) not in written] == []


def test_what_is_known_of_messages_is_of_messages_that_there_are():
    symptoms = GENERATOR.beside("symptoms")
    said = "\n".join(message.texts[0] for message in symptoms.of_errors() if message.texts)
    assert [note["words"] for note in symptoms.known()["note"] if note["words"] not in said] == []


@pytest.mark.lint
def test_no_page_is_further_than_its_section():
    assert "docs/README.md" in links("README.md")
    index = links("docs/README.md")
    sections = {page for page in index if page.endswith("README.md")}
    assert len(sections) >= 6
    found = index.union(*map(links, sections)) | {"docs/README.md"}
    assert [page for page in PAGES if page not in found] == []


def shell_of(block):
    if block.language != "console":
        return block.text
    return "".join(line[2:] for line in block.text.splitlines(True) if line.startswith("$ "))


def of_shell(path):
    blocks = [each for each in pages.blocks(read(path)) if each.language in SHELL]
    return [shell_of(block) for block in blocks if path != USAGES]


def test_command_lines_are_seen():
    lines = [line for path in PAGES for text in of_shell(path) for line in pages.of_cai(text)]
    assert len(lines) > 200
    script = "A=1 sudo cai ls >x 2>&1; ssh -t h cai run -- a --b # it's cai no\ncat <<'E'\ncai\nE\n"
    assert pages.of_cai(script) == [["ls"], ["run", "--", "a", "--b"]]


@pytest.fixture
def a_directory(tmp_path, monkeypatch):
    """A current directory with the files that command lines of the pages name."""
    (tmp_path / "debs").mkdir()
    (tmp_path / "containai.tar").touch()
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("a_directory")
@pytest.mark.parametrize("path", ["README.md", "CONTRIBUTING.md", *PAGES])
def test_every_command_line_of_a_page_is_understood(path):
    wrong = []
    for text in of_shell(path):
        for words in pages.of_cai(text):
            try:
                pages.parse(words)
            except ContainAIError as error:
                wrong.append((" ".join(words), str(error)))
    for span in pages.spans(read(path)):
        try:
            pages.parse_loosely(shlex.split(span)[1:])
        except (ContainAIError, AssertionError) as error:
            wrong.append((span, str(error)))
    assert wrong == []


@pytest.mark.parametrize("line", ["cai rum", "cai run --fesh", "cai stop --name", "cai config set"])
def test_a_command_line_that_is_wrong_is_seen(line):
    (words,) = pages.of_cai(line)
    with pytest.raises(ContainAIError):
        pages.parse(words)


@pytest.mark.lint
def test_every_script_of_a_page_is_one_for_a_shell():
    for path in PAGES:
        scripts = [each.text for each in pages.blocks(read(path)) if each.language == "sh"]
        text = "\n".join(f"f() {{\n{each}\n}}" for each in scripts)
        done = subprocess.run(
            ["bash", "-n"], input=text, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{path}: {done.stderr}"


@pytest.mark.usefixtures("a_directory")
def test_every_command_that_a_hint_names_is_there():
    symptoms = GENERATOR.beside("symptoms")
    hints = {hint for message in symptoms.of_errors() for hint in message.hints}
    # Of the few that speak of cai itself: "then run cai again", "with cai in it".
    line = re.compile(r"\bcai (?!again|in\b)([a-z]{2,}[^;,().]*)")
    named = [(hint, found) for hint in hints for found in line.findall(hint)]
    assert len(named) > 100
    wrong = []
    for hint, found in named:
        try:
            pages.parse_loosely(re.sub("['\"]", "", found).split())
        except (ContainAIError, AssertionError) as error:
            wrong.append((hint, str(error)))
    assert wrong == []


def test_every_block_of_the_tutorial_runs_or_says_why_not():
    blocks = [
        block
        for block in pages.blocks(read("docs/tutorial/README.md"))
        if block.language == "sh" and not block.mark.startswith(ELSEWHERE)
    ]
    assert len(blocks) >= 10
    assert {block.mark for block in blocks} == {""}


def test_comments_above_blocks_are_those_that_are_known():
    for path in PAGES:
        marks = re.findall(r"^<!-- (.+) -->\n```", read(path), re.MULTILINE)
        assert [mark for mark in marks if mark != RUN and not mark.startswith(ELSEWHERE)] == [], (
            path
        )
