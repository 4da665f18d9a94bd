import os
import re
import shutil
import socket
import subprocess
import sys
import threading

import pytest

from containai.agents import AGENTS
from containai.cli import command, complete, registry
from containai.cli import main as cli
from containai.cli.commands import completion
from containai.layout import Layout
from containai.ssh import hosts
from unit.cli.test_main import SLOW, heavy, start

#: What a shell takes for something else than letters, as the name of a directory.
ODD = "it's $(touch ran) `touch ran` ;touch ran; & | * ~ é"


def publish(layout, box, workspace):
    os.makedirs(layout.ssh_blocks, exist_ok=True)
    block = hosts.host_block(
        layout, box, port=2300, workspace=workspace, inode="1:2", forward_agent=False
    )
    with open(layout.ssh_block(box), "w", encoding="utf-8") as file:
        file.write(block)


def words(layout, *typed):
    return [row.word for row in complete.offered(layout, typed, "").words]


def test_commands_and_their_second_words(layout):
    assert words(layout) == registry.names()
    assert words(layout, "engine") == ["start", "stop", "status", "logs"]
    assert words(layout, "--quiet") == registry.names()


def test_topics_and_commands_that_help_is_on(layout):
    offered = words(layout, "--quiet", "help")
    assert set(registry.names()) < set(offered)
    assert {"install", "security"} <= set(offered)
    assert len(offered) == len(set(offered))
    assert words(layout, "help", "engine") == ["start", "stop", "status", "logs"]


@pytest.mark.parametrize("row", registry.every(), ids=lambda row: row.path)
def test_options_of_every_command(layout, row):
    offer = complete.offered(layout, row.path.split(), "-")
    own = [] if row.passes_all else [*command.arguments(row), *command.LOUDNESS]
    assert [each.word for each in offer.words] == [each.name for each in own if each.is_option]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["config", "set", "agent.unattended"], ["true", "false"]),
        (["config", "set", "engine.provider"], ["auto", "docker-ce", "distro"]),
        (["config", "set", "agent.default"], [each.name for each in AGENTS]),
        (["config", "set", "import.auto"], ["ask", "always", "never"]),
        (["config", "set", "image.name"], ["base", "sdks", "full"]),
        (["config", "set", "box.memory"], []),
        (["config", "set", "frobnicate"], []),
        (["run", "--agent"], [each.name for each in AGENTS]),
        (["setup", "--runtime"], ["auto", "sysbox", "embedded"]),
        (["run", "--memory"], []),
        (["run", "--on"], ["local"]),
        (["stop", "--on"], ["local"]),
        (["fork", "--on"], ["local"]),
        (["cp", "--on"], ["local"]),
        (["ls", "--on"], ["local"]),
        (["image", "build"], ["base", "sdks", "full"]),
        (["image", "build", "--no-cache"], ["base", "sdks", "full"]),
        (["image", "build", "--source", "auto"], ["base", "sdks", "full"]),
        (["image", "build", "base"], []),
        (["run", ".", "--"], []),
        (["ls"], []),
        (["completion"], ["bash", "zsh", "fish"]),
    ],
)
def test_values(layout, typed, expected):
    assert words(layout, *typed) == expected


def test_settings(layout):
    assert "box.memory" in words(layout, "config", "get")


@pytest.mark.parametrize(
    ("typed", "paths"),
    [
        (["run"], "directories"),
        (["run", "--name", "x"], "directories"),
        (["run", "--name=x"], "directories"),
        (["run", "--force"], "directories"),
        (["run", "."], ""),
        (["setup", "--offline-dir"], "directories"),
        (["setup", "--image-archive"], "files"),
        (["image", "import"], "files"),
    ],
)
def test_paths_are_left_to_the_shell(layout, typed, paths):
    assert complete.offered(layout, typed, "").paths == paths


def test_boxes_and_workspaces_are_those_with_a_host_block(layout):
    assert words(layout, "run", "--name") == []
    for box, workspace in {
        "api": "/w/api",
        "b": "/w/a b",
        "odd": "/w/\x1b]0;x\x07",
        "new": "\n",
    }.items():
        publish(layout, box, workspace)
    publish(layout, "$(id)", "/w/x")
    publish(layout, "-x", "/w/y")
    with open(f"{layout.ssh_blocks}/broken.conf", "wb") as file:
        file.write(b"\xff\xfe# workspace='/w/z' inode=1\n")
    os.mkdir(f"{layout.ssh_blocks}/folder.conf")
    assert words(layout, "run", "--name") == ["api", "b", "broken", "folder", "new", "odd"]
    assert words(layout, "stop") == ["/w/api", "/w/a b"]
    assert complete.answer(layout, ["zsh", "cp", "-", "ap"]) == "files\napi:\t/w/api\n"
    assert complete.answer(layout, ["bash", "cp", "api", ":", "x"]) == "files\n"


