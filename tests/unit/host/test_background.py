"""Work that is done while something else is waited for."""

import threading

import pytest

from containai.host.background import Background


def test_a_call_goes_on_by_itself_and_its_result_is_kept():
    begun, go = threading.Event(), threading.Event()

    def call():
        begun.set()
        assert go.wait(30)
        return 7

    running = Background(call)
    assert begun.wait(30)
    go.set()
    assert running.result() == 7
    assert running.result() == 7


def test_what_a_call_raises_is_raised_where_it_is_waited_for():
    call = Background(lambda: [][0])
    with pytest.raises(IndexError):
        call.result()
