# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that ends boots for once: it looks while there are some, and brings the boot files back that come after them.

systemd starts it when there is a record of them, and it ends when there is none left.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping

from ..apply.overrides import Override, held, read, write
from ..errors import SiteError, raise_faults
from .bootfiles import BootFiles, names_of
from .method import NodeFiles
from .record import NAME, read_record, update

EVERY = 5.0
"""Seconds between two looks: a node takes longer from its report to its next boot."""


def bring_back(path: str, spool: str, now: float, wrong: Callable[[str], None]) -> list[str]:
    """End every override of the record at `path` that is over; return one line for each, and for each file.

    What can't be brought back stays in the record, is told to `wrong`, and keeps no other node from it.
    """
    with held(path):
        found = read(path)
        over = {node: why for node, each in found.items() if (why := each.over(node, spool, now))}
        places: dict[str, dict[str, Override]] = {}
        for node in over:
            places.setdefault(found[node].then.tftpdir, {})[node] = found[node]
        record = os.path.join(os.path.dirname(path), NAME)
        lines: list[str] = []
        for nodes in places.values():
            lines += _of_one_directory(nodes, record, over, wrong)
        if over:
            write(path, {node: each for node, each in found.items() if node not in over})
    return [f"{node}, {found[node].state} once: {why}" for node, why in sorted(over.items())] + lines


def _of_one_directory(nodes: Mapping[str, Override], record: str, over: dict[str, str], wrong: Callable[[str], None]) -> list[str]:
    """Bring the files of nodes back, all at once, else each alone; take those out of `over` for which that fails."""
    try:
        return _written(nodes, record)
    except (SiteError, OSError) as error:
        if len(nodes) > 1:
            return [line for node, each in nodes.items() for line in _of_one_directory({node: each}, record, over, wrong)]
        for node in nodes:
            del over[node]
            wrong(f"{node} is not brought back yet: {error}")
        return []


def _written(nodes: Mapping[str, Override], record: str) -> list[str]:
    """Write what comes back for nodes of one TFTP directory, and return one line a file."""
    tftpdir = next(iter(nodes.values())).then.tftpdir
    recorded = read_record(record).get(tftpdir, {})
    files = BootFiles(tftpdir, frozenset([*recorded, *nodes]), recorded=recorded)
    for node, each in nodes.items():
        files.wanted[node] = NodeFiles(each.then.state, each.then.texts, each.then.same, each.then.links)
    files.compare(files.wanted)
    raise_faults(files.faults())
    update(record, names_of([files], "added"), {})
    files.apply()
    update(record, {}, names_of([files], "dropped"))
    return files.lines()


def main(arguments: list[str] | None = None) -> int:
    """Look until no override is left."""
    parser = argparse.ArgumentParser(description="Ends one-time boots of a statelite site that have been booted, or have expired.")
    parser.add_argument("--record", required=True, help="the record of one-time boots, beside the site database")
    parser.add_argument("--spool", required=True, help="directory of boot reports")
    parser.add_argument("--every", type=float, default=EVERY, help="seconds between two looks")
    options = parser.parse_args(arguments)

    def wrong(text: str) -> None:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    while True:
        try:
            for line in bring_back(options.record, options.spool, time.time(), wrong):
                sys.stdout.write(f"{line}\n")
                sys.stdout.flush()
        except (SiteError, OSError) as error:
            wrong(f"not brought back yet: {error}")
        if not os.path.exists(options.record):
            return 0
        time.sleep(options.every)
