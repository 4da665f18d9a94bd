"""What of a file is brought: settings, and no login whose use here would end it there."""

import json

import pytest
import tomlkit

from containai.host import gitconfig
from containai.sync import filters, git
from containai.sync.filters import Asked

HOME = "/home/me"


def of_json(document: object) -> bytes:
    return json.dumps(document).encode()


def back(done: filters.Filtered) -> dict:
    assert done.content is not None
    return json.loads(done.content)


@pytest.mark.parametrize(
    ("document", "kept"),
    [
        # claude, codex, qwen: nothing is left.
        ({"claudeAiOauth": {"accessToken": "a", "refreshToken": "r"}}, None),
        ({"OPENAI_API_KEY": None, "tokens": {"refresh_token": "r"}, "auth_mode": "chatgpt"}, None),
        ({"access_token": "a", "refresh_token": "r", "expiry_date": 1}, None),
        # A key stays the same wherever it is used.
        ({"OPENAI_API_KEY": "sk"}, {"OPENAI_API_KEY": "sk"}),
        (
            {"OPENAI_API_KEY": "sk", "tokens": {"refresh_token": "r"}, "last_refresh": "then"},
            {"OPENAI_API_KEY": "sk"},
        ),
        (
            {"anthropic": {"type": "oauth", "refresh": "r"}, "openai": {"type": "api", "key": "k"}},
            {"openai": {"type": "api", "key": "k"}},
        ),
        (
            {"a": {"tokens": {"refresh": "r"}}, "b": {"c": {"key": "k"}}},
            {"a": {}, "b": {"c": {"key": "k"}}},
        ),
        (
            {"OPENAI_API_KEY": "sk", "tokens": {"refresh_token": ""}},
            {"OPENAI_API_KEY": "sk", "tokens": {"refresh_token": ""}},
        ),
    ],
)
def test_a_login_that_rotates_stays(document, kept):
    done = filters.rotating(of_json(document), "auth.json", Asked())
    assert (None if done.content is None else json.loads(done.content)) == kept
    assert bool(done.left_out) == (kept != document)
    whole = filters.rotating(of_json(document), "auth.json", Asked(rotating=True))
    assert back(whole) == document


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"{" * 100_000, b'{"a":'])
def test_a_login_that_nobody_can_read_stays(content):
    done = filters.rotating(content, "auth.json", Asked())
    assert done.content is None
    assert done.left_out


def test_settings_lose_the_hosts_directories_and_keep_their_comments():
    text = f'# mine\nmodel = "m"\nnotify = ["{HOME}/n.sh"]\n[projects."{HOME}/a"]\nt = 1\n'
    done = filters.settings(text.encode(), "config.toml", Asked(home=HOME))
    assert done.content == b'# mine\nmodel = "m"\nnotify = ["/home/agent/n.sh"]\n'
    assert done.left_out == ("projects: directories of the host",)
    assert done.programs == ("notify",)


def test_settings_that_nothing_is_left_out_of_stay_as_they_are():
    text = b'{ "a" : 1 }'
    assert filters.settings(text, "s.json", Asked()).content == text
    jsonc = b'{ "a": 1 } // why'
    assert filters.settings(jsonc, "s.jsonc", Asked()).content == jsonc
    assert filters.settings(jsonc, "s.jsonc", Asked(secrets=False)).content is None


def test_settings_without_secrets():
    document = {
        "model": "m",
        "max_tokens": 5,
        "env": {"ANYTHING": "x"},
        "mcpServers": {"s": {"command": "c", "env": {"K": "v"}, "headers": {"h": "v"}}},
        "providers": [{"name": "n", "apiKey": "k"}],
        "security": {"auth": {"token": "t"}},
    }
    done = filters.settings(of_json(document), "s.json", Asked(secrets=False))
    assert back(done) == {
        "model": "m",
        "max_tokens": 5,
        "mcpServers": {"s": {"command": "c"}},
        "providers": [{"name": "n"}],
        "security": {"auth": {}},
    }
    assert "security.auth.token: may be secret" in done.left_out
    toml = b'a = 1\n[mcp_servers.x]\ncommand = "c"\n[mcp_servers.x.env]\nK = "v"\n'
    done = filters.settings(toml, "c.toml", Asked(secrets=False))
    assert tomlkit.parse((done.content or b"").decode()).unwrap() == {
        "a": 1,
        "mcp_servers": {"x": {"command": "c"}},
    }


def test_what_claude_knows_of_the_user_and_not_of_the_host():
    document = {
        "projects": {f"{HOME}/src": {"history": ["x"]}},
        "oauthAccount": {"emailAddress": "a@b"},
        "hasCompletedOnboarding": True,
        "primaryApiKey": "sk",
        "githubRepoPaths": {"a/b": [f"{HOME}/b"]},
        "cachedChangelog": "…",
    }
    done = filters.claude(of_json(document), ".claude.json", Asked())
    assert back(done) == {
        "oauthAccount": {"emailAddress": "a@b"},
        "hasCompletedOnboarding": True,
        "primaryApiKey": "sk",
    }
    assert len(done.left_out) == 2
    done = filters.claude(of_json(document), ".claude.json", Asked(secrets=False))
    assert back(done) == {"hasCompletedOnboarding": True}


def test_paths_of_the_home_are_a_boxs():
    text = b'"/home/me/x" "/home/me2/x" "/mnt/home/me/x" "/home/me"'
    assert filters.rehomed(text, HOME) == (
        b'"/home/agent/x" "/home/me2/x" "/mnt/home/me/x" "/home/me"'
    )
    assert filters.rehomed(text, "/") == text


STAYS = """\
[user]
	name = N
	email = e@x
	signingKey = K
[commit]
	gpgSign = true
	template = ~/t
[tag]
	gpgSign
[gpg "ssh"]
	program = /p
[credential]
	helper = store
[CREDENTIAL "https://h"]
	helper = !run
[core]
	editor = vim
	sshCommand = s
	hooksPath = h
	fsmonitor = f
	excludesFile = /home/me/ignored
[http]
	proxy = http://u:p@h
	extraHeader = "Authorization: x"
	postBuffer = 1
[http "https://h/"]
	cookieFile = c
	sslCert = s
[url "https://token@github.com/"]
	insteadOf = gh:
[url "git@github.com:"]
	insteadOf = https://github.com/
[remote "x"]
	url = https://u:p@h/r
[github]
	token = t
[sendemail]
	smtpPass = p
[safe]
	directory = *
[includeIf "gitdir:~/work/"]
	path = ~/work.inc
[alias]
	st = status
	up = !git pull
"""


def test_git_keeps_who_one_is_and_how_one_works():
    done = git.filtered(STAYS.encode(), ".gitconfig", Asked(home=HOME))
    kept = {entry.name: entry.value for entry in gitconfig.parse((done.content or b"").decode())}
    assert kept == {
        "user.name": "N",
        "user.email": "e@x",
        "commit.template": "~/t",
        "core.editor": "vim",
        "core.excludesfile": "~/ignored",
        "http.postbuffer": "1",
        "url.git@github.com:.insteadof": "https://github.com/",
        "alias.st": "status",
        "alias.up": "!git pull",
    }
    said = "\n".join(done.left_out)
    assert "token@" not in said
    assert "u:p" not in said
    for name in ("credential.helper", "user.signingkey", "core.sshcommand", "includeif.path"):
        assert name in said


def test_a_configuration_that_git_would_not_read_stays():
    done = git.filtered(b"[user\n", ".gitconfig", Asked())
    assert done.content is None
    assert "none of a configuration of git" in done.left_out[0]
