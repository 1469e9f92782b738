# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that keep their root in memory: the same image stateless, and statelite with a root in memory, both fetched over HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from converge import ask
from lab import Lab
from qemu import Node

IMAGE = "debian12-compute"
PACKED_AS = {"image": IMAGE, "method": "cpio", "compress": "zstd"}
UNPACKED_AS = {"image": IMAGE, "method": "tar", "compress": "zstd"}
LAYERED_AS = {"image": IMAGE, "method": "squashfs"}
"""Stays packed in the node's memory, below a volatile layer."""
MOUNTED_AS = {"image": IMAGE, "method": "erofs"}
"""Stays packed too and is the root itself; a squashfs can't be that here, for the image has an access list at /var/log/journal."""
BOOT_LIMIT = 900
ROOTLIMIT = 720
"""Megabytes that the stateless node's root may take: less than half of its memory, which is what it would be otherwise."""
SPOOL = "/var/spool/statelite/reports"
FETCHED = r"fetching http://10\.77\.0\.1:80/\S+/generations/(\d+)/(rootimg\S+)"
QUESTIONS = {
    "root": "findmnt --noheadings --output FSTYPE,OPTIONS / | tr ',' ' '",
    "room": "df --block-size=M --output=size / | tail -n 1",
    "state": "systemctl is-system-running; systemctl --failed --no-legend --plain",
    "name": 'echo "$(id -un)@$(hostname)"; cat /etc/hostname',
    "machine-id": "cat /etc/machine-id",
    "write": "touch /usr/written && echo WRITTEN",
    "nfs": "findmnt --noheadings --list --types nfs,nfs4 --output TARGET",
    "left out": "ls -d /var/cache/bulk /.default /.statelite.json",
    "issue": "head --lines 1 /etc/issue",
    "kept": "echo 'in memory' > /etc/kept.conf; cat /etc/kept.conf",
}


def both_boot(lab: Lab) -> None:
    """One node boots the image stateless, the other one as statelite in memory, side by side; then both from images that stay packed."""
    stateless_is_set(lab, lab.second)
    statelite_is_set(lab, lab.first)
    for node in lab.nodes:
        node.start()
    stateless_is_up(lab, lab.second)
    statelite_is_up(lab, lab.first)
    for node in lab.nodes:
        node.stop()
    lab.box.command("apt-get install --yes --quiet erofs-utils squashfs-tools", limit=120)
    stateless_is_set(lab, lab.second, LAYERED_AS)
    statelite_is_set(lab, lab.first, MOUNTED_AS)
    for node in lab.nodes:
        node.start()
    stateless_is_up(lab, lab.second, "overlay")
    statelite_is_up(lab, lab.first, "erofs")


def stateless_boots(lab: Lab, node: Node) -> None:
    """Have a node that is switched off boot the statelite image stateless, and look at it."""
    stateless_is_set(lab, node)
    node.start()
    stateless_is_up(lab, node)


def stateless_is_set(lab: Lab, node: Node, packed_as: Mapping[str, str] | None = None) -> None:
    """Pack the statelite image for stateless nodes, twice, and have the node boot it next."""
    packed_as = packed_as or PACKED_AS
    form = packed_as["method"]
    with lab.progress.stage(f"the image is packed as {form} for stateless nodes, and {node.name} is to boot it", lab.run / "modules.log"):
        # The role image installs them where an image is for such nodes; this one is for others too.
        lab.box.command("apt-get install --yes --quiet cpio zstd", limit=120)
        row = dict(ask(lab.box, "osimage_info", {"imagename": [IMAGE]})["rows"][0], rootfstype="nfs")
        words = row["linux"]["addkcmdline"].split()
        limited = " ".join([*(word for word in words if not word.startswith("rootlimit=")), f"rootlimit={ROOTLIMIT}m"])
        ask(lab.box, "osimage", {"rows": [dict(row, linux=dict(row["linux"], addkcmdline=limited))]})
        packed = ask(lab.box, "packimage", packed_as)
        again = ask(lab.box, "packimage", packed_as)
        ask(lab.box, "nodeset", {"noderange": node.name, "state": f"netboot={IMAGE}"})
    seen = f"{packed['excluded_files'] > 0}, packed again: {again['changed']}"
    lab.saw("packimage leaves out what the exclude list says, and a second run nothing", "mn1", seen, "True, packed again: False")


