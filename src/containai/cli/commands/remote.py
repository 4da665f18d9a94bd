"""`cai remote add|ls|rm|use|show|prepare|doctor`."""

from containai.app import App
from containai.cli.command import Argument, Command, Example
from containai.cli.commands import _remote_doctor, _remote_prepare
from containai.cli.report import Note, Report, Table


def fingerprint(text: str) -> str:
    """Parse a fingerprint of a certificate."""
    from containai.flows import remotes

    return remotes.fingerprint(text)


def add(
    app: App,
    *,
    name: str,
    url: str | None,
    token: str | None,
    project: str | None,
    fingerprint: str | None,
) -> Report:
    """Have another machine that boxes can be on."""
    from containai.flows import remotes

    words = [each or "" for each in (url, token, project, fingerprint)]
    remote, used = remotes.add(app, remotes.Wanted(name, *words))
    value = {
        "name": remote.name,
        "addresses": list(map(str, remote.addresses)),
        "fingerprint": remote.pin,
        "project": remote.project,
        "server": remote.server,
        "token_used": used,
    }
    text = f"{remote.name} is {remote.server} at {remote.addresses[0]}, project {remote.project}\n"
    known = "your certificate was known there already: the token was not needed"
    return Report(value, [text], notes=[Note(known)] if token and not used else [])


def ls(app: App) -> Report:
    """List the places that boxes can be at."""
    from containai.incus import store
    from containai.layout import LOCAL

    places = store.load(app.layout)
    rows = [
        {
            "name": name,
            "is_default": name == places.default,
            "addresses": list(map(str, remote.addresses)),
            "project": remote.project,
            "server": remote.server,
            "fingerprint": remote.pin,
        }
        for name, remote in sorted(places.remotes.items())
    ]
    shown = [(LOCAL, "this machine", "", "")]
    shown += [
        (name, str(remote.addresses[0]), remote.project, remote.server)
        for name, remote in sorted(places.remotes.items())
    ]
    cells = [[*row, "default" if row[0] == places.default else ""] for row in shown]
    value = {"default": places.default, "remotes": rows}
    return Report(value, [Table(cells, ["NAME", "ADDRESS", "PROJECT", "SERVER", ""])])


def rm(app: App, *, name: str, force: bool) -> Report:
    """Forget a place."""
    from containai.flows import remotes

    remote, own, was = remotes.remove(app, name, force=force)
    value = {"name": remote.name, "certificate": own, "was_default": was}
    notes = []
    if own:
        notes.append(
            Note(
                "its server still knows your certificate, which you cannot change",
                f"the administrator takes it back: incus config trust remove {own}",
            )
        )
    if was:
        notes.append(Note("new boxes are on this machine again"))
    return Report(value, [f"{remote.name} is forgotten\n"], notes=notes)


def use(app: App, *, name: str) -> Report:
    """Say where boxes are where no place is named."""
    from containai.incus import store
    from containai.layout import LOCAL

    if name != LOCAL:
        store.find(app.layout, name)
    store.use(app.layout, name)
    where = "on this machine" if name == LOCAL else f"at {name}"
    return Report({"default": name}, [f"new boxes are {where}, where no place is named\n"])


def show(app: App, *, name: str | None) -> Report:
    """Show a place, and what its server says of itself."""
    from containai.flows import remotes

    seen = remotes.show(app, remotes.named(app, name))
    rows = [
        ("name", f"{seen.name}{' (default)' if seen.is_default else ''}"),
        ("addresses", ", ".join(seen.addresses)),
        ("server", f"{seen.server}, Incus {seen.version}, {seen.storage}, Linux {seen.kernel}"),
        ("fingerprint", seen.fingerprint),
        ("your certificate", seen.certificate),
        ("project", seen.project),
    ]
    rows += [
        (f"  {what}", f"{used} of {limit}" if limit >= 0 else str(used))
        for what, (limit, used) in sorted(seen.limits.items())
        if limit >= 0 or what == "instances"
    ]
    rows.append(("way to sshd", "port-forward" if seen.port_forward else "sshd -i in an exec"))
    rows += [(f"member {each.name}", f"{each.status}: {each.message}") for each in seen.members]
    return Report(seen, [Table([list(row) for row in rows])])


_NAME = Argument("NAME", "the place", required=True, kind="remotes")

COMMANDS = (
    Command(
        "remote add",
        "add a server of Incus that boxes can be on",
        add,
        group="places",
        arguments=(
            Argument("NAME", "what you call it", required=True, kind="remotes"),
            Argument("URL", "where it is (default: what its token says)"),
            Argument("--token", "what lets you in, once: its administrator makes it",
                     metavar="TOKEN"),
            Argument("--project", "the project for boxes, where several are yours",
                     metavar="PROJECT"),
            Argument("--fingerprint", "that of its certificate: nobody is asked about it",
                     metavar="FINGERPRINT", parse=fingerprint),
        ),
        examples=(
            Example("cai remote add work --token eyJjbGllbnRfbmFtZSI6…", "all is in the token"),
            Example("cai remote add work https://incus.example:8443", "that knows you already"),
        ),
        more="The administrator makes a token with incus config trust add NAME --restricted "
        "--projects PROJECT. It says which certificate the server has: one that shows another is "
        "refused, then and ever after. Without a token you are shown its fingerprint, and asked. "
        "Where the server has got another certificate (a cluster was enabled), cai remote add NAME "
        "asks whether that is right. Your own certificate is made with the first place.",
    ),
    Command(
        "remote ls",
        "list the places that boxes can be at",
        ls,
        group="places",
        examples=(Example("cai remote ls --json", "for machines"),),
        more="Nobody is asked: cai remote show NAME says whether a place answers.",
    ),
    Command(
        "remote rm",
        "forget a place",
        rm,
        group="places",
        arguments=(
            _NAME,
            Argument("--force", "also where boxes of yours are there, or it does not answer"),
        ),
        examples=(Example("cai remote rm work", ""),),
        more="Boxes that are there stay. The server knows your certificate until its administrator "
        "takes it back: what they need for that is said.",
    ),
    Command(
        "remote use",
        "say where boxes are where no place is named",
        use,
        group="places",
        arguments=(
            Argument("NAME", "the place; local is this machine", required=True,
                     kind="places"),
        ),
        examples=(
            Example("cai remote use work", ""),
            Example("cai remote use local", "on this machine, as before"),
        ),
    ),
    Command(
        "remote show",
        "show a place, and what its server says of itself",
        show,
        group="places",
        arguments=(
            Argument("NAME", "the place (default: that of cai remote use)",
                     kind="remotes"),
        ),
        examples=(Example("cai remote show work", "its certificate, version, members, limits"),),
    ),
    _remote_doctor.COMMAND,
    _remote_prepare.COMMAND,
)  # fmt: skip
