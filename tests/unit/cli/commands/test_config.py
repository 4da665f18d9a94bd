import os
import stat

import pytest

from containai.cli.commands import config
from containai.cli.report import Become, Note
from containai.errors import ContainAIError, UsageError
from harness.app import FakeApp

COMMENTED = '# mine\n[box]\nmemory = "4g"  # enough\n'


@pytest.fixture
def written(app):
    """Write the user's file; return an App that reads it."""

    def write(text: str) -> FakeApp:
        os.makedirs(app.layout.config_dir, exist_ok=True)
        with open(app.layout.config_file, "w", encoding="utf-8") as file:
            file.write(text)
        return FakeApp(app.layout)

    return write


def read(app):
    with open(app.layout.config_file, encoding="utf-8") as file:
        return file.read()


def test_every_setting_with_what_says_so(written):
    app = written(COMMENTED)
    app.environ = {"CONTAINAI_NETWORK_PROXIES": "0"}
    report = config.list_all(app, changed=False)
    rows = {row["key"]: row for row in report.value}
    file = app.layout.config_file
    assert list(rows) == [row.key for row in app.settings.rows()]
    assert rows["box.memory"] == {
        "key": "box.memory", "value": "4g", "default": "auto",
        "origin": "file", "source": file, "line": 3, "ignored": None,
    }  # fmt: skip
    assert (rows["network.proxies"]["value"], rows["network.proxies"]["origin"]) == (
        "false",
        "environment",
    )
    (table,) = report.views
    assert ["box.memory", "4g", f"{file}:3"] in table.rows
    assert ["image.without", "-", "the default"] in table.rows
    changed = config.list_all(app, changed=True)
    assert [row["key"] for row in changed.value] == ["box.memory", "network.proxies"]


def test_where_nothing_is_set(bare):
    report = config.list_all(bare, changed=True)
    assert (report.value, report.views) == ([], [])
    assert report.notes == [Note("nothing is set", "set something: cai config set KEY VALUE")]


def test_one_value(written):
    app = written(COMMENTED)
    assert config.get(app, key="box.memory").views == ["4g\n"]
    assert config.get(app, key="box.cpus").value == {"key": "box.cpus", "value": "auto"}


def test_a_value_is_written_and_comments_stay(written):
    app = written(COMMENTED)
    report = config.set_(app, key="box.memory", value=["8g"])
    assert read(app) == COMMENTED.replace("4g", "8g")
    assert report.views == [f"box.memory = 8g  ({app.layout.config_file}:3)\n"]
    assert report.value["changed"] is True
    assert (
        config.set_(FakeApp(app.layout), key="box.memory", value=["8g"]).value["changed"] is False
    )


def test_a_file_is_made_for_its_user_alone(bare):
    config.set_(bare, key="host.path", value=["/a", "/b"])
    assert read(bare) == '[host]\npath = ["/a", "/b"]\n'
    assert bare.settings.host_path == ("/a", "/b")
    assert stat.S_IMODE(os.stat(bare.layout.config_file).st_mode) == 0o600


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("box.memory", ["4x"], "box.memory = '4x' is not valid"),
        ("box.memory", ["4g", "5g"], "box.memory = '4g 5g' is not valid"),
        ("network.proxies", ["perhaps"], "is not valid"),
        ("box.memry", ["4g"], r"no setting 'box.memry' \(did you mean box.memory\?\)"),
    ],
)
def test_what_is_not_written(written, key, value, said):
    app = written(COMMENTED)
    with pytest.raises(UsageError, match=said):
        config.set_(app, key=key, value=value)
    assert read(app) == COMMENTED


def test_a_damaged_file_is_named_and_left(written):
    app = written("[box\n")
    with pytest.raises(ContainAIError, match=r"config.toml: it is not valid TOML"):
        config.set_(app, key="box.memory", value=["8g"])
    assert read(app) == "[box\n"
    assert config.path(app).value == {"path": app.layout.config_file}


def test_a_key_is_taken_out(written):
    app = written(COMMENTED)
    report = config.unset(app, key="box.memory")
    assert report.views == ["box.memory = auto  (the default)\n"]
    assert "memory" not in read(app)
    assert config.unset(FakeApp(app.layout), key="box.memory").value["changed"] is False


def test_so_is_one_that_no_command_would_start_with(written):
    app = written("[box]\nmemry = 1\n")
    assert config.unset(app, key="box.memry").value == {
        "key": "box.memry", "changed": True, "value": None,
    }  # fmt: skip
    with pytest.raises(UsageError, match="no setting"):
        config.unset(FakeApp(app.layout), key="box.memry")


