# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the collection's own playbooks and modules on the guests, by ssh, as an administrator does."""

from __future__ import annotations

import json
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guest import Guest
from places import BUILD
from processes import LabError, output_of, run

HERE = Path(__file__).resolve().parent
INVENTORY = HERE / "inventory"
LIMIT = 600
SITE = "/etc/statelite/site.db"
RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


@dataclass
class Answer:
    """What a module returned, and how many seconds that took."""

    result: dict[str, Any]
    seconds: float


class Collection:
    """Ansible with the collection of this repository; `guest` is any of the guests, whose ssh options serve for all."""

    def __init__(self, guest: Guest, directory: Path, logs: Path) -> None:
        self.logs = logs
        self.plays = 0
        self.environment = {
            "ANSIBLE_COLLECTIONS_PATH": str(BUILD / "workspace"),
            "ANSIBLE_HOME": str(directory / "ansible"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_SSH_ARGS": " ".join(guest.ssh_options()),
        }

    def _program(self, name: str) -> list[str]:
        words = [f"{key}={value}" for key, value in self.environment.items()]
        return ["env", *words, str(Path(sys.executable).with_name(name)), "--inventory", str(INVENTORY)]

    def play(self, playbook: str, *options: str) -> dict[str, str]:
        """Run a playbook of this directory; return, by guest, how many tasks changed something and how many failed."""
        self.plays += 1
        log = self.logs / f"play-{self.plays}.log"
        run([*self._program("ansible-playbook"), "--diff", *options, str(HERE / playbook)], log=log, limit=LIMIT)
        found = RECAP.findall(log.read_text(encoding="utf-8", errors="replace"))
        return {host: f"changed={changed} failed={failed}" for host, _ok, changed, _unreachable, failed in found}

    def ask(self, guest: Guest, module: str, **options: Any) -> Answer:
        """Run one module on a guest; raise LabError when it fails."""
        log = self.logs / "modules.log"
        words = ["--module-name", f"diskless.statelite.{module}", "--args", json.dumps({"site": SITE, **options}), guest.name]
        began = time.monotonic()
        wrote = output_of([*self._program("ansible"), *words], log=log, limit=LIMIT)
        seconds = time.monotonic() - began
        if " => " not in wrote:
            raise LabError(f"{module} on {guest.name} gave no result; its log is {log}")
        return Answer(json.loads(wrote.split(" => ", 1)[1]), seconds)
