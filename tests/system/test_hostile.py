"""Images, bundles and bind sources of somebody who wants out: nothing of the host is touched."""

import hashlib
import io
import json
import os
import shlex
import shutil
import signal
import subprocess
import tarfile
import threading

import pytest

from containai.engine import lxcfs
from harness.waiting import until

PROGRAMS = ("sh", "cat", "ls", "readlink", "sleep", "id")
HYBRID = "/sys/fs/cgroup/unified"
LINKED = ("proc", "sys", "dev", "run", "etc", "var", "home", "tmp", "dev/shm", "sys/fs")


def programs():
    """Return path → content of a few programs of this machine and the libraries they need."""
    found = {}
    for name in PROGRAMS:
        path = shutil.which(name)
        assert path is not None
        wanted = [path, *subprocess.check_output(["ldd", path], text=True).split()]
        for each in wanted:
            if each.startswith("/"):
                with open(each, "rb") as file:
                    found[each if each != path else f"/bin/{name}"] = file.read()
    return found


def tree(path):
    """Return everything below a path that a mount, a mkdir or a chown could have changed."""
    found = []
    for parent, directories, names in os.walk(path):
        for each in [parent, *(os.path.join(parent, name) for name in directories + names)]:
            seen = os.lstat(each)
            found.append((each, seen.st_dev, seen.st_ino, seen.st_mode, seen.st_uid, seen.st_mtime))
    return sorted(found)


@pytest.fixture(scope="module")
def files():
    return programs()


@pytest.fixture
def victim(tmp_path):
    """A directory of the host's, with what an image would have to reach to do harm."""
    made = tmp_path / "victim"
    for name in ("docker", "agent/workspace", "lib/docker", "shm", "fs/cgroup", "pts", "lock"):
        (made / name).mkdir(parents=True)
    (made / "secret").write_text("secret\n", encoding="utf-8")
    (made / "hosts").write_text("127.0.0.1 localhost\n", encoding="utf-8")
    return made


