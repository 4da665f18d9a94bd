import json
import os
import socketserver
import threading

import pytest

from containai.engine import api
from containai.engine.client import Engine
from containai.engine.container import Container, Image
from containai.errors import EngineError, NoSpaceError
from containai.host.machine import Machine
from containai.layout import Layout

FOUND = {"Id": "1", "Name": "/a"}


@pytest.fixture
def engine(tmp_path):
    """Return an engine whose socket answers by a table, and the addresses it was asked for."""
    layout = Layout(str(tmp_path), str(tmp_path), os.getuid())
    os.makedirs(os.path.dirname(layout.engine_socket))
    table, asked = {}, []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            method, address, version = self.rfile.readline().decode().split()
            length = 0
            while line := self.rfile.readline().decode().strip():
                if line.startswith("Content-Length: "):
                    length = int(line.partition(" ")[2])
            assert version == "HTTP/1.0"
            body = self.rfile.read(length)
            asked.append(address if method == "GET" else (method, address, body))
            self.wfile.write(table.get(address, b"HTTP/1.0 404 Not Found\r\n\r\n{}"))

    with socketserver.ThreadingUnixStreamServer(layout.engine_socket, Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield Engine(Machine(layout)), table, asked
        server.shutdown()


def ok(value):
    return b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + json.dumps(value).encode()


@pytest.mark.parametrize(
    ("kind", "name", "address"),
    [
        ("container", "a", "/containers/a/json"),
        ("image", "ghcr.io/containai/base:x", "/images/ghcr.io/containai/base:x/json"),
        ("volume", "a-docker", "/volumes/a-docker"),
        ("image", "a b?c#\n%é", "/images/a%20b%3Fc%23%0A%25%C3%A9/json"),
    ],
)
def test_inspect(engine, kind, name, address):
    client, table, asked = engine
    assert client.inspect(kind, name) is None
    table[address] = ok(FOUND)
    assert client.inspect(kind, name) == FOUND
    assert asked == [address] * 2


def test_containers_are_those_that_are_still_there(engine):
    client, table, asked = engine
    wanted = api.quoted('{"label": ["a=true", "b=c=d"], "name": ["e"]}')
    table[f"/containers/json?all=1&filters={wanted}"] = ok(
        [{"Id": "1", "Names": ["/a"]}, {"Id": "2", "Names": None}]
    )
    table["/containers/1/json"] = ok(FOUND)
    assert client.containers("label=a=true", "label=b=c=d", "name=e") == [Container("1", "a")]
    assert asked[-1] == "/containers/2/json"


def test_images_are_those_that_are_still_there(engine):
    client, table, asked = engine
    wanted = api.quoted('{"label": ["a"]}')
    table[f"/images/json?filters={wanted}"] = ok([{"Id": "sha256:1"}, {"Id": "sha256:2"}])
    table["/images/sha256:1/json"] = ok({"Id": "sha256:1"})
    assert client.images("label=a") == [Image("sha256:1")]
    assert asked[-1] == "/images/sha256:2/json"


@pytest.mark.parametrize(
    "answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.0 500 No\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n{"]
)
def test_an_answer_that_is_none_is_left_to_the_client(engine, answer, monkeypatch):
    client, table, _ = engine
    table["/containers/a/json"] = answer
    said = []

    def docker(*words, ok):
        said.append(words)
        raise EngineError("from the client")

    monkeypatch.setattr(client, "docker", docker)
    with pytest.raises(EngineError, match="from the client"):
        client.inspect("container", "a")
    assert said == [("container", "inspect", "a")]


def test_who_needs_sudo_asks_the_client(engine, monkeypatch):
    client, _, asked = engine
    monkeypatch.setattr(Engine, "needs_root", True)
    assert client._ask("/containers/a/json") is None
    assert asked == []


def test_changes(engine):
    client, table, asked = engine
    done = b"HTTP/1.0 204 No Content\r\n\r\n"
    table |= {"/containers/a/start": done, "/containers/a/archive?path=/": ok("")}
    client.start("a")
    client.copy_in("a", b"\0archive")
    assert asked == [
        ("POST", "/containers/a/start", b""),
        ("PUT", "/containers/a/archive?path=/", b"\0archive"),
    ]


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (b'409 Conflict\r\n\r\n{"message": "port is already allocated"}', EngineError, "allocated"),
        (b'500 No\r\n\r\n{"message": "no space left on device"}', NoSpaceError, "no space left"),
        (b"500 No\r\n\r\nwhat", EngineError, "docker start a: no answer from the engine"),
    ],
)
def test_a_change_that_fails_says_what_the_engine_said(engine, answer, error, words):
    client, table, _ = engine
    table["/containers/a/start"] = b"HTTP/1.0 " + answer
    with pytest.raises(error, match=words):
        client.start("a")


def test_a_change_without_an_engine_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(Engine, "needs_root", False)
    with pytest.raises(EngineError, match="no answer from the engine"):
        Engine(Machine(Layout(str(tmp_path), str(tmp_path), 0))).start("a")


def test_listener(engine, tmp_path):
    client, _, _ = engine
    assert api.listener(client.layout.engine_socket) == os.getpid()
    with pytest.raises(FileNotFoundError):
        api.listener(str(tmp_path / "none"))
