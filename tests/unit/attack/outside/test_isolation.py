"""A box's processes, as the host sees them."""

import pytest

from containai.attack.inside import look
from containai.attack.outside import isolation
from containai.attack.probe import Unverified
from harness.attack_facts import known, process


def test_ids_of_other_boxes():
    assert isolation.ids_of_others(known(others=[[[0, 1879310336, 262144]]])).found is False
    assert isolation.ids_of_others(known(others=[[[0, 1879310335, 262144]]])).found is True
    # One with the host's ids is not the box's fault; its own probe finds it.
    assert isolation.ids_of_others(known(others=[[[0, 0, 4294967295]]])).found is False


def member(**changed):
    return {"name": "sh", "user": "user:[2]", "seccomp": "2", "uid": "1879048192"} | changed


@pytest.mark.parametrize(
    ("changed", "bad"),
    [
        ({}, False),
        ({"uid": "1879048191"}, True),
        ({"user": "user:[1]"}, True),
        ({"user": "user:[3]"}, False),
        ({"seccomp": "0"}, True),
    ],
)
def test_processes_of_a_box(changed, bad):
    assert isolation.every_process(known(members=[member(), member(**changed)])).found is bad


def test_box_without_a_process_is_not_fine():
    with pytest.raises(Unverified):
        isolation.every_process(known())


def test_name_of_a_process_cannot_steer_the_terminal():
    seen = isolation.every_process(known(members=[member(name="\x1b[2J", seccomp="0")]))
    assert seen.text.startswith("?[2J")


HOST_MOUNTS = "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n21 20 0:5 / /dev rw - devtmpfs none rw\n"


@pytest.mark.parametrize(
    ("line", "bad"),
    [
        ("30 1 8:1 /home/me/project /home/agent/workspace rw - ext4 /dev/sda1 rw", False),
        ("30 1 8:1 /home/me /mnt rw - ext4 /dev/sda1 rw", True),
        ("30 1 8:1 /var/lib/containai-docker/containers/ID/hosts /etc/hosts rw - ext4 x rw", False),
        ("30 1 8:1 /var/lib/containai-docker/containers/OTHER/hosts /x rw - ext4 x rw", True),
        ("30 1 8:1 /volume/_data /var/lib/docker rw - ext4 x rw", False),
        ("30 1 0:5 /null /dev/null rw - devtmpfs none rw", False),
        ("30 1 0:5 /sda /dev/sda rw - devtmpfs none rw", True),
        ("30 1 0:99 / / rw - overlay overlay rw", False),
    ],
)
def test_paths_of_the_host(line, bad):
    box = process()._replace(mounts=look.mounts(line))
    host = process()._replace(mounts=look.mounts(HOST_MOUNTS))
    made = {
        "Id": "ID",
        # An image's label allows nothing.
        "Config": {"Labels": {"containai.workspace": "/home/me"}},
        "HostConfig": {
            "Mounts": [
                {"Type": "bind", "Source": "/home/me/project", "Target": "/home/agent/workspace"}
            ]
        },
        "Mounts": [{"Type": "volume", "Source": "/volume/_data"}],
    }
    assert isolation.host_paths(known(box=box, hosts=[host], container=made)).found is bad


def test_the_kernel_counts_for_who_made_the_namespace():
    assert not isolation.kernel_counts(known()).found
    assert isolation.kernel_counts(known(box=process([[0, 0, 4294967295]]))).found
