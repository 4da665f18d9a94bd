"""A connection that is cut, a box or a cai that is killed: a second try ends right."""

import contextlib
import os

import pytest

from containai.errors import ContainAIError
from containai.transfer import merge, packs, remote

#: Ends whoever runs git in the box at the call of a number.
GIT = """#!/bin/sh
echo x >>{home}/calls
[ "$(wc -l <{home}/calls)" -ne "$(cat {home}/at)" ] || kill -9 "$PPID"
exec /usr/bin/git "$@"
"""


class Killed(BaseException):
    """Stands for the end of a process: nothing that is undone for an error is."""


@pytest.fixture
def fragile(started):
    """A box in which git can be the end of its script."""
    home = started.box_home
    (home / "bin").mkdir()
    (home / "bin/git").write_text(GIT.format(home=home))
    (home / "bin/git").chmod(0o755)
    text = started.ssh.read_text()
    started.ssh.write_text(text.replace('PATH="$PATH"', f'PATH="{home}/bin:$PATH"'))

    def at(number):
        (home / "at").write_text(str(number))
        (home / "calls").write_text("")

    started.at = at
    return started


def test_box_dies_at_each_step_of_a_push(fragile):
    here, failed = fragile.here, 0
    for number in range(4, 30, 5):
        here.put("a", f"{number}\n").put(f"new/{number}", "n").put("d/b", f"{number}\n")
        here.commit(f"{number}")
        here.put("a", f"{number} and more\n")
        here.remove("d/b")
        fragile.at(number)
        try:
            fragile.push()
        except ContainAIError:
            failed += 1
            fragile.at(0)
            fragile.push()
        assert fragile.box.status() == here.status()
        assert fragile.box.head() == here.head()
    assert failed >= 4


def test_files_half_written_by_a_push_that_was_cut(fragile):
    here, box = fragile.here, fragile.box
    for number in range(20, 40):
        here.put("a", f"whole {number}\n").put("d/b", f"other {number}\n")
        fragile.at(number)
        with contextlib.suppress(ContainAIError):
            fragile.push()
        if box.git("for-each-ref", "refs/cai/goal"):
            break
    box.put("a", "who")
    box.remove("d/b")
    fragile.at(0)
    fragile.push()
    assert box.status() == here.status()
    assert (box.get("a"), box.get("d/b")) == (here.get("a"), here.get("d/b"))
    assert box.git("show", "refs/cai/saved:a") == "who"


def test_first_push_cut(bench):
    bench.here.init().put("a", os.urandom(200_000)).put("b", "b").commit()
    whole = bench.ssh.read_text()
    for count in (0, 12, 5000, 100_000):
        bench.ssh.write_text(
            f"#!/bin/sh\ncd {bench.box_home}\nexport HOME={bench.box_home}\n"
            f'case $1 in *index-pack*) head -c {count} | sh -c "$1"; exit 255;; esac\n'
            'exec sh -c "$1"\n'
        )
        with pytest.raises(ContainAIError):
            bench.push()
    bench.ssh.write_text(whole)
    bench.push()
    assert bench.box.status() == bench.here.status()
    assert bench.box.head() == bench.here.head()


def test_box_dies_at_each_step_of_a_pull(fragile):
    failed = 0
    for number in range(2, 20, 6):
        fragile.box.put("a", f"{number}\n").commit(str(number))
        fragile.box.put("new", f"{number}\n")
        fragile.at(number)
        try:
            fragile.pull(merge=True)
        except ContainAIError:
            failed += 1
            fragile.at(0)
            fragile.pull(merge=True)
        assert fragile.here.status() == fragile.box.status()
        assert fragile.here.head() == fragile.box.head()
    assert failed > 1


def test_stream_of_a_pull_is_cut(started):
    started.box.put("big", os.urandom(200_000))
    whole = started.ssh.read_text()
    started.ssh.write_text(
        f"#!/bin/sh\ncd {started.box_home}\nexport HOME={started.box_home}\n"
        'case $1 in *pack-objects*) sh -c "$1" | head -c 5000; exit 0;; esac\n'
        'exec sh -c "$1"\n'
    )
    with pytest.raises(ContainAIError, match="refused"):
        started.pull()
    assert started.here.git("for-each-ref", "refs/remotes") == ""
    started.ssh.write_text(whole)
    started.pull(merge=True)
    assert started.here.status() == started.box.status()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (packs, "install"),
        (remote, "point"),
        (merge, "_write"),
        (merge, "_unpack"),
        (remote, "move"),
        (merge, "_refresh"),
    ],
)
def test_cai_is_killed(started, monkeypatch, module, name):
    started.box.put("a", "2\n").put("c/d", "c").commit("box")
    started.box.put("new", "n")
    started.box.remove("d/b")
    started.here.put("mine", "m")
    real = getattr(module, name)

    def dying(*args, **options):
        if name == "_unpack":
            store, tree, changes = args
            real(store, tree, changes[:1])
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(module, name, dying)
        with pytest.raises(Killed):
            started.pull(merge=True)
    assert started.here.get("mine") == "m"
    started.pull(merge=True)
    here = started.here
    assert here.head() == started.box.head()
    assert here.git("status", "--porcelain") == " D d/b\n?? mine\n?? new\n"
    assert here.git("fsck", "--connectivity-only") == ""
