# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the site foretells of nodes that are off, and what they then prove of themselves, path by path, no exception."""

from __future__ import annotations

import base64
import io
import tarfile

import drives
import network
from converge import ask
from lab import Lab
from processes import LabError
from proof import Proof, differences
from qemu import Node

PACKED = "tar --create --gzip --directory=/.statelite/proof . | base64 --wrap=0"
NAMED = 4
"""Differences that a fact names; all of them are in the run's logs."""
ELSEWHERE = {"10.77.0.3:/": "/", "10.77.0.4:/": "/nobody/is/there", "localdisk:": f"/{drives.SHOWN}"}
"""Servers besides the management node: its own second address, and an address that nobody has; and copies of the nodes' disks."""
NAMED_BY_DHCP = f"nameserver {network.MANAGEMENT}\n".encode()
"""What the nodes' resolv.conf must hold: what the table networks of the lab's inventory has DHCP say, as dracut's client writes it."""
ALIKE = r"[1-9]\d* paths alike at [1-9]\d* entries, [1-9]\d* contents, [1-9]\d* writes tried"


def foretell(lab: Lab, *nodes: Node) -> None:
    """Ask node_view_info on the management node what nodes will see, their state as it is now: they must be off."""
    names = ",".join(node.name for node in nodes)
    for node in nodes:
        drives.show(lab, node)
    with lab.progress.stage(f"it is foretold what {names} will see at every entry", lab.box.logs / "modules.log"):
        told = ask(lab.box, "node_view_info", {"noderange": names, "digest": True, "level_paths": ELSEWHERE})
        for group in told["groups"]:
            lab.foretold.update(dict.fromkeys(group["nodes"], group))


def prove(lab: Lab, node: Node) -> Proof:
    """Fetch the proof that a node wrote just before switch_root, and note as a fact how it differs from what was foretold."""
    with lab.progress.stage(f"what {node.name} proves of boot {node.boots} is laid beside what was foretold", lab.box.commands):
        packed = io.BytesIO(base64.b64decode(lab.talk.run(node, PACKED)))
        with tarfile.open(fileobj=packed) as archive:
            members = [(member.name.removeprefix("./"), archive.extractfile(member)) for member in archive if member.isfile()]
            proof = Proof({name: stream.read() for name, stream in members if stream is not None})
        group = lab.foretold.get(node.name)
        if group is None or not group["boots"]:
            raise LabError(f"nothing was foretold of {node.name}, or that it does not boot: {group}")
        found = differences(group, proof, NAMED_BY_DHCP)
        log = lab.run / f"{node.name}-boot{node.boots}-differences.log"
        log.write_text("".join(f"{each}\n" for each in found) + proof.trouble, encoding="utf-8", errors="replace")
    contents = sum("digest" in row for row in group["tree"])
    seen = f"{len(proof.rows)} paths alike at {len(proof.entries)} entries, {contents} contents, {len(proof.writes)} writes tried"
    if found:
        named = " | ".join(str(each) for each in found[:NAMED])
        seen = f"{len(found)} differences at {len({each.path for each in found})} of {len(proof.rows)} paths: {named}"
    lab.saw(f"boot {node.boots}: the tree that was foretold is there, path by path", node.name, seen, ALIKE)
    lab.proofs[node.name, node.boots] = proof
    return proof
