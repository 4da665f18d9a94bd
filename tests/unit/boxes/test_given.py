import json
import os
import stat

import pytest

from containai.boxes import given
from containai.layout import Layout

FILES = {"etc/ssh/key": ("secret", 0o600)}


class Recorder:
    def __init__(self, layout):
        self.layout, self.copied = layout, []

    def copy_in(self, name, archive):
        self.copied.append((name, archive))


@pytest.fixture
def engine(tmp_path):
    return Recorder(Layout(str(tmp_path), str(tmp_path), os.getuid(), str(tmp_path)))


def test_the_runtime_is_left_them_in_a_file_that_nobody_else_reads(engine):
    os.makedirs(engine.layout.engine_given)
    given.give(engine, "c0ffee", FILES)
    path = os.path.join(engine.layout.engine_given, "c0ffee")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    with open(path, encoding="utf-8") as file:
        assert json.load(file) == {"etc/ssh/key": ["secret", 0o600]}
    assert engine.copied == []
    given.forget(engine.layout, "c0ffee")
    given.forget(engine.layout, "c0ffee")
    assert os.listdir(engine.layout.engine_given) == []


def test_else_the_engine_does_it(engine):
    given.give(engine, "c0ffee", FILES)
    ((name, archive),) = engine.copied
    assert name == "c0ffee"
    assert b"secret" in archive
