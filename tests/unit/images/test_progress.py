import itertools
import os
import re

import pytest

from containai.images import progress, recipe
from containai.images.progress import BuildProgress, TimeLeft


def lines(packages, steps=12, install_at=4):
    """Return what a build prints: `apt-get update` and an installation in one of its steps."""
    yield "Sending build context to Docker daemon  14.3kB"
    for step in range(1, steps + 1):
        yield f"Step {step}/{steps} : RUN something"
        yield " ---> Running in 0123456789ab"
        if step == install_at:
            for index in range(5):
                yield f"Get:{index} http://deb.debian.org/debian trixie InRelease [140 kB]"
            yield "Reading package lists..."
            yield f"0 upgraded, {packages} newly installed, 0 to remove and 0 not upgraded."
            yield f"Need to get {packages} kB of archives."
            for word in (
                "Get:{0} http://x p{0} [1,000 B]",
                "Unpacking p{0} (1) ...",
                "Setting up p{0}",
            ):
                for index in range(packages):
                    yield word.format(index)
                    yield "debconf: delaying package configuration"
        yield f" ---> {step:012x}"
    yield "Successfully built 0123456789ab"


@pytest.mark.parametrize("runs", [(), (1.0,) * 12, (1.0, 2.0)])
@pytest.mark.parametrize("install_at", [1, 2, 4, 12])
@pytest.mark.parametrize("packages", [1, 30, 400])
def test_it_goes_from_nothing_to_all(packages, install_at, runs):
    reader = BuildProgress(runs)
    seen = [reader.line(line) for line in lines(packages, install_at=install_at)]
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0.0, 1.0)


def test_of_a_second_installation():
    reader = BuildProgress()
    seen = [reader.line(line) for line in [*lines(400), *lines(3), *lines(900)]]
    assert seen == sorted(seen)
    assert seen[-1] <= 1.0


@pytest.mark.parametrize(
    "line",
    ["", "Step x/y", "newly installed", "Step 9/3 : X", "Step 1/0 : RUN", "Get:1 x [1 kB]",
     "progress 3 0 MB", "progress 9 3 MB", "Need to get 0 B of archives.", "Get:", "E: "],
)  # fmt: skip
def test_of_odd_lines(line):
    reader = BuildProgress()
    assert 0.0 <= reader.line(line) <= 1.0
    assert 0.0 <= reader.line("progress 1 2 MB") <= 1.0


def test_a_step_counts_by_how_long_it_takes():
    reader = BuildProgress((30.0, 10.0))
    said = ["Step 1/4 : FROM x", "Step 2/4 : RUN a", "progress 5 10 MB", "Step 3/4 : COPY a b",
            "Step 4/4 : RUN b", "progress 1 2 MB"]  # fmt: skip
    assert [reader.line(line) for line in said] == [0.0, 0.0, 0.375, 0.75, 0.75, 0.875]


def test_what_is_said_of_bytes_and_packages():
    reader = BuildProgress()
    said = []
    for line in [
        "Step 2/9 : RUN sh x",
        "0 upgraded, 2 newly installed, 0 to remove and 0 not upgraded.",
        "Need to get 12.5 MB/1,200 MB of archives.",
        "Get:1 http://deb.debian.org/debian trixie/main amd64 a amd64 1.2-3 [100 MB]",
        "Get:2 http://deb.debian.org/debian trixie/main amd64 b amd64 1.2-3 [1,100 MB]",
        "Unpacking a (1.2-3) ...",
        "Unpacking b (1.2-3) ...",
        "Setting up a (1.2-3) ...",
        "Setting up b (1.2-3) ...",
        "progress 120 560 MB",
    ]:
        reader.line(line)
        said.append(reader.said)
    assert said == [
        "step 2 of 9",
        "step 2 of 9",
        "step 2 of 9",
        "fetching 100 of 1200 MB",
        "fetching 1200 of 1200 MB",
        "installing 0 of 2 packages",
        *["installing 1 of 2 packages"] * 2,
        "installing 2 of 2 packages",
        "fetching 120 of 560 MB",
    ]


def test_what_was_wrong():
    reader = BuildProgress()
    for line in ("E: one", "E: the agent x could not be installed", "The command failed"):
        reader.line(line)
    assert reader.error == "the agent x could not be installed"


def test_how_long_it_still_takes():
    times = itertools.chain([0.0, 5.0], itertools.repeat(100.0))
    left = TimeLeft(lambda: next(times))
    assert left.after(0.5) == ""
    assert left.after(0.5) == ", about 2 min left"
    assert left.after(0.9) == ", about 10 s left"
    assert left.after(0.99) == ", about 10 s left"
    assert left.after(0.01) == ", about 165 min left"
    assert (left.after(0.0), left.after(1.0)) == ("", "")


@pytest.mark.parametrize("name", progress.RUNS)
def test_every_run_of_a_layer_is_known(name):
    path = os.path.join(os.path.dirname(recipe.__file__), name, "Dockerfile")
    with open(path, encoding="utf-8") as file:
        runs = re.findall("^RUN ", file.read(), re.MULTILINE)
    assert len(progress.RUNS[name]) == len(runs)


@pytest.mark.parametrize("runs", ["", "/bin/sh /build/run "])
def test_of_a_command_that_fails_the_end_of_what_it_said_is_kept(runs):
    reader = BuildProgress()
    reader.line("Step 1/2 : RUN before")
    reader.line("said before")
    reader.line("Step 2/2 : RUN x")
    reader.line(" ---> Running in 0123456789ab")
    for number in range(20):
        reader.line(f"\x1b[91mline {number}\x1b[0m")
    reader.line("Removing intermediate container 0123456789ab")
    reader.line(f"The command '{runs}/bin/sh -c x' returned a non-zero code: 3")
    last = "".join(f"\n  line {number}" for number in range(8, 20))
    assert reader.error == f"/bin/sh -c x ended with 3; it said last:{last}"


def test_what_it_says_is_wrong_itself_comes_first():
    reader = BuildProgress()
    for line in ("E: no room", "and more", "The command 'x' returned a non-zero code: 1"):
        reader.line(line)
    assert reader.error == "no room"
