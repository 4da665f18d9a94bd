"""What an image becomes for Incus, tried on small archives."""

import io
import os
import shutil
import subprocess
import tarfile

import pytest

from containai.config.settings import Settings
from containai.engine.container import Image
from containai.engine.fake import FakeEngine
from containai.errors import ImageError, NoSpaceError
from containai.host.machine import Machine
from containai.images import incus, recipe
from containai.images.recipe import Recipe

CREATED = 1_000_000
BASE = recipe.find("base", Settings())
#: A capability as the kernel keeps it: no text (vfs_cap_data in linux/capability.h).
CAPABILITY = bytes.fromhex("0100000200208000000000000000000000000000")
XATTR = "SCHILY.xattr.security.capability"


def entry(name, content=b"", **fields):
    made = tarfile.TarInfo(name)
    made.size, made.mtime = len(content), 7
    for key, value in fields.items():
        setattr(made, key, value)
    return made, content


def link(name, target, kind=tarfile.SYMTYPE):
    return entry(name, type=kind, linkname=target)


def directory(name):
    return entry(name, type=tarfile.DIRTYPE, mode=0o755)


def archive(*entries):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", encoding="utf-8", errors="surrogateescape") as made:
        for info, content in entries:
            made.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def raw(*entries):
    out = io.BytesIO()
    incus.rewrite(io.BytesIO(archive(*entries)), out, CREATED)
    return out.getvalue()


def read(content):
    """Return the entries of an archive, and the content of files: name → both."""
    with tarfile.open(
        fileobj=io.BytesIO(content), encoding="utf-8", errors="surrogateescape"
    ) as made:
        return {
            info.name: (info, file.read() if (file := made.extractfile(info)) else b"")
            if info.isreg()
            else (info, b"")
            for info in made
        }


def rewritten(*entries):
    content = raw(*entries)
    with tarfile.open(fileobj=io.BytesIO(content)) as made:
        names = made.getnames()
    assert sorted(names) == sorted({*names})
    return read(content)


