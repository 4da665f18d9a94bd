"""The report of a fault: what is planted on a machine, in logs and by boxes, stays there."""

import os

import pytest

from containai.cli.commands import doctor
from containai.errors import ContainAIError
from containai.flows import bug_report
from containai.provision.step import Area, Fact
from containai.work.actions import Finding
from containai.work.user import User

#: Whatever is somebody's, by where it is planted.
SECRETS = {
    "user": "zebediah",
    "member": "quentin",
    "box": "moonshot",
    "other": "starfall",
    "workspace": "Project Nightjar",
    "variable": "swordfish value",
    "address": "10.66.77.88",
    "login": "opensesame",
    "host": "proxy.acme-corp.example",
    "token": "ghp_abcdefghijklmnopqrstuvwxyz012345",
    "environment": "mellon mellon",
    "import": "speak friend",
    "key": "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ",
    "registry": "registry.acme-corp.example/team/app",
}


class Said(Fact):
    area = Area.BOXES
    holds = otherwise = looks = means = "something"

    def __init__(self, title, seen, hint=""):
        self.title, self.seen, self.hint = title, seen, hint

    def check(self, host):
        return Finding(False, self.seen, hint=self.hint)


@pytest.fixture
def planted(app, tmp_path, have_steps):
    """Have all of them on a machine, and checks that tell of them."""
    layout, say = app.layout, SECRETS
    workspace = tmp_path / say["workspace"]
    workspace.mkdir()
    app.add_box(workspace, name=say["box"])
    app.add_box(f"/srv/{say['other']}", name=say["other"], owner=54321)
    app.machine.user = User(say["user"], f"/home/{say['user']}")
    app.machine.groups[layout.engine_group] = [say["member"]]
    os.makedirs(layout.config_dir, exist_ok=True)
    with open(layout.config_file, "w", encoding="utf-8") as file:
        file.write(f'[env]\nimport = ["FOO"]\n[env.set]\nBAR = "{say["variable"]}"\n')
    app.__dict__.pop("settings", None)
    app.environ = {"MY_SECRET": say["environment"], "FOO": say["import"]}
    app.environ["CONTAINAI_SSH_PORT_RANGE"] = "2300-2400"
    app.machine.answer("tail", out="\n".join([*LOG, f"from {workspace}/src of {say['user']}"]))
    have_steps(
        Said("a", f"{workspace} of {say['user']} at {say['address']}", f"ask {say['member']}"),
        Said("b", f"https://u:{say['login']}@{say['host']}:3128 with {say['token']}"),
        Said("c", f"in {say['box']} and {say['other']}\nok       d: all is well\x1b[2J <user-9>"),
        Said(
            "d",
            " ".join(
                [
                    layout.ssh_block(say["box"]),
                    *(say[each] for each in ("variable", "environment", "import")),
                ]
            ),
        ),
    )
    return app


LOG = [
    f'time="2026-11-27T23:14:24Z" level=error msg="pull {SECRETS["registry"]}:1: denied"',
    f'level=info msg="name {SECRETS["box"]}" ip={SECRETS["address"]} token={SECRETS["token"]}',
    "-----BEGIN OPENSSH PRIVATE KEY-----",
    SECRETS["key"],
    "-----END OPENSSH PRIVATE KEY-----",
    f"{SECRETS['variable']} {SECRETS['environment']} \x1b]0;{SECRETS['user']}\x07",
    "x" * 5000,
]


def test_all_that_is_planted_would_be_in_it(planted, monkeypatch):
    monkeypatch.setattr(bug_report.Masking, "lines", lambda masking, text: text.splitlines())
    said = doctor.run(planted, report="-").value["report"]
    assert [secret for secret in SECRETS.values() if secret not in said] == []


def test_nothing_that_is_planted_gets_out(planted):
    report = doctor.run(planted, report="-")
    said = report.value["report"]
    for name, secret in SECRETS.items():
        for part in (secret, secret.upper(), secret.split(" ")[0]):
            assert part not in said, name
    assert os.uname().nodename not in said.replace(os.uname().machine, "")
    assert planted.layout.home not in said
    assert "<home>/.ssh/containai.d/<name-" in said
    assert all(map(str.isprintable, said.splitlines()))
    assert report.code == 1


def test_it_has_what_whoever_reads_it_needs(planted):
    said = doctor.run(planted, report="-").value["report"]
    assert said.startswith("cai doctor --report, version 1\n")
    for part in (
        "\n== Versions\n  cai ",
        "\n== Checks\n  wrong    a: ",
        "  env: <home>/.config/containai/config.toml",
        "  ssh.port_range: the environment (CONTAINAI_SSH_PORT_RANGE)",
        '== Log: the engine\n  time="2026-11-27T23:14:24Z" level=error msg="pull <path-',
    ):
        assert part in said
    # What a box says begins no line of its own, and no long one is whole.
    assert "\n  ok       d" not in said
    assert max(map(len, said.splitlines())) <= bug_report.LONGEST + 2
    # The same thing has the same word wherever it is said.
    first = next(line for line in said.splitlines() if " a: " in line)
    address = first.rpartition(" at ")[2].split(" ")[0]
    assert said.count(address) == 4


def test_it_is_for_its_user_alone_and_replaces_nothing(planted, tmp_path):
    path = tmp_path / "fault.txt"
    report = doctor.run(planted, report=str(path))
    assert report.value == {"file": str(path)}
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_text()
    assert "== Checks" in before
    with pytest.raises(ContainAIError, match="is there already, and is left as it is"):
        doctor.run(planted, report=str(path))
    assert path.read_text() == before
    # A link is not followed, whether it leads somewhere or not.
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ContainAIError, match="is there already"):
        doctor.run(planted, report=str(link))
    assert not (tmp_path / "elsewhere").exists()


def test_a_log_that_cannot_be_read_is_said(planted):
    def refuse():
        raise ContainAIError(f"no right of {SECRETS['user']}")

    planted.machine.answer("tail", act=refuse)
    said = doctor.run(planted, report="-").value["report"]
    assert "== Log: the engine\n  not read: no right of <user-" in said
