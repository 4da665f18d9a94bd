"""A program: `stream.py CONFIGURATION PLACE INSTANCE SECONDS` is a stream to a box's sshd.

It is ssh's ProxyCommand: its stdin and stdout are the stream. CONFIGURATION is the directory with
the user's places and their certificate. A server of 7.0.2 and later connects us to the box's
loopback (`instance_port_forward`); where that is not there, sshd itself is run on the stream, which
also ends it. SECONDS is for how long a box that boots is waited for.

Only when sshd has begun to speak is anything read of ssh: until then another try is as good.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time

if __name__ == "__main__":
    # Started alone, without what a user's environment adds: this is where it is found.
    sys.path.insert(0, os.path.abspath(f"{os.path.dirname(__file__)}/../.."))

from containai.errors import ContainAIError
from containai.incus import known
from containai.incus.channel import Channel
from containai.incus.client import Incus
from containai.incus.errors import IncusError, NotFoundError
from containai.incus.message import quoted
from containai.incus.relay import Outlet, Sink, relay
from containai.incus.tls import Identity

#: Where sshd of a box listens, in its own network.
ADDRESS, PORT = "127.0.0.1", 22
#: What sshd is run as where there is no way to its port: once the box's own runs, which waits for
#: all that is to be there before somebody comes in.
SSHD = ("sh", "-c", "until [ -e /run/sshd.pid ]; do sleep 0.1; done; exec /usr/sbin/sshd -i")
#: What a server says of a port that nobody listens at (yet).
_REFUSED = ("connection refused", "forknet connect")
#: What it answers of a resource that it does not have.
_ABSENT = (404, 405, 501)
_PAUSE = 0.3
#: How long sshd has to end, once ssh has, before it is killed; in seconds.
_LAST = 5.0


def command(configuration: str, place: str, instance: str, seconds: int) -> list[str]:
    """Return the ProxyCommand's words for an instance at a place; see above."""
    program = os.path.abspath(__file__)
    # -I: nothing of the environment or of the current directory is in it. -S: nor what is not used.
    return [sys.executable, "-IS", program, configuration, place, instance, str(seconds)]


def stream(
    incus: Incus, instance: str, *, patience: float, stdin: int = 0, stdout: int = 1
) -> None:
    """Carry bytes between two descriptors and the sshd of an instance, until either side ends.

    `patience` is for how long one that boots is waited for, in seconds. Raises an IncusError.
    """
    end = time.monotonic() + patience
    while True:
        try:
            channel = _forwarded(incus, instance)
        except NotFoundError:
            break
        except IncusError as wrong:
            if wrong.code in _ABSENT:
                break
            refused = any(each in wrong.text.lower() for each in _REFUSED)
            if not refused or time.monotonic() > end:
                raise
            time.sleep(_PAUSE)
        else:
            try:
                relay(channel, [(channel, Outlet(stdout))], source=stdin)
            finally:
                channel.close()
            return
    while not _run(incus, instance, stdin, stdout):
        if time.monotonic() > end:
            raise IncusError(
                "sshd ended before it said anything", hint="see: cai logs, for what its boot says"
            )
        time.sleep(_PAUSE)


def _forwarded(incus: Incus, instance: str) -> Channel:
    """Return a connection to sshd's port, by the server."""
    target = incus.target(f"/instances/{quoted(instance)}/port-forward")
    body = f'{{"address":"{ADDRESS}","port":{PORT}}}'.encode()
    return Channel(incus.wire.upgraded(target, "tcp", body, timeout=30.0))


def _run(incus: Incus, instance: str, stdin: int, stdout: int) -> bool:
    """Run sshd on the stream; return whether it has said anything."""
    # A third of what is imported, and newer servers need none of it.
    from containai.incus import exec as execution

    out = _Counted(stdout)
    with execution.attached(incus, instance, execution.Command(SSHD)) as (_, sockets):
        to, control = sockets["0"], sockets["control"]
        sinks = [(sockets["1"], out), (sockets["2"], Outlet(2))]
        if relay(to, sinks, source=stdin, others=[control], waits=True):
            return out.has_any
        # ssh has gone: sshd sees it, and ends its session as after any other.
        to.finish()
        rest = [(each, Sink()) for each, _ in sinks]
        with contextlib.suppress(IncusError):
            relay(to, rest, others=[control], end=time.monotonic() + _LAST)
    return True


class _Counted(Outlet):
    """An outlet that knows whether anything came."""

    has_any = False

    def write(self, data: bytes) -> None:
        """Take bytes."""
        self.has_any = self.has_any or bool(data)
        super().write(data)


def main(arguments: list[str]) -> int:
    """Return 0 when the stream has ended, 1 where there is none, after saying why."""
    import signal

    # ssh sends it at its end, which sshd is to see first. That stdout is closed says it, too.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    configuration, place, instance, seconds = arguments
    try:
        places = known.read(os.path.join(configuration, "remotes.json"))
        remote = places.remotes.get(place)
        if remote is None:
            raise IncusError(f"there is no remote place {place} any more")
        own = Identity(
            os.path.join(configuration, "client.crt"), os.path.join(configuration, "client.key")
        )
        with Incus(remote.served(own), remote.project) as incus:
            stream(incus, instance, patience=float(seconds))
    except ContainAIError as wrong:
        _say(place, wrong)
        return 1
    except OSError as wrong:
        _say(place, wrong)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _say(place: str, wrong: Exception) -> None:
    hint = getattr(wrong, "hint", "")
    text = f"cai: {place}: {wrong}" + (f" ({hint})" if hint else "")
    # What a server says is not to steer a terminal.
    plain = "".join(c if c.isprintable() else " " for c in text)
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{plain}\n")
        sys.stderr.flush()


if __name__ == "__main__":
    # At once: threads that wait for nothing any more are not waited for.
    os._exit(main(sys.argv[1:]))
