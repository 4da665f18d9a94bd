"""ContainAI's benchmark: `python -m bench`, from a checkout."""

import os
import sys

# The paths and names of this checkout's ContainAI; what is timed is the `cai` that is installed.
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(__file__)), "src"))
