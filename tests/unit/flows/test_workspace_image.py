"""A workspace's own Dockerfile: an agent may have written it, and its user alone trusts it."""

import fcntl
import os
import signal
import subprocess
import sys

import pytest

from containai import trust
from containai.boxes.target import Target
from containai.cli.commands import ls
from containai.engine.container import Image, State
from containai.errors import ContainAIError, ImageError, UntrustedError, WorkspaceError
from containai.flows import enter, images, workspace_image
from containai.flows.preview import preview
from containai.flows.workspace_image import Trust
from containai.images import dockerfile, recipe
from containai.trust import Trusted
from harness.app import FakeApp, words

TEXT = "ARG CONTAINAI_BASE\nFROM ${CONTAINAI_BASE}\nRUN true\n"
UNAME = ["uname"]


def write(workspace, text=TEXT):
    (workspace / ".containai").mkdir(exist_ok=True)
    (workspace / ".containai" / "Dockerfile").write_text(text, encoding="utf-8")


def made(app, **wanted):
    return enter.made(app, Target(), UNAME, enter.Wanted(**wanted))


def image_of(app):
    (box,) = app.docker.by_id.values()
    return box.image


def own(app, workspace):
    found = workspace_image.look(app, str(workspace))
    assert found is not None
    return found


@pytest.fixture
def doubtful(app):
    app.user.agrees = False
    return app


@pytest.fixture
def plain(app):
    return recipe.wanted(app.settings).reference


def test_a_workspace_without_one_has_the_usual_image(app, workspace, plain):
    made(app)
    assert (image_of(app), app.user.asked, app.user.told) == (plain, [], [])


def test_one_is_shown_asked_for_built_and_started_from(app, workspace, plain):
    write(workspace)
    made(app)
    mine = own(app, workspace)
    assert mine.recipe.parent == recipe.wanted(app.settings)
    assert image_of(app) == mine.recipe.reference != plain
    assert app.user.asked == ["Trust it as it is?"]
    (told,) = app.user.told
    assert "   3  RUN true\n" in told
    assert "as root in a container of the engine, which is not a box" in told
    assert words(app.docker.requests) == ["build", "create", "cp", "start"]
    assert app.docker.requests[0].count("--tag") == 1


def test_it_is_asked_for_once_and_built_once(app, workspace):
    write(workspace)
    made(app)
    app.user.asked.clear()
    app.docker.requests.clear()
    app.docker.by_id.clear()
    made(app)
    assert (app.user.asked, "build" in words(app.docker.requests)) == ([], False)


def test_what_was_changed_is_asked_for_again_and_the_change_shown(app, workspace):
    write(workspace)
    made(app)
    before = image_of(app)
    app.docker.by_id.clear()
    write(workspace, TEXT + "RUN evil\n")
    app.user.told.clear()
    made(app)
    assert app.user.asked == ["Trust it as it is?"] * 2
    assert "   RUN true\n  +RUN evil\n" in app.user.told[0]
    assert image_of(app) != before


def test_without_agreement_nothing_is_made(doubtful, workspace):
    write(workspace)
    with pytest.raises(UntrustedError, match="is not trusted yet") as raised:
        made(doubtful)
    assert f"cai trust {workspace}" in raised.value.hint
    assert (doubtful.docker.requests, trust.every(doubtful.layout)) == ([], [])


def test_agreement_beforehand_is_none_to_what_nobody_has_seen(app, workspace):
    asked = []

    def ask(question, *, beforehand=True):
        asked.append(beforehand)
        return beforehand

    app.user.ask = ask
    write(workspace)
    with pytest.raises(UntrustedError):
        made(app)
    assert asked == [False]


def test_a_box_that_is_there_starts_without_a_question(doubtful, workspace):
    doubtful.add_box(workspace, state=State.EXITED)
    write(workspace)
    made(doubtful)
    assert (doubtful.user.asked, words(doubtful.docker.requests)) == ([], ["start"])


def test_what_was_trusted_elsewhere_is_not_here(doubtful, workspace):
    write(workspace)
    trust.keep(doubtful.layout, Trusted("/srv/other", TEXT))
    assert own(doubtful, workspace).trust is Trust.NO


def test_what_is_built_is_what_was_shown(app, workspace):
    """The agent writes while its user reads."""
    write(workspace)
    right = own(app, workspace).recipe.reference

    def ask(question, *, beforehand=True):
        write(workspace, TEXT + "RUN evil\n")
        return True

    app.user.ask = ask
    made(app)
    assert image_of(app) == right
    assert own(app, workspace).trust is Trust.CHANGED


@pytest.mark.parametrize("kind", ["link", "directory link", "directory", "pipe", "large", "file"])
def test_what_is_no_plain_file_is_refused_and_nothing_waits(app, workspace, kind, tmp_path):
    (tmp_path / "outside").mkdir()
    write(tmp_path / "outside")
    outside = tmp_path / "outside" / ".containai"
    if kind == "directory link":
        (workspace / ".containai").symlink_to(outside)
    elif kind == "file":
        (workspace / ".containai").write_text("")
    else:
        (workspace / ".containai").mkdir()
        path = workspace / ".containai" / "Dockerfile"
        if kind == "link":
            path.symlink_to(outside / "Dockerfile")
        elif kind == "directory":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        else:
            path.write_text(TEXT + "#" * dockerfile.LIMIT)
    with pytest.raises((ImageError, WorkspaceError), match="cannot be read"):
        made(app)
    assert (app.docker.requests, app.user.asked) == ([], [])


