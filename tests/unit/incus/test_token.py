import base64
import json
from datetime import UTC, datetime

import pytest

from containai.errors import UsageError
from containai.incus import token

NOW = datetime(2026, 6, 1, tzinfo=UTC)
WHOLE = {
    "client_name": "alice",
    "fingerprint": "AB" * 32,
    "addresses": ["10.0.0.5:8443", "[fd42::1]:8443"],
    "secret": "s" * 64,
    "expires_at": "0001-01-01T00:00:00Z",
}


def encoded(said):
    return base64.b64encode(json.dumps(said).encode()).decode()


def test_a_token_says_where_the_server_is_and_what_it_shows():
    text = encoded(WHOLE)
    found = token.decode(f"Client alice certificate add token:\n{text}\n", NOW)
    assert found.client_name == "alice"
    assert found.fingerprint == "ab" * 32
    assert found.addresses == ("10.0.0.5:8443", "[fd42::1]:8443")
    assert (found.secret, found.expires, found.text) == ("s" * 64, "", text)


@pytest.mark.parametrize("left", [-1, -2, -3, 40, 100])
def test_one_that_is_cut_short_is_called_so(left):
    with pytest.raises(UsageError, match="not whole"):
        token.decode(encoded(WHOLE)[:left], NOW)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        ("  \n", "is empty"),
        ("https://host:8443", "one long word"),
        ("äöü", "one long word"),
        (base64.b64encode(b"\xff\xfe\xfd").decode(), "no JSON"),
        (base64.b64encode(b"[" * 100_000 + b"]").decode()[:60_000], "no JSON"),
        (encoded([1]), "something else"),
        (encoded({}), "lacks a part"),
        (encoded(WHOLE | {"addresses": []}), "lacks a part"),
        (encoded(WHOLE | {"addresses": [1]}), "lacks a part"),
        (encoded(WHOLE | {"secret": ""}), "lacks a part"),
        (encoded(WHOLE | {"client_name": 7}), "lacks a part"),
        (encoded(WHOLE | {"fingerprint": "abc"}), "no fingerprint"),
    ],
)
def test_what_is_no_token(text, why):
    with pytest.raises(UsageError, match=why):
        token.decode(text, NOW)


def test_a_token_for_a_server_is_refused_by_name():
    said = {key: text for key, text in WHOLE.items() if key != "client_name"}
    with pytest.raises(UsageError, match="joins a cluster"):
        token.decode(encoded(said | {"server_name": "node2"}), NOW)


@pytest.mark.parametrize(
    ("expires", "is_over"),
    [
        ("2026-05-31T23:59:59.123456789Z", True),
        ("2026-06-01T00:00:01.1Z", False),
        ("2026-06-01T01:00:00+02:00", True),
        ("0001-01-01T00:00:00Z", False),
        ("soon", False),
        (None, False),
    ],
)
def test_one_that_has_expired_is_not_sent(expires, is_over):
    text = encoded(WHOLE | {"expires_at": expires})
    if is_over:
        with pytest.raises(UsageError, match="has expired"):
            token.decode(text, NOW)
    else:
        assert token.decode(text, NOW).text == text
