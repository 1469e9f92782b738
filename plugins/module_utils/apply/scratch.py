# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories that a run works in beside everything that it makes: gone with the run, or with the next one where it was killed.

Whoever works in one holds its lock (flock(2)), which the kernel lets go however a process ends. So a directory whose lock nobody
holds is one that a killed run left.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ..errors import SiteError
from .removal import mounts_under, remove_tree

LARGE = "/var/tmp"
"""Where directories are that may grow large, as with the lists of repositories."""
PREFIX = "statelite-scratch-"


@contextmanager
def scratch(name: str, place: str = "") -> Iterator[str]:
    """Give a new directory that only this user reads, below `place` or where temporary files are, and remove it at the end.

    What killed runs left is removed first.
    """
    remove_abandoned()
    path, held = _made(name, place or tempfile.gettempdir())
    try:
        yield path
    finally:
        try:
            _remove(path)
        finally:
            os.close(held)


def _remove(path: str) -> None:
    if mounts_under(path):
        remove_tree(path)
    while os.path.lexists(path):
        with suppress(FileNotFoundError):  # a program that still ends takes its own away
            shutil.rmtree(path)


def remove_abandoned() -> None:
    """Remove what killed runs of this user left. What can't be removed yet, as by a program of theirs that still ends, is left to
    the next run.
    """
    for place in dict.fromkeys((LARGE, tempfile.gettempdir())):
        with suppress(FileNotFoundError), os.scandir(place) as entries:
            for path in [entry.path for entry in entries if entry.name.startswith(PREFIX)]:
                _remove_if_abandoned(path)


def _remove_if_abandoned(path: str) -> None:
    with suppress(OSError):
        held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if os.fstat(held).st_uid == os.geteuid():
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with suppress(SiteError):
                    _remove(path)
        finally:
            os.close(held)


def _made(name: str, place: str) -> tuple[str, int]:
    """Make a directory and return its path with the descriptor that holds its lock.

    Another run may have taken it for an abandoned one before it was locked; then another one is made.
    """
    while True:
        path = tempfile.mkdtemp(prefix=f"{PREFIX}{name}-", dir=place)
        with suppress(FileNotFoundError):
            held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            fcntl.flock(held, fcntl.LOCK_EX)
            if _stands(path, held):
                return path, held
            os.close(held)


def _stands(path: str, held: int) -> bool:
    """Tell whether the directory of a descriptor is still at its path."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and os.path.samestat(found, os.fstat(held))
