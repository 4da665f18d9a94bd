import os
import shutil

import pytest

from containai.cli import complete
from containai.cli.commands import remote as command
from containai.errors import DamagedError, RemoteError, RemoteIdentityError, UsageError
from containai.incus import certificate, store
from containai.incus.errors import OtherCertificateError, UnreachableError
from harness.incus_server import Fault, incus_server


@pytest.fixture
def server(app, certificates):
    """A server that does not know us; and our certificate, which openssl would make."""
    app.at_terminal = True
    own = certificate.identity(app.machine)
    os.makedirs(os.path.dirname(own.key), mode=0o700, exist_ok=True)
    for source, to in zip(certificates["client"], own, strict=True):
        shutil.copy(source, to)
    with incus_server(certificates["server"]) as made:
        made.clients.append(own.certificate)
        made.own = certificate.fingerprint(own)
        yield made


def add(app, *, name="work", url=None, token=None, project=None, fingerprint=None):
    return command.add(
        app, name=name, url=url, token=token, project=project, fingerprint=fingerprint
    )


@pytest.fixture
def added(app, server):
    """The same server, as the place `work`."""
    add(app, token=server.token())
    server.asked.clear()
    return server


def kept(app):
    return store.load(app.layout)


def test_a_token_is_all_that_is_needed(app, server):
    report = add(app, token=server.token())
    assert report.value == {
        "name": "work",
        "addresses": [f"127.0.0.1:{server.port}"],
        "fingerprint": server.pin,
        "project": "boxes",
        "server": "node1",
        "token_used": True,
    }
    assert server.trusted == {server.own}
    # Who it is is asked before the token is sent: a try that fails burns it.
    assert [(each.method, each.path) for each in server.asked[:2]] == [
        ("GET", "/1.0"), ("POST", "/1.0/certificates"),
    ]  # fmt: skip
    assert kept(app).remotes["work"].pin == server.pin
    assert os.stat(app.layout.remotes).st_mode & 0o777 == 0o600
    assert app.user.asked == []


def test_a_certificate_is_made_with_the_first_place(app, certificates):
    app.machine.missing.add("openssl")
    with incus_server(certificates["server"]) as made, pytest.raises(RemoteError, match="openssl"):
        add(app, token=made.token())


def test_a_token_is_tried_at_each_of_its_addresses(app, server, certificates):
    with incus_server(certificates["other"]) as wrong:
        where = [f"127.0.0.1:{port}" for port in (1, wrong.port, server.port)]
        report = add(app, token=server.token(addresses=where))
        # What leads to somebody else is not kept.
        assert report.value["addresses"] == [where[2], where[0]]
        assert not wrong.asked


def test_its_url_counts_more_than_what_the_token_says(app, server):
    text = server.token(addresses=["127.0.0.1:1"])
    assert add(app, url=server.url, token=text).value["addresses"] == [server.url[8:]]


@pytest.mark.parametrize("by", ["token", "url"])
def test_another_certificate_than_the_tokens_is_refused(app, server, certificates, by):
    text, old = server.token(), server.pin
    server.show(certificates["other"])
    with pytest.raises(OtherCertificateError) as caught:
        add(app, token=text, url=server.url if by == "url" else None)
    assert (caught.value.pin, caught.value.shown) == (old, server.pin)
    assert not server.asked
    assert kept(app).remotes == {}


def test_a_token_that_was_used(app, server, tmp_path):
    text = server.token()
    server.tokens.clear()
    with pytest.raises(RemoteError, match="no such token") as caught:
        add(app, token=text)
    assert "incus config trust add" in caught.value.hint
    assert kept(app).remotes == {}


def test_a_token_that_expired_at_the_server(app, server):
    text = "Failed during search for certificate add token operation: Token has expired"
    server.faults["POST /1.0/certificates"] = Fault("status", 500, text)
    with pytest.raises(RemoteError, match="the token has expired"):
        add(app, token=server.token())


def test_an_expired_token_is_not_sent(app, server):
    with pytest.raises(UsageError, match="has expired"):
        add(app, token=server.token(expires_at="2020-01-01T00:00:00Z"))
    assert not server.asked


def test_who_is_known_already_keeps_the_token(app, server):
    server.trusted.add(server.own)
    report = add(app, token=server.token())
    assert not report.value["token_used"]
    assert "not needed" in report.notes[0].text
    assert len(server.tokens) == 1


