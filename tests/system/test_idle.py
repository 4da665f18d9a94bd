"""Docker in a box sleeps when it has nothing to do, and nobody who asks it notices."""

import pytest

from harness.waiting import until

#: A look is made by hand, so that "stays awake" needs no waiting: the first only remembers, the
#: fifth after one that found the same stops Docker.
LOOKS = "for look in 1 2 3 4 5; do sudo /usr/local/lib/containai/docker-idle; done"
AWAKE, ASLEEP = "active\nactive\nactive", "inactive\ninactive\nactive"

MAKE_IMAGE = r"""
mkdir -p /tmp/shell/root && cd /tmp/shell
for file in /bin/bash /bin/sleep $(ldd /bin/bash /bin/sleep | grep -o '/[^ ]*' | sort -u); do
    test -e root/"$file" || cp -L --parents "${file%:}" root/
done
printf 'FROM scratch\nCOPY root /\n' >Dockerfile
docker build -q -t shell . >/dev/null
"""

#: Falls asleep at every moment in which nobody asks Docker anything.
SLEEPY = r"""
sed 's/^LOOKS=.*/LOOKS=0/' /usr/local/lib/containai/docker-idle >/tmp/sleepy
touch /tmp/go
while [ -e /tmp/go ]; do
    [ "$(systemctl is-active docker)" = active ] && sh /tmp/sleepy
    sleep 0.05
done
"""
#: Each asks as soon as dockerd is frozen, has gone, or is about to go.
CLIENTS = r"""
falls_asleep() {
    until grep -q '^State:.T' "/proc/$(cat /run/docker.pid)/status" ||
        [ "$(systemctl is-active docker)" != active ]; do :; done 2>/dev/null
}
for round in 1 2; do
    falls_asleep
    docker run --rm shell /bin/bash -c 'echo "said $0"' $round
    falls_asleep
    printf 'FROM shell\nRUN ["/bin/bash", "-c", "echo %s >/made"]\n' $round |
        docker build -q -t built - >/dev/null
    falls_asleep
    docker run --rm built /bin/bash -c 'echo "built $(</made)"'
done
"""

#: What keeps Docker awake, and how that is taken back.
BUSY = {
    "a container runs": (
        "docker run --detach --name busy shell /bin/sleep 1000",
        "docker rm --force busy",
    ),
    "a stopped container would be started": (
        "docker run --detach --restart always --name busy shell /bin/sleep 1000;"
        "docker stop --time 0 busy",
        "docker rm --force busy",
    ),
    "a container would be removed": (
        "docker create --rm --name busy shell /bin/sleep 1",
        "docker rm --force busy",
    ),
    "a client is connected": (
        "systemd-run --user --unit busy docker events;"
        "until grep -q ' 03 .* /run/docker.sock$' /proc/net/unix; do sleep 0.1; done",
        "systemctl --user stop busy",
    ),
    "a client of containerd is connected": (
        "sudo systemd-run --unit busy nc -dU /run/containerd/containerd.sock;"
        "until sudo ss -xp | grep -q '\"nc\"'; do sleep 0.1; done",
        "sudo systemctl stop busy",
    ),
    "a swarm": ("docker swarm init", "docker swarm leave --force"),
    "another listener": (
        "printf '[Service]\\nExecStart=\\nExecStart=/usr/sbin/dockerd -H fd:// -H "
        "unix:///run/other.sock --containerd=/run/containerd/containerd.sock\\n' |"
        "sudo tee /run/systemd/system/docker.service.d/containai-other.conf;"
        "sudo systemctl daemon-reload; sudo systemctl restart docker",
        "sudo rm /run/systemd/system/docker.service.d/containai-other.conf;"
        "sudo systemctl daemon-reload; sudo systemctl restart docker",
    ),
    "docker.socket is disabled": (
        "sudo systemctl disable docker.socket",
        "sudo systemctl enable docker.socket",
    ),
    "a unit that stops with Docker": (
        "printf '[Unit]\\nBindsTo=docker.service\\n[Service]\\nExecStart=sleep infinity\\n' |"
        "sudo tee /run/systemd/system/busy.service; sudo systemctl start busy",
        "sudo systemctl stop busy; sudo rm /run/systemd/system/busy.service;"
        "sudo systemctl daemon-reload",
    ),
}


