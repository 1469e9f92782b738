# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set the lab up, play one scenario in it, and take it down again in whatever way that ends."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import box
import demo
import drives
import matrix
import mirror
import network
import places
import runs
import sandbox
import service
from lab import Lab
from nodes import Talk
from processes import LabError
from progress import Progress
from qemu import Node

NODES = (("n1", "52:54:00:77:00:11", "10.77.0.11"), ("n2", "52:54:00:77:00:12", "10.77.0.12"))
"""The two PCs, as the lab's inventory declares them."""


def hold(lab: Lab) -> bool:
    """Keep the box up until a signal ends the lab, for trying things by hand."""
    runs.hold(lab.progress, [lab.box.server], f"{' '.join(lab.box.ssh_options())} root@{network.MANAGEMENT}")
    return False


SCENARIOS: dict[str, Callable[[Lab], bool]] = {
    "demo": demo.demo,
    "test": demo.test,
    "memory": demo.in_memory,
    "manager": demo.by_network_manager,
    "matrix": matrix.matrix,
    "service": service.service,
    "hold": hold,
}


def play(kind: str) -> int:
    """Play the scenario called `kind`, inside the lab's namespaces; return the exit status."""
    sandbox.settle()
    run = places.new_run(kind)
    progress = Progress()
    progress.say(f"the lab plays {kind}; its logs are in {run}")
    try:
        with ExitStack() as ends:
            good = SCENARIOS[kind](raise_lab(run, progress, ends))
    except LabError as error:
        progress.say(f"{kind} failed: {error}")
        good = False
    progress.say(f"{kind}: {'as it must be' if good else 'NOT as it must be'}; logs in {run}")
    return 0 if good else 1


def raise_lab(run: Path, progress: Progress, ends: ExitStack) -> Lab:
    """Raise network, mirror, box and switched-off nodes; `ends` takes down each as soon as it is up."""
    log = run / "setup.log"
    with progress.stage("network, mirror and the tree of the management node", log):
        network.raise_bridge(log)
        packages = mirror.make_mirror(log)
        ends.callback(mirror.serve(packages, network.HOST, run / "mirror-http.log").stop)
        tree = box.make_tree(packages, log)
    with progress.stage("the management node starts", run / "box-console.log"):
        machine = box.Box(tree, run / places.BOX, run)
        ends.callback(machine.stop)
        machine.wait_until_up()
    nodes = []
    disks = drives.make(machine, log)
    for name, mac, address in NODES:
        node = Node(name, mac, address, run, disks[name])
        ends.callback(node.stop)
        nodes.append(node)
    return Lab(run, progress, machine, Talk(machine), nodes[0], nodes[1])
