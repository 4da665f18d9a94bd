"""Ports that lead into a box and out of it, and the agent that signs for what is in there."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request

import pytest

from containai import errors
from containai.host import files
from harness.site import refused
from harness.waiting import until

#: Below the ephemeral ports, and outside every site's.
FIRST = 19910
#: Serves what is said in a box, in the background, on its own loopback: its address and port.
SERVE = (
    "d=$(mktemp -d); cd $d; echo {word} >word; "
    "setsid python3 -m http.server --bind {address} {port} >/dev/null 2>&1 </dev/null &"
    " until curl -sf '{url}' >/dev/null; do :; done"
)


@pytest.fixture(scope="module")
def space(make_lasting):
    made = make_lasting("forwarding")
    made.run("true")
    return made


def served(space, word, port, address="127.0.0.1"):
    near = f"[{address}]" if ":" in address else address
    url = f"http://{near}:{port}/word"
    space.sh(SERVE.format(word=word, port=port, address=address, url=url))


def read(port):
    """Return what a port of this machine serves, or None."""
    try:
        with urllib.request.urlopen(f"http://localhost:{port}/word", timeout=5) as answer:
            return answer.read().decode().strip()
    except (urllib.error.URLError, ConnectionError):
        return None


def plain(site, program, *words, **options):
    """Run a program of ssh as its user would."""
    argv = [program, "-F", site.layout.ssh_config, "-o", "BatchMode=yes", *words]
    return subprocess.run(argv, capture_output=True, check=False, timeout=60, **options)


@contextlib.contextmanager
def forwarding(site, *words):
    """Have `cai forward`: give it, and a function for the next that it says."""
    pipe = subprocess.PIPE
    words = ("forward", "--json", *words)
    with site.start(*words, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe) as child:

        def line():
            said = child.stdout.readline()
            assert said, child.stderr.read()
            return json.loads(said)

        try:
            yield child, line
        finally:
            child.kill()


@pytest.mark.parametrize("option", ["-L", "-D", "-W"])
def test_plain_ssh_leads_into_a_box(site, space, option):
    served(space, "inside", 8101)
    port = FIRST
    request = b"GET /word HTTP/1.0\r\n\r\n"
    if option == "-W":
        done = plain(site, "ssh", "-W", "localhost:8101", space.box, input=request)
        assert done.stdout.endswith(b"inside\n"), done
        return
    words = {"-L": f"{port}:localhost:8101", "-D": str(port)}[option]
    argv = ["ssh", "-F", site.layout.ssh_config, "-N", option, words, space.box]
    with subprocess.Popen(argv) as child:
        if option == "-L":
            until(lambda: read(port) == "inside")
        else:
            proxy = ["curl", "-sf", "--socks5-hostname", f"localhost:{port}"]
            url = "http://localhost:8101/word"
            asked = [*proxy, url]
            until(lambda: subprocess.run(asked, capture_output=True).stdout == b"inside\n")
        # It waits, and its forward goes with it.
        assert child.poll() is None
        child.terminate()
    assert read(port) is None


def test_plain_ssh_leads_out_of_a_box(site, space):
    with socket.create_server(("127.0.0.1", 0)) as here:
        forward = f"8102:localhost:{here.getsockname()[1]}"
        command = "exec 3<>/dev/tcp/localhost/8102; echo from the box >&3; cat <&3"
        argv = ["ssh", "-F", site.layout.ssh_config, "-R", forward, space.box, command]
        with subprocess.Popen(argv, stdout=subprocess.PIPE) as child:
            peer, _ = here.accept()
            with peer:
                assert peer.makefile().readline() == "from the box\n"
                peer.sendall(b"from here\n")
            assert child.communicate()[0] == b"from here\n"


@pytest.mark.parametrize("program", ["scp", "sftp", "rsync"])
def test_files_are_copied_by_ssh_s_own_programs(site, space, program):
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "a b")
        content = os.urandom(100_000)
        with open(path, "wb") as file:
            file.write(content)
        if program == "rsync":
            ssh = f"ssh -F {site.layout.ssh_config}"
            argv = ["rsync", "-e", ssh, path, f"{space.box}:there"]
            done = subprocess.run(argv, capture_output=True, check=False)
        elif program == "scp":
            done = plain(site, "scp", path, f"{space.box}:there")
        else:
            batch = f'put "{path}" there\n'.encode()
            done = plain(site, "sftp", "-b", "-", space.box, input=batch)
        assert done.returncode == 0, done
    there = space.run("cat", "/home/agent/there").stdout
    space.sh("rm ~/there")
    assert there == content


def test_what_listens_is_listed(site, space):
    served(space, "one", 8103)
    served(space, "two", 8104, "::1")
    said = json.loads(site.cai("ports", space.box, "--json").stdout)
    seen = {each["port"]: each for each in said["listening"]}
    assert seen[8103]["addresses"] == ["127.0.0.1"]
    assert seen[8103]["process"] == "python3"
    assert seen[8104]["addresses"] == ["[::1]"]
    assert "sshd" in site.cai("ports", space.path).stdout.decode()


def test_a_port_is_forwarded_until_its_cai_is_killed(site, space):
    served(space, "either", 8105, "::1")
    with forwarding(site, space.box, f"{FIRST + 1}:8105") as (child, line):
        assert line()["what"] == "forwarded"
        assert read(FIRST + 1) == "either"
        # Whoever kills it so lets it clean nothing up.
        child.kill()
    until(lambda: read(FIRST + 1) is None)
    until(lambda: not [each for each in os.listdir(site.layout.control_dir) if "forward" in each])


def test_an_interrupt_is_the_end_of_it(site, space):
    with forwarding(site, space.box, f"{FIRST + 2}:8105") as (child, line):
        line()
        child.send_signal(signal.SIGINT)
        assert child.wait() == 0
    assert read(FIRST + 2) is None


def test_a_port_that_is_taken_is_refused(site, space):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = site.cai("forward", space.path, f"{port}:80", check=False)
    assert "somebody listens on it" in refused(done, errors.ForwardError)[0]


def test_whatever_listens_is_forwarded_while_it_does(site, space):
    with (
        forwarding(site, "--auto", space.box) as (_, line),
        socket.create_server(("127.0.0.1", 8106)),
    ):

        def until_port(port, what):
            while (change := line())["port"] != port or change["what"] != what:
                pass
            return change["host_port"]

        served(space, "taken", 8106)
        host_port = until_port(8106, "forwarded")
        assert host_port != 8106
        assert read(host_port) == "taken"
        served(space, "low", 443)
        host_port = until_port(443, "forwarded")
        assert host_port > 1023
        assert read(host_port) == "low"
        space.sh("pkill -f '[h]ttp.server --bind 127.0.0.1 443'")
        assert until_port(443, "ended") == host_port
        assert read(host_port) is None


def test_a_box_that_stops_ends_it(site, make_space):
    space = make_space()
    space.run("true")
    with forwarding(site, space.path, str(FIRST + 3)) as (child, line):
        line()
        site.cai("stop", space.path)
        assert child.wait() == errors.ForwardError.exit_code
        assert b"has ended: nothing is forwarded any more" in child.stderr.read()
    assert b"nothing listens in it" in site.cai("ports", space.path).stderr


@pytest.fixture
def settings(site):
    """A function that writes the settings; they are as before afterwards."""
    path, before = site.layout.config_file, files.read(site.layout.config_file)
    os.makedirs(os.path.dirname(path), exist_ok=True)

    def write(text):
        files.write(path, text)

    yield write
    if before is None:
        os.unlink(path)
    else:
        write(before)


def test_ports_of_the_settings(site, make_space, settings):
    space = make_space()
    with socket.create_server(("127.0.0.1", 0)) as here:
        back = here.getsockname()[1]
        first, second = FIRST + 4, FIRST + 5
        settings(
            f'[ssh]\nlocal_forward = ["{first}:8107"]\nremote_forward = ["8108:localhost:{back}"]\n'
        )
        served(space, "set", 8107)
        assert read(first) == "set"
        space.sh(
            "echo out >/dev/tcp/localhost/8108" if False else "curl -s -m1 localhost:8108 || :"
        )
        peer, _ = here.accept()
        peer.close()
        # Another setting holds from the next command on, in a box that runs.
        settings(f"[ssh]\nlocal_forward = '{second}:8107'\n")
        space.run("true")
        assert (read(first), read(second)) == (None, "set")
        settings(f"[ssh]\nlocal_forward = {back}\n")
        done = space.run("true")
        assert f"port {back} is not forwarded (ssh.local_forward)" in done.stderr.decode()


class Agent:
    """An ssh agent of the user's."""

    def __init__(self, directory, name):
        self.socket = os.path.join(directory, name)
        argv = ["ssh-agent", "-D", "-a", self.socket]
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
        until(lambda: os.path.exists(self.socket))
        self.environment = {"SSH_AUTH_SOCK": self.socket}

    def add(self, key):
        environment = os.environ | self.environment
        subprocess.run(["ssh-add", "-q", key], env=environment, check=True)
        return self

    def end(self):
        self.process.terminate()
        self.process.wait()


