"""The rows of settings of boxes: what one may use of its machine, where it is, with which data."""

from functools import partial

from containai.config import amounts, values
from containai.config.setting import Reach, Setting

MEMORY = Setting(
    "box.memory",
    amounts.memory,
    "auto",
    "Memory of the box: `512m`, `4g`, a share of the machine's like `50%`, `none`, or `auto`: "
    "half of it, at least `2g` where there is so much. `256m` is the least. [What limits "
    "do](../explanation/limits.md). The setting is for new boxes.",
    flag="--memory",
    metavar="SIZE",
    commands=("run", "shell", "limit"),
    reach=Reach.TRUSTED,
    harmless=partial(amounts.lowers, enough=amounts.ENOUGH_MEMORY),
)
SWAP = Setting(
    "box.swap",
    amounts.swap,
    "none",
    "Swap of the box beside its memory: `2g`, a share of the machine's like `50%`, `all`, or "
    "`none`: it is as slow for all as for who caused it. It needs a limit on memory. The "
    "setting is for new boxes.",
    flag="--swap",
    metavar="SIZE",
    commands=("run", "shell", "limit"),
    reach=Reach.TRUSTED,
)
CPUS = Setting(
    "box.cpus",
    amounts.processors,
    "auto",
    "Processors of the box: `2`, `1.5`, a share of the machine's like `25%`, `none`, or "
    "`auto`: half of them, at least one. The setting is for new boxes.",
    flag="--cpus",
    metavar="NUMBER",
    commands=("run", "shell", "limit"),
    reach=Reach.TRUSTED,
    harmless=partial(amounts.lowers, enough=amounts.ENOUGH_PROCESSORS),
)
PIDS = Setting(
    "box.pids",
    amounts.processes,
    "16384",
    "Processes and threads of the box at once, those of its containers included: a number, a "
    "share of the machine's (`kernel.pid_max`) like `25%`, or `none`. The setting is for new "
    "boxes.",
    flag="--pids",
    metavar="NUMBER",
    commands=("run", "shell", "limit"),
    reach=Reach.TRUSTED,
    harmless=amounts.lowers,
)
DISK = Setting(
    "box.disk",
    amounts.disk,
    "none",
    "Disk of the box: `20g`, a share of the engine's file system like `25%`, or `none`. Its "
    "root file system has so much, and its own Docker as much again; the workspace has no "
    "limit. Only where the engine's directory is on xfs, mounted with `pquota`. The setting is "
    "for new boxes.",
    flag="--disk",
    metavar="SIZE",
    commands=("run", "shell"),
    reach=Reach.TRUSTED,
    harmless=amounts.lowers,
)
SPARES = Setting(
    "box.spares",
    amounts.spares,
    "auto",
    "How many boxes wait, booted, for workspaces that have none yet: `0` to `16`, or `auto`: one "
    "where the machine has 4 GB of memory and much of it is free. [What they "
    "are](../explanation/spares.md).",
    reach=Reach.MACHINE,
)
DATA_VOLUME = Setting(
    "box.data_volume",
    values.volume,
    "",
    "The data volume of new boxes, by its name; made where it is missing. Without it, a "
    "workspace has its own. Boxes that share one [can run code in each "
    "other](../explanation/data.md).",
    flag="--data-volume",
    metavar="VOLUME",
    commands=("run", "shell"),
    reach=Reach.TRUSTED,
)
ON = Setting(
    "box.on",
    values.place,
    "",
    "Where new boxes are: `local`, this machine, or a remote place by its name (`cai remote ls`). "
    "Without it, the one that `cai remote use` says. [Boxes on a server](../how-to/incus.md).",
    flag="--on",
    metavar="PLACE",
    commands=("run", "shell", "code"),
    reach=Reach.USER,
)