def test_answers_for_bash_begin_after_its_word_breaks(layout):
    publish(layout, "api", "/w/api")
    assert complete.answer(layout, ["bash", "run", "--name", "=", "a"]) == "words\napi\t/w/api\n"
    assert complete.answer(layout, ["bash", "run", "--name", "="]) == "words\napi\t/w/api\n"
    assert complete.answer(layout, ["zsh", "run", "--name=a"]) == "words\n--name=api\t/w/api\n"
    assert complete.answer(layout, ["fish", "sto"]) == "words\nstop\tshut a box down\n"


class Engine:
    """Something on the engine's socket that answers a request, or never does."""

    def __init__(self, layout, answer):
        os.makedirs(os.path.dirname(layout.engine_socket), exist_ok=True)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(layout.engine_socket)
        self.socket.listen()
        self.answer = answer
        self.asked = b""
        if answer is not None:
            threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        connection, _ = self.socket.accept()
        with connection:
            self.asked = connection.recv(4096)
            connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + self.answer)


@pytest.fixture
def short(tmp_path_factory):
    # A socket's path holds 107 bytes.
    import tempfile

    with tempfile.TemporaryDirectory(prefix="cai-") as root:
        yield Layout(root, f"{root}/home", os.getuid())


def test_volumes_are_asked_of_the_engine(short):
    answer = b'{"Volumes":[{"Name":"api"},{"Name":"$(id)"},{"Name":"b\\u001b[2J"}]}'
    engine = Engine(short, answer)
    offer = complete._values(short, registry.every()[0], command.Argument("VOLUME", ""), ())
    assert [row.word for row in offer.words] == ["api"]
    assert engine.asked.startswith(b"GET /volumes?filters=%7B%22label%22:")
    assert b"containai.owner" in engine.asked


