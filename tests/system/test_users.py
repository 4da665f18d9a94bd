"""Two users of one host: each has boxes of its own, and none takes or sees the other's for gone."""

import contextlib
import json
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

import pytest

import containai
from harness.site import Done, Site, text

TAKEN = 15
#: The users' own copy of the programs is run with it: nobody promises that they may enter ours.
PYTHON = "/usr/bin/python3"


class User:
    """A user of this host who may use the site's engine, with a home that nobody else enters."""

    def __init__(self, site: Site, name: str, top: str, programs: str) -> None:
        self.site, self.name, self.home = site, name, os.path.join(top, name[-1])
        os.mkdir(self.home, 0o700)
        add = ["useradd", "--system", "--no-create-home", "--home-dir", self.home, name]
        subprocess.run([*add, "--shell", "/bin/sh"], check=True, capture_output=True)
        self.uid = pwd.getpwnam(name).pw_uid
        self.workspace = os.path.join(self.home, "work")
        self.environment = site.environment | {
            "HOME": self.home,
            "XDG_RUNTIME_DIR": os.path.join(self.home, "run"),
            "PYTHONPATH": programs,
        }
        for path in (self.workspace, self.environment["XDG_RUNTIME_DIR"]):
            os.mkdir(path, 0o700)
        for path in (self.home, self.workspace, self.environment["XDG_RUNTIME_DIR"]):
            os.chown(path, self.uid, self.uid)

    def argv(self, *words: str) -> list[str]:
        # The group of a test's socket is root's (Layout.engine_group).
        uid = str(self.uid)
        ids = ["setpriv", "--reuid", uid, "--regid", uid, "--groups", "0", "--"]
        return [*ids, PYTHON, "-m", "containai", *words]

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        return subprocess.Popen(
            self.argv(*words),
            stdin=subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            env=self.environment,
            cwd="/",
            start_new_session=True,
        )

    def cai(self, *words: str) -> Done:
        started = self.start(*words)
        out, err = started.communicate()
        return subprocess.CompletedProcess(words, started.returncode, out, err)

    def end(self) -> None:
        for row in json.loads(self.cai("ls", "--json").stdout):
            self.cai("rm", "--name", row["name"])
        subprocess.run(["userdel", self.name], check=True, capture_output=True)


@pytest.fixture(scope="module")
def users(site: Site) -> Iterator[list[User]]:
    top = tempfile.mkdtemp(prefix="caiu", dir="/tmp")
    os.chmod(top, 0o755)
    programs = os.path.join(top, "programs")
    shutil.copytree(os.path.dirname(containai.__file__), os.path.join(programs, "containai"))
    subprocess.run(["chmod", "-R", "a+rX", programs], check=True)
    with contextlib.ExitStack() as undo:
        undo.callback(shutil.rmtree, top)
        made = []
        for letter in "ab":
            made.append(User(site, f"{os.path.basename(top).lower()[-12:]}{letter}", top, programs))
            undo.callback(made[-1].end)
        yield made


@pytest.fixture(scope="module")
def box_of_ann(site: Site, users: list[User]) -> str:
    """The id of a container, of the box `both` that the first user has."""
    done = users[0].cai("run", "--name", "both", users[0].workspace, "--", "touch", "/tmp/kept")
    assert (text(done).partition(": ")[2][:21], done.returncode) == ("making the box both: ", 0)
    return str(site.inspect("both")["Id"])


def test_everybody_sees_their_own_boxes_and_takes_no_other_for_gone(site, users, box_of_ann):
    ann, bob = users
    assert ann.workspace in ann.cai("ls").stdout.decode()
    for other in (bob.cai, site.cai):
        done = other("ls")
        assert done.returncode == 0
        # Not that the first one's workspace is gone: at most that there are none here.
        assert done.stderr in (b"", b"cai: there are no boxes yet\n  hint: make one: cai run\n")
        assert b"both" not in done.stdout
        done = other("ls", "--all")
        assert (done.returncode, done.stderr) == (0, b"")
        (row,) = [line.split() for line in done.stdout.decode().splitlines() if "both" in line]
        assert (row[1], row[2], row[4]) == (ann.name, "running", ann.workspace)
        (row,) = [
            e for e in json.loads(other("ls", "--all", "--json").stdout) if e["name"] == "both"
        ]
        assert (row["owner"], row["problems"]) == (ann.uid, [])
    found = json.loads(bob.cai("doctor", "--json").stdout)["checks"]
    (boxes,) = [each for each in found if each["step"] == "boxes"]
    assert boxes["ok"]
    assert "of other users" in boxes["seen"]


#: A sudo that knows somebody not, for one process: how it ends then (sudo(8), "Exit value").
REFUSING = """
mount -t tmpfs none /usr/local/sbin
cd /usr/local/sbin
printf '#!/bin/sh\necho sudo: a password is required >&2\nexit 1\n' >sudo
chmod 755 . sudo
exec "$@"
"""


