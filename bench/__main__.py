"""What ContainAI costs, against what one would use without it: `python -m bench --help`.

Everything is measured in one run on one machine, on the user's own set-up: the boxes and
containers made for it are in temporary workspaces and are removed. An aim that is missed is shown,
not an error; the exit code is 1 only where something failed to run.
"""

import argparse
import io
import json
import os
import shutil
import signal
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

from bench import measure
from bench.cgroups import memory_of
from bench.idle import idle
from bench.made import Bench
from bench.measure import Row, difference, interleaved, ratio, run, timed
from bench.moved import FILE_SIZE, FILES, files, streams, woken
from bench.remote import Elsewhere, remote
from bench.sizes import sizes
from bench.spare import spare
from bench.waiting import free_port, wait_for_login, wait_for_ssh
from containai.boxes import spec
from containai.boxes.design import AUTHORIZED_KEYS_IN_BOX, HOST_KEY_IN_BOX
from containai.layout import Layout
from containai.machine_layout import RUNTIME

#: How many system calls are made to see what the filter costs: half of them read, half write.
CALLS = 4_000_000
#: A box is idle so long after its start, in seconds.
SETTLE_SECONDS = 15
MIB = 1 << 20


def warm(bench: Bench, runs: int) -> Iterator[Row]:
    """`cai run` into a running box, against `docker exec` and against ssh itself."""
    run(bench.cai_true())
    control = bench.layout.control_socket(bench.box)
    ours, docker, ssh = interleaved(
        runs,
        lambda: timed(bench.cai_true()),
        lambda: timed(bench.docker("exec", bench.box, "true")),
        lambda: timed(["ssh", "-F", "/dev/null", "-S", control, bench.box, "true"]),
    )
    yield ratio("warm: cai run / docker exec", ours, docker, 0.4)
    yield difference("warm: cai run - ssh over its control socket", ours, ssh, 45)


def cold(bench: Bench, runs: int) -> Iterator[Row]:
    """`cai run` without a box, against the same container started by hand: until sshd answers,
    which is less than `cai run` does, and until ssh has run `true`, which is the same.

    Both have the limits of the settings, which are half of the machine's processors unless said
    otherwise, and a data volume that is there.
    """
    workspace = os.path.join(bench.directory, "by-hand")
    os.makedirs(workspace, exist_ok=True)
    # The image has no host key and sshd does not start without one; cai makes one a box.
    key = os.path.join(bench.directory, "host_key")
    if not os.path.exists(key):
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
    places = {
        key: f"/{HOST_KEY_IN_BOX}",
        f"{bench.layout.ssh_key}.pub": f"/{AUTHORIZED_KEYS_IN_BOX}",
    }
    mounts = [
        word
        for source, target in places.items()
        for word in ("--mount", spec.mount(type="bind", source=source, target=target))
    ]
    name = f"{bench.box}-by-hand"
    run(bench.cai_true())
    given, cpuset = bench.limits()
    data = bench.volume(f"{name}-data")

    def with_cai() -> float:
        bench.remove_box()
        return timed(bench.cai_true())

    def by_hand(wait: Callable[[int], None]) -> float:
        port = free_port()
        made = spec.BoxSpec(
            name, workspace, bench.image, port, bench.layout.uid, bench.by_hand, limits=given,
            cpuset=cpuset, data=data,
        )  # fmt: skip
        options = without_labels(spec.create_arguments(made)[1:])
        argv = bench.docker("run", "--detach", *mounts, *options)
        try:
            begun = time.perf_counter()
            run(argv)
            wait(port)
            return time.perf_counter() - begun
        finally:
            bench.remove_container(name)

    def until_login(port: int) -> None:
        wait_for_login(port, bench.layout.ssh_key)

    ours, answers, login = interleaved(
        runs, with_cai, lambda: by_hand(wait_for_ssh), lambda: by_hand(until_login)
    )
    yield ratio("cold: cai run / docker run until sshd answers", ours, answers, 1.3)
    yield ratio("cold: cai run / docker run until ssh runs true", ours, login, 1.1)


def start(bench: Bench, runs: int) -> Iterator[Row]:
    """What only looks, and what Tab waits for, against a Python that does nothing, and docker."""
    with open(bench.cai, encoding="utf-8") as file:
        python = file.readline().removeprefix("#!").split()[0]
    run(bench.cai_true())
    words = ([bench.cai, "--help"], [bench.cai, "version"])
    tab = [bench.cai, "__complete", "bash", "stop", "--name", ""]
    others = ([python, "-I", "-c", "pass"], ["docker", "--help"], bench.docker("ps"))
    jobs = [partial(timed, argv) for argv in (*words, tab, *others)]
    ours, version, completed, nothing, helped, listed = interleaved(runs, *jobs)
    yield difference("cai --help - python -I -c pass", ours, nothing, 20)
    yield ratio("cai --help / docker --help", ours, helped, None)
    yield ratio("cai version / docker ps", version, listed, None)
    milliseconds = completed.median * 1e3
    yield Row("Tab: a box's name", str(completed), str(listed), milliseconds, "ms", 60)


