"""The documentation's own command lines, as somebody copies them: one shell a page."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from harness import pages
from harness.pages import DOCS, ELSEWHERE, RUN

TUTORIAL = "tutorial/README.md"
#: Marked blocks of these run, in a directory of a page's own.
HOW_TO = ["several-agents", "worktrees", "set-limits"]
_NEXT = "--- the next block ---"


def running(path):
    """Return the blocks of a page that run: all of the tutorial, elsewhere those marked."""
    found = [each for each in pages.blocks(pages.read(f"{DOCS}/{path}")) if each.language == "sh"]
    if path == TUTORIAL:
        return [each for each in found if not each.mark.startswith(ELSEWHERE)]
    return [each for each in found if each.mark == RUN]


def test_every_marked_block_is_of_a_page_that_runs():
    marked = {
        path
        for path in pages.pages("docs")
        if f"<!-- {RUN} -->\n```" in pages.read(f"{pages.ROOT}/{path}")
    }
    assert marked == {f"docs/how-to/{name}.md" for name in HOW_TO}


@pytest.fixture
def shell(site, tmp_path_factory):
    """Run a script as somebody who just came: what it made goes at the end."""
    place = os.path.join(site.root, "ws", "docs")
    os.makedirs(place)
    program = os.path.join(place, "bin")
    os.makedirs(program)
    with open(os.path.join(program, "cai"), "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\nexec {sys.executable} -m containai "$@"\n')
    os.chmod(file.name, 0o755)
    identity = os.path.join(site.home, ".gitconfig")
    with open(identity, "w", encoding="utf-8") as file:
        file.write("[user]\n\tname = A. Reader\n\temail = reader@example.com\n")
    before = names(site)

    def run(script):
        environment = site.environment | {"PATH": f"{program}:{os.environ['PATH']}"}
        done = subprocess.run(
            ["bash", "-e", "-u", "-o", "pipefail", "-c", script],
            cwd=place,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    yield run
    for name in names(site) - before:
        site.cai("rm", "--name", name, "--data", "--yes")
    for path in (place, os.path.join(site.home, "first")):
        shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(identity)


def names(site):
    return {box["name"] for box in json.loads(site.cai("ls", "--json").stdout)}


def as_pattern(output):
    """Return what has the lines of an output as a page shows it: in order, `…` for anything."""
    lines = [line for line in output.strip().splitlines() if line != "…"]
    parts = [re.escape(line).replace("…", "[^\n]*") + "\n" for line in lines]
    return re.compile("(?:.*\n)?".join(["", *parts, ""]), re.DOTALL)


@pytest.mark.parametrize("path", [TUTORIAL, *(f"how-to/{name}.md" for name in HOW_TO)])
def test_a_page_is_copied_line_by_line(shell, path):
    blocks = running(path)
    said = shell(f"echo '{_NEXT}'\n".join(block.text for block in blocks))
    outputs = said.split(f"{_NEXT}\n")
    assert len(outputs) == len(blocks)
    for block, output in zip(blocks, outputs, strict=True):
        if block.output:
            assert as_pattern(block.output).fullmatch(output), f"{block.text}\n{output}"
