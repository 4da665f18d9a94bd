"""A log-in in a browser, of a program in a box that waits on its own localhost for the answer."""

import sys
import urllib.error
import urllib.parse
import urllib.request

import pytest

from harness.screen import Screen
from harness.waiting import until

CAI = [sys.executable, "-m", "containai"]
#: Asks for a browser as agents do, in a session of its own and without streams, and waits for the
#: answer on a port: what its user's browser brings is what it was logged in with.
LOGIN = """\
import http.server, os, subprocess, sys, urllib.parse
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"you may close this")
        self.server.code = self.path
    def log_message(self, *words): pass
server = http.server.HTTPServer(("127.0.0.1", {port}), Answer)
back = urllib.parse.quote("http://localhost:{port}/callback", safe="")
address = "https://login.example.com/?redirect_uri=" + back
null = subprocess.DEVNULL
if {browser!r}:
    words = [os.environ["BROWSER"] if {browser!r} == "BROWSER" else {browser!r}, address]
    subprocess.Popen(words, stdin=null, stdout=null, stderr=null, start_new_session=True)
else:
    print("go to", address, flush=True)
server.handle_request()
print("logged in with", server.code)
"""


def come_back(port):
    """Do what a browser does at the end of a log-in; return what is shown there, if anything."""
    try:
        url = f"http://localhost:{port}/callback?code=s3cret"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.read()
    except (urllib.error.URLError, ConnectionError):
        return b""


@pytest.mark.parametrize(("browser", "port"), [("BROWSER", 19931), ("xdg-open", 19932)])
def test_the_answer_comes_back(site, shared, browser, port):
    script = LOGIN.format(port=port, browser=browser)
    screen = Screen(site, *CAI, "run", shared.path, "--", "python3", "-c", script)
    screen.shows(b"asks to open: https://login.example.com/?redirect_uri=http%3A%2F%2Flocalhost")
    assert until(lambda: come_back(port)) == b"you may close this"
    screen.shows(b"logged in with /callback?code=s3cret")
    assert screen.end() == 0
    assert b"\x1b]5379" not in screen.seen
    # The way is there for as long as the session.
    until(lambda: not come_back(port))


def test_in_tmux_too(site, shared):
    script = "xdg-open https://example.com/in-tmux; read line"
    screen = Screen(site, *CAI, "run", shared.path, "--", "tmux", "new-session", script)
    screen.shows(b"asks to open: https://example.com/in-tmux")
    screen.type(b"\r")
    assert screen.end() == 0


def test_without_a_terminal_the_address_is_printed(shared):
    done = shared.run("sh", "-c", "$BROWSER https://example.com/; xdg-open x", check=False)
    assert done.stdout == b""
    assert done.stderr.startswith(b"open this: https://example.com/\nusage: xdg-open")


def test_what_is_no_address_is_not_shown(site, shared):
    script = "xdg-open 'http://a.b@c.d/'; xdg-open \"$(printf 'http://a.b/\\033[2J')\""
    screen = Screen(site, *CAI, "run", shared.path, "--", "sh", "-c", script)
    screen.end()
    assert screen.seen.count(b"no address of the web: left alone") == 2
    assert b"\x1b[2J" not in screen.seen


def test_an_agent_that_only_waits_is_led_back_to(site, shared):
    # One whose port is known, and that asks for no browser.
    script = LOGIN.format(port=1455, browser="")
    shared.run(
        "tee", "/home/agent/.local/bin/codex", input=f"#!/usr/bin/python3\n{script}".encode()
    )
    shared.sh("chmod +x ~/.local/bin/codex")
    try:
        screen = Screen(site, *CAI, "run", "--agent", "codex", shared.path)
        screen.shows(b"go to https://login.example.com/")
        assert until(lambda: come_back(1455)) == b"you may close this"
        screen.shows(b"logged in with /callback?code=s3cret")
        assert screen.end() == 0
    finally:
        shared.sh("rm ~/.local/bin/codex")
