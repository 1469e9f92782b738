# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What changed in a root tree while packages came and went: asked of the tree itself, for scripts of packages write where no list says.

A file that was written, replaced, renamed or given another mode has another inode, size or time of change (inode(7)): no digest is taken.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from ..apply.files import read_bytes

ACCOUNTS = ("/etc/passwd", "/etc/group")
Stamp = tuple[int, ...]


@dataclass(frozen=True)
class State:
    """A tree at one moment: its directories, the stamp of each other path, and the lines of its accounts, each with its file before it."""

    directories: frozenset[str]
    stamps: Mapping[str, Stamp]
    accounts: frozenset[str]

    def there(self, path: str) -> bool:
        """Tell whether something stands at a path."""
        return path in self.stamps or path in self.directories


@dataclass(frozen=True)
class Changes:
    """Paths, no directories, that came, went or changed, the files of accounts aside; and the names whose account did."""

    paths: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()


def state_of(top: str) -> State:
    """Return the state of the tree `top`; paths begin with a slash, as in the image."""
    stamps: dict[str, Stamp] = {}
    directories = set()
    cut = len(top.rstrip("/"))
    waiting = [top]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                    directories.add(entry.path[cut:])
                    continue
                found = entry.stat(follow_symlinks=False)
                stamps[entry.path[cut:]] = (found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    return State(frozenset(directories), stamps, frozenset(_lines(top)))


def _lines(top: str) -> list[str]:
    """Return the lines of accounts; none of a link, which may lead out of the image."""
    found = []
    for path in ACCOUNTS:
        content = None if os.path.islink(top + path) else read_bytes(top + path)
        found += [f"{path}:{line}" for line in (content or b"").decode("utf-8", "surrogateescape").splitlines()]
    return found


def changes(before: State, after: State) -> Changes:
    """Return what differs between two states of one tree."""
    paths = {path for path in {*before.stamps, *after.stamps} if before.stamps.get(path) != after.stamps.get(path)}
    accounts = {line.split(":")[1] for line in before.accounts ^ after.accounts}
    return Changes(frozenset(paths.difference(ACCOUNTS)), frozenset(accounts))
