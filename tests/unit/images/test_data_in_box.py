"""The program `data` of the image, upon a home and a volume that are directories here."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = (
    Path(__file__).parents[3] / "src/containai/images/base/rootfs/usr/local/lib/containai/data"
)
TABLE = """\
file 600 .bash_history
file 644 .gitconfig
directory 700 .claude
directory 700 .config/gh
"""
#: Before and after what is there by itself.
OLD, NEW = 1_000_000_000, 4_000_000_000


class Box:
    def __init__(self, directory):
        self.home, self.volume = directory / "home", directory / "volume"
        self.home.mkdir()
        self.volume.mkdir()
        self.table = directory / "kept"
        self.table.write_text(TABLE)
        text = PROGRAM.read_text()
        for name, place in (
            ('b"/home/agent"', os.fsencode(self.home)),
            ('b"/mnt/agent-data"', os.fsencode(self.volume)),
            ('"/etc/containai/kept"', str(self.table)),
            ('"/var/lib/containai/data"', str(directory / "done")),
            ('b"/var/lib/containai/data-before"', os.fsencode(directory / "before")),
        ):
            assert name in text
            text = text.replace(name, repr(place))
        # Only root may.
        self.text = text.replace("    os.setgroups([])\n", "").replace("os.sete", "(lambda x: 0)#")

    def boot(self):
        done = subprocess.run(
            [sys.executable, "-IS", "-c", self.text], capture_output=True, text=True, check=True
        )
        return done.stderr

    def put(self, name, text, when=OLD, in_volume=False):
        path = (self.volume if in_volume else self.home) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (when, when))
        return path

    def read(self, name):
        """Return what the home has by that name, which has to be in the volume."""
        assert (self.home / name).resolve().is_relative_to(self.volume)
        return (self.home / name).read_text()


@pytest.fixture
def box(tmp_path):
    return Box(tmp_path)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_home_leads_to_a_new_volume(box):
    assert box.boot() == ""
    for name in (".bash_history", ".gitconfig", ".claude", ".config/gh"):
        assert os.readlink(box.home / name) == str(box.volume / name)
    assert sorted(path.name for path in box.volume.iterdir()) == [".claude", ".config"]
    assert mode(box.volume / ".claude") == 0o700
    (box.home / ".gitconfig").write_text("x")
    assert box.boot() == ""
    assert box.read(".gitconfig") == "x"


def test_what_the_image_brings_is_taken_where_the_volume_has_none(box):
    box.put(".gitconfig", "image's")
    box.put(".claude/settings.json", "image's", NEW)
    box.put(".bash_history", "image's", NEW)
    box.put(".bash_history", "mine", in_volume=True)
    box.put(".config/gh/hosts.yml", "image's").parent.chmod(0o755)
    assert box.boot() == ""
    assert mode(box.volume / ".config/gh") == 0o700
    assert box.read(".gitconfig") == box.read(".claude/settings.json") == "image's"
    assert box.read(".bash_history") == "mine"


def test_nothing_of_the_image_comes_into_a_directory_of_the_volume(box):
    box.put(".claude/settings.json", "image's", NEW)
    box.put(".claude/CLAUDE.md", "mine", in_volume=True)
    assert box.boot() == ""
    assert os.listdir(box.home / ".claude") == ["CLAUDE.md"]


@pytest.mark.parametrize(("when", "kept"), [(NEW, "replaced"), (OLD - 1, "before")])
def test_of_a_link_that_was_replaced_the_newer_file_counts(box, when, kept):
    box.boot()
    box.put(".gitconfig", "before", in_volume=True)
    (box.home / ".gitconfig").unlink()
    box.put(".gitconfig", "replaced", when)
    os.chmod(box.home / ".gitconfig", 0o640)
    assert box.boot() == ""
    assert box.read(".gitconfig") == kept
    assert (box.home / ".gitconfig").is_symlink()
    assert (mode(box.volume / ".gitconfig") == 0o640) == (kept == "replaced")


def test_a_directory_that_was_replaced_is_taken_in_file_by_file(box):
    box.boot()
    box.put(".claude/old", "before", OLD, in_volume=True)
    box.put(".claude/same", "newer", NEW, in_volume=True)
    (box.home / ".claude").unlink()
    box.put(".claude/same", "older")
    box.put(".claude/deep/er/new", "x")
    (box.home / ".claude/link").symlink_to("nowhere")
    os.mkfifo(box.home / ".claude/fifo")
    assert box.boot() == ""
    seen = {name: box.read(f".claude/{name}") for name in ("old", "same", "deep/er/new")}
    assert seen == {"old": "before", "same": "newer", "deep/er/new": "x"}
    assert os.readlink(box.volume / ".claude/link") == "nowhere"


def test_holes_stay_holes(box):
    box.boot()
    (box.home / ".gitconfig").unlink()
    with open(box.home / ".gitconfig", "wb") as file:
        file.seek(1 << 30)
        file.write(b"end")
    assert box.boot() == ""
    seen = (box.volume / ".gitconfig").stat()
    assert (seen.st_size, seen.st_blocks < 100) == ((1 << 30) + 3, True)


def test_a_link_of_somebodys_own_stays(box):
    box.put("dotfiles/gitconfig", "x")
    (box.home / ".gitconfig").symlink_to("dotfiles/gitconfig")
    assert box.boot() == ""
    assert os.readlink(box.home / ".gitconfig") == "dotfiles/gitconfig"


def test_secrets_are_nobody_elses(box):
    box.put(".bash_history", "x", in_volume=True).chmod(0o666)
    (box.volume / ".claude").mkdir(mode=0o777)
    os.chmod(box.volume / ".claude", 0o777)
    assert box.boot() == ""
    assert mode(box.volume / ".bash_history") == 0o600
    assert mode(box.volume / ".claude") == 0o700


def test_whatever_lies_in_a_volume_the_rest_is_linked(box):
    os.mkfifo(box.volume / ".bash_history")
    (box.volume / ".claude").symlink_to("/nowhere")
    (box.volume / ".config").write_text("a file")
    (box.home / ".claude").mkdir()
    said = box.boot().splitlines()
    assert [line.partition(" ")[0] for line in said] == [".bash_history", ".claude", ".config/gh"]
    assert (box.home / ".claude").is_dir()
    assert (box.home / ".gitconfig").is_symlink()


def test_whatever_lies_in_a_home_the_rest_is_linked(box):
    box.boot()
    for name in (".bash_history", ".claude", ".gitconfig", ".config/gh"):
        (box.home / name).unlink()
    os.mkfifo(box.home / ".bash_history")
    (box.home / ".claude").write_text("a file")
    (box.home / ".gitconfig").mkdir()
    (box.home / ".config").rmdir()
    (box.home / ".config").symlink_to("/nowhere")
    said = box.boot().splitlines()
    assert [line.partition(" ")[0] for line in said] == [".gitconfig", ".claude", ".config/gh"]
    assert (box.home / ".bash_history").is_symlink()


def test_a_box_that_was_given_no_table_keeps_its_home(box):
    box.table.unlink()
    assert box.boot() == ""
    assert os.listdir(box.home) == []


@pytest.mark.parametrize("state", [".containai-new", ".containai-ready"])
def test_what_was_restored_comes_in_the_place_of_what_was_there(box, state):
    box.boot()
    box.put(".gitconfig", "before", in_volume=True)
    box.put(f"{state}/.gitconfig", "restored", in_volume=True)
    box.put(f"{state}/.claude/it", "restored", in_volume=True)
    if state == ".containai-ready":
        # What was there is out already.
        os.mkdir(box.volume / ".containai-old")
        for name in (".claude", ".config", ".gitconfig"):
            os.rename(box.volume / name, box.volume / ".containai-old" / name)
    assert box.boot() == ""
    assert box.read(".gitconfig") == box.read(".claude/it") == "restored"
    assert not (box.volume / ".containai-ready").exists()
    assert (box.volume / ".containai-old/.gitconfig").read_text() == "before"


def test_what_the_image_put_into_another_volume_is_for_this_one(box, tmp_path):
    """As at the first boot: what is in the volume counts, and it is done once."""
    before = tmp_path / "before"
    (before / ".claude").mkdir(parents=True)
    (before / ".config/gh").mkdir(parents=True)
    for name in (".gitconfig", ".bash_history", ".claude/skill", ".config/gh/hosts", "other"):
        (before / name).write_text("image's")
    box.put(".bash_history", "mine", in_volume=True)
    box.put(".config/gh/config", "mine", in_volume=True)
    box.boot()
    assert not before.exists()
    assert box.read(".gitconfig") == box.read(".claude/skill") == "image's"
    assert box.read(".bash_history") == "mine"
    assert sorted(path.name for path in (box.volume / ".config/gh").iterdir()) == ["config"]
    assert not (box.volume / "other").exists()
    box.put(".gitconfig", "changed", in_volume=True)
    box.boot()
    assert box.read(".gitconfig") == "changed"
