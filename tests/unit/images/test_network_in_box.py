"""The program in a box that has everything know certificates and proxies, tried outside of one."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

PROGRAM = (
    Path(__file__).parents[3] / "src/containai/images/base/rootfs/usr/local/lib/containai/network"
)
ONE = "-----BEGIN CERTIFICATE-----\nT25l\n-----END CERTIFICATE-----\n"
OTHER = ONE.replace("T25l", "b3Ro")


def loaded(**constants: str) -> dict[str, Any]:
    """Return what the program defines, with other paths."""
    names: dict[str, Any] = {"__name__": "network"}
    exec(compile(PROGRAM.read_text(encoding="utf-8"), str(PROGRAM), "exec"), names)
    names.update(constants)
    return names


def test_certificates_are_what_is_between_their_lines() -> None:
    text = f"http_proxy=http://p:1\nCorp\n{ONE}said\n{OTHER}-----BEGIN CERTIFICATE-----\ncut off\n"
    assert loaded()["certificates"](text) == [ONE, OTHER]


def test_what_is_placed_has_values_and_the_first_of_each_counts(tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.write_text(f"http_proxy=http://p:1/?a=b\nhttp_proxy=http://q:1\n{ONE}", encoding="ascii")
    names = loaded(GIVEN=str(given))
    assert names["given"]()["http_proxy"] == "http://p:1/?a=b"


def test_programs_are_told_of_proxies_and_go_directly_to_the_box_itself() -> None:
    told = loaded()["proxies"]({"https_proxy": "http://p:1", "no_proxy": "localhost,10.0.0.0/8"})
    assert told["https_proxy"] == told["HTTPS_PROXY"] == "http://p:1"
    assert told["no_proxy"] == told["NO_PROXY"]
    assert told["no_proxy"].split(",")[:2] == ["localhost", "10.0.0.0/8"]
    assert told["no_proxy"].split(",")[-1] == os.uname().nodename
    assert told["NODE_USE_ENV_PROXY"] == "1"
    assert loaded()["proxies"]({"no_proxy": "localhost"}) == {}


def test_a_file_is_written_only_where_it_differs_and_has_its_mode(tmp_path: Path) -> None:
    path, put = tmp_path / "file", loaded()["put"]
    assert put(str(path), "", 0o600)
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.stat().st_ino
    assert not put(str(path), "")
    assert path.stat().st_ino == before
    assert put(str(path), "new")
    assert path.read_text(encoding="ascii") == "new"
    assert path.stat().st_mode & 0o777 == 0o644
    assert os.listdir(tmp_path) == ["file"]


def test_a_command_is_tried_with_them_trusted_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "corp.crt").write_text(ONE, encoding="ascii")
    (tmp_path / "store.crt").write_text(OTHER, encoding="ascii")
    names = loaded(BUNDLE=str(tmp_path / "store.crt"))
    script = (
        f'cat "$SSL_CERT_FILE" "$NODE_EXTRA_CA_CERTS" >{tmp_path}/seen; '
        f'echo "$SSL_CERT_FILE" >{tmp_path}/where; exit 7'
    )
    assert names["trying"](str(tmp_path / "given"), "sh", "-c", script) == 7
    assert (tmp_path / "seen").read_text(encoding="ascii") == OTHER + ONE + ONE
    assert not os.path.exists((tmp_path / "where").read_text(encoding="ascii").strip())
    # With none, it is told nothing.
    nothing = ("sh", "-c", f'test "${{PIP_CERT-}}" = "{os.environ.get("PIP_CERT", "")}"')
    assert names["trying"](str(tmp_path / "none"), *nothing) == 0
    assert names["trying"](str(tmp_path / "none"), "sh", "-c", "kill -9 $$") == 128 + 9


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes certificates with openssl")
def test_a_store_leads_to_each_by_name_and_by_the_next_free_hash(tmp_path: Path) -> None:
    anchors, store = tmp_path / "anchors", tmp_path / "store"
    for directory in (anchors, store):
        directory.mkdir()
    for number in (1, 2):
        make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=corp"
        path = str(anchors / f"containai-00{number}.crt")
        subprocess.run(
            [*make.split(), "-keyout", "/dev/null", "-out", path], check=True, capture_output=True
        )
    asked = ["openssl", "x509", "-noout", "-hash", "-in", path]
    digest = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    (store / f"{digest}.0").symlink_to("somebody-elses.pem")
    loaded(ANCHORS=str(anchors), STORE=str(store))["link"]()
    assert sorted(os.listdir(anchors)) == ["containai-001.crt", "containai-002.crt"]
    links = {name: os.readlink(store / name) for name in os.listdir(store)}
    both = {links.pop(f"{digest}.1"), links.pop(f"{digest}.2")}
    assert both == {"containai-001.pem", "containai-002.pem"}
    assert links.pop(f"{digest}.0") == "somebody-elses.pem"
    expected = {f"containai-00{n}.pem": str(anchors / f"containai-00{n}.crt") for n in (1, 2)}
    assert links == expected
