# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The name space of a node, in memory: inodes, mounts, and how the kernel resolves a path in them (path_resolution(7)).

Trees on disk are read lazily and never followed by the management node's kernel: every symbolic link is resolved here,
inside the node's root, so that a link in an image or a level leads where it would lead on the node and nowhere else.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

MAX_LINKS = 40
"""Links followed in one path, as the kernel has it."""
LIVE = "live"
LIVE_WORDS = "it leads to what every node mounts for itself"


class StepError(Exception):
    """What the node's kernel would refuse, in its words."""


class UnreadError(Exception):
    """Raised when the content of a file can't be read here; its text is the reason."""


@dataclass(eq=False)
class Inode:
    """A directory (d), file (f), symbolic link (l) or special file (o).

    `backing` is what it lies on: image, level, tmpfs, persistent, live. `origin` says where its content came from.
    `fixed` inodes stand on disk and never change; `load` and `read` fetch their names and content when asked for.
    `unknown` is the reason why nothing certain can be said of it.
    """

    kind: str
    mode: int = 0o755
    owner: int = 0
    group: int = 0
    text: str = ""
    backing: str = "tmpfs"
    origin: str = ""
    fixed: bool = False
    unknown: str = ""
    load: Callable[[], dict[str, Inode]] | None = None
    read: Callable[[], bytes] | None = None
    name: str = ""
    above: Inode | None = None
    _names: dict[str, Inode] | None = field(default=None, repr=False)

    @property
    def names(self) -> dict[str, Inode]:
        """What a directory holds, by name."""
        if self._names is None:
            self._names = {}
            for name, inode in (self.load() if self.load is not None else {}).items():
                self.put(name, inode)
        return self._names

    def put(self, name: str, inode: Inode) -> Inode:
        """Have `inode` at a name of this directory."""
        self.names[name] = inode
        inode.name, inode.above = name, self
        return inode

    def opened(self) -> Inode:
        """Return this inode after a look into it, if it is a directory: whether it can be read is known then."""
        if self.kind == "d" and self.backing != LIVE:
            self.names.keys()
        return self

    def content(self) -> bytes:
        """Return the bytes of a file; those of anything else are none. Raises UnreadError."""
        return self.read() if self.read is not None and self.kind == "f" else b""

    def copied(self, backing: str, origin: str) -> Inode:
        """Return a copy as `cp -a` makes it: same kinds, modes, owners and link texts, with everything inside.

        What stands on disk is copied when it is looked at, anything else at once.
        """
        made = replace(self, backing=backing, origin=origin, fixed=False, above=None, load=None, _names=None)
        if self.kind == "d":
            if self.fixed:
                made.load = lambda: self._copies(made)
            else:
                for name, inode in list(self.names.items()):
                    made.put(name, inode.copied(backing, origin))
        return made

    def _copies(self, made: Inode) -> dict[str, Inode]:
        """Return what `made`, a copy of this directory, holds; what can't be read here is not known there."""
        found = {name: inode.copied(made.backing, made.origin) for name, inode in self.names.items()}
        made.unknown = made.unknown or self.unknown
        return found


@dataclass(eq=False)
class Mount:
    """A file system, or a part of one, where it is mounted: over the inode `at` as seen through the mount `above`."""

    root: Inode
    readonly: bool = False
    above: Mount | None = None
    at: Inode | None = None


class Spot(NamedTuple):
    """A place in the name space: an inode seen through a mount."""

    mount: Mount
    inode: Inode


def above_of(path: str) -> str:
    """Return the directory part of a path, the root for a name in the root."""
    return path.rpartition("/")[0] or "/"


