"""How far the build of an image is, from what it prints: what is fetched, what is installed."""

import re
import time
from collections.abc import Callable, Sequence

#: What a size is in, as apt says it (apt-pkg/contrib/strutl.cc), in bytes.
_UNITS = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}
_SIZE = r"([\d,.]+) ([kMG]?)B"
#: Said only from here on: the first seconds of a build say little about all of it.
_LEAST_SECONDS, _LEAST_SHARE = 10.0, 0.01


#: docker prints what a program says on stderr in red.
_COLOUR = re.compile(r"\x1b\[[\d;]*m")

#: What docker says of a command that failed, less what runs those of workspaces.
_FAILED = re.compile(r"The command '(?:/bin/sh /build/run )?(.*)' returned a non-zero code: (\d+)")
#: How much of what such a command said is kept, in lines.
_LAST_LINES = 12

#: Image → how long each RUN of its Dockerfile takes, in seconds on two processors.
RUNS = {
    "base": (50.0, 5.0),
    "sdks": (60.0, 15.0, 30.0, 25.0, 10.0, 2.0),
    "full": (60.0,),
}


class BuildProgress:
    """Takes the lines of a build, and says how far it is and what is being done.

    It knows docker's steps, apt's packages, and what our own scripts say: "progress 12 340 MB", and
    "E: WHY" as apt does. Of other commands that fail it keeps the end of what they said. `runs`
    says how long each RUN takes; without, each step takes as long.
    """

    def __init__(self, runs: Sequence[float] = ()) -> None:
        self._runs = runs
        self._run = -1
        self._step, self._steps = 1, 1
        self._runs_now = False
        self._packages = self._unpacked = self._set_up = 0
        self._fetched = self._whole = 0.0
        self._furthest = 0.0
        self._last: list[str] = []
        #: What a program in it said last of what is wrong.
        self.error = ""
        #: What is being done, for people.
        self.said = ""

    def line(self, line: str) -> float:
        """Take a line; return how far the build is, 0 to 1. It never goes back."""
        line = _COLOUR.sub("", line).strip()
        self.said = self._read(line) or self.said
        if (
            line
            and self._runs_now
            and not (self._packages or self._whole or line.startswith("Step "))
        ):
            self.said = f"step {self._step} of {self._steps}: {line}"
        share = 1.0 if line.startswith("Successfully built ") else self._share()
        self._furthest = max(self._furthest, min(share, 1.0))
        return self._furthest

    def _share(self) -> float:
        if not self._runs:
            return (self._step - 1 + self._within()) / max(self._steps, 1)
        done = sum(self._runs[: self._run + (not self._runs_now)])
        now = self._runs[self._run] if self._runs_now and self._run < len(self._runs) else 0.0
        return (done + now * self._within()) / sum(self._runs)

    def _read(self, line: str) -> str:
        if step := re.match(r"Step (\d+)/(\d+) : (.*)", line):
            self._step, self._steps = int(step[1]), int(step[2])
            self._runs_now = step[3].startswith("RUN ")
            self._last = []
            self._run += self._runs_now
            self._packages = self._unpacked = self._set_up = 0
            self._fetched = self._whole = 0.0
            return f"step {step[1]} of {step[2]}"
        if told := re.fullmatch(r"progress (\d+) (\d+) MB", line):
            self._fetched, self._whole = int(told[1]) * 1e6, int(told[2]) * 1e6
            return self._fetching()
        if line.startswith("E: "):
            self.error = line.removeprefix("E: ")
        if failed := _FAILED.fullmatch(line):
            said = "".join(f"\n  {each}" for each in self._last)
            self.error = self.error or f"{failed[1]} ended with {failed[2]}; it said last:{said}"
        elif not line.startswith(("---> ", "Removing intermediate container ")):
            self._last = [*self._last[-_LAST_LINES + 1 :], line]
        return self._read_apt(line)

    def _read_apt(self, line: str) -> str:
        if count := re.search(r"(\d+) newly installed", line):
            self._packages, self._unpacked, self._set_up = int(count[1]), 0, 0
        elif need := re.match(rf"Need to get (?:{_SIZE}/)?{_SIZE} of archives", line):
            self._fetched, self._whole = 0.0, _bytes(*need.groups()[-2:])
        elif line.startswith("Get:") and self._whole:
            size = re.search(rf"\[{_SIZE}\]$", line)
            self._fetched += _bytes(*size.groups()) if size else 0.0
            return self._fetching()
        elif line.startswith(("Unpacking ", "Setting up ")):
            self._unpacked += line.startswith("Unpacking ")
            self._set_up += line.startswith("Setting up ")
            done = min((self._unpacked + self._set_up) // 2, self._packages)
            return f"installing {done} of {self._packages} packages"
        return ""

    def _fetching(self) -> str:
        fetched = min(self._fetched, self._whole)
        return f"fetching {fetched / 1e6:.0f} of {self._whole / 1e6:.0f} MB"

    def _within(self) -> float:
        """Return how far the step is that runs."""
        fetched = min(self._fetched / self._whole, 1.0) if self._whole else 0.0
        if not self._packages:
            return fetched
        unpacked = min(self._unpacked / self._packages, 1.0)
        return (fetched + unpacked + min(self._set_up / self._packages, 1.0)) / 3


class TimeLeft:
    """Says how long something still takes, from how long it has taken so far."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun = clock()

    def after(self, share: float) -> str:
        """Return ", about 2 min left" where that much of it is done, or "" where none can say."""
        taken = self._clock() - self._begun
        if taken < _LEAST_SECONDS or not _LEAST_SHARE <= share < 1.0:
            return ""
        seconds = taken * (1 - share) / share
        if seconds < 90:
            return f", about {max(10 * round(seconds / 10), 10)} s left"
        return f", about {round(seconds / 60)} min left"


def _bytes(number: str, unit: str) -> float:
    return float(number.replace(",", "")) * _UNITS[unit]