def test_a_process_that_has_a_lease_on_it_makes_nobody_wait(app, workspace):
    write(workspace)
    fd = os.open(workspace / ".containai" / "Dockerfile", os.O_RDWR)
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        with pytest.raises(ImageError, match="has a lease on it"):
            made(app)
    finally:
        os.close(fd)
        signal.signal(signal.SIGIO, before)


def test_one_that_cannot_be_built_is_not_asked_for(app, workspace):
    write(workspace, "FROM debian\n")
    with pytest.raises(ImageError, match="line 1"):
        made(app)
    assert (app.user.asked, trust.every(app.layout)) == ([], [])


def test_it_begins_with_the_layer_it_names(app, workspace):
    write(workspace, "FROM base\n")
    base = recipe.find("base", app.settings)
    app.docker.by_reference[base.reference] = Image("sha256:base")
    made(app)
    assert own(app, workspace).recipe.parent == base
    assert f"ROOT={base.reference}" in app.docker.requests[0]


def test_the_setting_leaves_it_out(layout, workspace):
    layout.uid = os.getuid()
    app = FakeApp(layout, flags={"image.workspace": "false"}).set_up()
    write(workspace)
    made(app)
    assert image_of(app) == recipe.wanted(app.settings).reference
    assert app.user.told == ["cai: .containai/Dockerfile is left out (image.workspace)\n"]
    assert app.user.asked == []


def test_what_was_built_upon_something_else_is_no_image_of_it(app, workspace, plain):
    write(workspace)
    app.docker.by_reference[plain] = Image("sha256:1", layers=("a", "b"))
    with pytest.raises(ImageError, match="is no layer upon"):
        made(app)
    assert own(app, workspace).recipe.reference not in app.docker.by_reference
    assert "create" not in words(app.docker.requests)


@pytest.mark.parametrize(
    ("now", "is_built"),
    [
        (Image("sha256:2", layers=("a", "b")), False),
        (Image("sha256:2", layers=("a", "b", "c")), True),
        (Image("sha256:2", (("containai.owner", "0"),), layers=("a",)), True),
    ],
)
def test_a_layer_that_was_built_again_has_it_built_again(app, workspace, plain, now, is_built):
    write(workspace)
    trust.keep(app.layout, own(app, workspace).now)
    mine = own(app, workspace).recipe
    app.docker.by_reference |= {plain: now, mine.reference: Image("sha256:3", layers=("a", "b"))}
    built = preview(app, Target(), UNAME, enter.Wanted()).describe()
    assert ("build .containai/Dockerfile" in built) == is_built


def test_a_dry_run_says_it_and_asks_nothing(app, workspace):
    write(workspace)
    text = preview(app, Target(), UNAME, enter.Wanted()).describe()
    assert (app.user.asked, app.docker.requests, trust.every(app.layout)) == ([], [], [])
    assert text.partition("\n\n")[2].startswith(
        "ask whether .containai/Dockerfile is trusted\n"
        "build .containai/Dockerfile, which is on stdin\n    $ docker --host "
    )
    made(app)
    app.add_box(workspace)
    text = preview(app, Target(), UNAME, enter.Wanted(fresh=True)).describe()
    assert (dockerfile.PATH in text, own(app, workspace).recipe.reference in text) == (False, True)


def test_ls_says_which_box_is_of_an_older_one(app, workspace):
    write(workspace)
    made(app)

    def older():
        return [each["is_older"] for each in ls.run(app, all=False).value]

    assert older() == [False]
    write(workspace, TEXT + "RUN more\n")
    assert older() == [True]
    trust.keep(app.layout, own(app, workspace).now)
    assert older() == [True]
    made(app, fresh=True)
    assert older() == [False]


def test_images_of_trusted_files_are_current_until_these_change(app, workspace):
    write(workspace)
    made(app)

    def status():
        return [row.status for row in images.listed(app) if row.name == "workspace"]

    assert status() == [images.CURRENT]
    (workspace / ".containai" / "config.toml").write_text("box.cpus = 1\n", encoding="utf-8")
    trust.keep(app.layout, Trusted(str(workspace), "box.cpus = 1\n", trust.CONFIG))
    assert (status(), len(workspace_image.current(app))) == ([images.CURRENT], 1)
    write(workspace, "FROM debian\n")
    assert status() == [images.OLDER]


def test_nothing_is_read_through_what_moves(workspace):
    """A file that is swapped for a link between two looks is opened as neither."""
    write(workspace)
    script = (
        "import os, sys\n"
        "from containai.host import files\n"
        "seen = set()\n"
        "def audit(event, given):\n"
        "    if event == 'open': seen.add(given[0])\n"
        "sys.addaudithook(audit)\n"
        "files.read_beneath(sys.argv[1], '.containai', 'Dockerfile', limit=100)\n"
        "print(sorted(map(str, seen)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(workspace)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(sorted([str(workspace), ".containai", "Dockerfile"]))


def test_whoever_takes_it_back_is_asked_again(app, workspace):
    write(workspace)
    made(app)
    trust.forget(app.layout, str(workspace))
    app.docker.by_id.clear()
    app.user.agrees = False
    with pytest.raises(ContainAIError, match="not trusted yet"):
        made(app)
