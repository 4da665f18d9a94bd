"""What editors do over plain ssh, step by step: their commands, forwards, masters and transfers."""

import asyncio
import contextlib
import hashlib
import os
import signal
import socket
import subprocess

import asyncssh
import pytest

from harness.remote_editor import SERVER, WebSocket, connected, free_port, said, through_socks
from harness.waiting import until

#: What VS Code's extension has a remote shell do, shortened: a server is there or is started, under
#: a lock, and where it listens is said.
INSTALL = r"""
unset LD_LIBRARY_PATH; umask 077
DIR=$HOME/.vscode-server/cli/servers/Stable-1f/server; BIN=$DIR/bin/code-server
LOG=$HOME/.vscode-server/.1f.log; PID=$HOME/.vscode-server/.1f.pid
LOCK=$XDG_RUNTIME_DIR/vscode-remote-lock.$USER.1f; touch $LOCK.target
until ln $LOCK.target $LOCK 2>/dev/null; do :; done
if kill -0 "$(cat $PID 2>/dev/null)" 2>/dev/null; then echo found==running==; else
    [ -e $BIN ] || { mkdir -p $DIR/bin; base64 -d >$BIN <<'END'
%s
END
    chmod +x $BIN; echo didInstall==1==; }
    $BIN --start-server --host=127.0.0.1 --accept-server-license-terms \
        --enable-remote-auto-shutdown --port=0 >$LOG 2>&1 </dev/null &
    echo $! >$PID
    until grep -q listening $LOG; do :; done
fi
rm $LOCK
echo "listeningOn==$(sed -n 's/.*listening on //p' $LOG)=="
echo "tmpDir==$XDG_RUNTIME_DIR=="; echo "platform==$(uname | tr A-Z a-z)=="
"""
STOP = "kill $(cat ~/.vscode-server/.1f.pid); rm -rf ~/.vscode-server/{cli,.1f*}"


@pytest.fixture
def clean(shared):
    yield shared
    shared.run("bash", "-c", STOP, check=False)


def install():
    import base64

    return INSTALL % base64.encodebytes(SERVER.encode()).decode().strip()


@pytest.mark.parametrize("command", [[], ["bash"], ["sh"]], ids=["login", "bash", "sh"])
def test_vs_code_s_way_in(clean, command):
    """A shell without a terminal, its script on stdin, and everything else through SOCKS."""
    proxy = free_port()
    words = ["-v", "-T", "-D", str(proxy), "-o", "ConnectTimeout=15"]
    with connected(clean, *words, command=command) as ssh:
        first = said(ssh, install())
        assert first["didInstall"] == "1"
        assert (first["tmpDir"], first["platform"]) == ("/run/user/1000", "linux")
        port = int(first["listeningOn"])
        with contextlib.closing(through_socks(proxy, port)) as connection:
            pid, _, back = WebSocket(connection).ask(b"x" * 40_000)
            assert back == b"x" * 40_000
    # The connection was killed. Another window finds what the first has left.
    proxy = free_port()
    with connected(clean, "-T", "-D", str(proxy), command=command) as ssh:
        again = said(ssh, install())
        assert again["found"] == "running"
        with contextlib.closing(through_socks(proxy, int(again["listeningOn"]))) as connection:
            assert WebSocket(connection).ask(b"more") == (pid, "/home/agent/workspace", b"more")


def test_vs_code_s_server_on_a_socket(clean):
    """As with `remote.SSH.remoteServerListenOnSocket`."""
    local, path = free_port(), "/run/user/1000/code-1f.sock"
    with connected(clean, "-T", "-L", f"{local}:{path}", command=["bash"]) as ssh:
        said(ssh, install().replace("--host=127.0.0.1", f"--socket-path={path}"))
        with socket.create_connection(("127.0.0.1", local)) as connection:
            assert WebSocket(connection).ask(b"by a socket")[2] == b"by a socket"
    clean.run("rm", "-f", path)


