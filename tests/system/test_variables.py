"""The variables of a user reach all that runs in a box, and nobody else of the machine."""

import contextlib
import glob
import os
import subprocess
import threading

import pytest

from containai.errors import UsageError
from containai.layout import Layout
from harness.site import Site, refused
from harness.space import MakeSpace, Space

#: What no shell, no parser of systemd's and no file may change.
ODD = 's3cret it\'s "$HOME" `id` \\ 100% #1'
SECRET = "s3cret"
NAMES = 'printf \'%s|\' "$NPM_TOKEN" "$FILED" "${LITERAL-none}"'


@pytest.fixture
def variables(site: Site, make_space: MakeSpace):
    """Have a workspace with variables; give what writes its table anew, and its space."""
    space = make_space()
    path = site.layout.config_file
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    before = ""
    with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
        before = file.read()
    filed = os.path.join(site.home, "filed.env")

    def write(literal: str, filed_value: str = "") -> Space:
        with open(os.open(filed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(f'FILED="{filed_value}"\n' if filed_value else "")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(
                f"{before}\n[workspace.'{space.path}'.env]\nimport = 'NPM_TOKEN'\n"
                f"file = '{filed}'\n{literal}"
            )
        return space

    yield write
    with open(path, "w", encoding="utf-8") as file:
        file.write(before)
    os.unlink(filed)


def everywhere(site: Site, space: Space, token: str) -> list[str]:
    """Return what each way into the box has, and its services."""
    env = {"NPM_TOKEN": token}
    block = site.layout.ssh_block(space.box)
    ways = [
        space.sh(NAMES, env=env),
        subprocess.run(
            ["ssh", "-F", block, space.box, NAMES], capture_output=True, text=True, check=True
        ).stdout,
        # As a log-in at a terminal.
        subprocess.run(
            ["ssh", "-F", block, space.box, "env -i HOME=/home/agent sh -l"],
            input=NAMES, capture_output=True, text=True, check=True,
        ).stdout,
    ]  # fmt: skip
    for manager in ("sudo systemd-run", "systemd-run --user"):
        # As a word, systemd would replace what is in it.
        run = (*manager.split(), "--quiet", "--wait", "--pipe", "sh")
        ways.append(space.run(*run, env=env, input=NAMES.encode()).stdout.decode())
    return ways


def test_all_that_runs_in_a_box_knows_them_and_a_change(site: Site, variables) -> None:
    space = variables(f"set.LITERAL = '''{ODD}'''\n", "two\nlines")
    assert everywhere(site, space, ODD) == [f"{ODD}|two\nlines|{ODD}|"] * 5
    variables("", "one line")
    said = f"{ODD}|one line|"
    assert everywhere(site, space, ODD) == [*[f"{said}none|"] * 4, f"{said}|"]
    # A change of the environment alone, and at boot.
    site.cai("stop", space.path)
    assert everywhere(site, space, "other") == ["other|one line|none|"] * 5


@contextlib.contextmanager
def command_lines(site: Site):
    """Look at all command lines of the machine, over and over; give those that have a secret."""
    seen: set[bytes] = set()
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            for path in glob.glob("/proc/[0-9]*/cmdline"):
                with contextlib.suppress(OSError), open(path, "rb") as file:
                    words = file.read()
                    if SECRET.encode() in words:
                        seen.add(words)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield seen
    finally:
        ended.set()
        looking.join()


def test_nobody_else_sees_a_value(site: Site, variables) -> None:
    space = variables(f"set.LITERAL = '{SECRET}'\n", SECRET)
    # It bites: this is one of them.
    with command_lines(site) as seen:
        subprocess.run(["sh", "-c", f": {SECRET}; sleep 0.5"], check=True)
    assert seen
    with command_lines(site) as seen:
        said = [
            space.run("true", env={"NPM_TOKEN": SECRET + "1"}),
            space.run("true", env={"NPM_TOKEN": SECRET + "2"}),
            site.cai("exec", "-e", "NPM_TOKEN", space.path, "--", "true",
                     env={"NPM_TOKEN": SECRET + "2"}),
            site.cai("config", "list", space.path, "--json"),
            site.cai("run", "--fresh", "--dry-run", space.path, "--", "true",
                     env={"NPM_TOKEN": SECRET + "3"}),
        ]  # fmt: skip
    assert seen == set()
    assert b"NPM_TOKEN" in said[-1].stdout
    assert all(SECRET.encode() not in done.stdout + done.stderr for done in said)
    assert SECRET not in site.docker("inspect", space.box) + site.docker("logs", space.box)
    assert SECRET not in log(site.layout)
    words = ["grep", "--recursive", "--files-with-matches", "--fixed-strings", SECRET, site.root]
    done = subprocess.run(words, capture_output=True, user=65534, group=65534, check=False)
    assert done.stdout == b""


def log(layout: Layout) -> str:
    """Return what the engine logged, where it has a file of its own for that."""
    with contextlib.suppress(FileNotFoundError), open(layout.engine_log, encoding="utf-8") as file:
        return file.read()
    return ""


def test_one_session_has_some_of_its_own(site: Site, shared: Space) -> None:
    words = ("-e", "A=b c", "--env", "NPM_TOKEN", "-e", "PATH=/usr/bin:/bin")
    script = 'printf "%s|" "$A" "$NPM_TOKEN" "$PATH" "${CONTAINAI_SESSION-no}${CONTAINAI_GIVEN}"'
    for command in ("run", "exec"):
        args = (command, *words, shared.path, "--", "sh", "-c", script)
        done = site.cai(*args, env={"NPM_TOKEN": ODD})
        assert done.stdout.decode() == f"b c|{ODD}|/usr/bin:/bin|no|"
    assert shared.sh('echo "${A-none}"') == "none"
    for wrong in ("NOT_THERE", "1A=x", "SHLVL=3", "A*", ""):
        done = site.cai("exec", "-e", wrong, shared.path, "--", "true", check=False)
        refused(done, UsageError)
