"""Facts about a healthy box, for tests of the probes on the host to spoil."""

from containai.attack import facts

BOX_MAP = [[0, 1879048192, 262144]]


def process(uid_map=BOX_MAP, **kinds):
    names = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
    return facts.Process(
        namespaces={each: f"{each}:[2]" for each in names} | kinds,
        uid_map=uid_map,
        gid_map=uid_map,
        status={"CapEff": "1ff", "CapBnd": "1ff", "Seccomp": "2"},
        mounts=[],
        maker=uid_map[0][1],
    )


def known(**changed):
    values = {
        "container": {},
        "box": process(),
        "hosts": [process([[0, 0, 4294967295]], user="user:[1]")],
        "members": [],
        "others": [],
        "route_localnet": {},
        "bridges": [],
        "ports": {},
        "pins": [],
        "files": [],
        "stored": (2146959360, 262144),
        "taken": [(0, 1), (1000, 1), (100000, 65536)],
        "runc": "",
        "engine": "20.10.24",
        "swarm": "inactive",
        "engine_data": "/var/lib/containai-docker",
        "asked": [],
        "kernel": ("6.12.48", "", ""),
    }
    return facts.Facts(**values | changed)