def stateless_is_up(lab: Lab, node: Node, kind: str = "tmpfs") -> None:
    """Wait until the stateless node is up, and note as facts what it is; its root is a file system of this kind."""
    with lab.progress.stage(f"{node.name} boots from memory", node.console):
        done = lab.talk.wait_until_up(node, BOOT_LIMIT)
        said = lab.talk.ask(node, QUESTIONS)
    name = node.name
    lab.saw("stateless: the root is a file system in memory", name, said["root"], rf"{kind}\s+rw .*")
    lab.saw("stateless: it has the room that rootlimit says", name, said["room"], f"{ROOTLIMIT}M")
    lab.saw("stateless: systemctl is-system-running; failed units (none)", name, said["state"], "running")
    lab.saw("stateless: its login, its name and its own file of that", name, said["name"], f"root@{name}\n{name}")
    lab.saw("stateless: its machine-id", name, said["machine-id"], r"[0-9a-f]{32}")
    lab.saw("stateless: it may write its root", name, said["write"], "WRITTEN")
    lab.saw("stateless: nothing of it comes over NFS", name, said["nfs"] or "none", "none")
    lab.saw("stateless: neither a layout nor what the list excludes is there", name, str(said["left out"].count("No such file")), "3")
    lab.saw("stateless: an entry is what the image has", name, said["issue"], r"Debian GNU/Linux 12 .*")
    fetched = node.wait_for(FETCHED, 1)
    report = report_of(lab, node)
    seen = f"plan={report['plan']} failed={report['failed']} generation={report['generation'] == fetched[1]} packed={fetched[2][:8]}"
    lab.saw(
        "stateless: its report arrived, of the generation that it fetched",
        name,
        seen,
        "plan=service failed=0 generation=True packed=rootimg-",
    )
    lab.saw("stateless: no entry is carried out", name, done[4], "0")


def statelite_is_set(lab: Lab, node: Node, packed_as: Mapping[str, str] | None = None) -> None:
    """Let the image's root be in memory, pack it as it is laid out, and have the node boot it."""
    packed_as = packed_as or UNPACKED_AS
    form = packed_as["method"]
    with lab.progress.stage(f"the image is packed as {form} as it is laid out, and {node.name} is to boot it", lab.run / "modules.log"):
        row = dict(ask(lab.box, "osimage_info", {"imagename": [IMAGE]})["rows"][0], rootfstype="ramdisk")
        ask(lab.box, "osimage", {"rows": [row]})
        ask(lab.box, "packimage", packed_as)
        ask(lab.box, "nodeset", {"noderange": node.name, "state": f"statelite={IMAGE}"})


def statelite_is_up(lab: Lab, node: Node, kind: str = "tmpfs") -> None:
    """Wait until the statelite node is up, and note as facts what it is; its root is a file system of this kind."""
    with lab.progress.stage(f"{node.name} boots as statelite from memory", node.console):
        done = lab.talk.wait_until_up(node, BOOT_LIMIT)
        said = lab.talk.ask(node, QUESTIONS)
    name = node.name
    lab.saw("root in memory: a file system in memory, read-only", name, said["root"], rf"{kind}\s+ro .*")
    lab.saw("root in memory: systemctl is-system-running; failed units (none)", name, said["state"], "running")
    lab.saw("root in memory: it refuses a write", name, said["write"], r"(?!.*WRITTEN).*Read-only file system.*")
    mounts = said["nfs"].split()
    seen = f"state: {f'/.statelite/persistent/{name}' in mounts}, root: {'/' in mounts}"
    lab.saw("root in memory: its state is on the server, its root is not", name, seen, "state: True, root: False")
    lab.saw("root in memory: a persistent entry takes a write", name, said["kept"], "in memory")
    kept = lab.box.command(f"cat /srv/state/{name}/etc/kept.conf").strip()
    lab.saw("root in memory: and the server has it", "mn1", kept, "in memory")
    report = report_of(lab, node)
    seen = f"plan={report['plan']} done={report['done'] == int(done[4])} failed={report['failed']}"
    lab.saw("root in memory: its report, entry by entry", name, seen, "plan=service done=True failed=0")
    lab.saw("root in memory: entries that were carried out", name, done[4], r"[1-9]\d+")


def report_of(lab: Lab, node: Node) -> dict[str, Any]:
    """Return the report that the management node has of a node."""
    return dict(json.loads(lab.box.command(f"cat {SPOOL}/{node.name}.json"))["report"])
