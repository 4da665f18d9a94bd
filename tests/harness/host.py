"""The machine that the tests run on, for what needs no layout of a test's own."""

import os

from containai.host.machine import Machine
from containai.layout import Layout

HOST = Machine(Layout("/", "/nonexistent", os.getuid()))
