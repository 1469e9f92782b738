# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a BMC switches: a machine that one command of somebody's stands for, and the BMCs that a file describes."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIMIT = 60


class RefusedError(Exception):
    """The machine can't do what it was told, as one that is off can't be reset."""


@dataclass(frozen=True)
class Machine:
    """A machine by its name; `command` has {node} and {action} in it, and tells in its last word of output whether it is on or off."""

    name: str
    command: list[str]

    def do(self, action: str) -> str:
        """Tell it what to do: on, off, reset, status, or network (boot from there once). Return on or off."""
        words = [word.replace("{node}", self.name).replace("{action}", action) for word in self.command]
        ran = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT, check=False)
        if ran.returncode != 0:
            raise RefusedError(f"{self.name} {action}: {ran.stderr.strip()}")
        return ran.stdout.split()[-1]

    @property
    def is_on(self) -> bool:
        """Whether it has power."""
        return self.do("status") == "on"


@dataclass(frozen=True)
class Board:
    """A BMC: its address, who may use it, and its machine."""

    address: str
    user: str
    password: str
    machine: Machine


def boards() -> tuple[dict[str, Any], list[Board]]:
    """Return what the file that this program was started with says, and the BMCs in it."""
    told = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    found = [Board(one["address"], one["user"], one["password"], Machine(one["node"], told["machine"])) for one in told["boards"]]
    return told, found
