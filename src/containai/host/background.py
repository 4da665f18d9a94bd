"""Work that is done while something else is waited for. On the way to a new box: imports little."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Background(Generic[Value]):
    """A call that has begun, in a thread of its own."""

    def __init__(self, call: Callable[[], Value]) -> None:
        self._call = call
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def ends_within(self, seconds: float) -> bool:
        """Wait that long at most; return whether it has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def result(self) -> Value:
        """Wait for it; return what it returned, or raise what it raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._value

    def _run(self) -> None:
        self._error: BaseException | None = None
        try:
            self._value = self._call()
        except BaseException as failed:
            self._error = failed
