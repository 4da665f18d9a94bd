"""Networks, names, ports, sysctls."""

import contextlib
import os
import socket
import threading

import pytest

from .client import DockerFailedError


def test_network_none(docker):
    script = "ls /sys/class/net; ip -o address show lo | grep -c 127.0.0.1; ip route | wc -l"
    assert docker.run("--network", "none", script=script).split("\n") == ["lo", "1", "0"]


def test_network_of_another_container(docker):
    first = docker.start("--hostname", "first", script="exec httpd -f -p 127.0.0.1:99 -h /etc")
    show = "ip -4 -o address show eth0 | awk '{print $4}'; hostname"
    address = docker.sh(first, show)
    assert address.endswith("\nfirst")
    script = "until wget -qO- http://127.0.0.1:99/group 2>/dev/null; do sleep 0.1; done"
    script = f"{show}; {script} | head -n 1; ls /sys/class/net"
    said = docker.run("--network", f"container:{first}", script=script)
    assert said.startswith(f"{address}\nroot:x:0:\n")
    assert {"eth0", "lo"} <= set(said.split("\n")[3:])


def test_network_of_the_host(docker):
    said = docker.run("--network", "host", script="ls /proc/sys/net/ipv4/conf; hostname")
    *interfaces, name = said.split("\n")
    assert set(socket.if_nameindex()[0][1:]) <= set(interfaces)
    assert name == socket.gethostname()
    with socket.create_server(("127.0.0.1", 0)) as server:
        asked = []

        def serve():
            server.settimeout(60)
            with server.accept()[0] as connection:
                asked.append(connection.recv(100))

        thread = threading.Thread(target=serve)
        thread.start()
        script = f"echo asked | timeout 60 nc 127.0.0.1 {server.getsockname()[1]} || true"
        docker.run("--network", "host", script=script)
        thread.join()
        assert asked == [b"asked\n"]


def test_names(docker):
    options = ["--add-host", "one:10.1.2.3", "--dns", "10.9.9.9", "--dns-search", "example.test"]
    options += ["--hostname", "box1", "--domainname", "lan"]
    script = (
        "grep one /etc/hosts; grep -c box1 /etc/hosts; grep -v '^#' /etc/resolv.conf; hostname -f"
    )
    said = docker.run(*options, script=script).replace("\t", " ").split("\n")
    assert said[:2] == ["10.1.2.3 one", "1"]
    assert {"nameserver 10.9.9.9", "search example.test"} <= set(said)
    assert docker.run("--hostname", "b2", script="ping -c 1 b2 | grep -c '1 packets rec'") == "1"


def test_a_network_of_its_own_with_names(docker):
    name = f"t-net-{os.getpid()}"
    docker("network", "create", name)
    try:
        docker.start("--network", name, "--network-alias", "server", "--name", "t-first")
        script = "ping -c 1 t-first >/dev/null && ping -c 1 server | grep -c '1 packets received'"
        assert docker.run("--network", name, script=script) == "1"
        docker("network", "disconnect", name, "t-first")
        docker("network", "connect", "--alias", "again", name, "t-first")
        script = "ping -c 1 again | grep -c '1 packets received'"
        assert docker.run("--network", name, script=script) == "1"
    finally:
        docker.end()
        docker("network", "rm", name)


def test_published_port(docker):
    container = docker.start(
        "--publish", "127.0.0.1::80", script="while :; do echo hello | nc -l -p 80; done"
    )
    host, port = docker("port", container, "80").rsplit(":", 1)
    assert host == "127.0.0.1"

    def answers():
        # docker-proxy takes connections before anybody listens in the container.
        with (
            contextlib.suppress(OSError),
            socket.create_connection((host, int(port)), timeout=10) as connection,
        ):
            return connection.recv(100) == b"hello\n"
        return False

    docker.until(answers)


def test_sysctls(docker):
    keys = {
        "net.ipv4.ip_unprivileged_port_start": "80",
        "net.ipv4.ip_forward": "0",
        "net.core.somaxconn": "77",
        "kernel.shmmni": "99",
        "kernel.msgmax": "4096",
        "fs.mqueue.msg_max": "5",
    }
    options = [word for key, value in keys.items() for word in ("--sysctl", f"{key}={value}")]
    script = f"sysctl -n {' '.join(keys)}; sysctl -w net.core.somaxconn=8 2>&1 | tail -n 1"
    *values, refused = docker.run(*options, script=script).split("\n")
    assert values == list(keys.values())
    assert "Read-only file system" in refused
    with pytest.raises(DockerFailedError, match=r"kernel\.panic"):
        docker.run("--sysctl", "kernel.panic=1", script="true")
