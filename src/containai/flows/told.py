"""Says how many bytes have gone, once that takes time."""

import time

from containai.work.ui import Progress, Ui

#: After how many seconds it is said how much it is, and how often from then on.
_QUIET, _OFTEN = 2.0, 0.2


class Told:
    """Is told of bytes as they go; `bytes` is how many it was. `what` is done with them."""

    def __init__(self, ui: Ui, what: str) -> None:
        self._ui, self._what = ui, what
        self._progress: Progress | None = None
        self._next = time.monotonic() + _QUIET
        self.bytes = 0

    def __call__(self, count: int) -> None:
        """Be told of more bytes."""
        self.bytes += count
        if time.monotonic() > self._next:
            self._next = time.monotonic() + _OFTEN
            if self._progress is None:
                self._progress = self._ui.step(self._what, 1, 1)
            self._progress(f"{self.bytes / 1e6:.0f} MB", None)
