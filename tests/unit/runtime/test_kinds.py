"""What differs by the program that a bundle is handed over to, and who else has to know it."""

import pytest

from containai.attack.inside import mounts
from containai.attack.outside import isolation
from containai.machine_layout import BOX_IDS, RUNTIME, SYSBOX_WRAPPER
from containai.runtime import create, in_place
from containai.runtime.config import Config
from containai.runtime.errors import RuntimeRefusal
from containai.runtime.kinds import KINDS, RUNC, SYSBOX
from containai.runtime.ranges import SIZE

CONFIG = Config("/usr/bin/runc", "/s", 1, 2, "/e", 3, "/g", sysbox="/s/sysbox-runc", library="/l")


def test_the_installer_knows_them_by_the_same_names():
    assert SIZE == BOX_IDS
    assert list(KINDS) == [RUNTIME, SYSBOX_WRAPPER] == [RUNC.name, SYSBOX.name]


def test_what_lies_beside_a_volume_is_known_to_the_probes():
    assert in_place.BESIDE == isolation._BESIDE
    assert SYSBOX.places <= set(mounts.OWN_POINTS)
    assert in_place.DOCKER in SYSBOX.places


def test_each_becomes_a_program_of_its_own():
    assert (CONFIG.real(RUNC), CONFIG.real(SYSBOX)) == ("/usr/bin/runc", "/s/sysbox-runc")
    assert (CONFIG.ours(RUNC), CONFIG.ours(SYSBOX)) == ("/l/cai-runc", "/l/cai-sysbox-runc")


@pytest.mark.parametrize("wanted", [False, True])
def test_sysbox_fs_serves_whom_it_is_asked_to(wanted):
    config = CONFIG._replace(sysbox_fs=wanted)
    assert config.options(RUNC) == []
    assert config.options(SYSBOX) == ([] if wanted else ["--no-sysbox-fs"])


ROOT = "27 1 8:1 / / rw,relatime {}- ext4 /dev/sda1 rw\n28 27 0:5 / /dev rw shared:2 - tmpfs d rw\n"


def test_mounts_of_sysbox_fs_have_to_arrive():
    create._require_shared(ROOT.format("shared:1 "))
    with pytest.raises(RuntimeRefusal, match="make-rshared"):
        create._require_shared(ROOT.format(""))
