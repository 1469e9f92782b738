# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boot the lab's nodes as a site does: by the collection's playbook, whose hook for the power switches QEMU."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

from converge import play
from lab import Lab
from power import Power

PLAYBOOK = "diskless.statelite.boot"
AROUND = 300
"""Seconds that the playbook may take beside its wait for the reports."""


def by_playbook(lab: Lab, log: Path, limit: float) -> str:
    """Boot all nodes, side by side, and wait at most `limit` seconds for their reports; return what is told of them, sorted.

    Raises LabError with the causes when one does not come up.
    """
    # A socket's path may have a hundred characters, so it is not among the logs.
    with tempfile.TemporaryDirectory(prefix="lab-power-") as directory:
        power = Power(Path(directory) / "socket", {node.name: node for node in lab.nodes})
        variables = {
            "statelite_noderange": ",".join(node.name for node in lab.nodes),
            "statelite_state": "osimage",
            "statelite_boot_timeout": int(limit),
            "power_command": power.command(),
            "power_host": "localhost",
        }
        try:
            text = play(lab.box, log, PLAYBOOK, ["--extra-vars", json.dumps(variables)], limit=limit + AROUND)
        finally:
            power.stop()
    return ", ".join(sorted(re.findall(r'"msg": "(\S+ booted at \S+)"', text)))
