"""Copies in both directions, with a shell of this machine in the place of a box."""

import contextlib
import os
import stat

import pytest

from containai.errors import CopyError, NoSpaceError
from containai.flows import copying, told
from containai.host import below
from containai.host.piped import piped
from containai.host.proc import Programs
from harness import hostile_tree
from harness.hostile_tree import archive, directory, link, swapping
from harness.ui import Silent

HOST = Programs()
TRIES, ENOUGH = 2000, 20


@pytest.fixture
def box(tmp_path, monkeypatch):
    """What is the agent's home."""
    home = tmp_path / "box"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.fixture
def here(tmp_path):
    """A workspace: no link is followed in it."""
    path = tmp_path / "here"
    path.mkdir()
    return path


def out(source, to, guarded=(), *, session=list, follow=False):
    inside = below.identities([str(each) for each in guarded])
    return copying.take(HOST, session, source, str(to), inside, Silent(), follow=follow)


def into(source, to, guarded=()):
    inside = below.identities([str(each) for each in guarded])
    return copying.give(HOST, list, str(source), to, inside, Silent())


def sending(data, tmp_path):
    """Return what stands for a box that sends something else."""
    path = tmp_path / "sent"
    path.write_bytes(data)
    return lambda command: ["cat", str(path)]


def tree(top):
    return {str(path.relative_to(top)) for path in top.rglob("*")}


def made(top):
    """Make a tree of all that is copied as it is."""
    odd = "a b\n-c:é"
    (top / "d" / "e").mkdir(parents=True)
    (top / "d" / odd).write_text("text")
    (top / "d/e/run").write_text("#!")
    (top / "d/e/run").chmod(0o4711)
    (top / "d/l").symlink_to("e/run")
    (top / "d/e").chmod(0o750)
    os.utime(top / "d/e/run", ns=(0, 1_234_567_890_000_000_000))
    return {"d", "d/e", f"d/{odd}", "d/e/run", "d/l"}


@pytest.mark.parametrize("way", ["out", "into"])
def test_a_tree_comes_as_it_is_without_set_user_id_bits(box, here, way):
    first, then = (box, here) if way == "out" else (here, box)
    names = made(first)
    done = out("d", here / "d") if way == "out" else into(here / "d", "d")
    assert tree(then) == names
    run = (then / "d/e/run").stat()
    assert stat.S_IMODE(run.st_mode) == 0o711
    assert run.st_mtime == 1_234_567_890
    assert stat.S_IMODE((then / "d/e").stat().st_mode) == 0o750
    assert os.readlink(then / "d/l") == "e/run"
    assert (done.files, done.left_out) == (3, [])


@pytest.mark.parametrize("name", ["-rf", "a:b", "new\nline", "\n", "*", "$(touch x)", "é", "a'b"])
def test_names_are_as_they_are(box, here, name):
    (box / name).write_text("text")
    out(name, here / name)
    assert (here / name).read_text() == "text"
    into(here / name, f"{name}2")
    assert (box / f"{name}2").read_text() == "text"
    assert tree(box) == {name, f"{name}2"}


#: What is copied, where to, what is there; and where it is then, or what is said.
PLACES = [
    ("f", "new", (), "new"),
    ("f", "dir", ("dir/",), "dir/f"),
    ("f", "dir/", ("dir/",), "dir/f"),
    ("f", "dir/new", ("dir/",), "dir/new"),
    ("f", "there", ("there",), "there"),
    ("f", "dir", ("dir/", "dir/f"), "dir/f"),
    ("d", "new", (), "new/x"),
    ("d", "dir", ("dir/",), "dir/d/x"),
    ("d", "dir", ("dir/", "dir/d/", "dir/d/old"), "dir/d/x"),
    ("d/.", "dir", ("dir/", "dir/old"), "dir/x"),
    ("d/.", "new", (), "new/x"),
    ("d/", "dir", ("dir/",), "dir/d/x"),
    ("f", "no/new", (), "no"),
    ("f", "no/", (), "no"),
    ("f", "dir", ("dir/", "dir/f/"), "is a directory"),
    ("d", "there", ("there",), "no directory"),
    ("d", "dir", ("dir/", "dir/d"), "no directory"),
    ("gone", "new", (), "gone"),
    ("f", "there/new", ("there",), "there"),
]


