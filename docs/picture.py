"""Makes the picture of the README of a real run: python docs/picture.py

To be run in a workspace called api, which has no box yet, with cai first on the PATH. Each line is
run at a terminal of its own, and what that shows becomes docs/picture.svg.
"""

import io
import os
import pty
import re
import sys

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

WHERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "picture.svg")
WIDTH = 96
LINES = (
    "cai run . -- systemctl is-system-running --wait",
    "cai run . -- docker info --format 'its own Docker, {{.ServerVersion}}, on {{.Name}}'",
    "cai run . -- sudo head -n 1 /proc/self/uid_map      # root in there, nobody out here",
    "cai ls",
    "cai doctor --attack | tail -n 1",
)


def shown(line: str) -> str:
    """Run a line of a shell at a terminal; return what was seen there."""
    seen: list[bytes] = []

    def read(fd: int) -> bytes:
        seen.append(os.read(fd, 1 << 16))
        return seen[-1]

    os.environ |= {"TERM": "xterm", "COLUMNS": str(WIDTH), "CAI_YES": "1", "CAI_OUTPUT": "quiet"}
    code = pty.spawn(["/bin/sh", "-c", line], read)
    if code:
        sys.exit(f"{line}: {b''.join(seen).decode()}")
    return b"".join(seen).decode().replace("\r\n", "\n")


def main() -> None:
    """Write the picture."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    for line in LINES:
        console.print(Text.assemble(("$ ", "green"), (line, "bold")))
        console.print(Text.from_ansi(shown(line)))
    # Rich's own has a font be fetched.
    form = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    svg = console.export_svg(title="cai", code_format=form, unique_id="picture")
    with open(WHERE, "w", encoding="utf-8") as file:
        file.write(re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE))


if __name__ == "__main__":
    main()
