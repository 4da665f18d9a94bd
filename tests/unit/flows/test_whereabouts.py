"""Where a box is, is asked on the way to every box: what that imports."""

import subprocess
import sys

import pytest

#: What only boxes on remote places need, and takes longer to import than the question.
HEAVY = ("containai.flows.away", "containai.incus", "containai.transfer", "ssl")


@pytest.mark.parametrize("name", HEAVY)
def test_it_imports_nothing_of_what_is_done_there(name):
    look = f"import sys; import containai.flows.whereabouts; print({name!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
