"""A data volume in a file, and back: all of it comes back, and nothing of it reaches the host."""

import hashlib
import io
import json
import os
import random
import signal
import subprocess
import tarfile
import zlib
from pathlib import Path

import pytest

from containai.boxes import data, lookup, saved, volumes
from containai.boxes.data import Place
from containai.engine.client import Engine
from containai.errors import CopyError, EngineError, NoSpaceError
from containai.host.machine import Machine
from harness import hostile_tree
from harness.site import refused
from harness.waiting import until

MADE = r"""
set -e; cd /mnt/agent-data/.claude
echo secret >a; ln a hard; ln -s a soft; ln -s /etc/shadow absolute; ln -s nowhere dangling
mkdir -p empty 'ünï cödé' deep/er/still; echo x >'ünï cödé/日本'; echo y >"$(printf 'new\nline')"
cp a ./-dash; cp a '*'; truncate -s 1G sparse; printf end >>sparse
chmod 4755 '*'; chmod 0 -- -dash; chmod 1777 empty; mkfifo fifo
setfattr -n user.note -v kept a; touch -d '2001-02-03 04:05:06.789' a; touch -hd 2001-02-03 soft
sudo sh -c 'echo root >roots; chmod 600 roots'; setfacl -m u:daemon:r a
touch -d 2001-02-03 deep/er; printf '\377\376' | xargs -0 -I@ touch -- @
"""
SEEN = r"""
cd /mnt/agent-data; find . -printf '%P|%y|%m|%u|%g|%l|%T@|%n\0' | sort -z | tr '\n\0' '\\\n'
sudo getfattr -Rhd -m user . ; sudo getfacl -cs .claude/a
sudo find . -type f -print0 | sort -z | sudo xargs -0 sha256sum --zero | tr '\0' '\n'
stat -c '%s %b' .claude/sparse | awk '{ print $1, $2 < 1000 }'
"""


def test_everything_comes_back(site, space, tmp_path):
    space.sh(MADE)
    # The time of the top is its own: `data` makes links from the home to it.
    before = seen_in(space)
    assert "soft|l|777|agent|agent|a|981158400" in before
    assert "1073741827 1" in before
    file = tmp_path / "it.tar"
    done = site.cai("export", space.path, "-o", str(file))
    assert "logins" in done.stderr.decode()
    assert file.stat().st_mode & 0o777 == 0o600
    site.cai("rm", "--data", "--yes", space.path)
    seen = json.loads(site.cai("restore", "--json", str(file), space.path).stdout)
    assert (seen["volume"], seen["stopped"], seen["box"]["name"]) == (space.box, [], space.box)
    assert without_top(seen_in(space)) == without_top(before)
    # Over what is there, while the box runs; what was put in a link's place came along.
    space.sh("cd ~; rm .gitconfig; echo '[user]' >.gitconfig; sudo chmod 700 /mnt/agent-data")
    site.cai("volume", "backup", space.box, str(file))
    space.sh("rm -rf /mnt/agent-data/.claude; echo other >/mnt/agent-data/.new")
    seen = json.loads(site.cai("volume", "restore", "--json", "--yes", str(file)).stdout)
    assert (seen["volume"], seen["stopped"]) == (space.box, [space.box])
    after = space.sh("cat ~/.gitconfig; ls -A /mnt/agent-data; cat ~/.claude/a")
    assert after.startswith("[user]\n")
    assert after.endswith("secret")
    assert not {".new", ".containai-old", ".containai-part"} & {*after.split()}


def seen_in(space):
    # One name is no UTF-8.
    return space.run("sh", "-c", SEEN).stdout.decode(errors="surrogateescape")


def without_top(text):
    return [line for line in text.splitlines() if not line.startswith("|d|")]


@pytest.fixture(scope="module")
def engine(site):
    return Engine(Machine(site.layout))


@pytest.fixture(scope="module")
def unchanged(shared_space, engine):
    """A volume with a file in it, for tests that change nothing."""
    yield from having_volume(engine, shared_space, "unchanged")


@pytest.fixture
def volume(shared, engine):
    """A volume with a file in it."""
    yield from having_volume(engine, shared, "attacked")


def having_volume(engine, shared, name):
    image = lookup.get(engine, shared.box).image
    place = Place(name, image)
    volumes.have(engine, place.volume, "/nowhere")
    data.pour(engine, place, io.BytesIO(hostile_tree.archive(("before", b"mine"))))
    yield place
    engine.remove_volume(place.volume)


def names(engine, place):
    out = io.BytesIO()
    data.drain(engine, place, out)
    out.seek(0)
    with tarfile.open(fileobj=out) as archive:
        return {each.name.removeprefix("./"): each for each in archive}


def save(path, content, **values):
    packed = zlib.compressobj(1, wbits=31)
    stored = packed.compress(content) + packed.flush()
    manifest = {"format": saved.FORMAT, "version": saved.VERSION, "created": "", "by": ""}
    manifest |= {"volume": "attacked", "workspace": "", "box": {}, "size": len(content)}
    manifest |= {"sha256": hashlib.sha256(stored).hexdigest()} | values
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as out:
        for name, text in ((saved.MANIFEST, json.dumps(manifest).encode()), (saved.DATA, stored)):
            info = tarfile.TarInfo(name)
            info.size = len(text)
            out.addfile(info, io.BytesIO(text))
    return str(path)


