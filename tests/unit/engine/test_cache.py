import os
import subprocess

import pytest

from containai.engine import cache, nested
from containai.engine.network import Network
from containai.host import scripts
from containai.layout import Layout
from harness.waiting import until

MACHINE = Layout("/", "/home/u", 1000)
NETWORK = Network("10.203.0.0/20")
#: Programs that the keeper starts: a registry that fetches 2 MiB at once, and no waiting.
PROGRAMS = {
    "docker-registry": 'd=${2%/*}/data; head -c 2M /dev/zero >"$d/blob"; echo "$1 $2"; '
    'echo x >>"${2%/*}/../fetched"; exec /bin/sleep 60',
    "setpriv": 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"',
    "install": 'while [ $# -gt 1 ]; do shift; done; mkdir -p "$1"',
    "sleep": "exec /bin/sleep 0.05",
}


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def test_configuration():
    assert cache.text(MACHINE, NETWORK, "https://registry-1.docker.io") == (
        "# limit: 33554432\n"
        "version: 0.1\n"
        "log: {level: error, accesslog: {disabled: true}}\n"
        "storage:\n"
        "  filesystem:\n"
        "    rootdirectory: /var/lib/containai-cache/data\n"
        "http:\n"
        "  addr: 10.203.0.1:10055\n"
        "proxy:\n"
        "  remoteurl: https://registry-1.docker.io\n"
    )
    assert "proxy:" not in cache.text(MACHINE, NETWORK, "")


def test_the_docker_of_a_box_asks_it_where_there_is_one(layout, host):
    host.answer("ip", "-json", "-4", "route", "show", "table", "all", out="[]")
    write(layout.engine_config, '{"fixed-cidr": "10.203.0.0/21"}')
    assert "mirrors" not in nested.settings(host)
    for upstream, mirrors in (("http://127.0.0.1:5000", True), ("", False)):
        write(cache.path(layout), cache.text(layout, NETWORK, upstream))
        assert cache.upstream(layout) == upstream
        said = nested.settings(host)
        assert ('"registry-mirrors": ["http://10.203.0.1:10055"]' in said) == mirrors
        assert "default-address-pools" in said


@pytest.fixture
def keeper(layout, tmp_path):
    """The keeper, with programs that do as if; it runs."""
    programs = tmp_path / "programs"
    for name, text in PROGRAMS.items():
        write(str(programs / name), f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    write(cache.path(layout), cache.text(layout, NETWORK, "https://a.example", limit=1 << 20))
    script = scripts.text("engine/keepers.sh") + "\ncache\n"
    variables = {"cache_config": cache.path(layout), "told_proxies": "/none"}
    environment = os.environ | variables | {"PATH": f"{programs}:{os.environ['PATH']}"}
    argv = ["sh", "-euc", script]
    with subprocess.Popen(argv, env=environment, start_new_session=True) as child:
        yield child
        child.terminate()


def fetched(layout):
    try:
        with open(os.path.join(os.path.dirname(cache.data(layout)), "fetched")) as file:
            return len(file.readlines())
    except FileNotFoundError:
        return 0


def test_what_is_more_than_the_bound_is_emptied(layout, keeper):
    until(lambda: fetched(layout) > 2)


def test_what_is_of_another_registry_goes(layout, keeper):
    until(lambda: fetched(layout))
    mark = f"{cache.data(layout)}/mark"
    write(mark, "")
    write(cache.path(layout), cache.text(layout, NETWORK, "https://b.example"))
    until(lambda: not os.path.exists(mark))
    until(lambda: os.path.exists(f"{cache.data(layout)}/data/blob"))


def test_it_ends_and_leaves_nothing_where_there_is_to_be_none(layout, keeper):
    until(lambda: os.path.exists(f"{cache.data(layout)}/data/blob"))
    write(cache.path(layout), cache.text(layout, NETWORK, ""))
    keeper.wait(20)
    assert keeper.returncode == 0
    assert not os.path.exists(cache.data(layout))


@pytest.mark.parametrize(
    ("kept", "limit", "free", "bounded"),
    [
        (1000, 0, 0, True),
        (5000, 6000, 3 << 20, True),
        (5000, 4000, 3 << 20, False),
        (5000, 6000, 1 << 20, False),
    ],
)
def test_bound(tmp_path, kept, limit, free, bounded):
    """In KiB: what is kept, its limit, and what is free of the file system."""
    (tmp_path / "cache.yml").write_text(f"# limit: {limit}\n", encoding="ascii")
    script = (
        f"{scripts.text('engine/keepers.sh')}\n"
        f"du() {{ echo '{kept} x'; }}; df() {{ printf 'Avail\\n{free}\\n'; }}\n"
        f"cut() {{ read -r first _; echo $first; }}\nis_bounded\n"
    )
    variables = {"cache_config": str(tmp_path / "cache.yml"), "kept": "/none"}
    done = subprocess.run(["sh", "-euc", script], env=os.environ | variables, check=False)
    assert (done.returncode == 0) == bounded
