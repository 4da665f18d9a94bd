"""What of a file is brought into a box: settings, and no login that must not be in two places.

Each takes what is in a file, and returns that with what it left out. Pure.
"""

import json
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from containai.layout import HOME_IN_BOX

#: What says that a login is renewed, by another name for it each.
_REFRESHED = frozenset({"refresh", "refresh_token", "refreshtoken"})
#: Where what is left of such a file has a login that stays the same.
_LASTING = re.compile(r"(?i)(openai_api_key|api_?key|key|token|personal_access_token)")
#: Names of values that are secret, and of those that may have anything.
_SECRET = re.compile(
    r"(?i).*(api[-_]?key|_key|token|secret|passw(or)?d|authorization|credential|bearer|cookie).*"
)
_UNKNOWN = frozenset({"env", "headers", "http_headers", "environment"})
#: What settings have that runs programs of the machine they were written on.
PROGRAMS = (
    "hooks", "statusLine", "apiKeyHelper", "awsAuthRefresh", "awsCredentialExport",
    "otelHeadersHelper", "mcpServers", "mcp_servers", "mcp", "notify", "lsp", "formatter",
)  # fmt: skip
#: What `~/.claude.json` has beside the histories of projects, caches, and paths of the machine.
_CLAUDE = frozenset(
    {
        "autoCompactEnabled", "autoConnectIde", "autoInstallIdeExtension", "autoUpdates",
        "bypassPermissionsModeAccepted", "customApiKeyResponses", "diffTool", "editorMode", "env",
        "fileCheckpointingEnabled", "hasAcknowledgedCostThreshold", "hasCompletedOnboarding",
        "lastOnboardingVersion", "mcpServers", "messageIdleNotifThresholdMs", "oauthAccount",
        "optionAsMetaKeyInstalled", "parallelTasksCount", "preferredNotifChannel", "primaryApiKey",
        "respectGitignore", "shiftEnterKeyBindingInstalled", "terminalProgressBarEnabled", "theme",
        "todoFeatureEnabled", "userID", "verbose",
    }
)  # fmt: skip


class Asked(NamedTuple):
    """What of logins is asked for, and where the home is that files come from, "" if nobody knows.

    `read` returns what else is in that home.
    """

    secrets: bool = True
    rotating: bool = False
    home: str = ""
    read: Callable[[str], bytes | None] = lambda _: None


class Filtered(NamedTuple):
    """What is brought of a file, None for nothing; and what is not, and why."""

    content: bytes | None
    left_out: tuple[str, ...] = ()
    #: What it has that runs programs.
    programs: tuple[str, ...] = ()


class Treatment(StrEnum):
    """How a file is looked at."""

    #: It is brought as it is.
    WHOLE = "whole"
    #: Settings of an agent.
    SETTINGS = "settings"
    CLAUDE = "claude"
    #: A login with a token that is another one after each use.
    ROTATING = "rotating"
    GIT = "git"


def rehomed(content: bytes, home: str) -> bytes:
    """Return a text with the paths below a home as they are in a box."""
    if not home.strip("/"):
        return content
    pattern = rb"(?<![\w./~-])" + re.escape(home.encode()) + rb"(?=/)"
    return re.sub(pattern, HOME_IN_BOX.encode(), content)


def settings(content: bytes, path: str, asked: Asked) -> Filtered:
    """Return an agent's settings: without what is said of directories of the host."""
    content = rehomed(content, asked.home)
    document = _parsed(content, path)
    if document is None:
        if asked.secrets:
            return Filtered(content)
        return Filtered(None, ("it may hold secrets",))
    left = [f"{key}: directories of the host" for key in _of_host(document, path)]
    for key in _of_host(document, path):
        del document[key]
    if not asked.secrets:
        left += [f"{name}: may be secret" for name in _without_secrets(document)]
    programs = tuple(key for key in PROGRAMS if document.get(key))
    return Filtered(_text(document, path) if left else content, tuple(left), programs)