def runtime(bench: Bench, runs: int) -> Iterator[Row]:
    """The embedded runtime against runc: a whole container, and a process in one."""

    def whole(name: str) -> Callable[[], float]:
        return lambda: timed(bench.docker("run", "--rm", "--runtime", name, bench.image, "true"))

    def inside(container: str) -> Callable[[], float]:
        return lambda: timed(bench.docker("exec", container, "true"))

    ours, theirs = interleaved(runs, whole(RUNTIME), whole("runc"))
    yield ratio("docker run: cai-runc / runc", ours, theirs, 1.2)
    ours, theirs = interleaved(runs, *(inside(bench.container(r)) for r in (RUNTIME, "runc")))
    yield ratio("docker exec: cai-runc / runc", ours, theirs, 1.15)


def memory(bench: Bench, runs: int) -> Iterator[Row]:
    """What an idle box takes; `runs` does not matter."""
    bench.remove_box()
    run(bench.cai_true())
    time.sleep(SETTLE_SECONDS)
    pid = bench.docker_run("inspect", "--format", "{{.State.Pid}} {{.Id}}", bench.box).split()
    whole, without_cache = memory_of(*pid)
    yield Row("memory of an idle box", mib(whole), "", whole / MIB, "MiB", None)
    yield Row("... without page cache", mib(without_cache), "", without_cache / MIB, "MiB", None)


def jobs(bench: Bench, runs: int) -> Iterator[Row]:
    """Work inside a container: the clock is read in there, so starting it does not count."""
    archive = os.path.join(bench.directory, "files.tar")
    write_archive(archive)
    pair = [bench.container(each, "--network", "none") for each in (RUNTIME, "runc")]
    for container in pair:
        with open(archive, "rb") as file:
            run(
                bench.docker("exec", "-i", container, "sh", "-c", "cat >/var/tmp/files.tar"),
                stdin=file,
            )
    unpack = (
        "rm -rf /var/tmp/files && mkdir /var/tmp/files && sync",
        "tar -xf /var/tmp/files.tar -C /var/tmp/files && find /var/tmp/files -size +9 | wc -l",
    )
    count = ("sync", "for i in 1 2 3 4 5 6 7 8 9 10; do sha256sum /var/tmp/files.tar; done")
    for name, (before, work) in {
        f"unpack and stat {FILES:,} files: cai-runc / runc": unpack,
        "sha256sum of half a gigabyte: cai-runc / runc": count,
    }.items():
        ours, theirs = interleaved(runs, *(job(bench, each, before, work) for each in pair))
        yield ratio(name, ours, theirs, 1.03)


def job(bench: Bench, container: str, before: str, work: str) -> Callable[[], float]:
    """Return a job that is timed by the container's own shell."""
    clock = "$(date +%s%N)"
    script = f"{before}; a={clock}; {{ {work}; }} >/dev/null || exit 1; echo $(({clock} - a))"
    return lambda: int(bench.docker_run("exec", container, "sh", "-c", script)) / 1e9


def calls(bench: Bench, runs: int) -> Iterator[Row]:
    """System calls that do nothing else, through the filter of a box and through none at all."""
    containers = (
        bench.container(RUNTIME, "--network", "none", *spec.RIGHTS),
        bench.container("runc", "--network", "none", "--security-opt", "seccomp=unconfined"),
    )
    work = f"dd if=/dev/zero of=/dev/null bs=1 count={CALLS // 2} status=none"
    ours, theirs = interleaved(runs, *(job(bench, each, ":", work) for each in containers))
    yield ratio(f"{CALLS:,} system calls: box / runc without seccomp", ours, theirs, None)


#: name → (measurement, how many runs)
MEASUREMENTS = {
    "start": (start, 21),
    "warm": (warm, 21),
    "cold": (cold, 7),
    "spare": (spare, 9),
    "woken": (woken, 7),
    "streams": (streams, 5),
    "files": (files, 3),
    "runtime": (runtime, 15),
    "memory": (memory, 1),
    "idle": (idle, 1),
    "jobs": (jobs, 7),
    "calls": (calls, 9),
    "sizes": (sizes, 1),
}
#: The one that needs no engine here, but a place.
REMOTE = "remote"

#: What a measurement that fails to run raises.
FAILURES = (RuntimeError, OSError, ValueError, LookupError)


def without_labels(options: list[str]) -> list[str]:
    """Drop the labels: the container started by hand is no box to `cai`."""
    kept = zip(options, ["", *options], strict=False)
    return [word for word, before in kept if "--label" not in (word, before)]


