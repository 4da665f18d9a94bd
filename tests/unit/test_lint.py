"""Linters, types and the rules of the layout, as tests: `pytest -m "not lint"` leaves them out."""

import ast
import os
import re
import subprocess
import sys
import tomllib

import pytest

pytestmark = pytest.mark.lint

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PACKAGE = os.path.join(ROOT, "src", "containai")
LINT_IMPORTS = "from importlinter.cli import lint_imports_command; lint_imports_command()"
#: What is no part of the package: tests take modules apart that export nothing on purpose.
TESTS = ["--implicit-reexport", "--cache-dir", ".mypy_cache/tests", "--module", "conftest"]
TESTS += [
    word
    for name in ("harness", "unit", "system", "machine", "fleet", "bench")
    for word in ("-p", name)
]


def check(*words):
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def read(*parts):
    with open(os.path.join(ROOT, *parts), encoding="utf-8") as file:
        return file.read()


def modules(*tops):
    """Return the paths of the modules below some directories."""
    return sorted(
        os.path.relpath(os.path.join(parent, name), ROOT)
        for top in tops
        for parent, _, names in os.walk(os.path.join(ROOT, top))
        for name in names
        if name.endswith(".py")
    )


SOURCE = modules("src")
TEST_MODULES = modules("tests")


def test_ruff_check():
    check("-m", "ruff", "check", ".")


def test_ruff_format():
    check("-m", "ruff", "format", "--check", ".")


@pytest.mark.parametrize("words", [[], TESTS], ids=["package", "tests"])
def test_types(words):
    check("-m", "mypy", *words)


def test_layers():
    check("-c", LINT_IMPORTS, "--no-cache")