@pytest.mark.parametrize("kind", ["after", "before"])
def test_a_connection_that_breaks_while_the_token_is_used(app, server, kind):
    text = server.token()
    server.faults["POST /1.0/certificates"] = Fault(kind, times=1)
    if kind == "after":
        assert add(app, token=text).value["token_used"]
        return
    with pytest.raises(RemoteError, match="after the token was sent"):
        add(app, token=text)
    # It is as good as before.
    assert add(app, token=text).value["token_used"]


def test_a_server_of_another_kind(app, server):
    server.about["server"] = "lxd"
    with pytest.raises(RemoteError, match="lxd, not Incus"):
        add(app, token=server.token())


def test_nobody_there(app, server):
    with pytest.raises(UnreachableError):
        add(app, token=server.token(addresses=["127.0.0.1:1"]))


def test_several_projects(app, server):
    server.projects["other"] = {}
    text = server.token()
    with pytest.raises(UsageError, match="several projects are yours there: boxes, other"):
        add(app, token=text)
    # As the hint says.
    report = add(app, token=text, project="other")
    assert (report.value["project"], report.value["token_used"]) == ("other", False)
    with pytest.raises(RemoteError, match="no project 'third'"):
        add(app, token=text, project="third")


def test_no_project(app, server):
    server.projects.clear()
    with pytest.raises(RemoteError, match="no project that is yours"):
        add(app, token=server.token())


def test_a_cluster_has_several_addresses(app, server):
    server.about["server_clustered"] = True
    server.handlers["GET /1.0/cluster/members"] = lambda asked: [
        {"server_name": "n1", "url": server.url},
        {"server_name": "n2", "url": "https://127.0.0.2:8443"},
        {"server_name": "n3", "url": "/odd"},
    ]
    report = add(app, token=server.token())
    assert report.value["addresses"] == [server.url[8:], "127.0.0.2:8443"]


def test_without_a_token_its_fingerprint_is_shown(app, server):
    server.trusted.add(server.own)
    report = add(app, url=server.url)
    assert report.value["fingerprint"] == server.pin
    assert server.pin in app.user.told[0]
    assert app.user.asked == ["Is that work?"]


def test_nobody_agrees(app, server):
    app.user.agrees = False
    with pytest.raises(RemoteIdentityError, match=server.pin) as caught:
        add(app, url=server.url)
    assert "--fingerprint" in caught.value.hint
    assert not server.asked


def test_nobody_can_be_asked(app, added, certificates):
    app.at_terminal = False
    with pytest.raises(RemoteIdentityError, match=added.pin):
        add(app, name="other", url=added.url)
    added.show(certificates["other"])
    with pytest.raises(OtherCertificateError, match=added.pin):
        command.show(app, name="work")
    with pytest.raises(OtherCertificateError, match=added.pin):
        add(app)
    assert (app.user.asked, app.user.told) == ([], [])


def test_a_fingerprint_is_an_answer(app, server):
    server.trusted.add(server.own)
    add(app, url=server.url, fingerprint=server.pin)
    assert app.user.asked == []
    with pytest.raises(OtherCertificateError, match="a" * 64):
        add(app, url=server.url, fingerprint="a" * 64)
    with pytest.raises(OtherCertificateError, match="a" * 64):
        add(app, token=server.token(), fingerprint="a" * 64)


@pytest.mark.parametrize("written", ["AB" * 32, ":".join(["ab"] * 32)])
def test_how_a_fingerprint_is_written(written):
    assert command.fingerprint(written) == "ab" * 32


def test_a_server_that_does_not_know_us(app, server):
    with pytest.raises(RemoteError, match="does not know your certificate") as caught:
        add(app, url=server.url)
    assert server.own in str(caught.value)
    assert app.layout.remote_certificate in caught.value.hint


def test_a_certificate_that_changed(app, added, certificates):
    old = added.pin
    added.show(certificates["other"])
    app.user.agrees = False
    with pytest.raises(OtherCertificateError) as caught:
        command.show(app, name="work")
    assert old in str(caught.value)
    assert f"cai remote add work --fingerprint {added.pin}" in caught.value.hint
    assert app.user.asked == ["Is that work still?"]
    assert kept(app).remotes["work"].pin == old
    assert not added.asked
    # As the hint says, and as a person says it.
    add(app, fingerprint=added.pin)
    assert kept(app).remotes["work"].pin == added.pin
    added.show(certificates["server"])
    app.user.agrees = True
    assert command.show(app, name="work").value.fingerprint == old
    assert kept(app).remotes["work"].pin == old