@pytest.fixture
def keys():
    """A directory with three key pairs."""
    with tempfile.TemporaryDirectory(prefix="cai") as directory:
        for name in ("one", "two", "three"):
            path = os.path.join(directory, name)
            argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path]
            subprocess.run(argv, check=True)
        yield directory


def test_a_forwarded_agent_is_the_one_that_there_is(space, settings, keys):
    settings("ssh.forward_agent = true\n")
    first = Agent(keys, "first").add(f"{keys}/one")
    assert space.run("ssh-add", "-l", env=first.environment).stdout.endswith(b"one (ED25519)\n")
    first.end()
    second = Agent(keys, "second").add(f"{keys}/two")
    try:
        assert space.run("ssh-add", "-l", env=second.environment).stdout.endswith(
            b"two (ED25519)\n"
        )
        # Whoever has none, as a timer of cron's, leaves it as it is.
        assert space.run("ssh-add", "-l", env={"SSH_AUTH_SOCK": ""}).stdout.endswith(
            b"two (ED25519)\n"
        )
    finally:
        second.end()


def test_an_agent_for_one_host_signs_for_no_other(site, space, settings, keys):
    with open(f"{keys}/one.pub", encoding="ascii") as file:
        space.sh("mkdir -p ~/.ssh; cat >~/.ssh/authorized_keys", input=file.read().encode())
    for port, name in ((2301, "two"), (2302, "three")):
        with open(f"{keys}/{name}", "rb") as file:
            space.sh(f"umask 77; cat >~/{name}", input=file.read())
        space.sh(f"sudo /usr/sbin/sshd -f /dev/null -p {port} -h /home/agent/{name} -o UsePAM=no")
    with open(f"{keys}/known", "w", encoding="ascii") as known, open(f"{keys}/two.pub") as public:
        known.write(f"[git.example.com]:2301 {public.read()}")
    before = files.read(site.layout.ssh_config) or ""
    more = f"IdentityFile {keys}/one\nUserKnownHostsFile {keys}/known\nPort 2301\n"
    files.write(site.layout.ssh_config, f"{before}\nHost git.example.com\n{more}", 0o600)
    settings('ssh.forward_agent = ["git.example.com"]\n')
    ask = "ssh -o BatchMode=yes -o StrictHostKeyChecking=no -p {} localhost echo in"
    try:
        assert space.sh("ssh-add -l").endswith("one (ED25519)")
        assert space.sh(ask.format(2301)) == "in"
        done = space.run("sh", "-c", ask.format(2302), check=False)
        assert b"Permission denied" in done.stderr
        # Nor for anything that is no log-in.
        done = space.run(
            "sh", "-c", "ssh-add -L >k; ssh-keygen -Y sign -n git -f k <k", check=False
        )
        assert done.returncode != 0
        # And once it is for none, it has no key.
        settings("")
        assert space.run("ssh-add", "-l", check=False).returncode != 0
    finally:
        files.write(site.layout.ssh_config, before, 0o600)
        space.sh(
            "rm -f k; sudo pkill -f 'sshd -f /dev/null'; rm -f ~/.ssh/authorized_keys", check=False
        )
