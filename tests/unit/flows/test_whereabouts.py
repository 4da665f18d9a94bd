"""Where a box is, is asked on the way to every box: what that imports."""

import subprocess
import sys

import pytest

#: What only boxes on remote places need, and takes longer to import than the question.
HEAVY = (
    "containai.flows.away",
    "containai.away.place",
    "containai.incus",
    "containai.transfer",
    "ssl",
)


@pytest.mark.parametrize("name", HEAVY)
def test_it_imports_nothing_of_what_is_done_there(name):
    # What is done with boxes of this machine, too.
    modules = "whereabouts, here, outlook, placed, several, status"
    look = f"import sys; from containai.flows import {modules}; print({name!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
