# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an installer needs of the machine that it runs on, whatever it is asked for."""

from __future__ import annotations

import shutil
from collections.abc import Iterable

from ...apply.commands import ENVIRONMENT
from ...errors import Fault


def program_path(program: str) -> str | None:
    """Return where a program lies that builds run; None when it is not there."""
    return shutil.which(program, path=ENVIRONMENT["PATH"])


def missing_programs(programs: Iterable[tuple[str, str]]) -> list[Fault]:
    """Return a fault for each program that this machine lacks; with it the package that brings it is named."""
    return [
        Fault(program, "is not installed on this machine", f"Install the package {package}")
        for program, package in programs
        if not program_path(program)
    ]