def claude(content: bytes, path: str, asked: Asked) -> Filtered:
    """Return what of `~/.claude.json` is a setting, or says who is logged in."""
    document = _parsed(rehomed(content, asked.home), path)
    if document is None:
        return Filtered(None, ("it is no JSON",))
    kept = {key: value for key, value in document.items() if key in _CLAUDE}
    left = ["projects: histories, and directories of the host"] * ("projects" in document)
    if count := len(document) - len(kept) - len(left):
        left.append(f"{count} more: caches, counts, and paths of the host")
    if not asked.secrets:
        left += [f"{name}: may be secret" for name in _without_secrets(kept)]
        if kept.pop("oauthAccount", None) is not None:
            left.append("oauthAccount: who is logged in")
    programs = tuple(key for key in PROGRAMS if kept.get(key))
    return Filtered(_text(kept, path) if kept else None, tuple(left), programs)


def rotating(content: bytes, path: str, asked: Asked) -> Filtered:
    """Return a login without those tokens whose use here would end it there."""
    if asked.rotating:
        return Filtered(content)
    document = _parsed(content, path)
    if document is None:
        return Filtered(None, ("nobody knows whether it can be in two places",))
    kept, left = _without_refreshed(document, "")
    if not left:
        return Filtered(content)
    if kept is None or not _has_lasting(kept):
        return Filtered(None, left)
    # Of codex: that it is logged in with what is not there.
    kept = {key: value for key, value in kept.items() if key not in ("auth_mode", "last_refresh")}
    return Filtered(_text(kept, path), left)


def _without_refreshed(value: Mapping[str, Any], name: str) -> tuple[dict[str, Any] | None, Any]:
    """Return a dictionary without those in it that have a refresh token, and their names."""
    why = "renewed at each use, which would log the other copy out"
    if any(key.lower() in _REFRESHED and value[key] for key in value):
        return None, (f"{name}: {why}" if name else why,)
    kept: dict[str, Any] = {}
    left: tuple[str, ...] = ()
    for key, inner in value.items():
        if not isinstance(inner, dict):
            kept[key] = inner
            continue
        below, names = _without_refreshed(inner, f"{name}.{key}" if name else key)
        left += names
        if below is not None:
            kept[key] = below
    return kept, left


def _has_lasting(value: Mapping[str, Any]) -> bool:
    return any(
        _has_lasting(inner)
        if isinstance(inner, dict)
        else isinstance(inner, str) and bool(inner) and _LASTING.fullmatch(key) is not None
        for key, inner in value.items()
    )


def _of_host(document: Mapping[str, Any], path: str) -> list[str]:
    """Return the keys under which directories of the host are remembered."""
    names = ("projects", "trusted_folders", "trustedFolders", "additionalDirectories")
    return [key for key in names if key in document]


def _without_secrets(document: dict[str, Any], name: str = "") -> list[str]:
    """Take what may be secret out of a dictionary; return its names."""
    left = []
    for key in list(document):
        value, shown = document[key], f"{name}.{key}" if name else key
        if key in _UNKNOWN or (_SECRET.fullmatch(key) and not isinstance(value, bool | int)):
            del document[key]
            left.append(shown)
        elif isinstance(value, dict):
            left += _without_secrets(value, shown)
        elif isinstance(value, list):
            for inner in value:
                left += _without_secrets(inner, shown) if isinstance(inner, dict) else []
    return left


def _parsed(content: bytes, path: str) -> Any:
    """Return the dictionary that is in a file, which can be changed, or None where it is none."""
    try:
        text = content.decode()
        if path.endswith(".toml"):
            import tomlkit

            return tomlkit.parse(text)
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _text(document: Any, path: str) -> bytes:
    if path.endswith(".toml"):
        import tomlkit

        return tomlkit.dumps(document).encode()
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"
