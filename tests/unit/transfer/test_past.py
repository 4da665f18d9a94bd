"""A box that is put back, and one that begins as another, know the exchange as it was then."""

import os
import shutil

import pytest

from containai.transfer import exchange, past
from containai.transfer.reach import Reach
from containai.transfer.state import held


def note(bench, name="before"):
    with held(bench.layout, "api") as place:
        past.note(place, name)
    shutil.copytree(bench.box_home, f"{bench.box_home}-{name}", symlinks=True)


def put_back(bench, name="before"):
    shutil.rmtree(bench.box_home)
    shutil.copytree(f"{bench.box_home}-{name}", bench.box_home, symlinks=True)
    with held(bench.layout, "api") as place:
        past.back(place, name)


def test_a_box_that_is_put_back_gets_all_that_is_newer_here(started):
    note(started)
    started.here.put("a", "newer\n").put("c", "c\n").commit()
    started.push()
    put_back(started)
    assert not started.box.has("c")
    started.push()
    assert (started.box.get("a"), started.box.get("c")) == ("newer\n", "c\n")


def test_what_it_did_before_is_not_taken_for_undone(started):
    started.box.put("mine", "of the box\n")
    note(started)
    started.pull(merge=True)
    started.box.put("later", "x\n")
    started.pull(merge=True)
    put_back(started)
    started.push()
    assert (started.box.get("mine"), started.box.get("later")) == ("of the box\n", "x\n")


def test_files_are_compared_with_what_was_sent_then(files):
    note(files)
    files.here.put("a", "newer\n")
    files.push()
    put_back(files)
    files.push()
    assert files.box.get("a") == "newer\n"


def test_without_that_it_would_be_taken_for_the_boxs_doing(files):
    note(files)
    files.here.put("a", "newer\n")
    files.push()
    with held(files.layout, "api") as place:
        past.drop(place, "before")
    put_back(files)
    files.push()
    assert files.box.get("a") == "a\n"


def test_the_objects_of_a_snapshot_stay_as_long_as_it_does(started):
    note(started)
    base = started.state().base.work
    started.here.put("a", "newer\n").commit()
    started.push()

    def has_it(place):
        git = ["git", "-C", place.store]
        started.programs.run([*git, "repack", "-a", "-d", "-l", "-q"])
        started.programs.run([*git, "prune", "--expire=now"])
        return not started.programs.run([*git, "cat-file", "-e", base], ok=None).code

    with held(started.layout, "api") as place:
        assert has_it(place)
        past.drop(place, "before")
        assert not has_it(place)
        assert os.listdir(f"{place.directory}/snapshots") == []


def test_a_snapshot_that_nobody_knows_changes_nothing(started):
    before = started.state()
    with held(started.layout, "api") as place:
        past.back(place, "by-hand")
    assert started.state() == before


@pytest.mark.parametrize("name", ["../../x", "..", "."])
def test_no_name_of_a_place_leads_out(started, name):
    before = started.state()
    with held(started.layout, "api") as place:
        past.back(place, name)
        past.drop(place, name)
    assert started.state() == before


def forked(bench, snapshot=""):
    """Have a fork `api-2` of the box, and return how it is reached."""
    home = f"{bench.box_home}-2"
    was = f"{bench.box_home}-{snapshot}" if snapshot else bench.box_home
    shutil.copytree(was, home, symlinks=True)
    ssh = f"{bench.ssh}-2"
    with open(bench.ssh, encoding="utf-8") as file:
        text = file.read().replace(str(bench.box_home), home)
    with open(ssh, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(ssh, 0o755)
    fork = Reach("api-2", [ssh])
    with held(bench.layout, "api") as place:
        exchange.hand_on(bench.programs, bench.layout, place, fork, snapshot)
    return fork


def test_a_fork_is_a_remote_and_goes_on_from_where_its_source_was(started):
    fork = forked(started)
    here = started.here
    assert here.git("remote").split() == ["cai-api", "cai-api-2"]
    started.box.put("a", "one\n")
    with open(f"{started.box_home}-2/workspace/d/b", "w", encoding="utf-8") as file:
        file.write("two\n")
    words = (started.programs, started.layout, fork)
    assert exchange.unfetched(*words).changed == 1
    exchange.pull(*words, here.path, merge=True, tell=started.told.append)
    started.pull(merge=True)
    assert (here.get("a"), here.get("d/b")) == ("one\n", "two\n")
    exchange.forget(*words)
    assert here.git("remote").split() == ["cai-api"]


def test_a_fork_of_a_snapshot_knows_what_was_known_then(files):
    note(files)
    files.here.put("a", "newer\n")
    files.push()
    fork = forked(files, "before")
    words = (files.programs, files.layout, fork)
    exchange.push(*words, files.here.path, tell=files.told.append)
    with open(f"{files.box_home}-2/workspace/a", encoding="utf-8") as file:
        assert file.read() == "newer\n"
    assert not os.path.exists(f"{files.layout.state_dir}/transfer/api-2/snapshots")


def test_nothing_of_an_earlier_box_of_that_name_stays(started):
    with held(started.layout, "api-2") as place, open(f"{place.directory}/x", "w") as file:
        file.write("x")
    forked(started)
    assert not os.path.exists(f"{started.layout.state_dir}/transfer/api-2/x")
