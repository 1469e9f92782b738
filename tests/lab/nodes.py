# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running node says: questions put to it by ssh from the management node, as root, with the site's own key."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Mapping

from box import Box
from processes import LabError
from qemu import Node

KEY = "/etc/statelite/ssh/id_ed25519"
SETTINGS = (
    *("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "ConnectTimeout=15"),
    *("ServerAliveInterval=20", "ServerAliveCountMax=6"),
)
LIMIT = 600
MARK = "=== lab asks: "


class Talk:
    """Talk to the nodes of one box."""

    def __init__(self, box: Box) -> None:
        self.box = box

    def run(self, node: Node, script: str, limit: float = LIMIT) -> str:
        """Run a shell script on `node` and return what it wrote to stdout; raise LabError when it fails."""
        ssh = ["ssh", "-i", KEY, *(f"-o{setting}" for setting in SETTINGS), f"root@{node.address}", "sh", "-s"]
        return self.box.command(shlex.join(ssh), limit, script)

    def ask(self, node: Node, questions: Mapping[str, str]) -> dict[str, str]:
        """Put shell questions to `node` in one login; return what each wrote, with stderr, blanks at the ends left out.

        A question may fail: what it wrote is the answer. It runs in a shell of its own.
        """
        parts = [f"echo {shlex.quote(MARK + name)}\nsh -c {shlex.quote(text)} 2>&1 </dev/null" for name, text in questions.items()]
        answers = {}
        for part in self.run(node, "\n".join([*parts, "true"])).split(MARK)[1:]:
            name, _newline, text = part.partition("\n")
            answers[name] = text.strip()
        return answers

    def wait_until_up(self, node: Node, limit: float) -> re.Match[str]:
        """Wait until the agent on `node` has said that it is done and systemd has nothing more to start; return the agent's line."""
        done = node.wait_for(r"STATELITE node=\S+ image=(\S+) generation=(\S+) plan=(\S+) done=(\d+) failed=(\d+)", limit)
        deadline = time.monotonic() + limit
        while True:
            try:
                # Only waits: it ends with 1 for a node that is degraded, and what the node is becomes a fact of its own.
                self.run(node, "systemctl is-system-running --wait >/dev/null || true")
            except LabError as error:
                node.require_running()
                if time.monotonic() > deadline:
                    raise LabError(f"node {node.name} lets nobody in; its console is {node.console}: {error}") from None
                time.sleep(3)
            else:
                return done
