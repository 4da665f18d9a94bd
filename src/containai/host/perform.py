"""Carrying an action out: the values of containai.work, through processes and files."""

from typing import TYPE_CHECKING

from containai.errors import ContainAIError
from containai.host import files
from containai.work.actions import Action, Attempted, Do, Fetch, Later, Run, WriteFile
from containai.work.ui import Progress

if TYPE_CHECKING:
    from containai.host.machine import Machine


def perform(host: "Machine", action: Action, progress: Progress) -> None:
    """Do it, whole or not at all. Raises ContainAIError where it fails."""
    match action:
        case Run():
            host.stream(action.words, lambda line: progress(line, None), root=action.root)
        case WriteFile():
            progress(f"writing {action.path}", None)
            files.write_as_root(host, action.path, action.text, action.mode)
        case Fetch():
            from containai.host import download  # it and urllib cost 40 ms

            download.fetch(host, action.pin, action.directory, progress, offline=action.offline)
        case Do():
            action.act(progress)
        case Attempted():
            _attempt(host, action, progress)
        case Later():
            progress(f"known by now: {action.what}", None)


def _attempt(host: "Machine", attempted: Attempted, progress: Progress) -> None:
    if attempted.trial.failed:
        return
    try:
        perform(host, attempted.action, progress)
    except ContainAIError as failed:
        attempted.trial.failed = str(failed).splitlines()[0]