def archive(files, links=(), kinds=()):
    """Return a tar of an image: programs, and entries that are not what a runtime expects."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
        for path, target in links:
            entry = tarfile.TarInfo(path)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
        for path, kind, mode in kinds:
            entry = tarfile.TarInfo(path)
            entry.type, entry.mode = kind, mode
            entry.devmajor, entry.devminor = 1, 1
            tar.addfile(entry)
    return buffer.getvalue()


@pytest.fixture
def run_image(site):
    """Run a command in a container of an archive, with all that a box has mounted."""
    made = []

    def run(content, workspace, *command):
        load = ["docker", "--host", f"unix://{site.layout.engine_socket}", "import", "-"]
        done = subprocess.run(load, input=content, capture_output=True, check=True)
        made.append(done.stdout.decode().strip())
        mounts = ["--tmpfs", "/run", "--volume", "/var/lib/docker"]
        mounts += ["--volume", f"{workspace}:/home/agent/workspace"]
        words = ["run", "--rm", "--security-opt", "systempaths=unconfined", *mounts, made[-1]]
        return subprocess.run([*load[:3], *words, *command], capture_output=True, check=False)

    yield run
    for image in made:
        site.docker("rmi", "--force", image, check=False)


@pytest.mark.parametrize("link", LINKED)
@pytest.mark.parametrize("way", ["absolute", "upward"])
def test_links_of_an_image_lead_nowhere(files, victim, space, run_image, link, way):
    target = str(victim) if way == "absolute" else "../" * 20 + str(victim).lstrip("/")
    content = archive(files, [(link, target)])
    before = tree(victim)
    done = run_image(content, space.path, "/bin/sh", "-c", "cat /proc/self/uid_map; ls -a /dev")
    assert tree(victim) == before, done
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        assert str(victim) not in file.read()
    if done.returncode == 0:
        assert int(done.stdout.split()[1]) >= 0x70000000


@pytest.mark.parametrize("place", ["proc", "sys", "dev", "home/agent/workspace"])
def test_files_in_the_place_of_directories(files, victim, space, run_image, place):
    content = archive(files, kinds=[(place, tarfile.REGTYPE, 0o666)])
    done = run_image(content, space.path, "/bin/sh", "-c", "cat /proc/self/uid_map")
    assert (
        done.returncode == 0 or b"OCI runtime" in done.stderr or b"not a directory" in done.stderr
    )
    assert os.listdir(space.path) == []


def test_device_nodes_and_setuid_files_of_an_image_are_harmless(files, space, run_image):
    kinds = [("mem", tarfile.CHRTYPE, 0o666), ("disk", tarfile.BLKTYPE, 0o666)]
    content = archive(files | {"/bin/suid": files["/bin/id"]}, kinds=kinds)
    script = "cat /mem; cat /disk; id -u; cat /proc/self/uid_map"
    done = run_image(content, space.path, "/bin/sh", "-c", script)
    assert done.stderr.count(b"Permission denied") == 2, done
    said = done.stdout.split()
    assert said[:2] == [b"0", b"0"]
    assert int(said[2]) >= 0x70000000


class Bundle:
    """A bundle without an engine, for the runtime alone."""

    def __init__(self, site, path, files):
        self.site, self.path = site, str(path)
        self.state = f"{path}-state"
        self.id = f"hostile{os.getpid()}"
        self.around = []
        for name, content in files.items():
            at = f"{path}/rootfs{name}"
            os.makedirs(os.path.dirname(at), exist_ok=True)
            with open(at, "wb") as file:
                file.write(content)
            os.chmod(at, 0o755)
        subprocess.run(["runc", "spec"], cwd=path, check=True)
        with open(f"{path}/config.json", encoding="utf-8") as file:
            self.config = json.load(file)
        self.config["process"]["terminal"] = False
        self.config["linux"]["cgroupsPath"] = f"/containai-test/{self.id}"

    def write(self, config=None):
        with open(f"{self.path}/config.json", "w", encoding="utf-8") as file:
            json.dump(self.config if config is None else config, file)

    def runtime(self, *words, **popen):
        argv = [*self.around, self.site.layout.runtime_program, "--root", self.state, *words]
        return subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, **popen)

    def run(self, script, *options, **popen):
        self.config["process"]["args"] = ["/bin/sh", "-c", script]
        self.write()
        return self.runtime("run", "--bundle", self.path, *options, self.id, **popen)

    def end(self):
        self.runtime("delete", "--force", self.id)
        shutil.rmtree(self.path)
        self.site.prune()
        self.site.left_cgroups({self.id})
        for tree in os.listdir("/sys/fs/cgroup"):
            if os.path.isdir(f"/sys/fs/cgroup/{tree}/containai-test"):
                os.rmdir(f"/sys/fs/cgroup/{tree}/containai-test")
        assert f"{self.id}.json" not in self.site.ranges()


@pytest.fixture
def bundle(site, tmp_path, files):
    (tmp_path / "bundle").mkdir()
    made = Bundle(site, tmp_path / "bundle", files)
    yield made
    made.end()


@pytest.mark.parametrize(("preserved", "seen"), [(0, "0 1 2"), (1, "0 1 2 3")])
def test_no_descriptor_reaches_the_container(bundle, preserved, seen):
    bundle.around = ["sh", "-c", 'exec "$@" 3</etc/hostname 4</ 5</etc 6</ 7</ 8</ 9</', "sh"]
    done = bundle.run("ls /proc/1/fd", "--preserve-fds", str(preserved))
    assert done.stdout.decode().split() == seen.split(), done


def test_no_descriptor_reaches_a_container_of_the_engine_or_an_exec(site, shared):
    box, image = shared.box, shared.inspect()["Image"]
    assert site.docker("exec", box, "ls", "/proc/self/fd").split() == ["0", "1", "2", "3"]
    assert site.docker("run", "--rm", image, "ls", "/proc/self/fd").split() == ["0", "1", "2", "3"]
    # CVE-2024-21626: a working directory that is a descriptor of the runtime's.
    for number in range(3, 12):
        workdir = ("--workdir", f"/proc/self/fd/{number}")
        for words in (("exec", *workdir, box), ("run", "--rm", *workdir, image)):
            said = site.docker(*words, "ls", "../../../../../..", check=False)
            assert os.path.basename(site.root) not in said
            assert "vmlinuz" not in said


def test_the_runtimes_own_programs_cannot_be_written(site, shared):
    """CVE-2019-5736: who starts a process in the box is seen in its /proc, but not written."""
    programs = ["/usr/bin/python3", "/usr/sbin/runc", site.layout.runtime_program]

    def digests():
        return [hashlib.sha256(read(os.path.realpath(path))).hexdigest() for path in programs]

    before = digests()
    shared.sh("printf '#!/proc/self/exe\\n' >~/entry; chmod 755 ~/entry")
    script = """
        cd /proc; end=$(($(date +%s) + 6)); while [ $(date +%s) -lt $end ]; do
            for exe in [0-9]*/exe; do
                case $(readlink $exe) in *runc* | *memfd* | *python*) ;; *) continue ;; esac
                echo seen $(readlink $exe); (echo overwritten >$exe) 2>/dev/null && echo written
            done
        done"""
    watch = ["docker", "--host", f"unix://{site.layout.engine_socket}", "exec", shared.box]
    with subprocess.Popen([*watch, "sh", "-c", script], stdout=subprocess.PIPE) as watcher:
        while watcher.poll() is None:
            site.docker("exec", shared.box, "/home/agent/entry", check=False)
            site.docker("exec", shared.box, "true")
        assert b"written" not in watcher.stdout.read()
    assert digests() == before


def read(path):
    with open(path, "rb") as file:
        return file.read()


def test_a_bind_source_that_is_swapped_for_a_link(bundle, tmp_path):
    """CVE-2021-30465: a directory of the agent's and a link take turns while boxes start."""
    inside, outside = tmp_path / "work" / "a" / "b", tmp_path / "outside" / "b"
    for path, text in ((inside, "mine"), (outside, "secret")):
        path.mkdir(parents=True)
        (path / "which").write_text(text, encoding="utf-8")
    os.chown(tmp_path / "work", 1000, 1000)
    os.chown(tmp_path / "work" / "a", 1000, 1000)
    (tmp_path / "work" / "link").symlink_to(tmp_path / "outside")
    bundle.config["mounts"].append(
        {"destination": "/b", "type": "bind", "source": str(inside), "options": ["rbind"]}
    )
    ended = threading.Event()
    swapping = threading.Thread(target=swap, args=(str(tmp_path / "work"), ended))
    swapping.start()
    try:
        said = []
        # Both have to be met, or the test says nothing: luck decides when.
        while len(said) < 25 or (not met_both(said) and len(said) < 200):
            said.append(bundle.run("cat /b/which"))
    finally:
        ended.set()
        swapping.join()
    assert {each.stdout for each in said} <= {b"mine", b""}
    refused = [each.stderr for each in said if each.returncode]
    odd = [each for each in refused if b"symbolic link" not in each and b"No such file" not in each]
    assert odd == []
    assert met_both(said)