def mib(count: int) -> str:
    """Return a number of bytes in MiB."""
    return f"{count / MIB:.0f} MiB"


def write_archive(path: str) -> None:
    """Write a tar archive of many small files, a hundred in a directory."""
    with tarfile.open(path, "w") as archive:
        for number in range(FILES):
            entry = tarfile.TarInfo(f"{number // 100}/{number}")
            content = f"{number}\n".encode().ljust(FILE_SIZE, b".")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def main() -> int:
    """Measure, print, and return the exit code."""
    parser = _parser()
    arguments = parser.parse_args()
    # What is compared is the same whatever is in the image.
    os.environ.setdefault("CONTAINAI_IMAGE_NAME", "base")
    # The containers that boxes are compared with have no limits: by default boxes have.
    os.environ.update(CONTAINAI_BOX_MEMORY="none", CONTAINAI_BOX_CPUS="none")
    # Whoever measures them makes them: else a new box is one of those, or they boot meanwhile.
    os.environ["CONTAINAI_BOX_SPARES"] = "0"
    _check(parser, arguments)
    # As an exception, so that what was made is removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    rows: list[Row] = []
    failed: list[str] = []
    about = {"cai": arguments.cai}
    with ExitStack() as made:
        try:
            for name, measured in _measured(arguments, made, about):
                sys.stderr.write(f"measuring: {name}\n")
                try:
                    for row in measured:
                        rows.append(row)
                        sys.stderr.write(f"  {row.name}: {row.compared}\n")
                except FAILURES as wrong:
                    failed.append(f"{name}: {wrong}")
        except FAILURES as wrong:
            failed.append(f"set-up: {wrong}")
    kernel, load = os.uname().release, os.getloadavg()[0]
    about["machine"] = f"Linux {kernel}, {os.cpu_count()} CPUs, load {load:.1f} at the end"
    if arguments.json:
        report = {"about": about, "rows": [row.as_json() for row in rows], "failed": failed}
        print(json.dumps(report, indent=2))
    else:
        print("\n".join(f"{key}: {value}" for key, value in about.items()))
        print("\n" + measure.table(rows))
        for each in failed:
            print(f"FAILED {each}")
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = ", ".join(MEASUREMENTS)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{names}; or remote alone")
    parser.add_argument("--runs", type=int, metavar="N", help="runs of each (default: 7 to 21)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--runtime",
        default=RUNTIME,
        metavar="NAME",
        help="the engine's runtime of what cold starts by hand",
    )
    parser.add_argument(
        "--rest",
        type=float,
        default=300.0,
        metavar="SECONDS",
        help="how long spare boxes are looked at while nobody wants them (default: 300)",
    )
    parser.add_argument("--cai", default=shutil.which("cai"), metavar="PATH", help="cai to time")
    parser.add_argument("--on", metavar="PLACE", help="remote: the place that is measured")
    parser.add_argument(
        "--incus",
        default="incus",
        metavar="COMMAND",
        help="remote: the client of Incus, whose default is that place's server and project",
    )
    return parser


def _check(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """End with a usage error where something is missing for what was asked."""
    names = arguments.names
    known = (*MEASUREMENTS, REMOTE)
    if unknown := set(names) - set(known):
        parser.error(f"there is no {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    if arguments.runs is not None and arguments.runs < 1:
        parser.error("--runs: at least 1")
    if arguments.cai is None:
        parser.error("there is no cai on PATH: install it, or give --cai PATH")
    if REMOTE in names or arguments.on:
        if names != [REMOTE] or not arguments.on:
            parser.error("of a remote place, alone: remote --on PLACE")
        return
    socket_path = Layout.from_environment().engine_socket
    if not os.access(socket_path, os.R_OK | os.W_OK):
        parser.error(f"{socket_path} is missing or not yours: run cai setup, or be root")


def _measured(
    arguments: argparse.Namespace, made: ExitStack, about: dict[str, str]
) -> Iterator[tuple[str, Iterator[Row]]]:
    """Give each measurement, to be gone through; say in `about` what it is of."""
    if arguments.on:
        there = Elsewhere(arguments.cai, made, arguments.on, arguments.incus)
        about |= {"place": there.place, "Incus": there.versions, "image": there.image}
        yield REMOTE, remote(there, arguments.runs or 7)
        return
    bench = Bench(arguments.cai, made, arguments.runtime, arguments.rest)
    about |= {"engine": bench.layout.engine_socket, "image": bench.image}
    for name in arguments.names or MEASUREMENTS:
        measurement, runs = MEASUREMENTS[name]
        yield name, measurement(bench, arguments.runs or runs)


if __name__ == "__main__":
    sys.exit(main())
