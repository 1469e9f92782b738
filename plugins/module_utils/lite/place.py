# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a path of a table really lies inside an image (architecture.md, law 1). Pure: a tree is asked, never the disk.

`/var/run/x` with `/var/run -> /run` lies at `/run/x` of the image, as a chroot would see it; nothing here can name a
path of the management node.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol

from ..errors import SiteError

MAX_LINKS = 40
LIVE = ("dev", "proc", "run", "sys")
"""What every node mounts for itself: an entry that leads there needs nothing in the image (decisions.md, Layout)."""
OWN = (".default", ".statelite", ".statelite.json")


class Found(NamedTuple):
    """What stands at a path: kind d, f, l (symbolic link with `text`) or o (device, pipe, socket); times in nanoseconds."""

    kind: str
    mode: int = 0o755
    owner: int = 0
    group: int = 0
    text: str = ""
    accessed: int = 0
    modified: int = 0


class Tree(Protocol):
    """An image as it was before liteimg first changed it."""

    def look(self, path: str) -> Found | None:
        """Return what stands at the path itself; None when nothing does."""

    def links_below(self, path: str) -> Iterable[tuple[str, str]]:
        """Give (path below `path`, text) of every symbolic link in a directory."""


@dataclass(frozen=True)
class Place:
    """Where a path lies: `live` when that is in /run, /proc, /sys or /dev.

    `origin` is where the tree has it: another path only below an entry that is a symbolic link.
    """

    path: str
    live: bool = False
    origin: str = ""


def join(above: str, name: str) -> str:
    """Return the path of `name` in the directory `above`."""
    return f"/{name}" if above == "/" else f"{above}/{name}"


def above(path: str) -> str:
    """Return the directory of a path; the root for the root."""
    return path.rpartition("/")[0] or "/"


def ancestors(path: str) -> tuple[str, ...]:
    """Return the directories above a path, nearest first, without the root."""
    return _way(path.rpartition("/")[0])


@lru_cache(maxsize=4096)
def _way(directory: str) -> tuple[str, ...]:
    return (directory, *_way(directory.rpartition("/")[0])) if directory else ()


def is_live(path: str) -> bool:
    """Tell whether a real path is in one of the file systems that a node mounts for itself."""
    return path.split("/", 2)[1] in LIVE


def place_of(tree: Tree, path: str, follow: bool = False, stops: Mapping[str, str] | None = None) -> Place:
    """Return where `path` lies when the links above it are followed, and with `follow` a link at its end too.

    `stops` are entries that are symbolic links, with the directories they lead to: what is written below such an entry
    lies below the entry itself, whose link gives way. Raises SiteError for links in a circle or a name below a file.
    """
    left = path.split("/")[:0:-1]
    here, content, followed = "/", "/", 0
    while left:
        part = left.pop()
        if part in ("", "."):
            continue
        if part == "..":
            here = content = above(here)
            continue
        here, content = join(here, part), join(content, part)
        if is_live(here):
            return Place(here + "".join(f"/{name}" for name in reversed(left)), True)
        if left and stops and here in stops:
            content = stops[here]
            continue
        found = tree.look(content)
        if found is None or found.kind == "d" or not (left or (follow and found.kind == "l")):
            continue
        if found.kind != "l":
            raise SiteError.of(path, f"{here} is a file in the image, so nothing can lie below it", "Correct the path")
        followed += 1
        if followed > MAX_LINKS:
            raise SiteError.of(path, "its symbolic links lead in a circle", "Mend the links in the image, or drop the row")
        here = content = "/" if found.text.startswith("/") else above(here)
        left.extend(reversed(found.text.split("/")))
    return Place(here, origin=content)


class Places:
    """Where many paths lie: the links on the way to a directory are followed once for all that is in it."""

    def __init__(self, tree: Tree, stops: Mapping[str, str]) -> None:
        self.tree = tree
        self.stops = stops
        self._directories: dict[str, Place] = {}

    def of(self, path: str) -> Place:
        """Return what `place_of` returns for a path without dots and doubled slashes, or raise the same."""
        directory, _slash, name = path.rpartition("/")
        held = self._directories.get(directory)
        if held is None:
            try:
                held = place_of(self.tree, f"{directory}/.", stops=self.stops)
            except SiteError:
                return place_of(self.tree, path, stops=self.stops)
            if held.live:
                return place_of(self.tree, path, stops=self.stops)
            self._directories[directory] = held
        here = join(held.path, name)
        return Place(here, True) if is_live(here) else Place(here, origin=join(held.origin or "/", name))
