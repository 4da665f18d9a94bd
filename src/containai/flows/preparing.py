"""An Incus server prepared for boxes: by its administrator, on the server itself."""

from collections.abc import Callable

from containai.app import App
from containai.errors import ContainAIError, PrivilegeError, UnsupportedError
from containai.host.machine import Machine
from containai.host.proc import Done, ProcessError
from containai.incus import prepare
from containai.incus.prepare import Wanted
from containai.work.actions import Plan, Run, agreement
from containai.work.ui import Progress

#: The one release whose packages were tried.
_RELEASE = ("debian", "13")


def apply(app: App, wanted: Wanted) -> tuple[str, str]:
    """Prepare this machine; return the token, and what is said beside it.

    The token is "" where its user is trusted already. Each part looks at what is there: what was
    interrupted goes on the next time. Raises UsageError, PrivilegeError, UnsupportedError where it
    is not for this machine, ContainAIError where a part fails, or nobody agrees.
    """
    parts = prepare.commands(wanted)
    refuse(app.host)
    app.ui.tell(agreement([Plan("server", tuple(parts))]))
    if not app.ui.ask("Prepare this server?"):
        raise ContainAIError("nothing was changed", hint="agree to it: --yes")
    for number, part in enumerate(parts, 1):
        progress = app.ui.step(part.title, number, len(parts))
        try:
            if number == len(parts):
                done = app.host.run(part.words, root=True)
                break
            app.host.stream(part.words, _teller(progress), root=True)
        except ProcessError as failed:
            raise _failed(part, failed.done) from None
    return done.out.strip(), done.err.strip()


def _teller(progress: Progress) -> Callable[[str], None]:
    return lambda line: progress(line, None)


def _failed(part: Run, done: Done) -> ContainAIError:
    """Return the error for a part: what it is says more than its script."""
    said = (done.err.strip() or done.out.strip()).splitlines() or [f"code {done.code}"]
    return ContainAIError(
        f"the server is not prepared yet: it failed at: {part.title}: {said[-1]}",
        hint="what was done before it stays, and is found by the next try; what Incus says: "
        "journalctl -u incus",
    )


def refuse(host: Machine) -> None:
    """Raise an error where this machine is not to be prepared by us."""
    by_hand = "print what it would do, and run that there: cai remote prepare >prepare.sh"
    if not host.is_root():
        raise PrivilegeError(
            "only root prepares a server",
            hint=f"on the server: sudo cai remote prepare --apply; or {by_hand}",
        )
    release = host.os_release()
    if (release.get("ID", ""), release.get("VERSION_ID", "")) != _RELEASE:
        seen = release.get("PRETTY_NAME") or release.get("ID") or "another system"
        raise UnsupportedError(
            f"this is {seen}; what is prepared is Debian 13",
            hint="with Incus 6.0.4 or later from elsewhere, leave the part of packages out: "
            f"{by_hand}",
        )
