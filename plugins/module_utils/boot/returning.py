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
from collections.abc import Mapping

from ..apply.overrides import Override, held, read, write
from ..errors import SiteError
from .bootfiles import BootFiles, names_of
from .method import NodeFiles
from .record import NAME, read_record, update

EVERY = 5.0
"""Seconds between two looks: a node takes longer from its report to its next boot."""


def bring_back(path: str, spool: str, now: float) -> list[str]:
    """End every override of the record at `path` that is over; return one line for each, and for each file."""
    with held(path):
        found = read(path)
        over = {node: why for node, each in found.items() if (why := each.over(node, spool, now))}
        if not over:
            return []
        record = os.path.join(os.path.dirname(path), NAME)
        directories = _directories({node: found[node] for node in over}, record)
        update(record, names_of(directories, "added"), {})
        for each in directories:
            each.apply()
        update(record, {}, names_of(directories, "dropped"))
        write(path, {node: each for node, each in found.items() if node not in over})
    lines = [f"{node}, {found[node].state} once: {why}" for node, why in sorted(over.items())]
    return lines + [line for each in directories for line in each.lines()]


def _directories(over: Mapping[str, Override], record: str) -> list[BootFiles]:
    """Return the TFTP directories with what comes back there, compared with what stands."""
    recorded = read_record(record)
    made: dict[str, BootFiles] = {}
    for node, each in over.items():
        tftpdir = each.then.tftpdir
        known = frozenset([*recorded.get(tftpdir, {}), *over])
        files = made.setdefault(tftpdir, BootFiles(tftpdir, known, recorded=recorded.get(tftpdir, {})))
        files.wanted[node] = NodeFiles(each.then.state, each.then.texts, each.then.same, each.then.links)
    for files in made.values():
        files.compare(files.wanted)
    return list(made.values())


def main(arguments: list[str] | None = None) -> int:
    """Look until no override is left."""
    parser = argparse.ArgumentParser(description="Ends one-time boots of a statelite site that have been booted, or have expired.")
    parser.add_argument("--record", required=True, help="the record of one-time boots, beside the site database")
    parser.add_argument("--spool", required=True, help="directory of boot reports")
    parser.add_argument("--every", type=float, default=EVERY, help="seconds between two looks")
    options = parser.parse_args(arguments)
    while True:
        try:
            for line in bring_back(options.record, options.spool, time.time()):
                print(line, flush=True)
        except (SiteError, OSError) as error:
            print(f"not brought back yet: {error}", file=sys.stderr, flush=True)
        if not os.path.exists(options.record):
            return 0
        time.sleep(options.every)