def test_what_is_not_ours_stays_as_it_is():
    found = rewritten(
        directory("usr"),
        entry("usr/a", b"x" * 1000, mode=0o4755, uid=3, gid=300_000, mtime=12),
        link("usr/b", "a"),
        link("usr/c", "usr/a", tarfile.LNKTYPE),
        entry("usr/null", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
        entry("usr/.wh.x", b"no whiteout here"),
        entry("usr/pipe", type=tarfile.FIFOTYPE),
    )
    info, content = found["usr/a"]
    assert (content, info.mode, info.uid, info.gid) == (b"x" * 1000, 0o4755, 3, 300_000)
    assert info.mtime == 12
    assert found["usr/b"][0].linkname == "a"
    assert (found["usr/c"][0].islnk(), found["usr/c"][0].linkname) == (True, "usr/a")
    assert (found["usr/null"][0].ischr(), found["usr/null"][0].devminor) == (True, 3)
    assert found["usr/.wh.x"][1] == b"no whiteout here"
    assert found["usr/pipe"][0].isfifo()


@pytest.mark.parametrize(
    "name", ["a b", "new\nline", "ü", b"\xff\xfe".decode("utf-8", "surrogateescape"), "x" * 300]
)
def test_odd_names(name):
    found = rewritten(entry(f"home/{name}", b"1"), link("l", f"home/{name}", tarfile.LNKTYPE))
    assert found[f"home/{name}"][1] == b"1"
    assert found["l"][0].linkname == f"home/{name}"


@pytest.mark.parametrize("name", ["../x", "a/../../x", ".."])
def test_a_name_that_leads_out_is_refused(name):
    with pytest.raises(ImageError):
        raw(entry(name, b"1"))


def test_attributes_are_kept_to_the_byte():
    value = CAPABILITY.decode("utf-8", "surrogateescape")
    found = rewritten(entry("usr/bin/ping", b"x", pax_headers={XATTR: value}))
    kept = found["usr/bin/ping"][0].pax_headers[XATTR]
    assert kept.encode("utf-8", "surrogateescape") == CAPABILITY


def test_nobody_sees_where_and_when_it_was_made():
    new = {"mtime": "2000000.5", "atime": "2000000.5", "ctime": "2000000.5"}
    info = rewritten(entry("a", b"1", uname="me", gname="us", pax_headers=new))["a"][0]
    assert (info.mtime, info.uname, info.gname) == (CREATED, "", "")
    assert {"atime", "ctime", "mtime"}.isdisjoint(info.pax_headers)


def test_the_same_image_is_the_same_bytes_whenever_docker_looks_into_it():
    def looked_into(time):
        return raw(
            directory("etc"),
            entry(".dockerenv", mode=0o755, mtime=time),
            entry("etc/hosts", mode=0o755, mtime=time),
            entry("etc/mtab", type=tarfile.SYMTYPE, linkname="/proc/mounts", mtime=time),
        )

    assert looked_into(CREATED + 5) == looked_into(CREATED + 50)


def test_what_a_box_has_of_its_engine_or_for_itself_does_not_come_along():
    gone = [
        ".dockerenv", "dev/null", "dev/shm/x", "proc/1", "sys/x", "run/a/b", "etc/hosts",
        "etc/hostname", "etc/resolv.conf", "etc/ssh/ssh_host_rsa_key",
        "etc/ssh/ssh_host_rsa_key.pub", "var/lib/dbus/machine-id",
    ]  # fmt: skip
    stays = ["dev", "proc", "etc/hosts.allow", "etc/ssh/ssh_config", "home/dev/null"]
    found = rewritten(*map(entry, gone), *map(entry, stays))
    assert {*stays} <= {*found}
    assert {*gone}.isdisjoint(found)


@pytest.mark.parametrize("spelled", ["{}", "./{}", "/{}", ".//{}"])
def test_what_is_put_in_takes_the_place_of_what_was(spelled):
    networkd = "etc/systemd/system/systemd-networkd.service"
    found = rewritten(
        entry(spelled.format("etc/subuid"), b"agent:65536:131072\n"),
        entry(spelled.format("etc/machine-id"), b"0123\n"),
        link(spelled.format(networkd), "/dev/null"),
        link(spelled.format("etc/systemd/system/systemd-networkd.socket"), "/dev/null"),
        link(spelled.format("etc/systemd/system/getty.target"), "/dev/null"),
    )
    for name in ("etc/subuid", "etc/subgid"):
        assert found[name][1] == b"agent:1001:64535\n"
    assert (found["etc/machine-id"][0].size, found["etc/machine-id"][0].mode) == (0, 0o444)
    names = {os.path.normpath(name).lstrip("/") for name in found}
    assert networkd not in names
    assert "etc/systemd/system/getty.target" in names
    wanted = "etc/systemd/system/multi-user.target.wants/systemd-networkd.service"
    assert found[wanted][0].linkname == "/usr/lib/systemd/system/systemd-networkd.service"
    assert b"BindReadOnlyPaths=/sys" in found[f"{networkd}.d/containai.conf"][1]
    assert b"DHCP=yes" in found["etc/systemd/network/10-containai.network"][1]
    assert found["usr/local/lib/containai/resolver"][0].mode == 0o755
    assert all(info.mode == 0o644 for name, (info, _) in found.items() if name.endswith(".conf"))
    assert all((info.uid, info.gid) == (0, 0) for info, _ in found.values())


def test_directories_of_what_is_put_in_are_there_once_and_before_it():
    content = raw(directory("./etc/"), entry("etc/systemd", type=tarfile.DIRTYPE, mode=0o700))
    with tarfile.open(fileobj=io.BytesIO(content)) as made:
        names = [name.removeprefix("./") for name in made.getnames()]
        modes = {info.name: info.mode for info in made}
    assert names.count("etc") == names.count("etc/systemd") == 1
    assert (modes["etc/systemd"], modes["etc/systemd/network"]) == (0o700, 0o755)
    assert names.index("etc/systemd/network") < names.index(
        "etc/systemd/network/10-containai.network"
    )


def test_another_name_of_what_was_left_out_is_a_file_of_its_own():
    found = rewritten(
        entry("etc/subuid", b"old\n", mode=0o600),
        link("etc/subuid-", "etc/subuid", tarfile.LNKTYPE),
        link("etc/hosts", "/x"),
        link("a", "./etc/hosts", tarfile.LNKTYPE),
    )
    info, content = found["etc/subuid-"]
    assert (info.isreg(), info.mode, content) == (True, 0o600, b"old\n")
    assert (found["a"][0].issym(), found["a"][0].linkname) == (True, "/x")
    assert found["etc/subuid"][1] == b"agent:1001:64535\n"


def test_another_name_of_something_large_that_was_left_out_is_refused():
    large = entry("etc/hosts", bytes(2 << 20))
    with pytest.raises(ImageError, match="large"):
        raw(large, link("a", "etc/hosts", tarfile.LNKTYPE))
    assert "a" in rewritten(large, entry("a"))


@pytest.mark.parametrize("cut", [0, 100, 512 + 100, -10_240])
def test_what_ends_early_is_refused(cut):
    whole = archive(entry("a", bytes(5000)), entry("b", bytes(20_000)))
    with pytest.raises(ImageError):
        incus.rewrite(io.BytesIO(whole[:cut]), io.BytesIO(), CREATED)


def test_it_tells_how_far_it_is():
    told: list[int] = []
    source = io.BytesIO(archive(entry("a", bytes(5)), entry("b", bytes(7))))
    incus.rewrite(source, io.BytesIO(), CREATED, told.append)
    assert told == [5, 12]


def test_what_incus_is_told_of_it():
    found = read(incus.metadata(BASE, 12, "x86_64"))
    text = found["metadata.yaml"][1].decode()
    assert {"architecture: x86_64", "creation_date: 12"} <= {*text.splitlines()}
    assert f"  recipe: {BASE.digest}\n" in text
    assert f"  containai: {incus.key(BASE)}\n" in text
    for template in ("hostname.tpl", "hosts.tpl"):
        assert f"template: {template}\n" in text
        assert b"{{ instance.name }}" in found[f"templates/{template}"][1]
    assert incus.metadata(BASE, 12, "x86_64") == incus.metadata(BASE, 12, "x86_64")


def test_a_pulled_image_is_known_by_its_own_name():
    pulled = Recipe('example.com/"odd":1', "")
    text = read(incus.metadata(pulled, 12, "aarch64"))["metadata.yaml"][1].decode()
    # As YAML has it, too.
    assert '  description: "ContainAI example.com/\\"odd\\":1"\n' in text
    assert incus.alias(pulled).startswith("containai-other-")
    assert incus.key(pulled) != incus.key(BASE)


def test_it_is_another_one_where_something_else_is_put_in(tmp_path, monkeypatch):
    before = incus.alias(BASE)
    assert before == f"containai-base-{incus.key(BASE)}"
    files = tmp_path / "incus"
    shutil.copytree(incus.FILES, files)
    monkeypatch.setattr(incus, "FILES", str(files))
    assert incus.alias(BASE) == before
    (files / "rootfs" / "etc" / "more").touch()
    assert incus.alias(BASE) != before


@pytest.fixture
def engine(layout, monkeypatch, tmp_path):
    """An engine whose images are all the same archive, on the machine that this is."""
    path = tmp_path / "export.tar"
    path.write_bytes(archive(directory("etc"), entry("etc/x", b"1" * 10_000)))
    made = FakeEngine(Machine(layout))
    monkeypatch.setattr(made, "argv", lambda *_: ["cat", str(path)])
    monkeypatch.setattr(type(made.host), "free_bytes", lambda *_: 1 << 40)
    return made


IMAGE = Image("sha256:" + "1" * 64, size=10_000, created="2026-01-02T03:04:05.123456789Z")


@pytest.mark.parametrize("program", ["zstd", ""])
def test_two_files_that_incus_knows_by_their_sum(engine, program, tmp_path, monkeypatch):
    if program and engine.host.which(program) is None:
        pytest.skip("zstd is not installed")
    if not program:
        monkeypatch.setattr(engine.host, "which", lambda _: None)
        monkeypatch.setattr(engine.host, "_program", lambda name, **_: shutil.which(name))
    told: list[float | None] = []

    def packed(name):
        where = tmp_path / name
        where.mkdir()
        return incus.pack(engine, IMAGE, BASE, str(where), lambda _, done: told.append(done))

    one, two = packed("one"), packed("two")
    assert one.fingerprint == two.fingerprint == incus.fingerprint(one.metadata, one.rootfs)
    assert one.size == os.path.getsize(one.metadata) + os.path.getsize(one.rootfs)
    assert one.rootfs.endswith(".zst" if program else ".gz")
    with open(one.rootfs, "rb") as file:
        unpack = [program, "-dc"] if program else ["gzip", "-dc"]
        unpacked = subprocess.run(unpack, stdin=file, capture_output=True, check=True).stdout
    assert read(unpacked)["etc/x"][1] == b"1" * 10_000
    with open(one.metadata, "rb") as file:
        assert b"creation_date: 1767323045\n" in read(file.read())["metadata.yaml"][1]
    assert told
    assert all(done is not None and 0 <= done <= 1 for done in told)
    # The container that it was read through is gone.
    assert [request[0] for request in engine.requests] == ["create", "rm"] * 2


def test_an_engine_that_ends_early_says_why(engine, tmp_path, monkeypatch):
    argv = ["sh", "-c", "head -c 700 /dev/zero; echo out of order >&2; exit 3"]
    monkeypatch.setattr(engine, "argv", lambda *_: argv)
    with pytest.raises(ImageError, match="out of order"):
        incus.pack(engine, IMAGE, BASE, str(tmp_path), lambda *_: None)
    assert [request[0] for request in engine.requests] == ["create", "rm"]


@pytest.mark.parametrize(
    "created", ["", "0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "nonsense"]
)
def test_an_image_of_no_time_has_one_for_incus(engine, created, tmp_path):
    made = incus.pack(engine, IMAGE._replace(created=created), BASE, str(tmp_path), lambda *_: None)
    with open(made.metadata, "rb") as file:
        assert b"creation_date: 1\n" in read(file.read())["metadata.yaml"][1]


def test_a_disk_that_is_full_is_said_by_its_name(engine, tmp_path, monkeypatch):
    failing = ["sh", "-c", "head -c 10 >/dev/null; echo 'write error: No space left' >&2; exit 1"]
    monkeypatch.setattr(incus, "_ZSTD", (*failing, "sh"))
    with pytest.raises(NoSpaceError, match="No space left"):
        incus.pack(engine, IMAGE, BASE, str(tmp_path), lambda *_: None)
    assert [request[0] for request in engine.requests] == ["create", "rm"]
