"""What doctor says for machines is as its schema has it, and says no more."""

import json

import jsonschema
import pytest

from containai.cli import checks
from containai.cli import main as cli
from containai.provision.step import Area, Described
from containai.work.actions import Do, Finding, State, unknown


class Fixed(Described):
    area = Area.NETWORK
    holds = otherwise = looks = means = "something"
    interrupts = "stops every box"

    def __init__(self, title, finding):
        self.title, self.finding = title, finding

    def check(self, host):
        return self.finding

    def plan(self, host, finding):
        return [Do("mend it", lambda progress: None)] if finding.hint else []

    def undo(self, host, scope):
        return []


EVERY = (
    Finding(True, "there"),
    Finding(False, "gone", optional=True),
    Finding(False, "gone"),
    Finding(False, "gone", hint="mend it"),
    unknown("nobody answers"),
)


def closed(schema):
    """Return the schema that takes nothing which it does not name."""
    if isinstance(schema, dict):
        more = {"additionalProperties": False} if "properties" in schema else {}
        return {key: closed(value) for key, value in schema.items()} | more
    return list(map(closed, schema)) if isinstance(schema, list) else schema


@pytest.fixture
def valid(capsys):
    """Run a command, and have its document judged by the schema."""
    schema = checks.schema()
    jsonschema.Draft202012Validator.check_schema(schema)

    def run(*words):
        cli.main([*words, "--json"])
        document = json.loads(capsys.readouterr().out)
        jsonschema.validate(document, closed(schema))
        return document

    return run


def test_the_document_is_as_its_schema_says(valid, have_steps, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    have_steps(*(Fixed(f"step {n}", finding) for n, finding in enumerate(EVERY)))
    document = valid("doctor")
    assert {row["state"] for row in document["checks"]} == set(State)
    planned = valid("doctor", "--fix", "--dry-run")["plan"]
    assert [bool(row["actions"]) for row in planned] == [False, True]
    have_steps(Fixed("step 1", EVERY[0]))
    assert valid("doctor")["fine"]


def test_the_schema_knows_every_word(valid):
    schema = checks.schema()
    check = schema["$defs"]["check"]["properties"]
    assert check["area"]["enum"] == list(Area)
    assert check["state"]["enum"] == list(State)
    assert schema["properties"]["version"]["const"] == checks.VERSION
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"version": 2}, schema)
