# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees as the management node sees them: a root image, the levels of litetree, the state of a node.

Every name is opened below the tree's own directory without following a link (apply/root.py); where links lead is the
name space's matter. A tree that can't be read is said to be unknown, with the reason; nothing is guessed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..apply.root import Root
from ..errors import SiteError
from .namespace import Inode

KINDS = {stat.S_IFDIR: "d", stat.S_IFREG: "f", stat.S_IFLNK: "l"}
READ, ABSENT, UNKNOWN = "read", "absent", "unknown"


@dataclass(frozen=True)
class Found:
    """A tree, `state` READ; or why there is none: ABSENT for certain, or UNKNOWN."""

    state: str
    reason: str = ""
    root: Inode | None = None


def _inode(path: str, inside: str, found: os.stat_result, text: str, backing: str, origin: str) -> Inode:
    kind = KINDS.get(stat.S_IFMT(found.st_mode), "o")
    inode = Inode(kind, stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid, text, backing, origin, fixed=True)
    if kind == "f":
        inode.read = lambda: _content(path, inside)
    elif kind == "d":
        inode.load = lambda: _names(path, inside, inode)
    return inode


def _content(path: str, inside: str) -> bytes:
    with Root(path) as root:
        return root.read(inside) or b""


def _names(path: str, inside: str, above: Inode) -> dict[str, Inode]:
    try:
        with Root(path) as root:
            listed = root.scan(inside)
    except OSError as error:
        above.unknown = f"{path}{inside} can't be read ({error.strerror})"
        return {}
    below = "" if inside == "/" else inside
    return {name: _inode(path, f"{below}/{name}", found, text, above.backing, above.origin) for name, found, text in listed}


def tree_at(path: str, backing: str, origin: str) -> Found:
    """Return the tree at a directory of this machine; its names are read when they are asked for."""
    try:
        with Root(path) as root:
            found = os.fstat(root.descriptor)
    except SiteError as error:
        gone = isinstance(error.__cause__, (FileNotFoundError, NotADirectoryError))
        return Found(ABSENT if gone else UNKNOWN, "; ".join(fault.what for fault in error.faults))
    return Found(READ, root=_inode(path, "/", found, "", backing, origin))


@dataclass
class Places:
    """Which directories of this machine are the servers' directories.

    `own` are this machine's addresses: what a server of that address exports lies at its own path here. `level_paths`
    lead from `server:/directory` to where that tree (with everything below it) is seen here.
    """

    own: Sequence[str] = ()
    level_paths: Mapping[str, str] = field(default_factory=dict)
    _known: dict[tuple[str, str, str], Found] = field(default_factory=dict)

    def local(self, server: str, directory: str) -> str | None:
        """Return the path of this machine for a server's directory; None when it is not seen here."""
        wanted = f"{server}:{directory}"
        for known in sorted(self.level_paths, key=len, reverse=True):
            above = known.rstrip("/")
            if wanted == above or wanted.startswith(above + "/"):
                return self.level_paths[known].rstrip("/") + wanted[len(above) :]
        return directory if server in self.own else None

    def tree(self, server: str, directory: str, backing: str, origin: str) -> Found:
        """Return the tree that a server exports at a directory."""
        path = self.local(server, directory)
        if path is None:
            return Found(UNKNOWN, f"{server}:{directory} is not seen from here: name it in level_paths")
        key = (path, backing, origin)
        if key not in self._known:
            self._known[key] = tree_at(path, backing, origin)
        return self._known[key]
