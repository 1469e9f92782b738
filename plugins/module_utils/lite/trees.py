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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..apply.root import Root
from ..errors import SiteError
from .faraway import FarServers, Mounted
from .namespace import Inode, UnreadError

Listed = tuple[str, int, int, int, str]
KINDS = {stat.S_IFDIR: "d", stat.S_IFREG: "f", stat.S_IFLNK: "l"}
READ, ABSENT, UNKNOWN = "read", "absent", "unknown"


@dataclass(frozen=True)
class Found:
    """A tree, `state` READ; or why there is none: ABSENT for certain, or UNKNOWN."""

    state: str
    reason: str = ""
    root: Inode | None = None


class Source(Protocol):
    """Where a tree is read from. Paths begin with a slash and lie in the tree; every method raises OSError."""

    @property
    def name(self) -> str:
        """What a person calls the tree."""

    def listed(self, path: str) -> Iterable[Listed]:
        """Give (name, mode, owner, group, text of a symbolic link) of everything in a directory."""

    def content(self, path: str) -> bytes:
        """Return the content of a file."""


@dataclass(frozen=True)
class Here:
    """A tree at a directory of this machine."""

    name: str

    def listed(self, path: str) -> Iterator[Listed]:
        """Give what a directory holds."""
        with Root(self.name) as root:
            for name, found, text in root.scan(path):
                yield name, found.st_mode, found.st_uid, found.st_gid, text

    def content(self, path: str) -> bytes:
        """Return the content of a file; what is no file any more has none."""
        with Root(self.name) as root:
            return root.read(path) or b""


def _inode(source: Source, path: str, found: Listed, backing: str, origin: str) -> Inode:
    _name, mode, owner, group, text = found
    kind = KINDS.get(stat.S_IFMT(mode), "o")
    inode = Inode(kind, stat.S_IMODE(mode), owner, group, text, backing, origin, fixed=True)
    if kind == "f":
        inode.read = lambda: _content(source, path)
    elif kind == "d":
        inode.load = lambda: _names(source, path, inode)
    return inode


def _unread(source: Source, path: str, error: Exception) -> str:
    reason = error.strerror if isinstance(error, OSError) else error
    return f"{source.name}{path} can't be read ({reason})"


def _content(source: Source, path: str) -> bytes:
    try:
        return source.content(path)
    except (OSError, SiteError) as error:
        raise UnreadError(_unread(source, path, error)) from error


def _names(source: Source, path: str, above: Inode) -> dict[str, Inode]:
    below = "" if path == "/" else path
    try:
        return {found[0]: _inode(source, f"{below}/{found[0]}", found, above.backing, above.origin) for found in source.listed(path)}
    except (OSError, SiteError) as error:
        above.unknown = _unread(source, path, error)
        return {}


def tree_at(path: str, backing: str, origin: str) -> Found:
    """Return the tree at a directory of this machine; its names are read when they are asked for."""
    try:
        with Root(path) as root:
            found = os.fstat(root.descriptor)
    except SiteError as error:
        gone = isinstance(error.__cause__, (FileNotFoundError, NotADirectoryError))
        return Found(ABSENT if gone else UNKNOWN, "; ".join(fault.what for fault in error.faults))
    return Found(READ, root=_inode(Here(path), "/", ("", found.st_mode, found.st_uid, found.st_gid, ""), backing, origin))


def _far_tree(far: FarServers, place: tuple[str, str, str, str], options: str, backing: str, origin: str) -> Found:
    """A tree of another server. Why it can't be mounted here is no word on whether a node can, so nothing is ABSENT."""
    server, directory, name, whole = place
    found: Mounted | str | None = None
    if name:  # one mount for all names in it, where the server lets this machine have it
        above = far.mounted(server, directory, options)
        found = above.below(name) if isinstance(above, Mounted) else None
    if found is None:
        found = far.mounted(server, whole, options)
    if isinstance(found, str):
        return Found(UNKNOWN, f"{found}. Name it in level_paths where it is seen here")
    return Found(READ, root=_inode(found, "/", ("", found.mode, found.owner, found.group, ""), backing, origin))


@dataclass
class Places:
    """Which directories of this machine are the servers' directories, and how others are reached.

    `own` are this machine's addresses: what a server of that address exports lies at its own path here. `level_paths`
    lead from `server:/directory` to where that tree (with everything below it) is seen here. `far` mounts what is not seen.
    """

    own: Sequence[str] = ()
    level_paths: Mapping[str, str] = field(default_factory=dict)
    far: FarServers | None = None
    _known: dict[tuple[str, str, str], Found] = field(default_factory=dict)

    def local(self, server: str, directory: str) -> str | None:
        """Return the path of this machine for a server's directory; None when it is not seen here."""
        wanted = f"{server}:{directory}"
        for known in sorted(self.level_paths, key=len, reverse=True):
            above = known.rstrip("/")
            if wanted == above or wanted.startswith(above + "/"):
                return self.level_paths[known].rstrip("/") + wanted[len(above) :]
        return directory if server in self.own else None

    def tree(self, server: str, directory: str, backing: str, origin: str, options: str | None = None, name: str = "") -> Found:
        """Return the tree that a server exports at a directory, or at `name` in it.

        `options` are those with which nodes mount it; without, it is not what a server exports and is never mounted.
        """
        whole = f"{directory.rstrip('/')}/{name}" if name else directory
        path = self.local(server, whole)
        key = (f"{server}:{whole}" if path is None else path, backing, origin)
        if key not in self._known:
            if path is not None:
                self._known[key] = tree_at(path, backing, origin)
            elif self.far is None or options is None:
                self._known[key] = Found(UNKNOWN, f"{server}:{whole} is not seen from here: name it in level_paths")
            else:
                self._known[key] = _far_tree(self.far, (server, directory, name, whole), options, backing, origin)
        return self._known[key]
