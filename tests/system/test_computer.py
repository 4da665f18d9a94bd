"""A box is a normal computer: its shared memory, and the files of /etc that Docker mounts."""

import os

import pytest

MEMORY = 512 << 20  # bytes
SIZE = "df --block-size=1 --output=size /dev/shm | tail -1"


@pytest.fixture(scope="module")
def limited(make_lasting):
    space = make_lasting("limited")
    space.site.cai("run", "--memory", "512m", space.path, "--", "true")
    return space


def test_shared_memory_is_half_of_the_machines(shared):
    half = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    assert abs(int(shared.sh(SIZE)) - half) < 1 << 20
    shared.sh("head -c 100M /dev/zero >/dev/shm/x; rm /dev/shm/x")
    # As systemd mounts it.
    assert shared.sh("findmnt -no OPTIONS /dev/shm").startswith("rw,nosuid,nodev,relatime,")


def test_shared_memory_is_half_of_the_limit_and_changes_with_it(limited):
    def limit(memory):
        limited.site.cai("run", "--memory", f"{memory >> 20}m", limited.path, "--", "true")

    assert limited.sh(SIZE) == str(MEMORY // 2)
    limit(MEMORY * 2)
    assert limited.sh(SIZE) == str(MEMORY)
    # What is in it stays, and counts.
    limited.sh("head -c 200M /dev/zero >/dev/shm/x")
    limit(MEMORY // 2)
    assert limited.sh(SIZE) == str(MEMORY)
    limited.sh("rm /dev/shm/x")
    limited.site.cai("stop", limited.path)
    assert limited.sh(SIZE) == str(MEMORY // 4)


HOSTS = "10.9.8.7 own-name"
REPLACE = r"""
cd /etc
sudo sed -i 's/^/# seen\n/;t end;:end' hosts
for name in hosts hostname resolv.conf; do
    cp $name /tmp/$name && sudo mv /tmp/$name $name
done
echo "$1" | sudo tee -a hosts
"""


def test_files_of_etc_can_be_replaced_and_stay_over_a_stop(space):
    own = "getent hosts own-name | cut -d' ' -f1"
    names = r"""for name in host.docker.internal host.containai.internal "$(hostname)"; do
        getent ahostsv4 "$name" | sed -n '1s/ .*//p'; done; ip -4 route show default"""

    def seen():
        *addresses, route = space.sh(names).splitlines()
        gateway = route.split()[2]
        assert addresses[:2] == [gateway, gateway]
        assert addresses[2] == space.sh("hostname --all-ip-addresses").split()[0]
        return gateway

    seen()
    assert space.sh("cat /etc/hostname") == space.box
    space.run("sh", "-c", REPLACE, "sh", HOSTS)
    assert space.sh(own) == "10.9.8.7"
    written = space.sh("cat /etc/hosts").splitlines()
    # Another box gets the address that it had.
    space.site.cai("stop", space.path)
    taker = space.site.docker(
        "run", "--detach", "--rm", space.inspect()["Image"], "sleep", "infinity"
    )
    try:
        seen()
        assert space.sh(own) == "10.9.8.7"
        now = space.sh("cat /etc/hosts").splitlines()
        assert len(now) == len(written)
        assert [line for line in now if space.box not in line] == [
            line for line in written if space.box not in line
        ]
    finally:
        space.site.docker("kill", taker)


CHOICES = r"""
sudo hostnamectl set-hostname own-host
echo '# own' | sudo tee -a /etc/resolv.conf
sudo sed -i '/host\.docker\.internal/d' /etc/hosts
printf '10.9.8.6 alone' | sudo tee /etc/hosts.new && sudo mv /etc/hosts.new /etc/hosts
"""


def test_what_somebody_chose_counts(space):
    space.sh(CHOICES)
    space.site.cai("stop", space.path)
    assert space.sh("hostname; cat /etc/hostname") == "own-host\nown-host"
    assert space.sh("tail -1 /etc/resolv.conf") == "# own"
    hosts = space.sh("cat /etc/hosts").splitlines()
    assert hosts[0] == "10.9.8.6 alone"
    assert space.sh("getent hosts host.docker.internal | wc -l") == "1"
    assert space.sh("systemctl is-system-running --wait") == "running"


SEEN = "date +%z; sudo date +%z; locale 2>&1 | grep -e ^LANG= -e ^LC_TIME= -e annot"


def test_a_box_has_the_time_zone_and_the_language_of_its_user(space):
    own = {"TZ": "Asia/Tokyo", "LANG": "xx_YY.UTF-8", "LC_TIME": "C"}
    expected = ["+0900", "+0900", "LANG=C.UTF-8", "LC_TIME=C"]
    assert space.sh(SEEN, env=own).splitlines() == expected
    assert space.sh("cat /etc/timezone") == "Asia/Tokyo"
    # What is there later holds later; what somebody chose, stays.
    space.sh("sudo cp -r /usr/lib/locale/C.utf8 /usr/lib/locale/xx_YY.utf8")
    space.sh("sudo timedatectl set-timezone America/Lima")
    space.site.cai("stop", space.path)
    expected = ["-0500", "-0500", "LANG=xx_YY.UTF-8", "LC_TIME=C"]
    assert space.sh(SEEN, env=own).splitlines() == expected


def test_two_boxes_are_two_machines(shared, limited):
    own = "cat /etc/ssh/ssh_host_ed25519_key.pub /etc/machine-id /proc/sys/kernel/random/boot_id"
    one, other = (space.sh(own).splitlines() for space in (shared, limited))
    assert len(one) == len(other) == 3
    # The boot is the kernel's, which is one.
    assert one[2] == other[2]
    assert all(mine != theirs for mine, theirs in zip(one[:2], other[:2], strict=True))
    for space in (shared, limited):
        assert space.sh("ls /etc/ssh/ssh_host_*").split() == [
            "/etc/ssh/ssh_host_ed25519_key",
            "/etc/ssh/ssh_host_ed25519_key.pub",
        ]
        assert space.sh("wc -c </etc/machine-id") == "33"
