import os
import re
import subprocess
import sys

import pytest

import containai.runtime
from containai.runtime import cgroup, main

SHOW = '#!/bin/sh\necho {0}\nfor word do printf "%s\\\\0" "$word"; done\n'
LOG = ["--root", "/a b", "--log", "/create", "--log-format=json"]


@pytest.fixture
def launcher(tmp_path):
    """Return a function that runs the installed launcher before a fake runc and Python part."""
    source = os.path.join(os.path.dirname(containai.runtime.__file__), "cai-runc")
    with open(source, encoding="utf-8") as file:
        text = file.read()
    for placeholder, value in (
        ("@NAME@", "cai-any-runc"),
        ("@RUNC@", tmp_path / "runc"),
        ("@PYTHON@", sys.executable),
        ("@LIB@", tmp_path),
        ("@BRIDGE@", "cai-none"),
        ("@PINS@", tmp_path / "pins"),
    ):
        text = text.replace(placeholder, str(value))
    assert "@" not in text.replace('"$@"', "").replace("##*@if", "")
    (tmp_path / "runc").write_text(SHOW.format("runc"), encoding="utf-8")
    (tmp_path / "launcher").write_text(text, encoding="utf-8")
    library = tmp_path / "containai_runtime"
    library.mkdir()
    (library / "__init__.py").touch()
    (library / "main.py").write_text(
        "def main(words, library, name):\n"
        "    print('python')\n"
        "    print(*words, '', sep='\\0', end='')\n"
        f"    return 7 if (library, name) == ({str(tmp_path)!r}, 'cai-any-runc') else 1\n",
        encoding="utf-8",
    )
    for name in ("runc", "launcher"):
        (tmp_path / name).chmod(0o755)

    def run(*words):
        done = subprocess.run(
            [str(tmp_path / "launcher"), *words], capture_output=True, text=True, check=False
        )
        who, _, rest = done.stdout.partition("\n")
        return who, rest.split("\0")[:-1], done.returncode

    return run


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--version"],
        ["state", "c0ffee"],
        [*LOG, "start", "c0ffee"],
        [*LOG, "kill", "c0ffee", "9"],
        [*LOG, "ps", "", "a b", "*", "$HOME", "new\nline", "'", '"', "\\"],
        ["--log", "create", "start", "x"],
        [*LOG, "delete", "--force", "c0ffee"],
        ["delete"],
        [*LOG, "exec", "--process", "/tmp/p", "--detach", "c0ffee"],
        ["--systemd-cgroup", "--root", "exec", "resume", "create"],
    ],
)
def test_other_commands_reach_runc_exactly(launcher, words):
    assert launcher(*words) == ("runc", words, 0)


@pytest.mark.parametrize(
    "command", ["create", "run", "pause", "attach", "detach", "ranges", "lxcfs"]
)
@pytest.mark.parametrize("before", [[], LOG, ["--debug", "--criu", "x"]])
def test_what_is_rewritten_goes_to_python(launcher, command, before):
    words = [*before, command, "--bundle", "/a b", "", "x'y"]
    assert launcher(*words) == ("python", words, 7)


@pytest.mark.parametrize("code", [0, 1])
def test_what_delete_leaves_goes_to_python_and_the_exit_code_is_runc_s(launcher, tmp_path, code):
    (tmp_path / "runc").write_text(f"#!/bin/sh\necho runc\nexit {code}\n", encoding="utf-8")
    text = (tmp_path / "launcher").read_text(encoding="utf-8")
    left = tmp_path / "cgroup" / "memory" / "docker" / "c0ffee"
    left.mkdir(parents=True)
    text = text.replace("/sys/fs/cgroup", str(tmp_path / "cgroup"))
    (tmp_path / "launcher").write_text(text, encoding="utf-8")
    words = [*LOG, "delete", "c0ffee"]
    assert launcher(*words) == ("runc", ["python\n" + words[0], *words[1:]], code)
    left.rmdir()
    assert launcher(*words) == ("runc", [], code)


def test_the_launcher_knows_the_options_that_python_knows(launcher, tmp_path):
    text = (tmp_path / "launcher").read_text(encoding="utf-8")
    cases = text[text.index("case $word in") : text.index("-*)")]
    named = re.findall(r"(?<![\w-])--?[a-z][a-z-]*(?=[=*]* *[|)])", cases)
    assert set(named) == main.GLOBAL_OPTIONS | main.GLOBAL_FLAGS
    for option in main.GLOBAL_OPTIONS:
        assert launcher(option, "create", "state", "c0ffee")[0] == "runc"
        assert launcher(f"{option}=state", "create", "c0ffee")[0] == "python"
    for flag in main.GLOBAL_FLAGS:
        assert launcher(flag, "create", "c0ffee")[0] == "python"
        assert launcher(flag, "state", "c0ffee")[0] == "runc"
    assert launcher("--unheard-of", "state", "c0ffee")[0] == "python"


def test_source_is_valid_for_sh(launcher):
    source = os.path.join(os.path.dirname(containai.runtime.__file__), "cai-runc")
    subprocess.run(["sh", "-n", source], check=True)


@pytest.mark.parametrize("words", [["--process", "{}"], ["--process={}"], ["-p", "{}"]])
def test_exec_goes_to_python_where_it_asks_for_limits_or_a_mount(launcher, tmp_path, words):
    plain, limited = tmp_path / "plain", tmp_path / "limited"
    limited.write_text('{"rlimits":[{"type":"RLIMIT_CORE"}]}', encoding="utf-8")
    mount, none = tmp_path / "mount", tmp_path / "none"
    mount.write_text('{"args":[":attach","/a","/b","ro"]}', encoding="utf-8")
    plain.write_text(
        '{"args":["sh",":attach"],"env":["X=\\"rlimits\\":\\"args\\":[\\":"]}', encoding="utf-8"
    )
    for file, who in ((plain, "runc"), (limited, "python"), (mount, "python"), (none, "runc")):
        arguments = [*LOG, "exec", *(word.format(file) for word in words), "--detach", "c0ffee"]
        assert launcher(*arguments)[:2] == (who, arguments)


def test_start_bounds_the_containers_own_cgroups(launcher, tmp_path):
    tree = tmp_path / "cgroup"
    groups = [
        tree / "docker" / "c0ffee",
        tree / "system.slice" / "docker-c0ffee.scope",
        tree / "system.slice" / "docker-other.scope",
    ]
    for group in groups:
        group.mkdir(parents=True)
        for name in ("cgroup.max.depth", "cgroup.max.descendants"):
            (group / name).write_text("max", encoding="ascii")
    text = (tmp_path / "launcher").read_text(encoding="utf-8")
    (tmp_path / "launcher").write_text(text.replace("/sys/fs/cgroup", str(tree)), encoding="utf-8")

    def limits():
        return [
            [(group / f"cgroup.max.{name}").read_text(encoding="ascii").strip() for group in groups]
            for name in ("depth", "descendants")
        ]

    # Beside v1 controllers the cgroup is made, with its limits, before runc's.
    launcher(*LOG, "start", "c0ffee")
    assert limits() == [["max"] * 3] * 2
    (tree / "cgroup.controllers").touch()
    assert launcher(*LOG, "start", "c0ffee")[0] == "runc"
    bounds = [str(each) for each in cgroup._LIMITS.values()]
    assert limits() == [[each, each, "max"] for each in bounds]
