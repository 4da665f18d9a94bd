import pytest

from containai.host import noted
from containai.host.proc import Done, ProcessError, Programs


@pytest.fixture
def told(monkeypatch):
    rows = []
    monkeypatch.setattr(noted, "observers", [lambda *row: rows.append(row)])
    for module in ("containai.host.proc",):
        monkeypatch.setattr(f"{module}.observers", noted.observers)
    return rows


def test_what_is_run_is_told_with_its_duration_and_code(told):
    host = Programs()
    assert host.run(["true"]) == Done(0, "", "")
    with pytest.raises(ProcessError):
        host.run(["sh", "-c", "exit 3"])
    with pytest.raises(ProcessError):
        host.stream(["sh", "-c", "exit 4"], print)
    with pytest.raises(ProcessError):
        host.run(["frobnicate"])
    host.run_limited(["cat"], stdin=b"secret", limit=99, timeout=9)
    assert host.run_detached(["false"]) == 1
    assert [(text, code) for text, _, code in told] == [
        ("$ true", 0),
        ("$ sh -c 'exit 3'", 3),
        ("$ sh -c 'exit 4'", 4),
        ("$ frobnicate", 127),
        ("$ cat", 0),
        ("$ false", 1),
    ]
    assert all(seconds >= 0 for _, seconds, _ in told)


@pytest.mark.parametrize(
    ("argv", "seen"),
    [
        (["docker", "ps", "-a"], "docker ps -a"),
        (["create", "--env", "A=hidden", "-e", "B=hidden"], "create --env A=… -e B=…"),
        (["docker", "run", "--env=A=hidden"], "docker run --env=A=…"),
        (["docker", "run", "--env", "A=hid den"], "docker run --env A=…"),
        (["build", "--build-arg", "https_proxy=http://me:hidden@proxy:3128"],
         "build --build-arg https_proxy=http://…@proxy:3128"),
        (["curl", "-H", "Authorization: hidden"], "curl -H 'Authorization: …'"),
        (["x", "--password", "hidden", "--auth-file"], "x --password … --auth-file"),
        (["x", "--password=hidden", "GITHUB_TOKEN=hidden"], "x --password=… GITHUB_TOKEN=…"),
        (["sh", "-c", "set -e\nhidden"], "sh -c …"),
        ([b"ssh", "a b"], "ssh 'a b'"),
        (["x", "y" * 1000], "x " + "y" * 398 + " …"),
    ],
)  # fmt: skip
def test_no_secret_is_told(argv, seen):
    # Quoted as a shell would want it.
    assert noted.shown(argv).replace("'", "") == seen.replace("'", "")