def test_zed_s_way_in(site, clean, tmp_path):
    """A master of its own, its server copied through that, and spoken to by a pipe."""
    master = str(tmp_path / "ssh.sock")
    through = [
        "-F",
        site.layout.ssh_config,
        "-o",
        "ControlMaster=no",
        "-o",
        f"ControlPath={master}",
    ]

    def run(*argv, **popen):
        return subprocess.run(argv, check=True, capture_output=True, text=True, **popen).stdout

    options = ["-N", "-o", "ControlMaster=yes", "-o", "ControlPersist=no"]
    with connected(clean, *options, "-o", f"ControlPath={master}"):
        until(lambda: os.path.exists(master))
        # It names all from the home, and goes there first, as hosts begin where they like.
        assert run("ssh", *through, clean.box, "-T", "cd; uname -sm").startswith("Linux ")
        assert run("ssh", *through, clean.box, "-T", "cd; sh -c 'echo $SHELL'") == "/bin/bash\n"
        (tmp_path / "it").write_text("#!/bin/sh\nexec cat\n")
        run("ssh", *through, clean.box, "cd; mkdir -p .zed_server")
        put = f"put {tmp_path}/it .zed_server/it.tmp\n"
        run("sftp", *through, "-b", "-", clean.box, input=put)
        script = "cd; sh -c 'chmod 755 .zed_server/it.tmp && mv .zed_server/it.tmp .zed_server/it'"
        run("ssh", *through, clean.box, script)
        proxy = "cd; env RUST_LOG=info .zed_server/it proxy --identifier x"
        assert run("ssh", *through, "-T", clean.box, proxy, input="a\0b") == "a\0b"
        local = free_port()
        forward = ["-O", "forward", "-L", f"{local}:127.0.0.1:22"]
        run("ssh", *through, *forward, clean.box)
        with socket.create_connection(("127.0.0.1", local)) as connection:
            assert connection.recv(4) == b"SSH-"
        run("ssh", *through, "-O", "exit", clean.box)
    clean.sh("rm ~/.zed_server/it")


def test_jetbrains_gateway_s_way_in(site, clean):
    """One connection of a library's own, with channels for files, commands and the backend."""
    top = ".cache/JetBrains/RemoteDev"

    async def deploy():
        files = [site.layout.ssh_config]
        async with asyncssh.connect(clean.box, config=files) as connection:
            assert "Linux " in str((await connection.run("uname -sm")).stdout)
            async with connection.start_sftp_client() as sftp:
                assert await sftp.realpath(".") == "/home/agent"
                await sftp.makedirs(f"{top}/dist", exist_ok=True)
                async with sftp.open(f"{top}/dist/remote-dev-server.sh", "w") as file:
                    await file.write(SERVER)
                await sftp.chmod(f"{top}/dist/remote-dev-server.sh", 0o755)
            run = f"exec ~/{top}/dist/remote-dev-server.sh --host=127.0.0.1 --port=0"
            backend = await connection.create_process(run)
            port = int((await backend.stdout.readline()).split()[-1])
            listener = await connection.forward_local_port("", 0, "127.0.0.1", port)

            def speak():
                with socket.create_connection(("127.0.0.1", listener.get_port())) as to:
                    return WebSocket(to).ask(b"rd")[2]

            assert await asyncio.to_thread(speak) == b"rd"
            listener.close()
            backend.kill()

    asyncio.run(deploy())
    assert clean.sh(f"readlink -f ~/{top}") == f"/mnt/agent-data/{top}"
    clean.sh(f"rm -rf ~/{top}/dist")


#: A tree as of node_modules: packages in packages, small files, programs by links, odd names.
TREE = r"""
mkdir -p tree/.bin; cd tree
for p in $(seq 60); do
    d=@scope/p$p/node_modules/dep/dist; mkdir -p "$d"
    for f in 1 2 3 4 5 6 7 8; do echo "module.exports = $p * $f" >"$d/$f.js"; done
    echo '{}' >"@scope/p$p/package.json"; ln -s "../@scope/p$p/node_modules/dep/dist/1.js" .bin/p$p
done
echo odd >'@scope/a b [c] é.js'; chmod 755 @scope/p1/node_modules/dep/dist/1.js; : >.bin/empty
"""


def listed(top):
    """Return what is in a tree: a line for each file, with its mode and a hash, or its target."""
    found = {}
    for parent, _, names in os.walk(top):
        for name in names:
            path = os.path.join(parent, name)
            if os.path.islink(path):
                found[os.path.relpath(path, top)] = os.readlink(path)
            else:
                with open(path, "rb") as file:
                    told = hashlib.sha256(file.read()).hexdigest()
                found[os.path.relpath(path, top)] = f"{os.stat(path).st_mode & 0o777:o} {told}"
    return found


