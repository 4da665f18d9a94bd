"""What a box is like from inside."""

import os
import shutil
import socket
import threading

NESTED = r"""
set -e
mkdir -p /tmp/nested/root && cd /tmp/nested
for file in /bin/bash $(ldd /bin/bash | grep -o '/[^ ]*'); do cp -L --parents "$file" root/; done
printf 'FROM scratch\nCOPY root /\nRUN ["/bin/bash", "-c", "echo built >/made"]\n' >Dockerfile
docker build -q -t nested . >&2
docker run --rm nested /bin/bash -c 'read -r line </made; echo "$line"'
docker run --rm nested /bin/bash -c 'exec 3<>/dev/tcp/'"$1"'; read -r line <&3; echo "$line"'
"""


def test_pid_1_is_systemd_with_the_promised_arguments(shared):
    done = shared.run("cat", "/proc/1/cmdline")
    assert done.stdout == b"/sbin/init\0--log-level=err\0"


def test_the_system_is_running(shared):
    assert shared.run("systemctl", "is-system-running", "--wait").stdout == b"running\n"
    assert shared.run("systemctl", "--failed", "--quiet").stdout == b""
    assert shared.run("systemctl", "is-active", "ssh", "docker").stdout == b"active\nactive\n"
    assert shared.run("systemctl", "is-enabled", "ssh", "docker").stdout == b"enabled\nenabled\n"


def test_the_agent_has_a_systemd_and_a_bus_of_its_own(shared):
    address = "DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus"
    assert address in shared.sh("systemctl --user show-environment").splitlines()
    assert address in shared.sh("systemd-run --user --pipe --quiet env").splitlines()
    assert shared.sh("systemctl --user is-active dbus.socket default.target") == "active\nactive"


def test_what_ignores_signals_holds_up_no_stop(shared):
    """Of an ssh session, and of the agent's systemd: not for systemd's own 90 s."""
    show = "systemctl {} show {} --property TimeoutStopUSec --value"
    scope = shared.sh(show.format("", "session-*.scope")).split()
    own = shared.sh(show.format("--user", "init.scope")).split()
    assert set(scope) == {"10s"} == set(own)


def test_sudo_gives_a_root_that_is_nobody_outside(shared):
    assert shared.sh("id -u; id -un; sudo id -u") == "1000\nagent\n0"
    assert shared.sh("awk '$1 == 0 && $2 == 0' /proc/self/uid_map /proc/self/gid_map") == ""
    init = shared.inspect()["State"]["Pid"]
    with open(f"/proc/{init}/status", encoding="ascii") as file:
        outside = next(line for line in file if line.startswith("Uid:")).split()[1:]
    assert "0" not in outside
    assert outside == [str(shared.id_range()[0])] * 4


def test_a_session_starts_in_the_workspace(shared):
    assert shared.run("pwd").stdout == b"/home/agent/workspace\n"


def test_the_image_has_no_host_keys(site, shared):
    site.docker("create", "--name", "bare", shared.inspect()["Image"])
    copy = os.path.join(site.root, "bare")
    try:
        site.docker("cp", "bare:/etc/ssh", copy)
    finally:
        site.docker("rm", "bare")
    names = os.listdir(copy)
    shutil.rmtree(copy)
    assert "sshd_config" in names
    assert [name for name in names if name.startswith("ssh_host_")] == []


def test_docker_builds_and_runs_with_network_to_the_outside(site, shared):
    gateway = shared.sh("ip -4 route show default").split()[2]
    with socket.create_server((gateway, 0)) as server:

        def serve():
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"hello from outside\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        address = f"{gateway}/{server.getsockname()[1]}"
        with site.opened(server.getsockname()[1]):
            done = shared.run("bash", "-c", NESTED, "bash", address)
        thread.join()
    assert done.stdout.decode().splitlines() == ["built", "hello from outside"]


def test_docker_inside_uses_overlay2(shared):
    assert shared.run("docker", "info", "-f", "{{.Driver}}").stdout == b"overlay2\n"


#: The pages of dockerd's own file that one process has for itself, in kB.
OWN_PAGES = r"""
sudo awk '/^[0-9a-f]+-/ { own = $6 == "/usr/sbin/dockerd" } /^Private_Dirty:/ && own { kb += $2 }
    END { print kb }' /proc/$(pidof dockerd)/smaps
"""


def test_boxes_share_the_pages_of_dockerd(shared):
    """Debian's has 8 MiB of them (images/base/prelink.py)."""
    assert 0 < int(shared.sh(OWN_PAGES)) < 2000
