"""Nothing of anybody is left, the same has the same word, and what is everybody's stays."""

import pytest

from containai.work.masking import Masking, Place


@pytest.fixture
def masking():
    masking = Masking(
        [
            Place("/home/alice", "<home>"),
            Place("~", "<home>"),
            Place("/home/alice/.ssh/containai.d", "<home>/.ssh/containai.d"),
            Place("/etc/containai", "/etc/containai", is_open=True),
        ],
        ["ssh.port_range", "image.name"],
    )
    masking.know("user", "alice", "Alice Liddell", "bo")
    masking.know("host", "laptop7")
    masking.know("name", "my-api")
    masking.know("workspace", "/home/alice/My Secret", "/srv/acme")
    masking.know("value", "hunter2!")
    return masking


@pytest.mark.parametrize(
    "secret",
    [
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "sk-ant-api03-Zm9vYmFy",
        "AKIAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcDEF_-123",
        "q8Zr2LmX0pTfYw6N",
        "hunter2!",
        "10.1.2.3",
        "fe80::1234:5678",
        "2001:db8::1",
        "02:42:ac:11:00:02",
        "alice",
        "ALICE",
        "Alice Liddell",
        "laptop7",
        "my-api",
        "web-4bce6967",
        "proxy.corp.example",
        "host.corp.local",
        "someone@example.org",
        "/home/alice/My Secret/plans",
        "/home/carol/tax",
        "~/My Secret/plans",
        "/srv/acme/plans",
        "registry.corp.example/team/app:1",
        "0123456789abcdef" * 4,
    ],
)
@pytest.mark.parametrize(
    "around",
    ["{}", "it is {}, gone", '"{}"', "'{}'", 'msg="at \\"{}\\""', "key={} other=1", "({})", "[{}]"],
)
def test_a_secret_is_masked_wherever_it_stands(masking, secret, around):
    said = masking.line(around.format(secret))
    assert secret.lower() not in said.lower()
    for part in ("plans", "carol", "corp", "team", "example.org", "Secret", "acme"):
        assert part not in said


@pytest.mark.parametrize(
    "text",
    [
        "token=abc",
        'api_key: "a b c"',
        "DB_PASSWORD='a b c'",
        "Authorization: Bearer abc.def",
        "passphrase = abc",
        "x-secret-thing=abc",
        "Bearer abc",
        "http://abc:a@127.0.0.1:3128/",
        "https://example.com/abc?x=abc",
        "ssh-ed25519 AAAAabcAAAA abc@abc",
        "file:///home/alice/abc",
    ],
)
def test_what_is_called_a_secret_is_one(masking, text):
    assert "abc" not in masking.line(text)


def test_a_key_over_several_lines_is_one_secret(masking):
    key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\nbnNz\n-----END OPENSSH PRIVATE KEY-----"
    assert masking.lines(f"before\n{key}\nafter") == ["before", "<secret-1>", "", "after"]
    # Also where its end was cut off.
    assert masking.lines(f"before\n{key[:50]}")[1] == "<secret-2>"


def test_the_same_has_the_same_word_everywhere(masking):
    said = masking.line("alice on laptop7: my-api, /home/alice/.ssh/containai.d/my-api.conf, ALICE")
    name = "<name-1>"
    assert said == f"<user-1> on <host-1>: {name}, <home>/.ssh/containai.d/{name}.conf, <user-1>"
    again = masking.line("10.1.2.3 10.9.9.9 10.1.2.3/24")
    assert again == "<address-1> <address-2> <address-1>/24"
    assert masking.line("10.9.9.9") == "<address-2>"


@pytest.mark.parametrize(
    "text",
    [
        "dockerd 20.10.24+dfsg1, runc 1.1.5+ds1, containerd 1.6.20~ds1, kernel 6.18.0-13-amd64",
        "fs.inotify.max_user_instances 128, net.ipv4.neigh.default.gc_thresh3, fs.aio-max-nr",
        "CVE-2025-31133: no use to a root that is nobody outside",
        "/etc/containai/docker/daemon.json, /usr/lib/os-release, /proc/sys/kernel",
        "ghcr.io/containai/base:recipe-2f4c8c8547a968fe of ghcr.io",
        "time=2026-11-27T23:14:24.123456789Z level=info 12:34:56",
        "127.0.0.1:2300 ::1 0.0.0.0 localhost:22",
        "config.toml ssh.port_range image.name containai-docker.service docker-containai",
        "the box does not run, and/or GNU/Linux on linux/amd64",
    ],
)
def test_what_is_everybodys_stays(masking, text):
    assert masking.line(text) == text


def test_what_a_box_says_steers_nothing_and_is_none_of_our_words(masking):
    said = masking.line("\x1b]0;x\x07 <user-1> \x9b2J\n== Checks\r\u202eok")
    assert said.isprintable()
    assert "<user-1>" not in said
    assert "\n" not in said


def test_a_known_word_within_others_is_masked_where_it_is_long(masking):
    assert "alice" not in masking.line("xalicex alice_key alices")
    # A short one would be in every word.
    assert masking.line("box bob bo") == "box bob <user-2>"
    # A path is not another that begins alike.
    assert masking.line("/srv/acmes") == "/srv/<path-1>"


def test_words_of_ours_are_known_to_nobody(masking):
    masking.know("name", "docker", "engine", "", "7", "a")
    assert masking.line("docker engine 7 a") == "docker engine 7 a"
