"""What the site cannot know by itself: its navigation, by directories, and which links leave it."""

import os
import re
from typing import Any

from containai.cli.topics import KINDS

REPOSITORY = "https://github.com/containai/containai"
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
#: What is for those who change ContainAI.
PROJECT = ["ARCHITECTURE.md", "CONTRIBUTING.md", "docs/releasing.md", "SECURITY.md", "CHANGELOG.md"]


def on_config(config: Any) -> None:
    """Have a tab for each kind of pages that there is."""
    kinds = [{kind.capitalize(): pages(f"docs/{kind}")} for kind in KINDS]
    project = [*PROJECT, {"Decisions": pages("docs/adr")}]
    start = [name for name in ("README.md", "docs/README.md") if os.path.exists(f"{ROOT}/{name}")]
    tabs = [{"Start": start}, *kinds, {"Project": project}]
    config.nav = [tab for tab in tabs if all(tab.values())]


def pages(directory: str) -> list[Any]:
    """Return the pages of a directory; those of one within it are below the page of its name."""
    there = os.path.join(ROOT, directory)
    names = sorted(os.listdir(there)) if os.path.isdir(there) else []
    found: list[Any] = []
    for name in names:
        inner = pages(f"{directory}/{name}") if os.path.isdir(os.path.join(there, name)) else []
        if inner:
            first = [f"{directory}/{name}.md"] if f"{name}.md" in names else []
            found.append({name.replace("-", " ").capitalize(): [*first, *inner]})
        elif name.endswith(".md") and name.removesuffix(".md") not in names:
            # The page of the directory itself comes first.
            found.insert(0 if name == "README.md" else len(found), f"{directory}/{name}")
    return found


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Have links to what is no page lead into the repository."""

    def led(found: re.Match[str]) -> str:
        path = os.path.normpath(os.path.join(os.path.dirname(page.file.src_uri), found[1]))
        file = files.get_file_from_path(path)
        if (file is None or file.inclusion.is_excluded()) and os.path.exists(f"{ROOT}/{path}"):
            return f"]({REPOSITORY}/blob/main/{path})"
        return found[0]

    # The heading is the page's title only where it comes first.
    text = re.sub(r"\A(<!--.*?-->\s*)+", "", markdown, flags=re.DOTALL)
    return re.sub(r"\]\(([^):#\s]+)\)", led, text)
