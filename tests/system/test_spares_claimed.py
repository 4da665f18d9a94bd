"""Who gets a spare box and who does not, whatever is in the way, hostile or killed."""

import json
import os
import subprocess
import time

import pytest

from containai.host import files
from containai.layout import DATA_IN_BOX
from harness import spares
from harness.site import text

from .test_users import users  # noqa: F401 - a fixture

TOOK, MADE = "took a spare box for ", "making the box "
ONE = {"CONTAINAI_BOX_SPARES": "1"}


@pytest.fixture(scope="module", autouse=True)
def undisturbed(site):
    with spares.undisturbed(site):
        yield


@pytest.fixture(scope="module")
def lasting(site, shared_space, undisturbed):
    """A spare that no test here claims."""
    shared_space.run("true")
    return spares.spare(site)


def taken(space, *flags, **options):
    """Run a workspace's first command; return whether a spare became its box, which is right."""
    said = text(space.site.cai("run", *flags, space.path, "--", "true", **options))
    assert (TOOK in said) != (MADE in said), said
    assert space.sh("hostname; stat -c %U .; touch x; ls") == f"{space.box}\nagent\nx"
    assert os.path.exists(os.path.join(space.path, "x"))
    return TOOK in said


def own_data(space):
    found = space.inspect()["Mounts"]
    return next(each["Name"] for each in found if each["Destination"] == DATA_IN_BOX)


def seen_by(space):
    """Return the data volumes of a workspace, as `cai volume ls` has them."""
    rows = json.loads(space.site.cai("volume", "ls", "--json").stdout)
    return [row["name"] for row in rows if row["workspace"] == space.path]


@pytest.mark.parametrize(
    ("flags", "env"),
    [
        (["--skip-mounts"], {}),
        ([], {"TZ": "Asia/Tokyo"}),
    ],
    ids=["skip-mounts", "zone"],
)
def test_one_of_other_settings_is_left(site, make_space, lasting, flags, env):
    space = make_space("other")
    assert not taken(space, *flags, env=env)
    assert [row["container"] for row in spares.listed(site)] == [lasting["Id"]]


def test_a_spare_is_no_box_to_anybody(site, shared, lasting):
    name = lasting["Name"].lstrip("/")
    volume = next(m["Name"] for m in lasting["Mounts"] if m["Destination"] == DATA_IN_BOX)
    for words in (
        ["ls"], ["ls", "--json"], ["ls", "--all", "--load", "--size"], ["ls", "--all", "--json"],
        ["volume", "ls"], ["volume", "ls", "--json"], ["ssh", "list"], ["ssh", "list", "--json"],
        ["doctor"], ["prune", "--dry-run"],
    ):  # fmt: skip
        done = site.cai(*words, check=False)
        said = (done.stdout + done.stderr).decode()
        assert "spare." not in said, words
        assert lasting["Id"][:12] not in said
        assert volume not in said
    rows = spares.listed(site)
    assert [(row["name"], row["is_ready"]) for row in rows] == [(name, True)]
    checks = json.loads(site.cai("doctor", "--json", check=False).stdout)["checks"]
    found = {each["step"]: each for each in checks}
    count = len(json.loads(site.cai("ls", "--json").stdout))
    assert found["boxes"]["seen"].startswith(f"{count}, ")
    assert found["spare boxes"]["seen"] == "none wanted"
    one = json.loads(site.cai("doctor", "--json", check=False, env=ONE).stdout)["checks"]
    (seen,) = [each["seen"] for each in one if each["step"] == "spare boxes"]
    assert seen == "1 wait for a workspace"
    published = [each for each in os.listdir(site.layout.ssh_blocks) if each.endswith(".conf")]
    for block in published:
        assert "spare" not in (files.read(os.path.join(site.layout.ssh_blocks, block)) or "")
    for words in (["rm", "--name", name], ["exec", "--name", name, "--", "true"]):
        assert site.cai(*words, check=False).returncode != 0
    assert site.inspect(name)["State"]["Running"]