@pytest.mark.parametrize("way", ["out", "into"])
@pytest.mark.parametrize(("source", "to", "there", "expected"), PLACES)
def test_where_a_copy_is(box, here, way, source, to, there, expected):
    first, then = (box, here) if way == "out" else (here, box)
    (first / "f").write_text("new")
    (first / "d").mkdir()
    (first / "d/x").write_text("new")
    for each in there:
        if each.endswith("/"):
            (then / each).mkdir()
        else:
            (then / each).write_text("old")
    before = tree(then)

    def copy():
        if way == "out":
            return out(source, f"{here}/{to}")
        return into(f"{here}/{source}", to)

    fails = expected in ("no", "gone", "is a directory", "no directory", "there") and (
        source == "gone" or to != "there" or source == "d"
    )
    if fails:
        with pytest.raises(CopyError, match=expected):
            copy()
        assert tree(then) == before
    else:
        copy()
        assert (then / expected).read_text() == "new"
        assert all((then / each).exists() for each in before)
        assert not any(".cai-" in each for each in tree(then))


def test_what_is_copied_over_a_link_takes_its_place(box, here, tmp_path):
    (tmp_path / "other").write_text("other's")
    for top in (box, here):
        (top / "f").write_text("new")
        (top / "l").symlink_to(tmp_path / "other")
    out("f", here / "l")
    into(here / "f", "l")
    assert (tmp_path / "other").read_text() == "other's"
    assert (here / "l").read_text() == (box / "l").read_text() == "new"


def test_links_that_lead_out_are_left_out_or_followed(box, here):
    (box / "other").write_text("text")
    (box / "d").mkdir()
    (box / "d/l").symlink_to("../other")
    done = out("d", here / "d")
    assert [(each.name, each.why) for each in done.left_out] == [
        ("l", "a link to '../other', which leads out of it")
    ]
    out("d/.", here / "d", follow=True)
    assert (here / "d/l").read_text() == "text"
    # What is named itself is followed in the box.
    out("d/l", here / "l")
    assert not (here / "l").is_symlink()


def test_a_link_of_the_host_is_not_followed(box, here):
    (here / "l").symlink_to("/etc/passwd")
    (here / "d").symlink_to("/etc")
    for name in ("l", "d"):
        with pytest.raises(CopyError, match="is a link, and none is followed"):
            into(here / name, "x", [here])
    with pytest.raises(CopyError, match="leads through the link 'd' of a workspace"):
        into(here / "d/passwd", "x", [here])
    with pytest.raises(CopyError, match="leads through the link 'd' of a workspace"):
        out("x", here / "d" / "x", [here])
    with pytest.raises(CopyError, match="leads through the link 'l' of a workspace"):
        out("x", here / "l", [here])
    assert tree(box) == set()


def test_holes_are_kept_in_both_directions(box, here):
    (box / "f").touch()
    os.truncate(box / "f", 1 << 30)
    out("f", here / "f")
    into(here / "f", "g")
    for path in (here / "f", box / "g"):
        assert (path.stat().st_size, path.stat().st_blocks < 100) == (1 << 30, True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all")
def test_what_may_not_be_read_is_named(box, here):
    (box / "d").mkdir()
    (box / "d/closed").touch(mode=0)
    (box / "d/open").touch()
    done = out("d", here / "d")
    assert [(each.name, each.why) for each in done.left_out] == [
        ("closed: Cannot open", "Permission denied")
    ]
    assert tree(here) == {"d", "d/open"}
    with pytest.raises(CopyError, match="Permission denied"):
        out("d/closed", here / "x")


@pytest.mark.parametrize("name", hostile_tree.HOSTILE)
def test_a_box_that_sends_something_else_writes_nothing_outside(here, tmp_path, name):
    (tmp_path / "canary").write_text("as it was")
    data = archive(directory("."), end=False) + hostile_tree.hostile(name, tmp_path / "canary")
    for sent in (data, hostile_tree.hostile(name, tmp_path / "canary")):
        with contextlib.suppress(CopyError):
            out("d", here / "d", session=sending(sent, tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"canary", "here", "sent"}
    assert (tmp_path / "canary").read_text() == "as it was"
    assert {path.name for path in here.iterdir()} <= {"d"}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it ended in the middle"),
        (b"hello" * 1000, "no archive as it should be"),
        (bytes(1024), "there is nothing to copy"),
        (archive(directory("."), ("f", b"x" * 5000))[:3000], "it ended in the middle"),
        (archive(("f", b"x"), ("g", b"x")), "more than the one file"),
        (archive(directory("."), link("l", "."), ("l/x", b"y")), "is no directory"),
    ],
)
def test_a_box_that_sends_nonsense_leaves_nothing(here, tmp_path, data, why):
    with pytest.raises(CopyError, match=why):
        out("d", here / "d", session=sending(data, tmp_path))
    assert tree(here) <= {"d"}
    assert not (here / "d").is_dir()