def test_who_still_says_something_else_is_named(written):
    app = written("")
    app.environ = {"CONTAINAI_BOX_MEMORY": "2g"}
    (note,) = config.set_(app, key="box.memory", value=["8g"]).notes
    assert note.text.startswith("box.memory is 2g all the same: the environment")
    assert note.hint == "unset CONTAINAI_BOX_MEMORY"


def test_a_value_of_one_workspace(written, workspace):
    app = written(COMMENTED)
    report = config.set_(app, key="box.cpus", value=["1"], workspace=".")
    file = app.layout.config_file
    assert read(app) == f'{COMMENTED}\n[workspace."{workspace}".box]\ncpus = "1"\n'
    assert report.views == [f"box.cpus = 1  ({file}:6)\n"]
    app = FakeApp(app.layout)
    config.set_(app, key="box.memory", value=["2g"], workspace=str(workspace))
    assert config.get(app, key="box.memory").views == ["2g\n"]
    assert config.get(app, key="box.memory", path="/srv").views == ["4g\n"]
    rows = {row["key"]: row for row in config.list_all(app, changed=True).value}
    assert [rows["box.memory"][key] for key in ("value", "origin", "line")] == ["2g", "table", 7]
    config.unset(app, key="box.cpus", workspace=str(workspace))
    config.unset(FakeApp(app.layout), key="box.memory", workspace=str(workspace))
    assert read(app).rstrip() == COMMENTED.rstrip()
    with pytest.raises(UsageError, match=r"engine\.runtime is not of one workspace"):
        config.set_(app, key="engine.runtime", value=["embedded"], workspace=".")


def test_a_key_of_a_table_of_a_free_form(written):
    app = written("# mine\n")
    report = config.set_(app, key="env.import", value=["A", "B"])
    assert read(app) == '# mine\n\n[env]\nimport = ["A", "B"]\n'
    assert report.views[0].startswith('env = {"import": ["A", "B"]}')
    config.set_(FakeApp(app.layout), key="env.set.C", value=["secret"])
    app = FakeApp(app.layout)
    assert config.get(app, key="env").value == {
        "key": "env", "value": {"import": ["A", "B"], "set": ["C"]},
    }  # fmt: skip
    before = read(app)
    for key, value, said in (
        ("env", ["A"], "env is a table"),
        ("env.import", ["A*"], "env would not be valid"),
        ("env.imprt", ["A"], "env would not be valid"),
        ("env.set.PATH", ["/x"], "env would not be valid"),
    ):
        with pytest.raises(UsageError, match=said):
            config.set_(FakeApp(app.layout), key=key, value=value)
    assert read(app) == before
    config.unset(FakeApp(app.layout), key="env.set.C")
    config.unset(FakeApp(app.layout), key="env")
    assert read(app).strip() == "# mine"


def test_what_a_workspace_may_not_say_is_named(written, workspace):
    app = written("")
    (workspace / ".containai").mkdir()
    own = workspace / ".containai" / "config.toml"
    own.write_text("box.cpus = 1\nssh.forward_agent = true\n")
    report = config.list_all(app, changed=True)
    why = "only your own config.toml says it"
    assert report.notes == [Note(f"{own}:2: ssh.forward_agent is ignored: {why}")]
    assert [(row["key"], row["origin"], row["ignored"]) for row in report.value] == [
        ("box.cpus", "workspace", None),
        ("ssh.forward_agent", "default", {"source": str(own), "line": 2, "why": why}),
    ]
    config.set_(app, key="workspace.config", value=["false"], workspace=".")
    assert [row["key"] for row in config.list_all(FakeApp(app.layout), changed=True).value] == [
        "workspace.config"
    ]


def test_the_editor_is_the_users(app):
    app.environ = {"EDITOR": "ed -s"}
    outcome = config.edit_(app)
    assert isinstance(outcome, Become)
    assert outcome.argv == ["/usr/bin/ed", "-s", app.layout.config_file]
    assert os.path.exists(app.layout.config_file)


@pytest.mark.parametrize("editor", ["nonesuch", "nonesuch --wait", "'unclosed", " "])
def test_there_may_be_none(app, editor):
    app.environ = {"VISUAL": editor}
    app.machine.missing.add("nonesuch")
    with pytest.raises(ContainAIError, match="there is no editor"):
        config.edit_(app)
