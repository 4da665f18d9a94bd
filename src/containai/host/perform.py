"""Carrying an action out: the values of containai.work, through processes and files."""

from containai.errors import ContainAIError
from containai.host import files, proc
from containai.work.actions import Action, Attempted, Do, Fetch, Later, Run, WriteFile
from containai.work.ui import Progress


def perform(action: Action, progress: Progress) -> None:
    """Do it, whole or not at all. Raises ContainAIError where it fails."""
    match action:
        case Run():
            proc.stream(action.words, lambda line: progress(line, None), root=action.root)
        case WriteFile():
            progress(f"writing {action.path}", None)
            files.write_as_root(action.path, action.text, action.mode)
        case Fetch():
            from containai.host import download  # it and urllib cost 40 ms

            download.fetch(action.pin, action.directory, progress, offline=action.offline)
        case Do():
            action.act(progress)
        case Attempted():
            _attempt(action, progress)
        case Later():
            progress(f"known by now: {action.what}", None)


def _attempt(attempted: Attempted, progress: Progress) -> None:
    if attempted.trial.failed:
        return
    try:
        perform(attempted.action, progress)
    except ContainAIError as failed:
        attempted.trial.failed = str(failed).splitlines()[0]
