"""Spare boxes: one that becomes a workspace's is, in all that anybody sees, one made for it."""

import difflib
import functools
import json
import os
import re
import shlex
import subprocess

import pytest

from containai.boxes.spec import DOCKER_IN_BOX
from containai.layout import DATA_IN_BOX
from harness import spares
from harness.site import text
from harness.waiting import until

TOOK = "took a spare box for "
MADE = "making the box "
#: What a box shows of itself, in words that are the same in each but for what `normal` knows.
LOOKS = {
    "environment": "env | grep -v -e ^SSH_C -e ^XDG_SESSION_ID= | sort",
    "names": "hostname; cat /etc/hostname; hostnamectl hostname; getent hosts $(hostname)",
    "hosts": "sort /etc/hosts; cat /etc/resolv.conf",
    "who": "id; pwd; umask; grep -e Cap -e Seccomp: -e NoNewPrivs /proc/self/status",
    "limits": "nproc; cd /sys/fs/cgroup; head memory.max cpu.max pids.max; ulimit -a",
    "state": "systemctl is-system-running --wait; systemctl --failed --plain --no-legend",
    "units": "systemctl list-units --state=active --plain --no-legend | awk '{ print $1, $4 }' "
    "| grep -v -e '\\.scope' -e '\\.device' | sort",
    "settings": "cd /etc; sudo find . -type f ! -name 'ssh_host_*' ! -name machine-id -print0 "
    "| sort -z | sudo xargs -0 sha256sum | grep -v -e ' ./hostname' -e ' ./hosts$'",
    "links": "find /etc /home/agent -xdev -type l -printf '%p %l\\n' | sort",
    "home": "find ~ -xdev ! -path '*/.docker/*' -printf '%p %y %u:%g %m\\n' | sort",
    "devices": "find /dev -printf '%p %y %u:%g %m\\n' | grep -v /dev/pts/ | sort",
    "workspace": "stat -c '%n %F %u:%g %a' . .git .git/hooks .git/config \"$1\"",
    "docker": "docker info --format '{{.Driver}} {{.CgroupDriver}} {{.DockerRootDir}}'",
    "tells": "ls /dev/.containai 2>&1; sudo ls -A /var/lib/containai /run/containai",
}
#: The mounts of a session, and the workspace as services have it in a namespace of their own. Those
#: of systemd's that run from the boot on are none of the workspace's.
MOUNTS = "cat /proc/self/mountinfo"
OF_SERVICES = r"""
sudo lsns --type mnt --noheadings --output PID | while read -r pid; do
    name=$(cat /proc/$pid/comm) || continue
    sudo awk -v name="$name" '$5 ~ "workspace" || $4 ~ "workspace" { print name, $5, $6, $7, $8 }' \
        /proc/$pid/mountinfo
done | grep -v -e '^awk' -e '^sudo' -e '^systemd-' | sort -u
"""


@pytest.fixture(scope="module", autouse=True)
def undisturbed(site):
    with spares.undisturbed(site):
        yield


def with_git(space):
    """Have what a box cannot write, which are mounts of their own."""
    subprocess.run(["git", "init", "--quiet", space.path], check=True)
    return space


@pytest.fixture(scope="module")
def cold(make_lasting, undisturbed):
    space = with_git(make_lasting("cold"))
    assert MADE in text(space.run("true"))
    return space


@pytest.fixture(scope="module")
def claimed(site, make_lasting, cold):
    made = spares.spare(site)
    space = with_git(make_lasting("claimed"))
    said = text(space.run("true"))
    assert (TOOK in said, MADE in said) == (True, False)
    assert spares.is_claimed(space, made)
    assert spares.listed(site) == []
    return space


def data_of(space):
    """Return the name of its data volume, which of a claimed box Docker need not know."""
    return _data(space, space.inspect()["Id"])


@functools.cache
def _data(space, container):
    """The box whose container that is."""
    rows = json.loads(space.site.cai("ls", "--json").stdout)
    return next(row["data"] for row in rows if row["name"] == space.box)


