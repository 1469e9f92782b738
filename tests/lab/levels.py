# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Levels as real nodes meet them: mounted as their rows say, missing and optional, missing and required."""

from __future__ import annotations

import json
import re
import time
from typing import Any

from converge import ask
from lab import Lab
from network import PREFIX
from processes import LabError
from qemu import Node
from reports import SPOOL

IMAGE = "debian12-compute"
NOBODY = "10.77.0.4"
"""An address that no machine of the lab has."""
LATE = "10.77.0.3"
"""A second address of the management node, which it gets late."""
OPTIONAL = [
    {"priority": "4", "image": IMAGE, "directory": f"{NOBODY}:/srv/levels/far"},
    {"priority": "5", "image": IMAGE, "directory": "$noderes.nfsserver:/srv/levels/gone"},
]
REQUIRED = [{"priority": "6", "image": IMAGE, "directory": f"{LATE}:/srv/levels/site", "required": "yes"}]
BOUND = 35
"""Seconds that a boot may lose at a level whose server is down: the lab's `litelevelwait`, and some to give up."""
PATIENCE = 900


def are_mounted_as_said(lab: Lab) -> None:
    """Read from the running node how its levels are mounted."""
    asked = {name: f"grep ':/srv/levels/{name}[/ ]' /proc/mounts" for name in ("site", "rooms")}
    said = lab.talk.ask(lab.first, asked)
    title = "a level with mntopts actimeo=4,rsize=65536: /proc/mounts"
    lab.saw(title, "n1", said["site"], r".* nfs4 (?=ro,)(?=.*,rsize=65536,)(?=.*,acregmin=4,).*")
    title = "a level without mntopts: /proc/mounts"
    lab.saw(title, "n1", said["rooms"], r".* nfs4 (?=ro,)(?!.*,rsize=65536,)(?=.*,acregmax=3,).*")


def optional_ones_go_missing(lab: Lab) -> None:
    """Add levels that a node can do without and won't get: a server that is down, and a directory that is not there."""
    ask(lab.box, "litetree", {"rows": OPTIONAL})


def were_left_out(lab: Lab, node: Node) -> None:
    """Note as facts what a node reports of the levels that it did without."""
    report = report_of(lab, node)
    told = {level["source"]: level for level in report["levels"]}
    for row, title in zip(OPTIONAL, ("whose server is down", "whose directory is missing")):
        level = next(level for source, level in told.items() if source.endswith(row["directory"].partition(":")[2]))
        good = level["status"] == "failed" and level["message"] not in ("", "-") and float(level.get("seconds", BOUND + 1)) <= BOUND
        seen = f"{good}: {level['status']} after {level.get('seconds')} s: {level['message']}; entries failed: {report['failed']}"
        lab.saw(f"an optional level {title}: reported, bounded, the boot goes on", node.name, seen, r"True: .*; entries failed: 0")


def a_required_one_is_down(lab: Lab) -> None:
    """Take the optional levels away again and add one that nodes must have, on a server that is down."""
    gone = [{**row, "disable": "yes"} for row in OPTIONAL]
    ask(lab.box, "litetree", {"rows": [*gone, *REQUIRED]})


def the_required_one_returns(lab: Lab, node: Node, limit: float) -> re.Match[str]:
    """Wait until the service counted a failed attempt of `node`, see that it has not gone on, and bring the level's server up.

    Returns what the node's agent says at its end.
    """
    failure = f"{SPOOL}/{node.name}.failure.json"
    with lab.progress.stage(f"{node.name} can't mount a level that it must have", node.console):
        deadline = time.monotonic() + PATIENCE
        told: dict[str, Any] = {}
        while not told:
            if time.monotonic() > deadline:
                raise LabError(f"{node.name} did not report that a required level is missing; its console is {node.console}")
            time.sleep(1)
            told = json.loads(lab.box.command(f"cat {failure} 2>/dev/null || echo '{{}}'"))
        went_on = node.appears(r"STATELITE node=", 0) is not None
        lab.box.command(f"ip address add {LATE}/{PREFIX} dev host0")
    seen = f"{told['attempts']} attempts, stage {told['stage']}, {told['message']}; went on: {went_on}"
    wanted = rf"[1-9] attempts, stage levels, .*{LATE.replace('.', '[.]')}.*; went on: False"
    lab.saw("a required level is down: told to the service, counted, the boot waits", node.name, seen, wanted)
    with lab.progress.stage(f"the level's server is up, {node.name} boots", node.console):
        done = lab.talk.wait_until_up(node, limit)
    report = json.loads(lab.box.command(f"cat {SPOOL}/{node.name}.json"))
    level = next(level for level in report["report"]["levels"] if level["source"].startswith(LATE))
    left = lab.box.command(f"cat {failure} 2>/dev/null || echo none").strip()
    pieces = lab.talk.ask(node, {"pieces": "cat /etc/issue.net"})["pieces"].splitlines()
    seen = f"{level['status']}, failed before: {report['failed_before']}, failures left: {left}, {pieces[-2:]}"
    wanted = r"mounted, failed before: [1-9], failures left: none, \['piece of the site', 'piece of the site'\]"
    lab.saw("the required level is back: the node mounts it and boots", node.name, seen, wanted)
    return done


def report_of(lab: Lab, node: Node) -> dict[str, Any]:
    """Return the boot report that the management node keeps of a node."""
    report: dict[str, Any] = json.loads(lab.box.command(f"cat {SPOOL}/{node.name}.json"))["report"]
    return report