GARBAGE = [
    b"", b"\n", b"x\n", b"[]\n", b"{}\n", b"null\n", b"\xff\xfe\n", b"[" * 60000 + b"\n",
    b'{"hostname": "a", "claimed": []}', b'{"hostname": "a/b", "claimed": []}\n',
    b'{"hostname": "a", "claimed": [["/etc", "relative", true]]}\n',
    b'{"hostname": "a", "claimed": [["/etc", "/a/../b", true]]}\n',
    b'{"hostname": "a", "claimed": [["/etc", "/b", 1]]}\n',
    b'{"hostname": ["a"], "claimed": []}\n', b'{"hostname": "a", "claimed": 7}\n',
    b'{"hostname": "a", "claimed": [], "added": [["/etc", "/b", true]]}\n',
    b'{"hostname": "a", "claimed": [' + b" " * (1 << 17) + b"]}\n",
]  # fmt: skip
#: As another user: whether it is heard.
CONNECT = """
import os, socket, sys
directory = os.open(sys.argv[1], os.O_PATH | os.O_DIRECTORY)
asking = socket.socket(socket.AF_UNIX)
asking.settimeout(60)
asking.connect(f"/proc/self/fd/{directory}/{sys.argv[2]}")
asking.sendall(b'{"hostname": "theirs", "claimed": [["/etc", "/home/agent/workspace", false]]}\\n')
print(asking.recv(100))
"""


def is_untouched(site, made):
    """Whether a spare is as it was made, and can be claimed."""
    assert files.read(os.path.join(site.layout.attached, made["Id"])) is None
    seen = "hostname; cat /etc/hostname; grep -c /home/agent/workspace /proc/self/mountinfo || :"
    assert site.docker("exec", made["Id"], "sh", "-c", seen) == "spare\nspare\n0"
    rows = {row["container"]: row["is_ready"] for row in spares.listed(site)}
    return rows[made["Id"]]


def test_what_is_no_claim_leaves_it(site, lasting):
    for raw in GARBAGE:
        assert spares.ask(site, lasting["Id"], raw) == b"", raw[:80]
    # Whoever says nothing keeps others waiting for a moment.
    with spares.connected(site, lasting["Id"]) as silent:
        silent.sendall(b'{"hostname"')
        begun = time.monotonic()
        assert spares.ask(site, lasting["Id"], b"x\n") == b""
        assert 3 < time.monotonic() - begun < 15
    assert is_untouched(site, lasting)


def test_nobody_else_is_heard(site, lasting):
    where = [site.layout.attached, f"{lasting['Id']}.claim"]
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    argv = [*nobody, "/usr/bin/python3", "-c", CONNECT, *where]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert "PermissionError" in done.stderr
    # Nor if the file's mode did not say so.
    path = os.path.join(*where)
    os.chmod(path, 0o666)
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    finally:
        os.chmod(path, 0o600)
    assert done.stdout in ("", "b''\n")
    assert "Permission" not in done.stderr
    assert is_untouched(site, lasting)


def test_a_source_by_way_of_an_agents_link_is_refused(site, make_space, lasting):
    space = make_space("linked")
    os.chown(space.path, 1000, 1000)
    link = os.path.join(space.path, "link")
    os.symlink("/etc", link)
    os.lchown(link, 1000, 1000)
    for source in (link, link + "/ssh"):
        why = spares.claim(site, lasting["Id"], "theirs", [source, "/home/agent/workspace", False])
        assert why
        spares.listen(site, lasting["Id"])
        assert is_untouched(site, lasting)


@pytest.mark.parametrize("place", ["/proc/x", "/dev/shm", "/sys", "/var/lib/docker", "/run/lock"])
def test_other_places_are_refused(site, lasting, place):
    assert spares.claim(site, lasting["Id"], "theirs", ["/srv", place, False])
    spares.listen(site, lasting["Id"])
    assert is_untouched(site, lasting)


ONE, NONE = {"CONTAINAI_BOX_SPARES": "1"}, {"CONTAINAI_BOX_SPARES": "0"}
