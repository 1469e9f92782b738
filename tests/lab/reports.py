# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot reports that nodes sent to the management node, beside what the image is laid out for and what the nodes really have."""

from __future__ import annotations

import json
import shlex
from typing import Any

from lab import Lab
from processes import LabError
from qemu import Node

SPOOL = "/var/spool/statelite/reports"
ON = {"tmpfs": ("tmpfs", "overlay"), "con": ("tmpfs",), "persistent": ("nfs4",), "localdisk": ("ext4",), "ro": ("nfs4",)}
"""The file systems on which an entry of each storage is found on a node; what lies in an overlay is on it too."""


def agree(lab: Lab, node: Node, overlays: str = r"[1-9]\d*") -> None:
    """Compare, entry by entry, a node's report with the layout of its image and with the node itself.

    `overlays` is the pattern of how many directories must lie over their source.
    """
    title = f"the boot report of {node.name} is compared with its image and with itself, entry by entry"
    with lab.progress.stage(title, lab.box.commands):
        of_node(lab, node, overlays)


def of_node(lab: Lab, node: Node, overlays: str) -> None:
    """Note as facts what the report of one node says, and where an entry is not what the layout and the report say."""
    report = json.loads(lab.box.command(f"cat {SPOOL}/{node.name}.json"))["report"]
    own = json.loads(lab.talk.ask(node, {"report": "cat /.statelite/report.json"})["report"])
    source = lab.talk.ask(node, {"root": "findmnt --noheadings --output SOURCE /"})["root"]
    layout = json.loads(lab.box.command(f"cat {shlex.quote(source.partition(':')[2] + '/.statelite.json')}"))
    entries: list[dict[str, Any]] = layout["entries"]
    if not entries:
        raise LabError(f"the image of {node.name} is laid out for no entry")
    lab.saw("the report that the server keeps is the one on the node", node.name, str(report == own), "True")
    said = {entry["path"]: entry for entry in report["entries"]}
    missing = sorted({entry["path"] for entry in entries} ^ set(said))
    lab.saw("entries of the image that the report has not, or the reverse", node.name, " ".join(missing) or "none", "none")
    failed = sorted(path for path, entry in said.items() if entry["status"] != "done")
    lab.saw("entries that the report does not call done", node.name, " ".join(failed) or "none", "none")
    laid_over = {path for path, entry in said.items() if entry["message"] == "overlay"}
    lab.saw("volatile directories that lie over their source, by the report", node.name, str(len(laid_over)), overlays)
    wrong = differing(lab, node, [entry for entry in entries if entry["storage"] in ON], laid_over)
    title = f"entries (of {len(entries)}) that are not on the file system of their storage"
    lab.saw(title, node.name, " ".join(wrong) or "none", "none")


def differing(lab: Lab, node: Node, entries: list[dict[str, Any]], laid_over: set[str]) -> list[str]:
    """Return each entry that on the node lies on another file system than its storage and its report say, with what it lies on."""
    questions = {}
    for entry in entries:
        path = shlex.quote(entry["path"])
        questions[entry["path"]] = f'findmnt --noheadings --output FSTYPE --target "$(readlink -f {path})"'
    said = lab.talk.ask(node, questions)
    wanted = {entry["path"]: ("overlay",) if entry["path"] in laid_over else ON[entry["storage"]] for entry in entries}
    return [f"{path}={said[path]}" for path, kinds in wanted.items() if said[path] not in kinds]
