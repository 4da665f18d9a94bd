"""A box's own Docker does what people do with it: compose, cached builds, many containers."""

import pytest

#: An image of this box's own files: no registry is needed.
LOCAL = r"""
set -e
mkdir -p ~/local/root && cd ~/local
programs="/bin/bash /usr/bin/socat /usr/bin/cat"
for file in $programs $(ldd $programs | grep -o '/[^ :)]*' | sort -u); do
    cp -L --parents "$file" root/
done
printf 'FROM scratch\nCOPY root /\n' >Dockerfile
docker build --quiet --tag local .
"""


@pytest.fixture(scope="module")
def box(make_lasting):
    space = make_lasting("inner")
    space.run("sh", "-c", LOCAL)
    return space


COMPOSE = """
services:
  server:
    image: local
    command: socat TCP-LISTEN:7000,fork,reuseaddr EXEC:'/usr/bin/cat /data/answer'
    volumes: [ "answers:/data" ]
    depends_on: { writer: { condition: service_completed_successfully } }
    healthcheck: { test: ["CMD", "/bin/bash", "-c", "</dev/tcp/127.0.0.1/7000"], interval: 1s }
  writer:
    image: local
    command: bash -c "echo from the server >/data/answer"
    volumes: [ "answers:/data" ]
  client:
    image: local
    command: bash -c "exec 3<>/dev/tcp/server/7000; read -r line <&3; echo $$line"
    depends_on: { server: { condition: service_healthy } }
volumes: { answers: }
"""


def test_compose_brings_services_up_that_reach_each_other(box):
    box.run("sh", "-c", "mkdir -p ~/project && cat >~/project/compose.yaml", input=COMPOSE.encode())
    compose = "docker compose --project-directory ~/project --progress quiet"
    try:
        box.sh(f"{compose} up --wait --detach server")
        assert box.sh(f"{compose} run --rm client") == "from the server"
        assert box.sh(f"{compose} ps --format '{{{{.Service}}}}'") == "server"
    finally:
        box.sh(f"{compose} down --volumes")
    assert box.sh(f"{compose} ps --all --quiet; docker network ls -qf name=project") == ""


def test_a_bind_by_the_path_of_the_host(box):
    """What compose files with absolute paths, and tools outside of the box, name."""
    words = f"docker run --rm --volume '{box.path}:/here' local bash -c 'echo 1 >/here/from-inside'"
    box.sh(words)
    assert box.sh("cat from-inside; rm from-inside") == "1"


CACHED = r"""
mkdir -p ~/cached && cd ~/cached
cat >Dockerfile <<'END'
FROM local
ARG NUMBER
RUN --mount=type=cache,target=/cache \
    ["/bin/bash", "-c", "echo x >>/cache/runs; cat /cache/runs >/runs"]
END
for run in 1 2; do
    docker buildx build --quiet --load --build-arg NUMBER=$run --tag cached . >&2
done
docker run --rm cached cat /runs
"""


def test_a_build_keeps_its_cache_mounts(box):
    assert box.sh(CACHED).split() == ["x", "x"]


MANY = r"""
seq 100 | xargs -P 8 -I{} timeout 120 docker run --rm --name many-{} local bash -c 'echo done' \
    >/tmp/many || echo failed
wc -l </tmp/many
docker ps --all --quiet --filter name=many | wc -l
# containerd takes the last task away when Docker has said that its container is gone.
for _ in $(seq 60); do
    [ -n "$(sudo ls /run/containerd/io.containerd.runtime.v2.task/moby 2>/dev/null)" ] || break
    sleep 0.5
done
sudo ls /run/containerd/io.containerd.runtime.v2.task/moby 2>/dev/null | wc -l
"""


def test_a_hundred_containers_come_and_go(box):
    count, left, tasks = box.sh(MANY).splitlines()
    assert (count, left, tasks) == ("100", "0", "0")
    assert box.sh("systemctl is-active docker containerd") == "active\nactive"
