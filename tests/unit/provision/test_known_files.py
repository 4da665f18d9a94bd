"""Every file that cai reads, damaged in every way: nothing ends otherwise than it should."""

import os
import shlex
import signal
import subprocess
import sys
from fnmatch import fnmatch
from itertools import cycle

import pytest

from containai.cli import command, registry
from containai.engine import configuration, runtimes
from containai.errors import ContainAIError
from containai.host import processes, scripts
from containai.host.fake import Replaced
from containai.provision import known_files, record
from containai.provision.known_files import KNOWN, Whose
from containai.provision.steps.files import Files
from containai.work.user import User
from harness import damage
from harness.app import ANOTHER

#: All ways for all files, which takes a quarter of an hour.
EVERY = bool(os.environ.get("TEST_EVERY_DAMAGE"))
#: What is run in one set-up, in this order: first what changes nothing.
COMMANDS = (
    *("ls", "status .", "ssh list", "ssh config .", "config list", "trust --list", "ports ."),
    *("remote ls", "remote show", "remote use local"),
    *("limit .", "image ls", "volume ls", "engine status", "version", "doctor"),
    *("uninstall --dry-run", "keep .", "run . -- true", "trust . --yes", "prune --yes"),
    *("config set image.name base", "forward . 3000", "engine start", "rename . other"),
    *("stop .", "uninstall --purge --yes"),
)
#: Those of the quick pass.
FEW = (
    "ls",
    "remote ls",
    "ssh list",
    "config list",
    "trust --list",
    "uninstall --dry-run",
    "run . -- true",
)


@pytest.fixture
def furnished(app, workspace, monkeypatch):
    signal.signal(signal.SIGALRM, _hangs)
    monkeypatch.setattr(processes, "find", lambda *programs: [])
    monkeypatch.setenv("HOME", app.layout.home)
    app.machine.answer(*scripts.argv("host/background.sh"), out="999999\n")
    for words in (("image", "inspect"), ("volume", "inspect"), ("container", "inspect")):
        app.machine.answer(*app.engine.argv(*words), out="[]")
    damage.furnish(app, workspace)
    return app


def ends(app, line):
    """Run a command, which may end as commands do."""
    row, rest = registry.find(shlex.split(line))
    asked = command.parse(row, rest)
    for part in ("settings", "boxes"):
        app.__dict__.pop(part, None)
    signal.alarm(120)
    try:
        row.run(app, **asked.keywords)
    except (ContainAIError, Replaced):
        pass
    except OSError as said:
        # Of what cannot be written, cli.main tells in a line.
        if not said.filename:
            raise
    finally:
        signal.alarm(0)
    return True


class Hangs(BaseException):
    """A command waits for what nobody does."""


def _hangs(number, frame):
    raise Hangs


def put_away(app):
    """Carry out what `--fix` would do about damaged files."""
    step = Files()
    for action in step.plan(app.host, step.check(app.host)):
        subprocess.run(action.argv, check=True)


def test_a_whole_setup_has_every_file_and_none_is_damaged(furnished):
    assert all(known_files.present(furnished.layout, known) for known in KNOWN)
    finding = Files().check(furnished.host)
    assert (finding.ok, finding.seen) == (True, "all are whole")


PAIRS = [
    (known, state)
    for known, ways in zip(
        KNOWN, cycle([list(damage.STATES)[n::7] for n in range(7)]), strict=False
    )
    for state in (damage.STATES if EVERY else ways)
]


@pytest.mark.parametrize(
    ("known", "state"), PAIRS, ids=[f"{known.what}: {state}" for known, state in PAIRS]
)
def test_no_command_ends_in_a_traceback(furnished, known, state):
    path = known_files.present(furnished.layout, known)[0]
    damage.damage(path, state)
    for line in COMMANDS if EVERY else FEW:
        assert ends(furnished, line)


@pytest.mark.parametrize("state", damage.NO_FILES)
def test_doctor_names_what_is_no_file_and_fix_puts_it_away(furnished, workspace, state):
    for known in KNOWN:
        damage.furnish(furnished.set_up(), workspace)
        path = known_files.present(furnished.layout, known)[0]
        damage.damage(path, state)
        found = Files().check(furnished.host)
        assert (path in found.seen) is (known.whose is not Whose.ANOTHERS), path
        put_away(furnished)
        assert Files().check(furnished.host).ok, path
        assert os.path.lexists(f"{path}.damaged") is (known.whose is Whose.USER)
        if known.whose is Whose.ANOTHERS:
            os.unlink(path)