def met_both(said):
    """Whether some runs were refused, and some were not."""
    return {bool(each.returncode) for each in said} == {True, False}


def swap(directory, ended):
    """Let a/ be a directory and a link, in turns, until `ended`."""
    real, link, name = (os.path.join(directory, each) for each in ("real", "link", "a"))
    while not ended.is_set():
        os.rename(name, real)
        os.rename(link, name)
        os.rename(name, link)
        os.rename(real, name)


def harm(config, how):
    """Make a config.json that is refused at one step of a create or another."""
    mounts, linux = config["mounts"], config["linux"]
    missing = {"destination": "/m", "type": "bind", "options": ["rbind"]}
    match how:
        case "a type":
            config["process"]["user"]["uid"] = 0.0
        case "a namespace":
            linux["namespaces"].append({"type": "user", "path": "/proc/1/ns/user"})
        case "the root":
            config["root"]["path"] = "nowhere"
        case "a source":
            mounts.append(missing | {"source": "/nowhere"})
        case "the cgroup":
            linux["cgroupsPath"] = "/../../../tmp/x"
        case "a system":
            mounts.append(missing | {"source": "/proc/sys"})
        case "a spelling":
            linux["Namespaces"] = []


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("a type", "process.user.uid: expected an integer"),
        ("a namespace", "'user' namespace"),
        ("the root", "No such file or directory"),
        ("a source", "bind source /nowhere: No such file"),
        ("the cgroup", "is not a cgroup"),
        ("a system", "cannot map ids"),
        ("a spelling", "linux.Namespaces: spelled 'namespaces'"),
    ],
)
def test_a_create_that_fails_undoes_itself(site, bundle, how, said):
    site.prune()
    before = site.ranges()
    harm(bundle.config, how)
    done = bundle.run("true")
    assert done.returncode == 1
    assert said.replace("'user'", "a user") in done.stderr.decode().replace(
        "a box cannot join ", ""
    )
    assert site.ranges() == before
    assert site.left_cgroups({bundle.id}) == []
    assert sorted(os.listdir(bundle.path)) == ["config.json", "rootfs"]
    assert os.listdir(f"{site.layout.runtime_state}/stage/root") == []
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        assert bundle.path not in file.read()


