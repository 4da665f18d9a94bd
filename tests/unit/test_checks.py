"""Linters, types and the rules of the layout, as tests."""

import ast
import os
import re
import subprocess
import sys
import tomllib

import pytest

import containai
from containai import errors
from containai.config.settings import Settings
from containai.provision import steps
from containai.provision.step import Choices

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PACKAGE = os.path.join(ROOT, "src", "containai")
LINT_IMPORTS = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def check(*words):
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def read(*parts):
    with open(os.path.join(ROOT, *parts), encoding="utf-8") as file:
        return file.read()


def modules():
    for parent, _, names in os.walk(PACKAGE):
        for name in names:
            if name.endswith(".py"):
                yield os.path.relpath(os.path.join(parent, name), ROOT)


def test_tests_are_of_this_source():
    assert os.path.dirname(os.path.abspath(containai.__file__)) == PACKAGE


def test_ruff_check():
    check("-m", "ruff", "check", ".")


def test_ruff_format():
    check("-m", "ruff", "format", "--check", ".")


def test_mypy():
    check("-m", "mypy")


def test_layers():
    check("-c", LINT_IMPORTS, "--no-cache")


def test_contracts_of_the_runtime_name_everything():
    contracts = tomllib.loads(read("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    alone, unknown = (each for each in contracts if each["type"] == "forbidden")
    others = {
        "containai." + name.removesuffix(".py")
        for name in os.listdir(PACKAGE)
        if not name.startswith("__init__") and name not in ("__pycache__", "runtime")
    }
    assert alone["source_modules"] == unknown["forbidden_modules"] == ["containai.runtime"]
    assert set(alone["forbidden_modules"]) == set(unknown["source_modules"]) == others


def test_only_one_module_starts_processes():
    starts = re.compile(r"^\s*(?:import|from) (?:subprocess|pty|multiprocessing)\b", re.MULTILINE)
    found = {path for path in modules() if starts.search(read(path))}
    assert {path for path in found if "/runtime/" not in path} == {"src/containai/host/proc.py"}


#: Functions of `os` by which a process starts a program or becomes one; the runtime may, and so may
#: what runs in a box.
STARTING = re.compile(r"(exec|spawn|posix_spawn|fork)\w*|system|popen|startfile")


@pytest.mark.parametrize("text", ["os.execvpe('ssh')", "from os import fork", "import os as o"])
def test_what_starts_a_process_is_seen(text):
    assert starting(text)


def starting(text):
    """Return what is used of `os` that starts a process."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found += [node.attr] if node.value.id == "os" else []
        elif isinstance(node, ast.ImportFrom) and node.module in (
            "os",
            "posix",
            "_posixsubprocess",
        ):
            found += [each.name for each in node.names]
        elif isinstance(node, ast.Import):
            # Under another name it would not be seen above.
            found += ["fork" for each in node.names if each.name == "os" and each.asname]
    return [name for name in found if STARTING.fullmatch(name)]


def test_only_one_module_starts_programs():
    found = {path for path in modules() if starting(read(path))}
    own = {path for path in found if "/runtime/" not in path and "/inside/" not in path}
    assert own == {"src/containai/host/proc.py"}


@pytest.mark.parametrize("path", sorted(modules()))
def test_no_file_is_long(path):
    assert len(read(path).splitlines()) <= 400


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
