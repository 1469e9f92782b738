# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things lie: the repository, its build folder, and the environment its tools see."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
LOGS = BUILD / "log"
VENV = BUILD / "venv"
POWER = BUILD / "power"
"""What emulates the power of nodes (tests/power)."""
COLLECTION = Path("ansible_collections/diskless/statelite")
WORKSPACE = BUILD / "workspace"
"""Holds the collection as a symbolic link to the repository: what plain pytest and ansible-lint see."""
COPY = BUILD / "ansible-test" / COLLECTION
"""A real copy of the tracked files with its own git: what ansible-test wants."""
HOME = BUILD / "home"
"""The tools' home directory, so that nothing of theirs lands in the caller's."""


def venv(program: str) -> str:
    """Return the path of a program of build/venv."""
    return str(VENV / "bin" / program)


def environment() -> dict[str, str]:
    """Return what every tool sees: the caller's environment, our tools first, our home, our collection."""
    seen = dict(os.environ)
    for name in ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME", "ANSIBLE_CONFIG"):
        seen.pop(name, None)
    seen.update(
        HOME=str(HOME),
        PATH=f"{VENV / 'bin'}:{seen.get('PATH', '/usr/sbin:/usr/bin:/sbin:/bin')}",
        ANSIBLE_HOME=str(HOME / ".ansible"),
        ANSIBLE_COLLECTIONS_PATH=str(WORKSPACE),
        ANSIBLE_NOCOLOR="1",
        NO_COLOR="1",
        LC_ALL="C.UTF-8",
        PYTHONDONTWRITEBYTECODE="1",
        XDG_CACHE_HOME=str(BUILD / "cache"),
    )
    return seen