@pytest.mark.skipif(not os.path.isdir(HYBRID), reason="elsewhere runc refuses it itself")
@pytest.mark.parametrize("inside", ["", "/inner"])
def test_a_cgroup_with_processes_is_not_given_away(bundle, inside):
    group = f"{HYBRID}/containai-test/{bundle.id}"
    os.makedirs(group + inside)
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        with open(f"{group}{inside}/cgroup.procs", "w", encoding="ascii") as file:
            file.write(str(sleeper.pid))
        done = bundle.run("true")
        assert done.returncode == 1
        assert b"has processes in it" in done.stderr
        assert os.stat(group).st_uid == 0
        sleeper.kill()
    # What is left of a killed container does not stand in the way.
    assert bundle.run("true").returncode == 0


def test_a_host_key_that_a_box_made_up(site, shared, space):
    key = "/etc/ssh/ssh_host_ed25519_key.pub"
    # The half that sshd has cannot be made up, but what says the other.
    endless = "printf '#!/bin/sh\nexec cat /dev/zero\n' >/usr/bin/ssh-keygen"
    lies = {f"truncate -s 20G {key}": 0, f"ln -sf /etc/shadow {key}": 0, endless: 14}
    for lie, code in lies.items():
        space.sh(f"sudo sh -c {shlex.quote(lie)}")
        os.unlink(site.layout.known_hosts)
        space.close_connection()
        done = site.cai("run", space.path, "--", "true", check=False)
        assert done.returncode == code, done
        assert b"Traceback" not in done.stderr
    # Which other boxes had a key there, too.
    shared.close_connection()
    shared.run("true")


@pytest.mark.unified
def test_a_box_cannot_make_cgroups_without_end(site, shared):
    script = "cd /sys/fs/cgroup; for i in $(seq 60); do mkdir d && cd d || break; done; pwd"
    said = site.docker("exec", shared.box, "sh", "-c", script)
    assert said.count("/d") < 40
    site.docker("exec", shared.box, "sh", "-c", "cd /sys/fs/cgroup; find d -depth -type d -delete")


def test_a_box_that_says_it_is_one_of_our_daemons(site, shared):
    """Its command lines are those of a forgotten shim and of an lxcfs that lost its keeper."""
    layout = site.layout
    address = f"{layout.engine_exec}/containerd/containerd.sock"
    name = f"cai-lxcfs-{layout.id_window[0]:x}"
    said = {
        "/usr/bin/containerd-shim-runc-v2": f"-namespace moby -id {'0' * 64} -address {address}",
        "/usr/bin/lxcfs": f"-f -o allow_other,fsname={name},subtype=lxcfs",
    }
    pids = []
    for program, words in said.items():
        shared.sh("rm -f ~/forged")
        script = f"exec -a {program} bash -c 'echo $$ >/home/agent/forged; sleep 300; true' {words}"
        site.docker("exec", "--detach", shared.box, "bash", "-c", script)
        pids.append(until(lambda: shared.sh("cat ~/forged 2>/dev/null || true")))
        shown = shared.sh(f"tr '\\0' ' ' </proc/{pids[-1]}/cmdline")
        assert shown.startswith(program)
    if keeper := lxcfs.keeper(layout):
        os.kill(keeper, signal.SIGKILL)
        until(lambda: lxcfs.keeper(layout) != keeper)
    site.cai("engine", "start")
    if keeper:
        until(lambda: "fuse.lxcfs" in shared.sh("cat /proc/mounts"))
    site.docker("exec", shared.box, "kill", "-KILL", *pids)  # fails for one that is gone
