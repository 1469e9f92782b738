# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boot method x machine x kind of root: each boots or says why not. A machine is switched off as soon as its report has arrived."""

from __future__ import annotations

import json
import re
import time
from typing import NamedTuple

from converge import ask, converge, play
from lab import Lab
from places import LAB
from processes import LabError
from qemu import EfiNode, Node
from reports import SPOOL

PLAYBOOK = "diskless.statelite.site"
IMAGE = "debian12-compute"
MACHINES = LAB / "matrix.yml"
TAGS = "tables,pxe,nodeset,nfs_exports"
LIMIT = 900
ARRIVAL = 60
"""Seconds that a report may take to arrive when the node has said that it is done."""

DONE = re.compile(r"STATELITE node=\S+ image=(\S+) generation=(\S+) plan=(\S+) done=(\d+) failed=(\d+)")


class Boot(NamedTuple):
    """One line of the matrix: the node of matrix.yml with its method, the machine that it is, the state that nodeset gives it."""

    node: str
    method: str
    machine: str
    root: str = "statelite"

    @property
    def title(self) -> str:
        """What the fact is called."""
        kind = {"statelite": "statelite, root on NFS", "netboot": "stateless, image over HTTP"}[self.root]
        return f"{self.machine}, {self.method}: {kind}"


ALL = (
    Boot("m1", "xnba, script over HTTP", "BIOS"),
    Boot("m2", "grub2", "UEFI x86_64"),
    Boot("m3", "xnba, iPXE by TFTP", "UEFI x86_64"),
    Boot("m4", "grub2-http, UEFI HTTP boot", "UEFI x86_64, HTTP"),
    Boot("m5", "pxe", "BIOS", "netboot"),
    Boot("m1", "xnba, script over HTTP", "BIOS", "netboot"),
    Boot("m2", "grub2", "UEFI x86_64", "netboot"),
)


def matrix(lab: Lab) -> bool:
    """Make the site and boot every line of the matrix, two at a time; return whether all did."""
    log = lab.run / "converge-1.log"
    with lab.progress.stage("the site playbook converges a bare machine, image and all", log):
        lab.box.put(LAB / "content")
        converge(lab.box, log)
    machines_are_declared(lab)
    with lab.progress.stage("the image is packed", lab.run / "modules.log"):
        ask(lab.box, "packimage", {"image": IMAGE})
    machines: dict[str, Node] = {}
    by_root = [boot for boot in ALL if boot.root == "statelite"], [boot for boot in ALL if boot.root == "netboot"]
    for boots in by_root:
        for first in range(0, len(boots), 2):
            pair_boots(lab, machines, *boots[first : first + 2])
    text = "\n".join(f"{fact.title:60} {'booted' if fact.holds else 'NOT booted'}: {fact.seen}" for fact in lab.facts)
    (lab.run / "facts.txt").write_text(f"{text}\n", encoding="utf-8")
    print("", text, "", sep="\n", flush=True)
    return all(fact.holds for fact in lab.facts)


def machines_are_declared(lab: Lab) -> None:
    """Converge the site with the machines of matrix.yml, without its images."""
    log = lab.run / "converge-matrix.log"
    with lab.progress.stage("the site gets machines that boot by other methods", log):
        play(lab.box, log, PLAYBOOK, ["--tags", TAGS, "--inventory", str(MACHINES)])


def pair_boots(lab: Lab, known: dict[str, Node], *boots: Boot) -> None:
    """Switch machines on, side by side, and note for each whether it booted, or why not."""
    for boot in boots:
        ask(lab.box, "nodeset", {"noderange": boot.node, "state": f"{boot.root}={IMAGE}"})
        lab.box.command(f"rm -f {SPOOL}/{boot.node}.json {SPOOL}/{boot.node}.failure.json")
        if boot.node not in known:
            known[boot.node] = machine_of(lab, boot)
    machines = [(boot, known[boot.node]) for boot in boots]
    try:
        for _boot, machine in machines:
            machine.start()
        for boot, machine in machines:
            with lab.progress.stage(boot.title, machine.console):
                lab.saw(boot.title, boot.node, what_came(lab, boot, machine), rf"{IMAGE} generation \d+, \d+ entries, failed 0, reported")
    finally:
        for _boot, machine in machines:
            machine.stop()


def machine_of(lab: Lab, boot: Boot) -> Node:
    """Return the machine of a line of the matrix, switched off."""
    number = int(boot.node[1:])
    named = boot.node, f"52:54:00:77:01:{number:02x}", f"10.77.0.{100 + number}", lab.run
    machine: Node = EfiNode(*named) if boot.machine.startswith("UEFI") else Node(*named)
    if isinstance(machine, EfiNode):
        machine.over_http = "HTTP" in boot.machine
    return machine


def what_came(lab: Lab, boot: Boot, machine: Node) -> str:
    """Wait for what the node's agent says and for its report; return both in words, or why there is nothing."""
    try:
        done = machine.wait_for(DONE.pattern, LIMIT)
    except LabError as error:
        return f"not booted: {str(error).splitlines()[-1]}"
    deadline = time.monotonic() + ARRIVAL
    report: dict[str, object] = {}
    while not report and time.monotonic() < deadline:
        report = json.loads(lab.box.command(f"cat {SPOOL}/{boot.node}.json 2>/dev/null || echo '{{}}'"))
        time.sleep(1)
    arrived = "reported" if report.get("node") == boot.node else "not reported"
    return f"{done[1]} generation {done[2]}, {done[4]} entries, failed {done[5]}, {arrived}"
