# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boot method x machine x kind of root: each boots or says why not. A machine is switched off as soon as its report has arrived."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import NamedTuple

import elsewhere
from converge import ask, converge, play
from drives import labelled
from facts import Fact
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
ARRIVAL = 240
"""Seconds that a report may take to arrive when the node has said that it is done, and a boot file to come back after it."""

DONE = re.compile(r"STATELITE node=\S+ image=(\S+) generation=(\S+) plan=(\S+) done=(\d+) failed=(\d+)")
PANIC = "Kernel panic - not syncing"
GOOD = rf"{IMAGE} generation [\d+]+, \d+ entries, failed 0, reported"
BACK = "that was once, by nodeset: its boot file is its own again since it has reported"
STATELITE, STATELESS = "statelite, root on NFS", "stateless, image over HTTP"
BIOS, EFI, EFI_HTTP = "BIOS, x86_64", "UEFI, x86_64", "UEFI HTTP boot, x86_64"


class Boot(NamedTuple):
    """One line of the matrix: the node of matrix.yml, its method, the machine that it is, what it boots into.

    With `asked` nodeset is run for it before, `once` for one boot only; else it boots what it has.
    """

    node: str
    method: str
    machine: str
    root: str = STATELITE
    asked: bool = True
    once: bool = False

    @property
    def title(self) -> str:
        """What the fact is called."""
        return f"{self.method:30} {self.machine:24} {self.root}"

    @property
    def state(self) -> str:
        """What nodeset is asked for."""
        return f"{'netboot' if self.root == STATELESS else 'statelite'}={IMAGE}"


GRUB = Boot("m2", "grub2, all by TFTP", EFI)
"""What every test of the lab boots too."""

ONCE = Boot("m5", "pxe, pxelinux", BIOS, STATELESS, once=True)
ROUNDS = (
    (Boot("m1", "xnba, script over HTTP", BIOS), GRUB),
    (Boot("m3", "xnba, iPXE by TFTP", EFI), Boot("m4", "grub2-http, GRUB by HTTP", EFI_HTTP)),
    (Boot("m4", "grub2-http, GRUB by TFTP", EFI), ONCE),
    (Boot("m5", "pxe, pxelinux", BIOS, asked=False), Boot("m1", "xnba, script over HTTP", BIOS, STATELESS)),
    (Boot("m2", "grub2, all by TFTP", EFI, STATELESS), Boot("m4", "grub2-http, GRUB by HTTP", EFI_HTTP, STATELESS)),
    (Boot("m3", "xnba, iPXE by TFTP", EFI, STATELESS), Boot("m4", "grub2-http, GRUB by TFTP", EFI, STATELESS)),
)
"""Boots side by side. m5 boots the stateless image once, and then again what it had: nobody runs nodeset for it in between."""


def matrix(lab: Lab) -> bool:
    """Make the site and boot every line of the matrix, two at a time; return whether all did that can here."""
    log = lab.run / "converge-1.log"
    with lab.progress.stage("the site playbook converges a bare machine, image and all", log):
        lab.box.put(LAB / "content")
        converge(lab.box, log)
    with lab.progress.stage("the image is packed for stateless nodes", lab.run / "modules.log"):
        lab.box.command("apt-get install --yes --quiet cpio zstd", limit=120)
        ask(lab.box, "packimage", {"image": IMAGE, "compress": "zstd"})
    machines = Machines(lab)
    machines.are_declared()
    for boots in ROUNDS:
        machines.boot(boots)
        if ONCE in boots:
            machines.has_its_own_again(ONCE.node)
    lines = [line_of(fact) for fact in lab.facts]
    text = "\n".join([*lines, *elsewhere.lines()])
    (lab.run / "facts.txt").write_text(f"{text}\n", encoding="utf-8")
    print("", text, "", sep="\n", flush=True)
    return all(fact.holds for fact in lab.facts)