def hostile_entries(canary, count, seed):
    """Yield entries that lead out, or would, in whatever order."""
    print("seed", seed)
    chance = random.Random(seed)
    ups = ["..", "../..", ".", "/", str(canary.parent), "a", "b/a", "c"]
    for _ in range(count):
        name = "/".join(chance.choice(["a", "b", "c", "..", "new\nline"]) for _ in range(3))
        name = chance.choice([name, name, str(canary), f"a/{canary.name}", f"{name}/{canary.name}"])
        match chance.randrange(6):
            case 0:
                yield hostile_tree.link(name, chance.choice(ups))
            case 1:
                yield hostile_tree.hard_link(
                    name, chance.choice([*ups, str(canary), "/etc/shadow"])
                )
            case 2:
                yield hostile_tree.directory(name, 0o777)
            case 3:
                yield hostile_tree.device(name)
            case _:
                yield (name, b"written")


@pytest.mark.parametrize("kind", ["known", "chance"])
def test_what_only_an_adversary_packs_reaches_nothing(site, engine, volume, tmp_path, kind):
    canary = tmp_path / "there" / "canary"
    target = canary.parent / "target"
    target.mkdir(parents=True)
    canary.write_text("as it was")
    made = []
    if kind == "known":
        content = b"".join(
            hostile_tree.hostile(name, canary)[:-1024] for name in hostile_tree.HOSTILE
        ) + bytes(1024)
    else:
        made = list(hostile_entries(canary, 10_000, 4))
        content = hostile_tree.archive(*made)
    before = sorted(os.listdir("/")), sorted(os.listdir("/etc"))
    # It is one: who unpacks it here, as tar files were for decades, writes to the canary.
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for each in archive:
            if each.isreg() and each.name == str(canary):
                (target / each.name).write_bytes(archive.extractfile(each).read())
    assert canary.read_text() == "written"
    canary.write_text("as it was")
    path = save(tmp_path / "it.tar", content)
    done = site.cai("volume", "restore", "--yes", path, check=False)
    if done.returncode:
        # What tar does not take, it says.
        refused(done, EngineError)
        assert {*names(engine, volume)} == {".", "before"}
    assert canary.read_text() == "as it was"
    assert sorted(os.listdir(canary.parent)) == ["canary", "target"]
    assert os.listdir(target) == []
    assert (sorted(os.listdir("/")), sorted(os.listdir("/etc"))) == before
    assert not any(each.ischr() or each.isblk() for each in names(engine, volume).values())


#: Each of many directories is itself and a link out, by turns.
SWAPS = r"""
import ctypes, os, sys
os.chdir("/mnt/agent-data")
libc = ctypes.CDLL(None)
many = [b"d%d" % number for number in range(int(sys.argv[1]))]
for name in many:
    os.mkdir(name)
    open(name + b"/canary", "w").close()
    os.symlink(sys.argv[2], name + b".link")
print("made", flush=True)
while True:
    for name in many:
        libc.renameat2(-100, name, -100, name + b".link", 2)
"""


def test_what_an_agent_swaps_while_it_is_saved_is_not_the_hosts(site, shared, engine, tmp_path):
    count, times = 1000, 10
    canary = tmp_path / "canary"
    canary.write_text("of the host alone")
    box = lookup.get(engine, shared.box)
    place = Place(box.data, box.image)
    words = ("run", *shared.force, shared.path, "--", "python3", "-c", SWAPS)
    swapper = site.start(*words, str(count), str(tmp_path), stdout=subprocess.PIPE)
    try:
        assert swapper.stdout.readline() == b"made\n"
        # Who reads it here has it of every link.
        top = json.loads(site.docker("volume", "inspect", box.data))[0]["Mountpoint"]
        until(lambda: (Path(top) / "d1/canary").read_text() == "of the host alone")
        links = 0
        for _ in range(times):
            out = io.BytesIO()
            data.drain(engine, place, out)
            assert b"of the host alone" not in out.getvalue()
            with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as archive:
                links += sum(each.issym() for each in archive)
        assert links > times * count / 2
    finally:
        swapper.kill()
        swapper.communicate()
        shared.sh("pkill -f '[r]enameat2' || true; cd /mnt/agent-data; rm -rf d[0-9]*")


@pytest.mark.parametrize(
    ("values", "error", "said"),
    [
        ({"sha256": "0" * 64}, CopyError, "its checksum is another"),
        ({"size": 1 << 45}, NoSpaceError, "are needed for the data of"),
        ({"size": 5}, CopyError, "more in it than its"),
        ({"version": 2}, CopyError, "a newer cai"),
        ({"volume": "../x"}, CopyError, "say another VOLUME"),
        ({"content": b"no archive" * 1000}, EngineError, "not look like a tar archive"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_file_that_is_not_right_changes_nothing(
    site, engine, unchanged, tmp_path, values, error, said
):
    content = hostile_tree.archive(("after", b"theirs" * 100_000))
    path = save(tmp_path / "it.tar", **({"content": content, "volume": "unchanged"} | values))
    lines = refused(site.cai("volume", "restore", "--yes", path, check=False), error)
    assert said in "\n".join(lines[-2:])
    assert {*names(engine, unchanged)} == {".", "before"}


def test_one_that_is_killed_leaves_what_was_there(site, engine, volume, tmp_path):
    chance = random.Random(3)
    content = hostile_tree.archive(*((f"f{n}", chance.randbytes(1 << 20)) for n in range(40)))
    path = save(tmp_path / "it.tar", content)
    top = json.loads(site.docker("volume", "inspect", volume.volume))[0]["Mountpoint"]
    part = Path(top) / ".containai-part"
    restoring = site.start("volume", "restore", "--yes", path)
    until(lambda: part.exists() and any(part.iterdir()))
    restoring.send_signal(signal.SIGKILL)
    restoring.communicate()
    until(lambda: not site.docker("ps", "--quiet", "--filter", f"volume={volume.volume}"))
    assert {*names(engine, volume)} == {".", "before"}
    site.cai("volume", "restore", "--yes", path)
    assert {*names(engine, volume)} == {".", *(f"f{n}" for n in range(40))}