def test_a_tree_of_many_files_goes_in_and_out(site, shared, tmp_path):
    subprocess.run(["bash", "-c", TREE], cwd=tmp_path, check=True, umask=0o022)
    file, there = site.layout.ssh_config, f"{shared.box}:sent"
    rsync = ["rsync", "--archive", "--rsh", f"ssh -F {file}"]
    subprocess.run([*rsync, f"{tmp_path}/tree/", there], check=True)
    subprocess.run([*rsync, f"{there}/", f"{tmp_path}/back"], check=True)
    wanted = listed(tmp_path / "tree")
    assert len(wanted) == 602
    assert listed(tmp_path / "back") == wanted
    # sftp follows links.
    sftp = ["sftp", "-q", "-b", "-", "-F", file, shared.box]
    lines = f"put -pr {tmp_path}/tree/@scope sftp\nget -pr sftp {tmp_path}/got\n"
    subprocess.run(sftp, input=lines.encode(), check=True, capture_output=True)
    assert listed(tmp_path / "got") == listed(tmp_path / "tree" / "@scope")
    shared.sh("rm -rf ~/sent ~/sftp")


def test_a_server_of_the_user_s_systemd_outlives_every_connection(site, shared):
    unit = "systemd-run --user --quiet --unit=kernel -- python3 -m http.server -b 127.0.0.1 7172"
    ssh = ["ssh", "-F", site.layout.ssh_config, "-S", "none", shared.box]
    show = "systemctl --user show --property=MainPID,ActiveState kernel"

    def seen():
        return subprocess.run([*ssh, show], check=True, capture_output=True, text=True).stdout

    with subprocess.Popen([*ssh, f"{unit}; exec cat"], stdin=subprocess.PIPE) as first:
        until(lambda: "ActiveState=active" in seen())
        before = seen()
        first.send_signal(signal.SIGKILL)
    shared.close_connection()
    # Sessions stay in logind's list for as long as anything that was started in one.
    nobody = "! pgrep -f '^sshd.*: agent' >/dev/null"
    until(lambda: site.docker("exec", shared.box, "sh", "-c", f"{nobody} && echo so", check=False))
    assert seen() == before
    shared.sh("systemctl --user stop kernel")


def test_what_editors_put_into_a_box_outlives_it(site, space):
    kept = [".vscode-server/bin/x", ".cursor-server/x", ".zed_server/x", ".local/share/JetBrains/x"]
    kept += [".cache/JetBrains/RemoteDev/dist/x", ".local/share/jupyter/x", ".kiro-server/x"]
    for path in kept:
        space.sh(f'cd; mkdir -p "$(dirname {path})"; echo kept >{path}')
    site.cai("run", "--fresh", "--yes", space.path, "--", "true")
    assert space.sh(f"cd; cat {' '.join(kept)}").split() == ["kept"] * len(kept)


RECORDER = '#!/bin/sh\nprintf "%s\\n" "$0" "$@" >{}; env >>{}\n'


@pytest.fixture
def opened(site, tmp_path):
    """A program of the user's own in an editor's place; returns what it was started with."""
    mine, log = os.path.join(site.home, ".local/bin/cursor"), tmp_path / "opened"
    executable(mine, f'printf "%s\\n" "$0" "$@" >{log}; env >>{log}')

    def read():
        lines = log.read_text().splitlines()
        assert lines[:2] == [mine, "--folder-uri"]
        return lines[2], lines[3:]

    yield read
    os.unlink(mine)


def executable(path, script):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\n{script}\n")
    os.chmod(path, 0o755)


def test_cai_code_opens_the_editor_on_a_box_that_it_makes(site, space, opened, tmp_path):
    inner = os.path.join(space.path, "a.b c")
    os.mkdir(inner)
    # What an agent would have the user open.
    for name in ("cursor", "code", "ssh"):
        executable(os.path.join(inner, name), f"touch {tmp_path}/evil")
    env = {"PATH": f"{inner}:{os.environ['PATH']}", "DISPLAY": ":7"}
    site.cai("code", space.path, env=env)
    place = f"vscode-remote://ssh-remote+{space.box}/home/agent/workspace"
    uri, environment = opened()
    assert (uri, "DISPLAY=:7" in environment) == (place, True)
    assert not any(inner in line for line in environment if line.startswith("PATH="))
    site.cai("code", cwd=inner, env=env)
    assert opened()[0] == f"{place}/a.b%20c"
    assert not (tmp_path / "evil").exists()
    argv = ["ssh", "-F", site.layout.ssh_config, space.box, "pwd"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout == "/home/agent/workspace\n"