def test_contracts_of_the_runtime_name_everything():
    contracts = tomllib.loads(read("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    alone, unknown = (each for each in contracts if "runtime" in each["name"])
    others = {
        "containai." + name.removesuffix(".py")
        for name in os.listdir(PACKAGE)
        if not name.startswith("__init__") and name not in ("__pycache__", "runtime")
    }
    assert alone["source_modules"] == unknown["forbidden_modules"] == ["containai.runtime"]
    assert set(alone["forbidden_modules"]) == set(unknown["source_modules"]) == others


@pytest.mark.parametrize("path", [*SOURCE, *TEST_MODULES, *modules("bench")])
def test_no_file_is_long(path):
    assert len(read(path).splitlines()) <= 400


def test_unit_tests_mirror_the_source():
    unit = os.path.join(ROOT, "tests", "unit")
    packages = {os.path.dirname(path) for path in TEST_MODULES if path.startswith("tests/unit/")}
    for path in packages:
        mirrored = os.path.join(PACKAGE, os.path.relpath(os.path.join(ROOT, path), unit))
        assert os.path.isfile(os.path.join(mirrored, "__init__.py")), path


#: Modules by which a process starts another, and what does it in those that do more than that.
STARTERS = {"subprocess", "pty", "multiprocessing", "asyncio", "_posixsubprocess", "popen2"}
STARTING = re.compile(
    r"(exec|spawn|posix_spawn|fork)\w*|system|popen|startfile|ProcessPoolExecutor"
)
SYSTEM = {"os", "posix"}


def doors(text):
    """Return what starts a process or becomes a program, of a text of Python."""
    return [name for node in ast.walk(ast.parse(text)) for name in _doors(node)]


def _doors(node):
    match node:
        case ast.Import(names):
            for each in names:
                top = each.name.partition(".")[0]
                # `posix`, or `os` by another name, would not be seen below.
                if top in STARTERS or top == "posix" or (top == "os" and each.asname):
                    yield top
        case ast.ImportFrom(module=str(module), names=names):
            if module.partition(".")[0] in STARTERS:
                yield module
            if module in SYSTEM or module.startswith("concurrent"):
                yield from (each.name for each in names if STARTING.fullmatch(each.name))
        case ast.Attribute(ast.Name(owner), name) if owner in SYSTEM and STARTING.fullmatch(name):
            yield name
        case ast.Attribute(_, "ProcessPoolExecutor" | "create_subprocess_exec" as name):
            yield name
        case ast.Call(ast.Name("getattr" | "vars"), [ast.Name(owner), *_]) if owner in SYSTEM:
            yield owner
        case ast.Call(ast.Name("__import__") | ast.Name("import_module"), [ast.Constant(name)]):
            yield from STARTERS & {str(name)}


@pytest.mark.parametrize(
    "text",
    [
        "os.fork()",
        "pid = os.forkpty()",
        "os.execvpe('ssh', [], {})",
        "os.posix_spawn('/bin/sh', [], {})",
        "os.spawnl(os.P_WAIT, '/bin/sh')",
        "def f():\n    return os.system('x')",
        "os.popen('x').read()",
        "from os import path, execv",
        "from posix import fork",
        "import posix",
        "import os as o",
        "import json, subprocess",
        "def f():\n    import subprocess",
        "from subprocess import run",
        "import pty",
        "import multiprocessing.pool",
        "from multiprocessing import Process",
        "from asyncio import create_subprocess_exec",
        "from concurrent.futures import ProcessPoolExecutor",
        "futures.ProcessPoolExecutor()",
        "getattr(os, name)('x')",
        "__import__('subprocess')",
        "import_module('pty')",
    ],
)
def test_what_starts_a_process_is_seen(text):
    assert doors(text)


@pytest.mark.parametrize("text", ["os.path.join('a')", "from os import path", "run(['x'])"])
def test_what_starts_none_is_not(text):
    assert not doors(text)


def test_only_one_module_starts_processes():
    through = {path: doors(read(path)) for path in SOURCE if "/runtime/" not in path}
    # The probes in a box fork to see what a child may; they know no other way. The keeper of spare
    # boxes is a fork of cai, and starts no program.
    forks = ("/attack/inside/", "/flows/keeper.py")
    fork_only = {
        path
        for path, names in through.items()
        if any(each in path for each in forks) and set(names) <= {"fork"}
    }
    assert {path for path in through if through[path]} - fork_only == {"src/containai/host/proc.py"}
    assert fork_only


#: What fails a test by itself: a call of the harness, or of pytest.
FAILING = {"raises", "fail", "until", "refused", "cai"}
#: Tests of something that is right if it raises nothing.
NOTHING_IS_RAISED = {
    "test_lock_of_a_killed_process_is_free",
    "test_reaches_the_archives",
    "test_root_has_every_group",
}


def asserts(node, helpers=frozenset()):
    """Whether there is something in a function that can fail."""
    for each in ast.walk(node):
        match each:
            case ast.Assert():
                return True
            case ast.Call(ast.Name(name) | ast.Attribute(_, name)):
                checked = [word.arg for word in each.keywords if ast.unparse(word) == "check=True"]
                if name in FAILING | helpers or checked:
                    return True
    return False


@pytest.mark.parametrize("path", TEST_MODULES)
def test_every_test_can_fail(path):
    tree = ast.parse(read(path))
    functions = [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)]
    helpers = {each.name for each in functions if asserts(each)}
    for each in functions:
        if each.name.startswith("test_") and each.name not in NOTHING_IS_RAISED:
            assert asserts(each, helpers), f"{path}:{each.lineno}: {each.name}"


@pytest.mark.parametrize("text", ["def t():\n    f(1)", "def t():\n    run(check=False)"])
def test_a_test_that_cannot_fail_is_seen(text):
    assert not asserts(ast.parse(text))


def chances(text):
    """Return the calls of random's that draw from no seed of the test's own."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Call(ast.Attribute(ast.Call(made), "randrange")) if _is_random(made):
                pass  # A seed itself, which the test prints.
            case ast.Call(ast.Attribute(ast.Name("random"), "Random"), [_]):
                pass
            case ast.Call(ast.Attribute(ast.Name("random"), name)) if name != "SystemRandom":
                yield ast.unparse(node)
            case ast.Call(ast.Attribute(ast.Call(made))) if _is_random(made):
                yield ast.unparse(node)
            case ast.Assign(value=ast.Call(made)) if _is_random(made):
                yield ast.unparse(node)


def _is_random(made):
    return ast.unparse(made) == "random.SystemRandom"


@pytest.mark.parametrize("path", TEST_MODULES)
def test_chance_comes_from_a_seed(path):
    assert list(chances(read(path))) == []


@pytest.mark.parametrize(
    "text",
    [
        "random.random()",
        "random.Random()",
        "random.SystemRandom().uniform(2, 40)",
        "chance = random.SystemRandom()",
    ],
)
def test_chance_without_a_seed_is_seen(text):
    assert list(chances(text))


def test_a_seed_is_none_of_it():
    assert not list(chances("random.Random(7).random(); random.SystemRandom().randrange(1, 9)"))
