"""Containers of Sysbox from before they had ranges of ours: what is done before they start."""

import os
import subprocess

import pytest

from containai.runtime import earlier
from containai.runtime.config import Config
from containai.runtime.errors import RuntimeRefusal
from harness.waiting import until

FIRST = 165_536
OWNER = 2_000_000_000
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="needs root")


@pytest.fixture
def config(tmp_path, monkeypatch):
    (tmp_path / "given").mkdir()
    (tmp_path / "ids").write_text(f"me:100000:65536\nsysbox:{FIRST}:65536\n", encoding="ascii")
    monkeypatch.setattr(earlier, "_FILES", (str(tmp_path / "ids"),) * 2)
    monkeypatch.setattr(earlier, "PID_FILE", str(tmp_path / "sysmgr.pid"))
    return Config(
        runc="runc",
        state=str(tmp_path / "state"),
        id_base=1_000_000_000,
        id_count=1 << 24,
        engine_data=str(tmp_path),
        id_stored=0,
        given=str(tmp_path / "given"),
        sysbox=str(tmp_path / "sysbox-runc"),
    )


@pytest.fixture
def manager(config):
    """Have a process of that name and these options be sysbox-mgr."""
    started = []

    def start(*options):
        program = os.path.join(os.path.dirname(config.sysbox), "sysbox-mgr")
        process = subprocess.Popen([program, "-c", "read x", *options], executable="/bin/sh",
                                   stdin=subprocess.PIPE)  # fmt: skip
        started.append(process)
        with open(f"/proc/{process.pid}/cmdline", "rb") as file:
            # exec returns to who has started it before it is to be seen there.
            until(lambda: file.seek(0) or file.read())
        with open(earlier.PID_FILE, "w", encoding="ascii") as file:
            file.write(f"{process.pid}\n")

    yield start
    for process in started:
        process.communicate()


def test_a_manager_that_holds_containers_to_earlier_ids_is_named(config, manager):
    manager("--data-root", "/x")
    with pytest.raises(RuntimeRefusal, match=r"stop all boxes on Sysbox, then: cai doctor --fix"):
        earlier.prepare(config, "a1", "")
    # One that never ran is not known to it.
    with open(os.path.join(config.given, "a1"), "w", encoding="ascii"):
        pass
    earlier.prepare(config, "a1", "")


def test_a_manager_of_now_and_one_that_is_not_ours_hold_nobody(config, manager):
    earlier.prepare(config, "a1", "")
    manager("--data-root", "/x", earlier.OPTION)
    earlier.prepare(config, "a1", "")
    manager()
    earlier.prepare(config._replace(sysbox="/usr/bin/sysbox-runc"), "a1", "")


@pytest.mark.parametrize("pid", ["", "x", "0", "-1", "99999999999"])
def test_a_pid_file_that_says_nothing_stops_nobody(config, pid):
    with open(earlier.PID_FILE, "w", encoding="ascii") as file:
        file.write(pid)
    assert not earlier._is_old(config.sysbox)


@needs_root
def test_what_a_killed_sysbox_left_shifted_is_put_right(config, tmp_path):
    upper = tmp_path / "upper"
    upper.mkdir()
    (upper / "sudo").touch()
    for path in (upper, upper / "sudo"):
        os.chown(path, FIRST, FIRST)
    os.chmod(upper / "sudo", 0o4755)
    earlier.prepare(config, "a1", str(upper))
    seen = os.stat(upper / "sudo")
    assert (seen.st_uid, seen.st_gid, seen.st_mode & 0o7777) == (0, 0, 0o4755)
    # Not looked through where its top is right: that is what doctor does.
    os.chown(upper / "sudo", FIRST, FIRST)
    earlier.prepare(config, "a1", str(upper))
    assert os.stat(upper / "sudo").st_uid == FIRST


@needs_root
def test_the_agent_is_the_image_s_again(tmp_path):
    os.chmod(tmp_path.parent, 0o755)
    os.chmod(tmp_path, 0o755)
    root = tmp_path / "root"
    named = root / earlier.AGENT_ID
    named.parent.mkdir(parents=True)
    for path in (root, root / "etc", named.parent):
        os.chown(path, OWNER, OWNER)
    # A box that has no such file, as all have that were made since, gets none.
    earlier.give_back(str(root), OWNER)
    assert not named.exists()
    named.write_text("1234 1234\n", encoding="ascii")
    os.chown(named, OWNER, OWNER)
    earlier.give_back(str(root), OWNER)
    assert named.read_text(encoding="ascii") == earlier.AGENT
    assert os.stat(named).st_uid == OWNER


@needs_root
@pytest.mark.parametrize("kind", ["file", "directory", "above"])
def test_no_link_in_a_box_leads_out_of_it(tmp_path, kind):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "agent-id").write_text("of the host", encoding="ascii")
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    if kind == "above":
        (root / "etc/containai").symlink_to(outside)
    else:
        (root / "etc/containai").mkdir()
        target = outside / "agent-id" if kind == "file" else outside
        (root / earlier.AGENT_ID).symlink_to(target)
    earlier.give_back(str(root), 0)
    assert (outside / "agent-id").read_text(encoding="ascii") == "of the host"
    assert os.listdir(outside) == ["agent-id"]
