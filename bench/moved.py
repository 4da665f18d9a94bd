"""What passes between this machine and a box: a shell in one that was stopped, bytes, files."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence

from bench.made import Bench
from bench.measure import Row, environment, interleaved, ratio, run, timed
from bench.waiting import wait_for_login, wait_for_ssh
from containai.host import proc

#: How much is streamed, in bytes.
STREAM = 1_000_000_000
#: How many files are copied, of how many bytes each, a hundred in a directory.
FILES, FILE_SIZE = 50_000, 200
#: A directory of a box and of a container.
TARGET = "/var/tmp/files"


def woken(bench: Bench, runs: int) -> Iterator[Row]:
    """`cai shell` into a stopped box, against `docker start` of the same until ssh has run `true`,
    which is the same, and until sshd answers, which is less.
    """
    run(bench.cai_true())
    port = int(bench.docker_run("port", bench.box, "22/tcp").strip().rpartition(":")[2])
    key = bench.layout.ssh_key

    def stopped() -> None:
        run([bench.cai, "stop", bench.workspace])

    def with_cai() -> float:
        stopped()
        # Without a terminal, and with nothing to do, a shell ends at once.
        return timed([bench.cai, "shell", bench.workspace])

    def by_hand(*, login: bool) -> float:
        stopped()
        begun = time.perf_counter()
        run(bench.docker("start", bench.box))
        if login:
            wait_for_login(port, key)
        else:
            wait_for_ssh(port)
        return time.perf_counter() - begun

    ours, login, answers = interleaved(
        runs, with_cai, lambda: by_hand(login=True), lambda: by_hand(login=False)
    )
    yield ratio("stopped box: cai shell / docker start until ssh runs true", ours, login, 1.2)
    yield ratio("stopped box: cai shell / docker start until sshd answers", ours, answers, None)


def streams(bench: Bench, runs: int) -> Iterator[Row]:
    """A gigabyte through `cai run`, against `docker exec -i`."""
    run(bench.cai_true())
    inside = [bench.cai, "run", bench.workspace, "--"]
    docker = bench.docker("exec", "--interactive", bench.box)
    into, out = ["sh", "-c", "cat >/dev/null"], ["head", "-c", str(STREAM), "/dev/zero"]

    ours, theirs = interleaved(
        runs,
        lambda: streamed([*inside, *into], STREAM),
        lambda: streamed([*docker, *into], STREAM),
    )
    yield ratio("a gigabyte in: cai run / docker exec -i", ours, theirs, 0.85)
    ours, theirs = interleaved(
        runs, lambda: streamed([*inside, *out], 0), lambda: streamed([*docker, *out], 0)
    )
    yield ratio("a gigabyte out: cai run / docker exec -i", ours, theirs, 0.55)


def streamed(argv: Sequence[str], count: int) -> float:
    """Give a program so many bytes by a pipe, and take what it prints by another; as in a shell.

    Returns the seconds that took. Raises RuntimeError where it fails.
    """
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    begun = time.perf_counter()
    with (
        subprocess.Popen(["head", "-c", str(count), "/dev/zero"], stdout=pipe) as source,
        subprocess.Popen(argv, stdin=source.stdout, stdout=pipe, env=environment()) as program,
        subprocess.Popen(["cat"], stdin=program.stdout, stdout=nothing) as sink,
    ):
        for end in (source.stdout, program.stdout):
            if end is not None:
                end.close()  # theirs alone
        sink.wait()
        code = program.wait()
    if code != 0:
        raise RuntimeError(f"{' '.join(argv)}: code {code}")
    return time.perf_counter() - begun


def files(bench: Bench, runs: int) -> Iterator[Row]:
    """Many small files by rsync into a box, against `docker cp` into a container.

    That is one of runc's, as `docker cp` into a running box is refused.
    """
    run(bench.cai_true())
    source = os.path.join(bench.directory, "files")
    write_files(source)
    container = bench.container("runc")
    ssh = proc.describe(["ssh", "-F", bench.layout.ssh_block(bench.box)])
    into = [f"--rsh={ssh}", f"{source}/", f"{bench.box}:{TARGET}/"]
    docker = [f"{source}/.", f"{container}:{TARGET}"]

    def with_rsync() -> float:
        run([bench.cai, "run", bench.workspace, "--", "rm", "-rf", TARGET])
        return timed(["rsync", "--archive", *into])

    def with_docker() -> float:
        bench.docker_run("exec", container, "sh", "-c", f"rm -rf {TARGET}; mkdir {TARGET}")
        return timed(bench.docker("cp", *docker))

    try:
        ours, theirs = interleaved(runs, with_rsync, with_docker)
    finally:
        shutil.rmtree(source)
    yield ratio(f"{FILES:,} files: rsync into a box / docker cp", ours, theirs, None)


def write_files(path: str) -> None:
    """Make a directory of many small files."""
    for number in range(FILES):
        directory = os.path.join(path, str(number // 100))
        if number % 100 == 0:
            os.makedirs(directory)
        with open(os.path.join(directory, str(number)), "wb") as file:
            file.write(f"{number}\n".encode().ljust(FILE_SIZE, b"."))
