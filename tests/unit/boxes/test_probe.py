import pytest

from containai.boxes.probe import reason


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("docker exec x ended with code 1: a\n  no sshd", "no sshd"),
        (
            "docker start x ended with code 1: Error response from daemon: OCI runtime create "
            "failed: no /dev/fuse: unknown\n  Error: failed to start containers: x",
            "OCI runtime create failed: no /dev/fuse",
        ),
        ("", "no reason was given"),
    ],
)  # fmt: skip
def test_the_reason_is_what_the_daemon_says_else_the_last_line(said, why):
    assert reason(said) == why
