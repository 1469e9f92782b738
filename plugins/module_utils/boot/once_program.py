# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that ends one-time boots, written as one file that needs nothing but Python."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from ..apply.files import read_bytes, write_file
from ..program import PACKAGE, one_file
from . import returning

FIRST = "/".join(returning.__name__.split(".")[-2:]) + ".py"
INTERPRETER = b"#!/usr/bin/python3\n"
START = f"""# Written by the module diskless.statelite.boot_once_program.
import sys

from {PACKAGE}.boot.returning import main

sys.exit(main())
"""
MODE = 0o755
SPEC: dict[str, Any] = {"path": {"type": "path", "default": "/usr/lib/statelite/boot-once"}}
"""Options of the module boot_once_program."""


@dataclass(frozen=True)
class ProgramFile:
    """The program, and what is to be done about it: create, replace, mode, or nothing (empty)."""

    path: str
    content: bytes
    difference: str

    def lines(self) -> list[str]:
        """Return one line when anything differs."""
        return [f"{self.difference} {self.path}"] if self.difference else []

    def result(self) -> dict[str, Any]:
        """Return where the program is, and which it is."""
        return {"path": self.path, "digest": f"sha256:{sha256(self.content).hexdigest()}"}

    def apply(self) -> None:
        """Write it."""
        os.makedirs(os.path.dirname(self.path), mode=0o755, exist_ok=True)
        write_file(self.path, self.content, MODE)


def plan_program(params: Mapping[str, Any], _warn: Callable[[str], None]) -> ProgramFile:
    """Return what makes the file the program that this collection has."""
    path, content = params["path"], one_file(FIRST, START, INTERPRETER)
    there = read_bytes(path)
    if there == content:
        return ProgramFile(path, content, "" if stat.S_IMODE(os.stat(path).st_mode) == MODE else "mode")
    return ProgramFile(path, content, "create" if there is None else "replace")
