"""stdin, output, logs, attach; building images with the runtime as the engine's default."""

import hashlib
import json
import os
import random
import signal

import pytest

from .client import IMAGE, DockerFailedError


def test_bytes_pass_in_and_out(docker):
    data = random.Random(1).randbytes(4_000_000)
    words = ("run", "--rm", "--interactive", "--runtime", docker.runtime, IMAGE, "cat")
    assert hashlib.sha256(docker.raw(*words, data=data)).digest() == hashlib.sha256(data).digest()


def test_large_output_and_its_log(docker):
    # It lives on: of one that has ended, dockerd reads three seconds more and no longer.
    container = docker.start(script="seq 200000; exec sleep 1000")
    docker.until(lambda: docker("logs", "--tail", "1", container) == "200000")
    lines = docker("logs", container).split("\n")
    assert (len(lines), lines[0], lines[-1]) == (200_000, "1", "200000")
    assert docker("logs", "--tail", "2", container) == "199999\n200000"


def test_streams_are_kept_apart(docker):
    words = ("run", "--rm", "--runtime", docker.runtime, IMAGE, "sh", "-c")
    with pytest.raises(DockerFailedError) as failed:
        docker(*words, "echo out; echo err >&2; exit 1")
    assert failed.value.said == "err\nout\n"


def test_start_attached_and_a_terminal(docker):
    container = docker.create("--interactive", command=("sh", "-c", "read x; echo got $x; exit 4"))
    with pytest.raises(DockerFailedError) as failed:
        docker("start", "--attach", "--interactive", container, data=b"this\n")
    assert (failed.value.code, failed.value.said) == (4, "got this\n")
    # With a terminal there is one stream, with a carriage return.
    script = "test -t 0 && test -t 1 && test -t 2 && tty; echo err >&2"
    said = docker.raw("run", "--rm", "-t", "--runtime", docker.runtime, IMAGE, "sh", "-c", script)
    assert said == b"/dev/pts/0\r\nerr\r\n"


@pytest.fixture
def default_runtime(site, docker):
    """Make the runtime the engine's default, as `docker build` has no option for it."""
    path = site.layout.engine_running_config
    with open(path, encoding="utf-8") as file:
        before = file.read()
    with open(site.layout.engine_pidfile, encoding="ascii") as file:
        engine = int(file.read())

    def choose(text):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.kill(engine, signal.SIGHUP)
        wanted = json.loads(text)["default-runtime"]
        docker.until(lambda: docker("info", "--format", "{{.DefaultRuntime}}") == wanted)

    try:
        choose(json.dumps(json.loads(before) | {"default-runtime": docker.runtime}))
        yield
    finally:
        choose(before)


DOCKERFILE = f"""\
FROM {IMAGE}
ENV KEY=value
RUN mkdir -p /app && echo "$KEY" >/app/key && chown -R agent /app && chmod 2750 /app
COPY --chown=1000:2000 tool /app/
WORKDIR /app
USER agent
RUN id -un >who && cat /proc/self/uid_map >map && ln -s key link && mkdir made
RUN rm made/../key; rmdir made; echo again >key
ENTRYPOINT ["/app/tool"]
CMD ["default"]
"""


def test_build(docker, default_runtime, tmp_path):
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "tool").write_text(
        '#!/bin/sh\necho "$1 $KEY"; cat link who; stat -c %U:%G . tool\n'
    )
    (tmp_path / "tool").chmod(0o755)
    build = ("build", "--quiet", "--no-cache", "--tag", "test-built", str(tmp_path))
    docker.raw(*build, env={"DOCKER_BUILDKIT": "0"})
    words = ("run", "--rm", "--runtime", docker.runtime, "test-built")
    assert docker(*words).split("\n") == [
        "default value", "again", "agent", "agent:root", "agent:extra",
    ]  # fmt: skip
    assert docker(*words, "given").startswith("given value")
    # The steps themselves ran in the runtime.
    mapped = docker("run", "--rm", "--entrypoint", "cat", "test-built", "/app/map").split()
    assert (mapped[1] == "0") is (docker.runtime == "runc")


def test_build_that_fails(docker, default_runtime, tmp_path):
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE}\nRUN echo why >&2; exit 7\n")
    with pytest.raises(DockerFailedError, match="returned a non-zero code: 7"):
        docker.raw("build", str(tmp_path), env={"DOCKER_BUILDKIT": "0"})
