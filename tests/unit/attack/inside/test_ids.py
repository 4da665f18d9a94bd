"""Powers over the host."""

import errno

import pytest

from containai.attack.inside import ids


@pytest.mark.parametrize(
    ("on_host", "held", "answers", "bad"),
    [
        (True, 1 << 16, {}, True),
        (True, 1 << 17, {}, False),
        (False, 1 << 16, {}, False),
        (False, 0, {"init_module": errno.ENOEXEC}, True),
        (False, 0, {"init_module": 0}, True),
        (False, 0, {"init_module": errno.EPERM, "finit_module": errno.ENOSYS}, False),
        (False, 0, {"init_module": -1}, False),
    ],
)
def test_powers(on_host, held, answers, bad):
    assert ids.judged(16, on_host=on_host, held=held, answers=answers).found is bad