def normal(space, said):
    """Return what was said with nothing in it that is this box's own."""
    found = space.inspect()
    for own, word in (
        (space.path, "PATH"),
        *((f"worktrees{c}{os.path.basename(space.path)}", f"worktrees{c}NAME") for c in "/-"),
        (space.path.strip("/").replace("-", "\\x2d").replace("/", "-"), "PATH"),
        (f"volumes/{data_of(space)}/", "volumes/DATA/"),
        (space.box, "BOX"),
        *((each["IPAddress"], "IP") for each in found["NetworkSettings"]["Networks"].values()),
    ):
        said = said.replace(own, word)
    said = re.sub(r"\b(shared|master|propagate_from):\d+", r"\1", said)
    said = re.sub(r"\b(\d{8,})\b", lambda each: _inside(space, int(each[1])), said)
    return re.sub(r"\b[0-9a-f]{12,}\b", "HEX", said)


def _inside(space, number):
    """Return a host's id as the box knows it."""
    first, count = id_range(space.box, space.inspect()["State"]["StartedAt"], space)
    return f"+{number - first}" if first <= number < first + count else str(number)


@functools.cache
def id_range(name, started, space):
    return space.id_range()


def mounts(space):
    """Return the mounts of a session: where, on what, which root, flags, propagation, and so on."""
    rows = [line.split() for line in normal(space, space.sh(MOUNTS)).splitlines()]
    points = {row[0]: row[4] for row in rows}
    # Devices have numbers of their own; the order is that in which they came.
    rows = [[*row[:3], re.sub(r"^/m\d+$", "/mN", row[3]), *row[4:]] for row in rows]
    return sorted((row[4], points.get(row[1], "none"), row[3], *row[5:]) for row in rows)


def looks(space):
    seen = {}
    space.run("docker", "info")
    for what, script in LOOKS.items():
        done = space.run("sh", "-c", script, "sh", space.path, check=False)
        seen[what] = normal(space, (done.stdout + done.stderr).decode()).splitlines()
    seen["mounts"] = mounts(space)
    seen["services"] = normal(space, space.sh(OF_SERVICES)).splitlines()
    return seen


def assert_same(cold, claimed):
    one, other = looks(cold), looks(claimed)
    apart = [
        line
        for what in one
        for line in difflib.unified_diff(
            [f"{what}: {each}" for each in one[what]],
            [f"{what}: {each}" for each in other[what]],
            "cold",
            "claimed",
            n=0,
            lineterm="",
        )
    ]
    assert not apart, "\n".join(apart)
    own = [
        space.sh("cat /etc/machine-id; cat /var/lib/dbus/machine-id") for space in (cold, claimed)
    ]
    assert own[0] != own[1]
    assert all(re.fullmatch(r"([0-9a-f]{32})\n\1", each) for each in own)
    assert cold.host_key() != claimed.host_key()


def differences(one, other, at=""):
    """Return where two values differ, down to what is no dictionary: path → both."""
    if isinstance(one, dict) and isinstance(other, dict):
        found = {}
        for key in one.keys() | other.keys():
            found |= differences(one.get(key), other.get(key), f"{at}.{key}".lstrip("."))
        return found
    return {} if one == other else {at: (one, other)}


def test_it_is_what_one_made_for_its_workspace_is(cold, claimed):
    assert_same(cold, claimed)


def test_docker_knows_them_apart_by_little(site, cold, claimed):
    one, other = cold.inspect(), claimed.inspect()
    apart = {}
    for part in ("Config", "HostConfig"):
        apart |= differences(one[part], other[part], part)
    labels = "Config.Labels.containai"
    assert apart.pop("Config.Hostname") == (cold.box, "spare")
    assert apart.pop(f"{labels}.workspace") == (cold.path, None)
    assert re.fullmatch("[0-9a-f]{32}", apart.pop(f"{labels}.spare")[1])
    assert apart.pop(f"{labels}.ssh-port") == (str(cold.port), str(claimed.port))
    ports = apart.pop("HostConfig.PortBindings.22/tcp")
    assert [e[0]["HostPort"] for e in ports] == [str(cold.port), str(claimed.port)]
    ours, theirs = apart.pop("HostConfig.Mounts")
    assert apart == {}
    # Binds of the workspace, and the labels of volumes: whose box they are a part of.
    kept = [each for each in ours if each["Type"] != "bind"]
    assert [(e["Type"], e["Target"]) for e in kept] == [(e["Type"], e["Target"]) for e in theirs]
    assert {e["Target"] for e in theirs} == {DATA_IN_BOX, DOCKER_IN_BOX}
    for mine, its in zip(kept, theirs, strict=True):
        allowed = {"Source", "VolumeOptions.Labels.containai.workspace"}
        allowed |= {"VolumeOptions.Labels.containai.part-of"}
        assert differences(mine, its).keys() <= allowed
    # Nor is there any other bind.
    binds = {each["Destination"] for each in one["Mounts"] if each["Type"] == "bind"}
    assert binds > {"/home/agent/workspace", cold.path}