class Namespace:
    """One root with what is mounted in it; paths are absolute and mean what they mean in a chroot there."""

    def __init__(self, root: Inode, readonly: bool = True) -> None:
        self.root = Mount(root, readonly)
        self.blind = ""
        """Why the last lookup can't be sure that nothing is there: it ended in a directory that could not be read."""
        self._covered: dict[tuple[Mount, Inode], Mount] = {}

    def _top(self, mount: Mount, inode: Inode) -> Spot:
        while (mount, inode) in self._covered:
            mount = self._covered[mount, inode]
            inode = mount.root
        return Spot(mount, inode)

    def _up(self, spot: Spot) -> Spot:
        for mount, inode in self.chain(spot):
            if inode is not mount.root and inode.above is not None:
                return self._top(mount, inode.above)
        return self._top(self.root, self.root.root)

    def lookup(self, path: str, follow: bool = True) -> Spot | None:
        """Return what stands at `path`; None when nothing does, also below a file or in a circle of links.

        `follow` leads through a link at its end.
        """
        here = self._top(self.root, self.root.root)
        left = path.split("/")[::-1]
        followed, self.blind = 0, ""
        while left:
            part = left.pop()
            if here.inode.kind != "d":
                return None
            if part in ("", "."):
                continue
            if part == "..":
                here = self._up(here)
                continue
            if part not in here.inode.names:
                self.blind = here.inode.unknown or (LIVE_WORDS if here.inode.backing == LIVE else "")
                return None
            found = self._top(here.mount, here.inode.names[part])
            if found.inode.kind != "l" or not (follow or left):
                here = found
                continue
            followed += 1
            text = found.inode.text
            if followed > MAX_LINKS or not text:
                return None
            if text.startswith("/"):
                here = self._top(self.root, self.root.root)
            left.extend(text.split("/")[::-1])
        return here

    def exists(self, path: str) -> bool:
        """`test -e`."""
        return self.lookup(path) is not None

    def is_link(self, path: str) -> bool:
        """`test -L`."""
        found = self.lookup(path, follow=False)
        return found is not None and found.inode.kind == "l"

    def is_directory(self, path: str) -> bool:
        """`test -d`."""
        found = self.lookup(path)
        return found is not None and found.inode.kind == "d"

    def stands(self, path: str) -> bool:
        """`test -e` or `test -L`."""
        return self.lookup(path, follow=False) is not None

    def directory(self, path: str, mode: int = 0o755) -> Spot:
        """`mkdir -p`; raises StepError when something is in the way or the file system is read-only."""
        spot = self._top(self.root, self.root.root)
        parts = [part for part in path.split("/") if part]
        for count, part in enumerate(parts, 1):
            place = "/" + "/".join(parts[:count])
            found = self.lookup(place)
            if found is None:
                if part in spot.inode.names:
                    raise StepError(f"{place}: File exists")
                self._must_be_writable(spot, place)
                made = Inode("d", mode, backing=spot.inode.backing, origin="created")
                if spot.inode.mode & stat.S_ISGID:
                    # A directory made in one that has the bit has it too, and its group.
                    made.mode, made.group = mode | stat.S_ISGID, spot.inode.group
                found = Spot(spot.mount, spot.inode.put(part, made))
            elif found.inode.kind != "d":
                raise StepError(f"{place}: Not a directory")
            spot = found
        return spot

    @staticmethod
    def _must_be_writable(spot: Spot, path: str) -> None:
        if spot.mount.readonly:
            raise StepError(f"{path}: Read-only file system")

    def put(self, path: str, inode: Inode) -> None:
        """Have `inode` at `path`, in the place of what stands there; its directory must be there and writable."""
        spot = self.lookup(above_of(path))
        if spot is None or spot.inode.kind != "d":
            raise StepError(f"{path}: No such file or directory")
        self._must_be_writable(spot, path)
        spot.inode.put(path.rpartition("/")[2], inode)

    def remove(self, path: str) -> None:
        """`rm -rf` of one name; nothing there is no fault."""
        spot = self.lookup(above_of(path))
        if spot is not None and path.rpartition("/")[2] in spot.inode.names:
            self._must_be_writable(spot, path)
            del spot.inode.names[path.rpartition("/")[2]]

    def mount(self, path: str, root: Inode, readonly: bool) -> Spot:
        """Mount `root` over what `path` leads to; raises StepError when there is nothing, or a directory would meet a file."""
        at = self.lookup(path)
        if at is None:
            raise StepError(f"{path}: mount point does not exist")
        if (at.inode.kind == "d") != (root.kind == "d"):
            raise StepError(f"{path}: mount point is not a directory" if root.kind == "d" else f"{path}: Not a directory")
        mount = Mount(root, readonly, at.mount, at.inode)
        self._covered[at.mount, at.inode] = mount
        return Spot(mount, root)

    def bind(self, source: str, path: str, readonly: bool) -> None:
        """`mount --bind`: what `source` leads to, seen at `path` too; a read-only file system stays read-only."""
        found = self.lookup(source)
        if found is None:
            raise StepError(f"{source}: No such file or directory")
        self.mount(path, found.inode, readonly or found.mount.readonly)

    def path_of(self, spot: Spot) -> str:
        """Return the path by which a spot is reached when every link is followed."""
        return "/" + "/".join(inode.name for mount, inode in list(self.chain(spot))[::-1] if inode is not mount.root)

    @staticmethod
    def chain(spot: Spot) -> Iterator[Spot]:
        """Give a spot and everything above it up to the root; a mounted root comes before what it is mounted over."""
        here: Spot | None = spot
        while here is not None:
            yield here
            mount, inode = here
            if inode is not mount.root:
                here = Spot(mount, inode.above) if inode.above is not None else None
            else:
                here = Spot(mount.above, mount.at) if mount.above is not None and mount.at is not None else None

    def inside(self, spot: Spot) -> Iterator[tuple[str, Spot]]:
        """Give (name, spot) of everything in a directory, sorted, through what is mounted there; links are not followed."""
        for name in sorted(spot.inode.names):
            yield name, self._top(spot.mount, spot.inode.names[name])