@pytest.mark.parametrize("is_there", [False, True])
def test_an_engine_that_does_not_answer_is_nothing(short, monkeypatch, capsys, is_there):
    if is_there:
        engine = Engine(short, None)
        assert engine.asked == b""
    row = registry.rows("version")[0]._replace(arguments=[command.Argument("VOLUME", "")])
    monkeypatch.setattr(registry, "_rows", lambda name: [row])
    monkeypatch.setattr(Layout, "from_environment", classmethod(lambda cls: short))
    assert cli.main(["__complete", "bash", "version", ""]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("typed", [[], ["bash"], ["bash", ""], ["bash", "\udcff", "-"], ["\0"]])
def test_nothing_fails_loudly(capsys, typed):
    assert cli.main(["__complete", *typed]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "typed",
    [
        ["r"],
        ["help", ""],
        ["run", ""],
        ["run", "--name", ""],
        ["rm", "--name=", ""],
        ["run", "--m"],
    ],
)
def test_nothing_heavy_is_imported(typed, tmp_path):
    layout = Layout("/", str(tmp_path), os.getuid())
    publish(layout, "api", "/w/api")
    done, imported = start("__complete", "bash", *typed, HOME=str(tmp_path))
    assert done.stdout.startswith((b"words\n", b"directories\n"))
    assert not heavy(imported) | imported & (SLOW | {"subprocess"})
    if "--m" not in typed:
        assert "containai.config.settings" not in imported
    assert not {each for each in imported if each.startswith(("containai.engine.", "containai.im"))}


# What real shells do with it.


@pytest.fixture
def site(tmp_path):
    """Return a directory, and the environment of a shell there."""
    home = tmp_path / "home"
    (tmp_path / ODD).mkdir()
    layout = Layout("/", str(home), os.getuid())
    publish(layout, "api-1", str(tmp_path / ODD))
    publish(layout, "api-2", "/w/api-2")
    publish(layout, "b$(touch ran)", "/w/x")
    (tmp_path / "here" / "sub dir").mkdir(parents=True)
    (tmp_path / "here" / "a file").write_text("")
    # As an agent would have it: what is called cai in a workspace, on the PATH or by a path.
    for name in ("cai", "containai"):
        evil = tmp_path / "here" / name
        evil.write_text("#!/bin/sh\ntouch ran\n")
        evil.chmod(0o755)
    environ = {
        "HOME": str(home),
        "PATH": f".:{os.environ['PATH']}",
        "TERM": "dumb",
        "LANG": "C.UTF-8",
    }
    yield tmp_path / "here", environ
    assert not (tmp_path / "here" / "ran").exists()


def of_shell(shell):
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    return completion.script(shell)


def of_bash(site, line, script=""):
    """Return what bash offers for a line; the last word is what is completed."""
    script = script or of_shell("bash")
    typed = line.split(" ")
    driver = f"""
{script}
compopt() {{ printf 'opt %s\\n' "$*"; }}
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*"
_containai "$1" "${{@: -1}}" "${{@: -2:1}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    here, environ = site
    done = subprocess.run(
        ["bash", "--norc", "-c", driver, "bash", *typed],
        cwd=here, env=environ, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_bash(site):
    assert of_bash(site, "cai sto") == ["stop"]
    assert of_bash(site, "./cai sto") == ["stop"]
    assert of_bash(site, "cai stop --name ") == ["api-1", "api-2"]
    assert of_bash(site, "cai stop --name = api-") == ["api-1", "api-2"]
    here, _ = site
    offered = of_bash(site, "cai run ")
    assert offered[:2] == ["opt -o filenames -o plusdirs", str(here.parent / ODD)]


def test_a_naive_script_would_run_what_a_workspace_has(site):
    script = of_shell("bash").replace(completion._quoted("bash", sys.executable), '"$1"')
    script = script.replace("'-I' '-m' 'containai'", "")
    of_bash(site, "./cai sto", script)
    here, _ = site
    assert (here / "ran").exists()
    (here / "ran").unlink()


def interactive(shell, argv, keys, site):
    """Type into a shell at a terminal: each of the keys once it has shown something, and asks."""
    import pty
    import select

    here, environ = site
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(here)
        os.execve(shutil.which(shell), argv, environ | {"TERM": "xterm", "PS1": "$ "})
    shown = b""
    try:
        for expected, key in keys:
            # Bracketed paste is switched on when the line editor is ready for more.
            while not re.search(re.escape(expected) + rb".*\x1b\[\?2004h", shown, re.DOTALL):
                assert select.select([terminal], [], [], 30)[0], shown
                shown += os.read(terminal, 65536)
            os.write(terminal, key)
            shown = b""
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)


def test_bash_at_a_terminal_quotes_what_is_odd(site, tmp_path):
    (tmp_path / "rc").write_text(f"PS1='> '\nbind 'set bell-style none'\n{of_shell('bash')}")
    parent = str(tmp_path).encode()
    interactive(
        "bash",
        ["bash", "--noprofile", "--rcfile", str(tmp_path / "rc"), "-i"],
        [
            (b"", b"cai() { printf '[%s]' \"$@\"; echo; }; cai run " + parent + b"/it\t\r"),
            (f"[{tmp_path}/{ODD}/]".encode(), b"exit\r"),
        ],
        site,
    )


def test_zsh(site, tmp_path):
    (tmp_path / ".zshrc").write_text(
        f"PS1='> '\nautoload -Uz compinit\ncompinit -u -d {tmp_path}/dump\n"
        f"{of_shell('zsh')}\nunsetopt automenu\n"
    )
    here, environ = site
    site = here, environ | {"ZDOTDIR": str(tmp_path)}
    interactive(
        "zsh",
        ["zsh", "-i"],
        [
            (b"", b"cai() { printf '[%s]' \"$@\"; echo; }\r"),
            (b"> ", b"cai stop --name api-\t2\r"),
            (b"[api-2]", b"cai ru\t/w/a\t\r"),
            (b"[/w/api-2]", b"cai run " + str(tmp_path).encode() + b"/it\t\r"),
            (f"[{tmp_path}/{ODD}]".encode(), b"cai run sub\t\r"),
            (b"[sub dir]", b"exit\r"),
        ],
        site,
    )


def of_fish(site, line):
    here, environ = site
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"{of_shell('fish')}\ncomplete -C $argv[1]", line],
        cwd=here, env=environ, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_fish(site, tmp_path):
    assert of_fish(site, "cai sto") == ["stop\tshut a box down"]
    assert of_fish(site, "./cai sto") == ["stop\tshut a box down"]
    assert [line.split("\t")[0] for line in of_fish(site, "cai stop --name ")] == ["api-1", "api-2"]
    assert of_fish(site, "cai stop --name=api-2")[0].startswith("--name=api-2")
    assert any(line.startswith("sub dir/") for line in of_fish(site, "cai run su"))
    assert any(ODD in line for line in of_fish(site, "cai run "))
