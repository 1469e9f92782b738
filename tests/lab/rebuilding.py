# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The image is built, laid out, packed, published and given to its nodes over and over while they boot: no boot breaks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import memory
from converge import ask
from lab import Lab

STATELITE = f"statelite={memory.IMAGE}"
STATELESS = f"netboot={memory.IMAGE}"


@contextmanager
def over_and_over(lab: Lab) -> Iterator[None]:
    """Do what a rebuild does again and again until the block ends; note as a fact how many generations came of it."""
    enough = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        rebuilds = pool.submit(_rebuild, lab, enough)
        try:
            yield
        finally:
            enough.set()
    published = ", ".join(rebuilds.result())
    lab.saw("generations that were published while both nodes booted", "mn1", published, r"\d+(, \d+)*")


def _rebuild(lab: Lab, enough: threading.Event) -> list[str]:
    published = []
    while not enough.is_set():
        ask(lab.box, "genimage", {"image": memory.IMAGE, "force": True})
        published.append(str(ask(lab.box, "liteimg", {"image": memory.IMAGE})["generation"]))
        ask(lab.box, "packimage", memory.PACKED_AS)
        for node, state in ((lab.first, STATELITE), (lab.second, STATELESS)):
            ask(lab.box, "nodeset", {"noderange": node.name, "state": state})
    return published


def both_boot(lab: Lab, limit: float) -> None:
    """Boot one node over NFS and the other one stateless meanwhile, and look at both."""
    memory.stateless_is_set(lab, lab.second)
    with lab.progress.stage("both nodes boot while their image is rebuilt over and over", lab.first.console), over_and_over(lab):
        for node in lab.nodes:
            node.start()
        booted = lab.talk.wait_until_up(lab.first, limit)[2]
        lab.talk.wait_until_up(lab.second, limit)
    memory.stateless_is_up(lab, lab.second)
    asked = {
        "root": "findmnt --noheadings --output SOURCE /",
        "reads": "echo 3 > /proc/sys/vm/drop_caches; cat /usr/bin/* | wc --bytes",
        "state": "systemctl is-system-running",
    }
    said = lab.talk.ask(lab.first, asked)
    same = "the agent's" if said["root"].endswith(f"/generations/{booted}/rootimg") else f"{said['root']}, the agent said {booted}"
    seen = f"generation {same}, {said['reads']} bytes read, {said['state']}"
    lab.saw("booted over NFS while its image was rebuilt", lab.first.name, seen, r"generation the agent's, \d{7,} bytes read, running")