def test_everybody_who_asks_is_told_the_same(site, cold, claimed):
    rows = {row["name"]: row for row in json.loads(site.cai("ls", "--json").stdout)}
    own = {"name", "container", "workspace", "ssh_port", "created", "data"}
    assert differences(rows[cold.box], rows[claimed.box]).keys() <= own
    assert rows[claimed.box]["workspace"] == claimed.path
    assert rows[claimed.box]["problems"] == []
    said = [json.loads(site.cai("status", "--json", e.path).stdout) for e in (cold, claimed)]
    assert said[0].keys() == said[1].keys()
    volumes = {row["name"]: row for row in json.loads(site.cai("volume", "ls", "--json").stdout)}
    assert volumes[data_of(claimed)]["workspace"] == claimed.path
    ssh = ["ssh", "-F", site.layout.ssh_config, "-o", "BatchMode=yes"]
    for each in (cold, claimed):
        shown = subprocess.run([*ssh, each.box, "hostname"], capture_output=True, check=True)
        assert shown.stdout.decode().strip() == each.box
    assert (
        "spare"
        not in subprocess.run(
            [
                "cat",
                *[e.path for e in os.scandir(site.layout.ssh_blocks) if e.name.endswith(".conf")],
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )


OWNERS = """
set -e; echo agents >agents; sudo sh -c 'echo roots >roots'; sudo -u nobody true
stat -c '%n %u:%g' theirs agents roots; cat theirs
sudo touch .git/hooks/x 2>&1 || :; sudo touch .git/config && echo written || :
"""


def test_files_of_the_workspace_are_whose_they_are(cold, claimed):
    seen = []
    for space in (cold, claimed):
        with open(os.path.join(space.path, "theirs"), "w", encoding="ascii") as file:
            file.write("from outside\n")
        said = normal(space, space.sh(OWNERS))
        outside = [os.stat(os.path.join(space.path, name)) for name in ("agents", "roots")]
        seen.append((said, [(each.st_uid, each.st_gid) for each in outside]))
    assert seen[0] == seen[1]
    assert seen[1][1][0] == (os.getuid(), os.getgid())
    assert seen[1][1][1] != (0, 0)


def again(site, space, how):
    match how:
        case "stop":
            site.cai("stop", space.path)
            assert not os.path.exists(site.layout.control_socket(space.box))
        case "kill":
            site.docker("kill", space.box)
    space.run("true")


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_it_is_the_same_after_a_start(site, cold, claimed, how):
    before = claimed.inspect()["Id"]
    for space in (cold, claimed):
        again(site, space, how)
    assert claimed.inspect()["Id"] == before
    assert_same(cold, claimed)


def test_it_is_the_same_with_another_engine(site, cold, claimed):
    site.cai("engine", "stop")
    site.cai("engine", "start")
    for space in (cold, claimed):
        space.run("true")
    assert_same(cold, claimed)


def test_its_connection_can_be_lost(site, claimed):
    claimed.close_connection()
    claimed.run("true")
    until(lambda: os.path.exists(site.layout.control_socket(claimed.box)))
    assert claimed.sh("hostname") == claimed.box


#: At a start, what Docker from 26 on says in /etc/hosts, once the runtime has been there.
SAYS_SPARE = r"""
set -e
cd /etc
cp hosts hostname resolv.conf /tmp
sed -i "s/\t$(hostname)\$/\tspare/" /tmp/hosts
grep -c "$(printf '\t')spare\$" /tmp/hosts
for name in hosts hostname resolv.conf; do mount --bind /tmp/$name $name; done
/usr/local/lib/containai/etc-files
grep -c "$(printf '\t')$(hostname)\$" hosts
grep -c spare hosts || true
"""


def test_its_name_counts_where_docker_says_the_one_that_it_was_made_with(claimed):
    assert claimed.sh(f"sudo sh -c {shlex.quote(SAYS_SPARE)}") == "1\n1\n0"


def test_it_is_renamed(site, claimed):
    claimed.sh("echo mine >~/note")
    site.cai("rename", claimed.path, "other")
    try:
        assert claimed.sh("cat ~/note; hostname") == "mine\n" + claimed.box
        site.cai("restart", "--name", "other")
        assert claimed.sh("cat ~/note") == "mine"
        ssh = ["ssh", "-F", site.layout.ssh_config, "other", "cat ~/note"]
        assert subprocess.check_output(ssh) == b"mine\n"
    finally:
        site.cai("rename", "--name", "other", claimed.box)
    assert claimed.sh("cat ~/note") == "mine"


def test_its_data_goes_out_and_comes_back(site, claimed, tmp_path):
    claimed.sh("mkdir -p ~/.claude; echo login >~/.claude/kept")
    archive = str(tmp_path / "it.tar")
    site.cai("export", claimed.path, "-o", archive)
    claimed.sh("rm ~/.claude/kept")
    site.cai("restore", "--yes", archive, claimed.path)
    assert claimed.sh("cat ~/.claude/kept") == "login"


def test_its_successor_has_its_data(site, claimed):
    volume = data_of(claimed)
    claimed.sh("mkdir -p ~/.claude; echo login >~/.claude/kept; touch ~/lost")
    seen = "cat ~/.claude/kept; ls ~/lost 2>&1 | wc -l; stat -c %U .; hostname"
    expected = f"login\n1\nagent\n{claimed.box}"
    first = claimed.inspect()["Id"]
    site.cai("run", "--fresh", "--yes", claimed.path, "--", "true")
    assert claimed.inspect()["Id"] != first
    assert (claimed.sh(seen), data_of(claimed)) == (expected, volume)
    site.cai("rm", claimed.path)
    assert volume in site.docker("volume", "ls", "--quiet").split()
    # What it had, the spare that it is claimed next has.
    made = spares.spare(site)
    assert TOOK in text(claimed.run("true"))
    assert spares.is_claimed(claimed, made)
    assert (claimed.sh(seen), data_of(claimed)) == (expected, volume)
    site.cai("run", "--reset", "--yes", claimed.path, "--", "true")
    assert claimed.sh("find ~/.claude/ -name kept") == ""
    assert data_of(claimed) != volume
    assert volume not in site.docker("volume", "ls", "--quiet").split()
    site.cai("rm", "--data", "--yes", claimed.path)
    # As nobody's again it is claimed for once more.
    made = spares.spare(site)
    assert TOOK in text(claimed.run("true"))
    assert spares.is_claimed(claimed, made)
    assert claimed.sh("find ~/.claude/ -name kept") == ""


def test_what_a_container_removed_alone_leaves_goes_before_the_next_spare(site, make_space):
    spares.spare(site)
    space = make_space("forgotten")
    assert TOOK in text(space.run("true"))
    inner = {e["Destination"]: e["Name"] for e in space.inspect()["Mounts"] if e.get("Name")}
    site.docker("rm", "--force", space.box)
    spares.sweep(site)
    assert inner[DOCKER_IN_BOX] not in site.docker("volume", "ls", "--quiet").split()
    # What ssh has of it goes with the box that takes its place.
    space.run("true")


def test_one_that_can_only_be_read_is_as_one_made_for_that(site, make_space):
    made = spares.spare(site)
    space = make_space("read")
    said = text(site.cai("run", "--read-only", space.path, "--", "true"))
    if TOOK in said:
        assert spares.is_claimed(space, made)
    done = space.run("sh", "-c", "sudo touch x || sudo mount -o remount,bind,rw .", check=False)
    assert done.returncode != 0
    site.cai("restart", space.path)
    assert space.run("sudo", "touch", "x", check=False).returncode != 0
    assert os.listdir(space.path) == []