@pytest.mark.parametrize(
    ("what", "state"),
    [
        (what, state)
        for what in ("engine configuration", "choice of the runtime", "trust", "Docker context")
        for state in ("empty", "cut off", "a list", "a number", "odd values", "nested", "garbage")
    ]
    + [("record of packages", state) for state in ("cut off", "a list", "odd values", "nested")]
    + [("settings", "cut off"), ("settings", "garbage")]
    + [("version", state) for state in ("empty", "a list", "odd values", "digits", "garbage")],
)
def test_a_text_that_says_nothing_is_named(furnished, what, state):
    path = next(
        known_files.present(furnished.layout, known)[0]
        for known in KNOWN
        if known.what == what and not known.directory
    )
    damage.damage(path, state)
    assert f"{path} is damaged" in Files().check(furnished.host).seen
    put_away(furnished)
    assert Files().check(furnished.host).ok


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_somebody_else_could_write_is_not_believed(furnished):
    layout = furnished.layout
    for path, read in (
        (layout.engine_config, lambda: configuration.subnet(layout)),
        (layout.runtime_choice, lambda: runtimes.read_choice(layout)),
        (layout.install_record, lambda: record.read(layout)),
    ):
        os.unlink(layout.engine_running_config) if path == layout.engine_config else None
        assert read()
        for loosen in (
            lambda path: os.chown(path, ANOTHER, -1),
            lambda path: os.chmod(path, 0o666),
        ):
            loosen(path)
            assert not read()
            assert path in Files().check(furnished.host).seen
            os.chown(path, 0, 0)
            os.chmod(path, 0o644)
        # Whoever could put a link there would have root read, and believe, another file.
        os.rename(path, f"{path}-elsewhere")
        os.symlink(f"{path}-elsewhere", path)
        assert not read()
        put_away(furnished)
        assert os.path.exists(f"{path}-elsewhere")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_directory_of_roots_keeps_what_is_in_it(furnished):
    layout = furnished.layout
    directory = os.path.dirname(layout.install_record)
    os.chown(directory, ANOTHER, -1)
    os.chmod(directory, 0o777)
    assert f"{directory} belongs to user {ANOTHER}" in Files().check(furnished.host).seen
    put_away(furnished)
    assert Files().check(furnished.host).ok
    assert record.read(layout)["packages"] == ["x"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all")
def test_what_its_user_closed_is_opened_and_stays(furnished):
    layout = furnished.layout
    for path in (layout.config_file, layout.trusted):
        os.chmod(path, 0)
        assert f"{path} cannot be read" in Files().check(furnished.host).seen
        put_away(furnished)
        assert Files().check(furnished.host).ok
        assert not os.path.lexists(f"{path}.damaged")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_in_the_home_of_somebody_else_nothing_is_moved(furnished):
    damage.damage(furnished.layout.config_file, "garbage")
    os.chown(furnished.layout.home, ANOTHER, -1)
    assert Files().check(furnished.host).ok


def test_modes_of_settings_are_the_users_own_affair(furnished):
    os.chmod(furnished.layout.config_file, 0o666)
    assert Files().check(furnished.host).ok


def test_a_link_to_settings_is_the_users_own_affair(furnished, tmp_path):
    path = furnished.layout.config_file
    os.rename(path, tmp_path / "dotfile")
    os.symlink(tmp_path / "dotfile", path)
    assert Files().check(furnished.host).ok


def test_through_sudo_files_of_a_user_are_left_alone(furnished):
    damage.damage(furnished.layout.config_file, "garbage")
    furnished.machine.user = User("u", furnished.layout.home)
    assert Files().check(furnished.host).ok


#: Opened, while something is watched.
OPENED: list[str] | None = None


def _note(event, arguments):
    if event == "open" and OPENED is not None and isinstance(arguments[0], str):
        OPENED.append(arguments[0])


def test_the_table_has_every_file_that_is_opened(furnished, workspace, monkeypatch):
    sys.addaudithook(_note)  # there is no way to take one away
    opened: list[str] = []
    monkeypatch.setitem(globals(), "OPENED", opened)
    for line in COMMANDS:
        ends(furnished, line)
    monkeypatch.setitem(globals(), "OPENED", None)
    layout = furnished.layout
    known = [pattern for each in KNOWN for pattern in each.paths(layout)]
    ours = [f"{layout.root}/", f"{layout.home}/", f"{layout.control_dir}/"]
    strange = {
        path
        for path in opened
        if path.startswith(tuple(ours))
        and not os.path.isdir(path)
        and not any(fnmatch(path, pattern) for pattern in known)
    }
    assert {path for path in opened if path.startswith(tuple(ours))}
    assert not strange, f"no row has {strange}"


def test_the_record_of_packages_is_written_over_whatever_is_there(furnished):
    path = furnished.layout.install_record
    for make in (os.makedirs, os.mkfifo, lambda path: os.symlink("/nonexistent/x", path)):
        os.unlink(path)
        make(path)
        furnished.machine.answer("rm", "-rf", act=lambda: os.rmdir(path))
        record.write(furnished.host, {"group": True})
        assert record.read(furnished.layout) == {"group": True}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_belongs_to_somebody_else_is_named_and_put_away(furnished, workspace):
    layout = furnished.layout
    for known in KNOWN:
        damage.furnish(furnished.set_up(), workspace)
        path = known_files.present(layout, known)[0]
        os.chown(path, ANOTHER, -1)
        seen = Files().check(furnished.host).seen
        assert (f"{path} belongs to user" in seen) is (known.whose is not Whose.ANOTHERS), path
        put_away(furnished)
        assert Files().check(furnished.host).ok, path
