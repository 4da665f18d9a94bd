"""Sites whose boxes another runtime starts."""

import os
import shutil

from containai.engine import runtimes, sysbox
from containai.engine.runtimes import Choice
from containai.machine_layout import SYSBOX_RUNC
from containai.provision.steps.sysbox import RELEASES

from .site import Site

#: Scripts in place of Sysbox's programs: sysbox-runc checks what it gets, and becomes runc.
STAND_IN = os.path.join(os.path.dirname(__file__), "stand_in")
#: Where the programs of a real Sysbox are, if not in the system's directories.
DIRECTORY = "CONTAINAI_TEST_SYSBOX"


def install_sysbox(site: Site) -> None:
    """Have the boxes of a site started by a Sysbox that this machine has, and nothing fetched.

    Its daemons have their sockets once a machine: no other may run.
    """
    layout = site.layout
    os.makedirs(layout.sysbox_dir, exist_ok=True)
    for name in (SYSBOX_RUNC, *sysbox.DAEMONS):
        found = shutil.which(name, path=os.environ.get(DIRECTORY) or os.defpath)
        assert found, f"{name} is not here; {DIRECTORY} says where it is"
        # One of a site that was kept may run.
        target = os.path.join(layout.sysbox_dir, name)
        os.replace(shutil.copy(found, f"{target}.new"), target)
    pin = RELEASES[os.uname().machine]
    with open(os.path.join(layout.sysbox_dir, "release"), "w", encoding="ascii") as file:
        file.write(pin.sha256)
    keep_sysbox(site)


def keep_sysbox(site: Site) -> None:
    """Have new boxes started by it, where something else does."""
    if runtimes.chosen(site.layout) == SYSBOX_RUNC:
        return
    with open(site.layout.runtime_choice, "w", encoding="utf-8") as file:
        file.write(runtimes.choice_text(Choice(SYSBOX_RUNC, "the tests' own", {})))
    site.cai("setup", "--yes")