@pytest.fixture(scope="module")
def sleepy(make_lasting):
    """A box whose timer never looks, and where Docker may start as often as it likes."""
    space = make_lasting()
    space.sh("systemctl is-active docker || docker version")
    space.sh("sudo systemctl stop containai-docker-idle.timer")
    space.sh(
        "sudo mkdir -p /run/systemd/system/docker.service.d;"
        "printf '[Unit]\\nStartLimitIntervalSec=0\\nWants=\\n' |"
        "sudo tee /run/systemd/system/docker.service.d/containai-often.conf;"
        "sudo ln -s /dev/null /run/systemd/system/containai-docker-idle.timer;"
        "sudo systemctl daemon-reload"
    )
    space.sh(MAKE_IMAGE)
    return space


def units(space):
    return space.sh("systemctl is-active docker.service containerd.service docker.socket; true")


def test_it_starts_with_the_box(shared):
    units = "ssh docker.socket docker.service containerd.service containai-docker-idle.timer"
    assert shared.sh(f"systemctl is-enabled {units}") == "\n".join(["enabled"] * 5)
    assert until(lambda: shared.sh("systemctl is-active docker; true") == "active")
    assert shared.sh("systemctl is-active containai-docker-idle.timer") == "active"


def test_the_timer_puts_it_to_sleep_and_its_socket_wakes_it(make_space):
    space = make_space()
    drop_in = "/run/systemd/system/containai-docker-idle.timer.d"
    often = "[Timer]\\nOnActiveSec=\\nOnActiveSec=.2\\nOnUnitInactiveSec=.2\\nAccuracySec=1ms\\n"
    space.sh("docker version")
    space.sh(
        f"sudo mkdir {drop_in}; printf '{often}' | sudo tee {drop_in}/often.conf;"
        "sudo systemctl daemon-reload; sudo systemctl restart containai-docker-idle.timer"
    )
    until(lambda: units(space) == ASLEEP)
    assert space.sh("systemctl is-active containai-docker-idle.timer; true") == "inactive"
    assert space.sh("systemctl is-system-running") == "running"
    space.sh(f"sudo rm -r {drop_in}; sudo systemctl daemon-reload")
    assert space.sh("docker ps --quiet") == ""
    assert units(space) == AWAKE
    assert space.sh("systemctl is-active containai-docker-idle.timer") == "active"


def test_it_sleeps_at_the_fifth_look_and_not_before(sleepy):
    sleepy.sh("docker version")
    sleepy.sh(LOOKS.replace(" 5", ""))
    assert units(sleepy) == AWAKE
    sleepy.sh("docker ps")
    sleepy.sh(LOOKS.replace(" 5", ""))
    assert units(sleepy) == AWAKE, "somebody asked it in between"
    sleepy.sh(LOOKS)
    assert units(sleepy) == ASLEEP


@pytest.mark.parametrize("reason", BUSY)
def test_it_stays_awake_while(sleepy, reason):
    begin, end = BUSY[reason]
    sleepy.sh("docker version")
    sleepy.sh(begin)
    try:
        sleepy.sh(LOOKS)
        assert units(sleepy) == AWAKE
    finally:
        sleepy.sh(end)
    sleepy.sh("docker version")
    sleepy.sh(LOOKS)
    assert units(sleepy) == ASLEEP


def test_nobody_who_asks_while_it_falls_asleep_loses_anything(sleepy):
    starts = "journalctl --unit docker --grep 'Starting up' --output cat | wc -l"
    before = int(sleepy.sh(starts))
    sleepy.run("sudo", "systemd-run", "--unit", "sleepy", "sh", "-c", SLEEPY)
    try:
        said = sleepy.sh(CLIENTS).splitlines()
    finally:
        sleepy.sh("sudo rm /tmp/go; until ! systemctl is-active sleepy; do sleep 0.1; done")
    expected = [f"{what} {each}" for each in (1, 2) for what in ("said", "built")]
    assert said == expected
    assert int(sleepy.sh(starts)) - before >= 6
    assert sleepy.sh("systemctl is-system-running") == "running"
