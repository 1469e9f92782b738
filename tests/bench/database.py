# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of 10,000 nodes in an SQLite file and on a PostgreSQL server, side by side.

python3 tests/bench/database.py [nodes ...]    prints a line for each step and ends with 1 when the server takes more than its share.

Each step is what a module run does between its options and its result, the reading of a text of rows included.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ansible_collections.diskless.statelite.plugins.module_utils.tables import things
from ansible_collections.diskless.statelite.plugins.module_utils.tables.rows import plan_rows
from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import open_store
from ansible_collections.diskless.statelite.tests.unit.plugins.module_utils.postgresql import servers

SIZES = (10000,)
TIMES = 2
"""How many times SQLite's CPU time a step may take of this process; the server's own is not counted."""
GRAIN = 0.5
"""CPU seconds by which a step may differ whatever it takes."""
OPTIONS = {"rows": None, "src": None, "state": "present", "exclusive": True, "allow_empty": False}


def nodes(count: int, rack: str, groups_of_one: str = "compute,all") -> str:
    """Return the rows of so many nodes as text; one of them is in other groups than the rest when these are given."""
    lines = ["#node,groups,ip,mac,nodetype.os,nodetype.arch,nodepos.rack"]
    for number in range(1, count + 1):
        high, middle, low = number >> 16, number >> 8 & 255, number & 255
        groups = groups_of_one if number == count // 2 else "compute,all"
        card = f"52:54:00:{high:02x}:{middle:02x}:{low:02x}"
        lines.append(f'"n{number}","{groups}","10.{high}.{middle}.{low}","{card}","debian12","x86_64","{rack}"')
    return "\n".join(lines) + "\n"


def declare(text: str) -> Callable[[str], int]:
    """Return a run of the module node with these rows; it returns how many lines there were."""

    def run(site: str) -> int:
        plan = plan_rows(things.NODE, {**OPTIONS, "site": site, "content": text}, sys.exit)
        lines = plan.lines()
        if lines:
            plan.apply()
        return len(lines)

    return run


def read(site: str) -> int:
    """Read all tables; return how many rows they have."""
    with open_store(site) as store:
        return sum(map(len, store.tables().values()))


def version(site: str) -> int:
    """See whether anything changed."""
    with open_store(site) as store:
        return store.version


def measured(step: Callable[[str], int], site: str) -> tuple[int, float, float]:
    """Return what a step returned, and its seconds by the clock and of CPU time."""
    clock, worked = time.monotonic(), time.process_time()
    found = step(site)
    return found, time.monotonic() - clock, time.process_time() - worked


def compared(count: int, sites: tuple[str, str]) -> bool:
    """Carry the steps out on both sites; return whether all kept within the gate and came to the same."""
    steps = {
        f"declare {count} nodes": declare(nodes(count, "r1")),
        "declare them again": declare(nodes(count, "r1")),
        "one node changed": declare(nodes(count, "r1", "all")),
        "one column of all changed": declare(nodes(count, "r2")),
        "read all tables": read,
        "see whether anything changed": version,
    }
    sound = True
    for name, step in steps.items():
        (found, clock, worked), (other, server_clock, server_worked) = (measured(step, site) for site in sites)
        within = other == found and server_worked <= TIMES * worked + GRAIN
        sound = sound and within
        text = f"SQLite {clock:.2f} s ({worked:.2f} CPU), PostgreSQL {server_clock:.2f} s ({server_worked:.2f} CPU)"
        print(f"{'ok' if within else 'FAILED'}   database {name}: {text}", flush=True)
    return sound


def main(words: list[str]) -> int:
    """Measure each number of nodes."""
    sound = True
    with servers() as (server, _standby), tempfile.TemporaryDirectory() as directory:
        for count in map(int, words or map(str, SIZES)):
            place = Path(directory) / str(count)
            sound = compared(count, (f"{place}/file/site.db", server.url(server.new(f"site{count}"), place / "server"))) and sound
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
