import json
import os
import shutil
import time

import pytest

from containai import __version__
from containai.cli.commands import _remote_doctor as doctor
from containai.errors import DamagedError, UsageError
from containai.incus import known, sight
from containai.incus.certificate import fingerprint, identity
from containai.incus.judge import ROWS
from containai.incus.known import Places, Remote
from containai.incus.tls import Address
from containai.layout import LOCAL
from harness.incus_server import incus_server
from unit.incus.of_places import serve
from unit.incus.test_sight import SAID


@pytest.fixture
def place(bare, certificates):
    """A server that is right, and known to the user as work."""
    own = identity(bare.host)
    os.makedirs(os.path.dirname(own.key), exist_ok=True)
    for path, source in zip(own, certificates["client"], strict=True):
        shutil.copy(source, path)
    with incus_server(certificates["server"]) as server:
        server.clients.append(own.certificate)
        server.trusted.add(fingerprint(own))
        serve(server)
        server.execs.program = lambda running: running.end(0, SAID)
        _know(bare, server, "work")
        yield server


def _know(app, server, *names, default=LOCAL):
    where = (Address("127.0.0.1", server.port),)
    remotes = {name: Remote(name, where, server.pin, "boxes", "node1") for name in names}
    with open(app.layout.remotes, "w", encoding="utf-8") as file:
        file.write(known.written(Places(remotes, default)))


def test_all_is_right(bare, place):
    report = doctor.run(bare, name="work")
    assert (report.code, report.notes) == (0, ())
    assert report.value["fine"] is True
    assert (report.value["version"], report.value["remote"]) == (1, "work")
    titles = [each["check"] for each in report.value["checks"]]
    assert titles[:3] == ["this machine", "server", "your certificate"]
    assert f"cai {__version__}, OpenSSH 10.0, OpenSSL" in report.views[0]
    assert {row.title for row in ROWS} < set(titles)
    assert all(line.startswith(("ok ", "  ")) for line in report.views[0].splitlines())
    json.dumps(report.value)


def test_what_is_wrong_is_said_with_what_it_means_and_what_to_do(bare, place):
    place.projects["boxes"]["restricted.devices.proxy"] = "allow"
    del place.handlers["GET /1.0/projects/boxes"]
    report = doctor.run(bare, name="work")
    assert (report.code, report.notes[0].text) == (1, "something is missing or wrong")
    assert report.value["fine"] is False
    [row] = [each for each in report.value["checks"] if each["state"] == "wrong"]
    assert row["check"] == "restricted.devices.proxy"
    lines = report.views[0].splitlines()
    at = lines.index(
        "wrong    restricted.devices.proxy: allow: a box reaches what listens on the server's own "
        "loopback"
    )
    assert lines[at + 1].startswith("         means: ")
    assert lines[at + 2].startswith("         hint: on the server: incus project unset boxes")


def test_what_cannot_be_seen_is_never_fine(bare, place):
    place.handlers["GET /1.0/instances"] = lambda asked: []
    report = doctor.run(bare, name="work")
    assert (report.code, report.notes[0].text) == (1, "something could not be looked at")
    assert {each["state"] for each in report.value["checks"]} == {"ok", "unknown"}


def _only_the_server_is_wrong(report):
    states = [each["state"] for each in report.value["checks"]]
    assert (states[:2], set(states[2:]), report.code) == (["ok", "wrong"], {"unknown"}, 1)
    return report.value["checks"][1]


def test_another_certificate_is_no_server_of_ours(bare, place, certificates):
    place.show(certificates["other"])
    assert "another certificate" in _only_the_server_is_wrong(doctor.run(bare, name=None))["seen"]
    assert place.asked == []


def test_a_server_that_is_gone(bare, place):
    place.port = 1
    _know(bare, place, "work")
    assert "does not answer" in _only_the_server_is_wrong(doctor.run(bare, name="work"))["seen"]


def test_a_key_that_is_gone(bare, place):
    os.unlink(bare.layout.remote_key)
    assert "cannot be used" in _only_the_server_is_wrong(doctor.run(bare, name="work"))["seen"]


def test_a_user_whose_certificate_was_taken_back(bare, place):
    place.trusted.clear()
    found = {each["check"]: each for each in doctor.run(bare, name="work").value["checks"]}
    assert found["server"]["ok"]
    assert found["your certificate"]["state"] == "wrong"
    assert "cai remote add" in found["your certificate"]["hint"]


def test_an_ssh_that_is_too_old_reaches_no_box(bare, place):
    bare.machine.openssh = (7, 9)
    [row] = [each for each in doctor.run(bare, name="work").value["checks"] if not each["ok"]]
    assert (row["check"], row["state"]) == ("this machine", "wrong")
    assert "OpenSSH 7.9, which is too old" in row["seen"]
    assert "OpenSSH 8.0" in row["hint"]


def test_no_ssh_at_all_reaches_no_box(bare, place):
    bare.machine.missing.add("ssh")
    [row] = [each for each in doctor.run(bare, name="work").value["checks"] if not each["ok"]]
    assert row["check"] == "this machine"
    assert "'ssh' is missing" in row["seen"]


def test_a_certificate_of_the_users_that_ends_soon(bare, place, monkeypatch):
    real = sight.validity.of
    days = 24 * 3600

    def soon(der):
        return real(der)._replace(ends=time.time() + 3.5 * days)

    monkeypatch.setattr(sight.validity, "of", soon)
    report = doctor.run(bare, name="work")
    found = {each["check"]: each for each in report.value["checks"]}
    assert (report.code, found["end of your certificate"]["state"]) == (0, "none")
    assert "in 3 days" in found["end of your certificate"]["seen"]


def test_which_place_is_meant(bare, place):
    _know(bare, place, "work", "home")
    with pytest.raises(UsageError, match="not said which place"):
        doctor.run(bare, name=None)
    with pytest.raises(UsageError, match="'gone'"):
        doctor.run(bare, name="gone")
    _know(bare, place, "work", "home", default="home")
    assert doctor.run(bare, name=None).value["remote"] == "home"


def test_no_place_at_all(bare):
    with pytest.raises(UsageError):
        doctor.run(bare, name=None)


def test_a_list_of_places_that_is_damaged(bare, place):
    with open(bare.layout.remotes, "w", encoding="utf-8") as file:
        file.write("{")
    with pytest.raises(DamagedError):
        doctor.run(bare, name="work")
