# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nodeset's core for 10,000 nodes in one task against a plain Python loop that writes the same files, side by side.

python3 tests/bench/nodeset.py [nodes ...]    prints two lines for each number and ends with 1 when nodeset takes more than its share.

The core of the first run is everything between the rows of the tables and the boot files: what each node boots, its kernel
line, the checks, the comparison with what is there, the record of what is ours, writing. The plain loop has the finished
texts. The run that finds nothing to do is the module's whole verb, the site database included.
"""

from __future__ import annotations

import gc
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ansible_collections.diskless.statelite.plugins.module_utils.apply.addresses import local_addresses
from ansible_collections.diskless.statelite.plugins.module_utils.boot.nodeset import NodesetPlan, plan, read_and_plan
from ansible_collections.diskless.statelite.plugins.module_utils.boot.seen import key_of
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
from ansible_collections.diskless.statelite.plugins.module_utils.tables.plan import Change
from ansible_collections.diskless.statelite.plugins.module_utils.tables.schema import TABLES
from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import open_store

SIZES = (10000,)
DISK = next(place for place in (Path(__file__).resolve().parents[2] / "build", Path(tempfile.gettempdir())) if place.is_dir())
"""Where the TFTP directory is: on a disk's file system, as on a server."""
TIMES = 2
"""How many times the plain loop's CPU time the first run may take."""
UNCHANGED = 0.5
"""CPU seconds that a run may take that finds nothing to do, for 10,000 nodes."""
ROUNDS = 3
Tables = dict[str, list[dict[str, str]]]


def tables_of(root: Path, count: int) -> Tables:
    """Return a site as they are: what nodes boot is said by their group; card and address are their own."""
    numbers = range(count)
    image = root / "install/netboot/debian12/x86_64/compute/generations/1"
    (image / "rootimg").mkdir(parents=True)
    for name in ("kernel", "initrd-statelite.gz", "rootimg/.statelite.json"):
        (image / name).write_text(name)
    (image.parents[1] / "current").symlink_to("generations/1")
    settings = {"installdir": str(root / "install"), "tftpdir": str(root / "tftpboot"), "master": "10.0.0.1"}
    return {
        "site": [{"key": key, "value": value} for key, value in settings.items()],
        "osimage": [{"imagename": "compute", "osvers": "debian12", "osarch": "x86_64", "profile": "compute", "provmethod": "statelite"}],
        "nodelist": [{"node": f"n{number}", "groups": "compute,all"} for number in numbers],
        "noderes": [{"node": "compute", "netboot": "pxe"}],
        "nodetype": [{"node": "compute", "provmethod": "compute"}],
        "nodehm": [{"node": "compute", "serialport": "0", "serialspeed": "115200"}],
        "statelite": [{"node": "compute", "statemnt": "$noderes.nfsserver:/srv/state"}],
        "mac": [{"node": f"n{number}", "mac": f"52:54:00:00:{number >> 8:02x}:{number & 255:02x}"} for number in numbers],
        "hosts": [{"node": f"n{number}", "ip": f"10.1.{number >> 8}.{number & 255}"} for number in numbers],
    }


def database_of(root: Path, tables: Tables) -> str:
    """Write the tables into a site database."""
    path = str(root / "site.db")
    with open_store(path) as store:
        store.write([Change(TABLES[name], None, row) for name, rows in tables.items() for row in rows])
    return path


def planned(tables: Tables, database: str, params: dict[str, str]) -> NodesetPlan:
    """Return what nodeset has to do, from the rows."""
    with open_store(database) as store:
        version, revision = store.version, store.revision
    found = plan(Site(tables), database, params["noderange"], params["state"], sys.exit, version)
    found.key = key_of(database, revision, params, local_addresses())
    found.result()
    return found


def plain_loop(texts: dict[str, str], links: dict[str, str], directory: Path) -> None:
    """Write the same files and links the plain way: no temporary names, nothing compared, nothing remembered."""
    directory.mkdir(parents=True)
    for name, text in texts.items():
        with open(directory / name, "w", encoding="utf-8") as stream:
            stream.write(text)
    for name, target in links.items():
        (directory / name).symlink_to(target)
    os.sync()


def cpu(work: Callable[[], object]) -> float:
    """Return the CPU seconds that `work` takes, those of the system included."""
    gc.collect()
    begun = time.process_time()
    work()
    return time.process_time() - begun


def whole(tables: Tables, params: dict[str, str], count: int) -> None:
    """Plan and write everything."""
    found = planned(tables, params["site"], params)
    if len(found.lines()) < 3 * count:
        sys.exit("there was too little to do")
    found.apply()


def nothing(params: dict[str, str], count: int) -> None:
    """Find that nothing is to be done."""
    found = read_and_plan(params, sys.exit)
    if found.lines() or len(found.result()["nodes"]) != count:
        sys.exit("the second run had something to do")


def measured(count: int) -> bool:
    """Measure all three for a number of nodes, round by round; return whether nodeset kept its share."""
    plain, first, unchanged = [], [], []
    for _round in range(ROUNDS):
        root = Path(tempfile.mkdtemp(prefix="bench-nodeset-", dir=DISK))
        try:
            tables = tables_of(root, count)

            params = {"site": database_of(root, tables), "noderange": "compute", "state": "osimage"}

            first.append(cpu(partial(whole, tables, params, count)))
            unchanged.append(cpu(partial(nothing, params, count)))
            directory = root / "tftpboot/pxelinux.cfg"
            names = sorted(os.listdir(directory))
            links = {name: os.readlink(directory / name) for name in names if (directory / name).is_symlink()}
            texts = {name: (directory / name).read_text(encoding="utf-8") for name in names if name not in links}
            plain.append(cpu(partial(plain_loop, texts, links, root / "plain")))
        finally:
            shutil.rmtree(root)
    loop, write, again = (statistics.median(each) for each in (plain, first, unchanged))
    limit = UNCHANGED * max(count / 10000, 0.2)
    kept, quick = write <= TIMES * loop, again <= limit
    said = f"nodeset, {count} nodes"
    print(f"{'ok' if kept else 'NOT ok'} {said}: {write:.2f} CPU s, plain loop {loop:.2f} (at most {TIMES} times)")
    print(f"{'ok' if quick else 'NOT ok'} {said}, nothing changed: {again:.2f} CPU s (at most {limit:g})")
    return kept and quick


if __name__ == "__main__":
    results = [measured(int(word)) for word in sys.argv[1:] or map(str, SIZES)]
    sys.exit(0 if all(results) else 1)
