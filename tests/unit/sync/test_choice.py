"""Patterns of --include and --exclude."""

import pytest

from containai.sync.choice import Choice, matches, pattern


@pytest.mark.parametrize(
    ("path", "text", "does"),
    [
        (".claude/skills/a/SKILL.md", ".claude/skills", True),
        (".claude/skills/a/SKILL.md", ".claude/*", True),
        (".claude/skills/a/SKILL.md", "*.md", True),
        (".claude/skills/a/SKILL.md", "skills", False),
        (".claude.json", ".claude", False),
        (".claude.json", ".claude*", True),
        (".Claude.json", ".claude*", False),
        (".config/nvim/init.lua", ".config/[nv]*", True),
        (".config/gh/hosts.yml", ".config/g?/hosts.yml", True),
        ("a\nb/c", "a*", True),
    ],
)
def test_a_pattern_is_of_a_path_or_of_a_directory_on_the_way(path, text, does):
    assert matches(path, text) == does


@pytest.mark.parametrize("text", ["", "/", "~/", "/etc", "../x", "a/../b", "a\0"])
def test_what_is_no_pattern(text):
    with pytest.raises(ValueError, match="below the home"):
        pattern(text)


@pytest.mark.parametrize("text", ["~/.claude/", "./.claude", ".claude"])
def test_ways_to_say_one(text):
    assert pattern(text) == ".claude"


def test_what_is_excluded_wins():
    choice = Choice(include=(".claude*",), exclude=("*.md",))
    assert choice.refused(".claude/CLAUDE.md") == "excluded"
    assert choice.refused(".claude/settings.json") == ""
    assert choice.refused(".codex/config.toml") == "not included"
    assert Choice().refused(".codex/config.toml") == ""