def line_of(fact: Fact) -> str:
    """Return a line of the matrix."""
    became = "" if fact.title == BACK else "booted: " if fact.holds else "NOT booted: "
    return f"{'ok' if fact.holds else 'FAIL':4}  {fact.title:82} {became}{fact.seen}"


class Machines:
    """The machines of matrix.yml: each is there from its first boot on."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.known: dict[str, Node] = {}

    def are_declared(self) -> None:
        """Converge the site with the machines of matrix.yml, without its images."""
        log = self.lab.run / "converge-matrix.log"
        with self.lab.progress.stage("the site gets machines that boot by other methods", log):
            play(self.lab.box, log, PLAYBOOK, ["--tags", TAGS, "--inventory", str(MACHINES)])

    def boot(self, boots: Sequence[Boot]) -> None:
        """Switch machines on, side by side, and note for each whether it booted, or why not."""
        with ExitStack() as ends:
            for boot in boots:
                ends.callback(self.switch_on(boot).stop)
            for boot in boots:
                self.came_up(boot)

    def switch_on(self, boot: Boot) -> Node:
        """Have the node of a line boot what the line says, and return its machine, switched on."""
        if boot.asked:
            words = {"noderange": boot.node, "state": boot.state, **({"once": True, "expires": "2h"} if boot.once else {})}
            ask(self.lab.box, "nodeset", words)
        self.lab.box.command(f"rm -f {SPOOL}/{boot.node}.json {SPOOL}/{boot.node}.failure.json")
        machine = self.known.get(boot.node) or self.machine_of(boot)
        self.known[boot.node] = machine
        if isinstance(machine, EfiNode):
            machine.over_http = boot.machine == EFI_HTTP
        machine.start()
        return machine

    def machine_of(self, boot: Boot) -> Node:
        """Return the machine of a line of the matrix, switched off."""
        number = int(boot.node[1:])
        named = boot.node, f"52:54:00:77:01:{number:02x}", f"10.77.0.{100 + number}", self.lab.run, (labelled(self.lab.box, boot.node),)
        return Node(*named) if boot.machine == BIOS else EfiNode(*named)

    def came_up(self, boot: Boot) -> None:
        """Note whether the machine of a line, which is on, comes up."""
        machine = self.known[boot.node]
        with self.lab.progress.stage(boot.title, machine.console):
            self.lab.saw(boot.title, boot.node, self.what_came(boot, machine), GOOD)

    def what_came(self, boot: Boot, machine: Node) -> str:
        """Wait for what the node's agent says and for its report; return both in words, or why there is nothing."""
        try:
            done = DONE.match(machine.wait_for(f"{DONE.pattern}|{PANIC}", LIMIT)[0])
        except LabError as error:
            return str(error).splitlines()[-1]
        if done is None:
            return f"the kernel panicked, as {machine.console} shows"
        deadline = time.monotonic() + ARRIVAL
        report: dict[str, object] = {}
        while not report and time.monotonic() < deadline:
            report = json.loads(self.lab.box.command(f"cat {SPOOL}/{boot.node}.json 2>/dev/null || echo '{{}}'"))
            time.sleep(1)
        arrived = "reported" if report.get("node") == boot.node else "not reported"
        return f"{done[1]} generation {done[2]}, {done[4]} entries, failed {done[5]}, {arrived}"

    def has_its_own_again(self, node: str) -> None:
        """Note that what a node booted once is over by its report: its boot file says again what it said, and nothing is recorded."""
        command = f"head -n 1 /tftpboot/pxelinux.cfg/{node}; ls /etc/statelite/boot-once.json 2>&1"
        deadline = time.monotonic() + ARRIVAL
        with self.lab.progress.stage(f"what {node} booted once is over by its report", self.lab.box.commands):
            while True:
                seen = " | ".join(self.lab.box.command(f"{command}; true").splitlines())
                if "No such file" in seen or time.monotonic() > deadline:
                    break
                time.sleep(1)
        self.lab.saw(BACK, node, seen, r"#statelite .* No such file.*")