def test_a_box_that_talks_without_an_end_is_cut_short(here):
    def talking(_command):
        return ["sh", "-c", "yes 1>&2 & exec head -c 1000000 /dev/zero >&2"]

    with pytest.raises(CopyError) as raised:
        out("d", here / "d", session=talking)
    assert len(str(raised.value)) < 400


def test_a_program_that_stays_is_ended(here, tmp_path):
    (tmp_path / "sent").write_bytes(b"nonsense" * 1000)
    pids = tmp_path / "pid"

    def staying(_command):
        return ["sh", "-c", f"echo $$ >{pids}; cat {tmp_path}/sent; exec sleep 1000"]

    with piped(HOST, staying([]), writes=False) as running:
        assert running.stream.read(3) == b"non"
    assert not os.path.exists(f"/proc/{pids.read_text().strip()}")
    assert tree(here) == set()


def test_a_full_box_is_said(here, box):
    def full(_command):
        said = "tar: item: Cannot write: No space left on device"
        return ["sh", "-c", f"cat >/dev/null; echo '{said}' >&2; exit 2"]

    (here / "f").write_text("x")
    with pytest.raises(NoSpaceError, match="the box has no room"):
        copying.give(HOST, full, str(here / "f"), "f", set(), Silent())
    assert tree(box) == set()


def test_a_target_that_is_swapped_for_a_link_leads_nowhere(box, here, tmp_path):
    made(box)
    outside = tmp_path / "outside"
    outside.mkdir()
    (here / "d").mkdir()
    with swapping(here / "d", outside):
        tried(lambda number: out("d/e", here / "d", [here]))
    assert tree(outside) == set()


def test_a_source_that_is_swapped_for_a_link_is_not_left(box, here, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/f").write_text("SECRET")
    (here / "d").mkdir()
    (here / "d/f").write_text("public")
    with swapping(here / "d", tmp_path / "outside"):
        tried(lambda number: into(here / "d/f", f"f{number}", [here]))
        tried(lambda number: into(here / "d", f"d{number}", [here]))
    texts = {path.read_text() for path in box.rglob("*") if path.is_file()}
    assert texts == {"public"}


def tried(copy):
    """Copy until it has worked and failed some times each."""
    worked = failed = 0
    for number in range(TRIES):
        try:
            copy(number)
            worked += 1
        except CopyError:
            failed += 1
        if min(worked, failed) == ENOUGH:
            break
    assert min(worked, failed) > 0


def test_it_says_how_far_it_is_once_that_takes_time(box, here, monkeypatch):
    monkeypatch.setattr(told, "_QUIET", 0.0)
    (box / "f").write_bytes(bytes(3_000_000))
    ui = Silent()
    copying.take(HOST, list, "f", f"{here}/f", set(), ui, follow=False)
    assert ui.said[0] == "[1/1] copying f"
    assert ui.said[1].endswith(" MB")


@pytest.mark.parametrize("path", ["", "-", "a\0b"])
def test_what_is_no_path(box, path):
    with pytest.raises(CopyError, match="is no path"):
        copying.take(HOST, list, "f", path, set(), Silent(), follow=False)
    with pytest.raises(CopyError, match="is no path"):
        copying.give(HOST, list, path, "f", set(), Silent())
    assert tree(box) == set()