def test_one_that_is_there_is_looked_at_anew(app, added, certificates):
    assert add(app).value["fingerprint"] == added.pin
    assert app.user.asked == []
    old = added.pin
    added.show(certificates["other"])
    app.user.agrees = False
    with pytest.raises(OtherCertificateError, match=old):
        add(app)
    app.user.agrees = True
    assert add(app).value["fingerprint"] == added.pin
    assert old in app.user.told[-1]


def test_the_list(app, added):
    report = command.ls(app)
    assert report.value["default"] == "local"
    assert [each["name"] for each in report.value["remotes"]] == ["work"]
    assert report.views[0].rows == [
        ["local", "this machine", "", "", "default"],
        ["work", f"127.0.0.1:{added.port}", "boxes", "node1", ""],
    ]
    assert not added.asked


def test_the_default(app, added):
    command.use(app, name="work")
    assert kept(app).default == "work"
    assert command.ls(app).views[0].rows[1][-1] == "default"
    assert command.show(app, name=None).value.is_default
    command.use(app, name="local")
    assert kept(app).default == "local"
    with pytest.raises(UsageError, match="no remote place 'gone'"):
        command.use(app, name="gone")


def test_one_is_shown(app, added):
    added.handlers["GET /1.0/projects/boxes/state"] = lambda asked: {
        "resources": {
            "instances": {"Limit": 20, "Usage": 3},
            "memory": {"Limit": -1, "Usage": 7},
        }
    }
    report = command.show(app, name=None)
    assert (report.value.version, report.value.certificate) == ("7.0.2", added.own)
    assert ["  instances", "3 of 20"] in report.views[0].rows
    assert ["way to sshd", "port-forward"] in report.views[0].rows
    assert not [row for row in report.views[0].rows if "memory" in row[0]]
    added.trusted.clear()
    with pytest.raises(RemoteError, match="any more"):
        command.show(app, name="work")


def test_which_is_shown(app, added):
    add(app, name="other", token=added.token())
    with pytest.raises(UsageError, match="which place"):
        command.show(app, name=None)


def test_one_is_forgotten(app, added):
    added.handlers["GET /1.0/instances"] = lambda asked: [
        {"name": "theirs", "config": {"user.containai.workspace": "/x",
                                      "user.containai.owner": "f" * 64}},
        {"name": "none", "config": {}},
    ]  # fmt: skip
    command.use(app, name="work")
    report = command.rm(app, name="work", force=False)
    assert report.value == {"name": "work", "certificate": added.own, "was_default": True}
    assert f"incus config trust remove {added.own}" in report.notes[0].hint
    assert kept(app) == ({}, "local")


def test_one_with_boxes_is_kept(app, added):
    added.handlers["GET /1.0/instances"] = lambda asked: [
        {"name": "api", "config": {"user.containai.workspace": "/x",
                                   "user.containai.owner": added.own}},
    ]  # fmt: skip
    with pytest.raises(RemoteError, match="1 of your boxes are at work: api"):
        command.rm(app, name="work", force=False)
    assert "work" in kept(app).remotes
    added.asked.clear()
    command.rm(app, name="work", force=True)
    assert kept(app).remotes == {}
    assert not added.asked


def test_one_that_does_not_answer_is_kept(app, added):
    added.faults["*"] = Fault("before")
    with pytest.raises(RemoteError, match="cannot be seen whether"):
        command.rm(app, name="work", force=False)
    command.rm(app, name="work", force=True)
    assert kept(app).remotes == {}


def test_without_our_certificate(app, added):
    os.unlink(app.layout.remote_certificate)
    with pytest.raises(DamagedError):
        command.show(app, name="work")
    with pytest.raises(RemoteError, match="cannot be seen whether"):
        command.rm(app, name="work", force=False)
    assert command.rm(app, name="work", force=True).notes == []


def test_a_damaged_list(app, added):
    with open(app.layout.remotes, "w", encoding="utf-8") as file:
        file.write("{")
    with pytest.raises(DamagedError, match="is damaged"):
        command.ls(app)
    assert complete.offered(app.layout, ["remote", "rm"], "").words == []


def test_names_are_offered(app, added):
    def words(*before):
        return [each.word for each in complete.offered(app.layout, before, "").words]

    assert words("remote", "rm") == ["work"]
    assert words("remote", "show") == ["work"]
    assert words("remote", "use") == ["local", "work"]