def test_who_may_not_be_root_is_told_what_nobody_looked_at(site, users, box_of_ann):
    ann, _ = users
    argv = ["unshare", "--mount", "sh", "-ec", REFUSING, "sh", *ann.argv("doctor", "--json")]
    done = subprocess.run(argv, env=ann.environment, capture_output=True, check=False, cwd="/")
    found = {each["step"]: each for each in json.loads(done.stdout)["checks"]}
    network = found["network"]
    assert network["state"] == "unknown", network
    assert network["seen"].startswith("not looked at: sudo does not let you be root")
    assert "group sudo" in network["hint"]
    # What is her own to have, and nothing that is root's.
    wrong = {step for step, each in found.items() if each["state"] == "wrong"}
    assert wrong <= {"Docker context"}, [found[step] for step in wrong]


def test_a_box_of_another_user_is_refused_with_whose_it_is(site, users, box_of_ann):
    ann, bob = users
    mine = bob.workspace
    asked = [
        ["stop", "--name", "both"],
        ["rm", "--name", "both"],
        ["rm", "--name", "both", mine],
        ["exec", "--name", "both", mine, "--", "true"],
        ["run", "--name", "both", mine, "--", "true"],
        ["doctor", "--attack", "both"],
    ]
    for words in asked:
        done = bob.cai(*words)
        assert (done.returncode, done.stdout) == (TAKEN, b""), (words, text(done))
        assert f"the box 'both' belongs to {ann.name}" in text(done)
    # Root may stop and remove it, and has no key to enter it.
    done = site.cai("run", "--name", "both", ann.workspace, "--", "true", check=False)
    assert (done.returncode, done.stdout) == (TAKEN, b"")
    assert site.inspect("both")["State"]["Running"]
    site.cai("stop", "--name", "both")
    assert not site.inspect("both")["State"]["Running"]
    assert site.inspect("both")["Id"] == box_of_ann


def _codes(started):
    said = [each.communicate() for each in started]
    return [(each.returncode, err.decode()) for each, (_, err) in zip(started, said, strict=True)]


def test_forty_at_once_lose_nobody_a_box(site, users, box_of_ann):
    ann, bob = users
    asked = [["run"], ["rm"], ["stop"], ["run"]]
    taking = [
        bob.start(
            *each, "--name", "both", bob.workspace, *(["--", "true"] if each == ["run"] else [])
        )
        for each in asked * 8
    ]
    using = [
        ann.start("run", "--name", "both", ann.workspace, "--", "ls", "/tmp/kept") for _ in range(8)
    ]
    refused, served = _codes(taking), _codes(using)
    assert [each for each in refused if each[0] != TAKEN] == []
    assert [each for each in served if each[0] != 0] == []
    assert site.inspect("both")["Id"] == box_of_ann


def test_of_two_users_who_want_a_name_one_gets_it(site, users):
    started = {each: [] for each in users}
    for _ in range(10):
        for each, own in started.items():
            own.append(each.start("run", "--name", "wanted", each.workspace, "--", "true"))
    codes = {each: [code for code, _ in _codes(own)] for each, own in started.items()}
    owner = int(site.inspect("wanted")["Config"]["Labels"]["containai.owner"])
    for each in users:
        assert codes[each] == [0 if each.uid == owner else TAKEN] * 10
    (winner,) = [each for each in users if each.uid == owner]
    assert winner.cai("exec", "--name", "wanted", winner.workspace, "--", "true").returncode == 0
    assert winner.cai("rm", "--name", "wanted").returncode == 0
    assert "wanted" not in site.container_names()


HOSTILE = [
    "LABEL containai.managed=true",
    "LABEL containai.workspace=/etc",
    "LABEL containai.owner=x",
    "LABEL containai.ssh-port=²",
]


def test_an_image_makes_no_box(site, tmp_path):
    empty = tmp_path / "empty.tar"
    with open(empty, "wb") as file:
        file.write(bytes(10240))
    changes = [word for each in HOSTILE for word in ("--change", each)]
    with contextlib.ExitStack() as undo:
        image = site.docker("import", *changes, str(empty))
        undo.callback(site.docker, "image", "rm", image)
        site.docker("create", "--name", "posing", image, "/x")
        undo.callback(site.docker, "rm", "--force", "posing")
        done = site.cai("ls", "--all")
        assert (b"posing" in done.stdout, done.stderr) == (False, b"")
        assert site.cai("rm", "--name", "posing", check=False).returncode == 10
        done = site.cai("run", "--name", "posing", str(tmp_path), "--", "true", check=False)
        assert (done.returncode, "not ContainAI's" in text(done)) == (TAKEN, True)
        assert "posing" in site.container_names()


def test_a_copy_of_a_box_is_no_box(site, shared):
    with contextlib.ExitStack() as undo:
        image = site.docker("commit", shared.box)
        undo.callback(site.docker, "image", "rm", image)
        copy = site.docker("create", image)
        undo.callback(site.docker, "rm", "--force", copy)
        labels = site.inspect(copy)["Config"]["Labels"]
        assert labels["containai.workspace"] == shared.path
        rows = json.loads(site.cai("ls", "--all", "--json").stdout)
        assert copy not in [row["container"] for row in rows]
