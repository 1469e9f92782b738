# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an edited copy of a tree differs from the tree, as steps that bring the one to the other (pure but for `survey`).

    put      a new or changed thing takes its place; a directory that is new comes whole
    swap     a thing takes the place of one of another kind
    meta     mode, owner, extended attributes and times of a directory
    remove   a thing goes, a directory whole

What changed is told by inode and ctime, which nobody can set; so a file with the time and size of the old one is found too.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

PUT, SWAP, META, REMOVE = "put", "swap", "meta", "remove"
LIBRARY = "/lib"
PIECE = 1 << 20
Same = Callable[[str], bool]


@dataclass(frozen=True)
class Thing:
    """What stands at one path."""

    kind: int
    inode: int
    changed: int
    look: tuple[int, int, int]
    modified: int
    size: int
    links: int = 1
    text: str = ""
    attributes: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True)
class Step:
    """One step; `look` and `times` count for meta alone, `attributes` in hexadecimal digits."""

    kind: str
    path: str
    look: tuple[int, int, int] = (0, 0, 0)
    times: tuple[int, int] = (0, 0)
    attributes: Mapping[str, str] = field(default_factory=dict)

    def line(self) -> str:
        """Return the step as it is told."""
        return f"{self.kind} {self.path}"


def survey(rootimg: str) -> dict[str, Thing]:
    """Return everything below `rootimg` by its path in the image, the root itself as ''. No link is followed."""
    found: dict[str, Thing] = {}
    waiting = [""]
    found[""] = _thing(rootimg, os.lstat(rootimg))
    while waiting:
        directory = waiting.pop()
        with os.scandir(rootimg + directory) as entries:
            for entry in entries:
                path = f"{directory}/{entry.name}"
                found[path] = _thing(entry.path, entry.stat(follow_symlinks=False))
                if stat.S_ISDIR(found[path].kind):
                    waiting.append(path)
    return found


def _thing(path: str, status: os.stat_result) -> Thing:
    kind = stat.S_IFMT(status.st_mode)
    look = (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
    text = os.readlink(path) if kind == stat.S_IFLNK else str(status.st_rdev) if kind in (stat.S_IFCHR, stat.S_IFBLK) else ""
    names = os.listxattr(path, follow_symlinks=False) if kind == stat.S_IFDIR else []
    attributes = tuple((name, os.getxattr(path, name, follow_symlinks=False)) for name in sorted(names))
    size = 0 if kind == stat.S_IFDIR else status.st_size
    return Thing(kind, status.st_ino, status.st_ctime_ns, look, status.st_mtime_ns, size, status.st_nlink, text, attributes)


def touched(before: Mapping[str, Thing], after: Mapping[str, Thing]) -> set[int]:
    """Return the inodes that were made or changed between two surveys of one tree; directories do not count."""
    times = {thing.inode: thing.changed for thing in before.values()}
    return {thing.inode for thing in after.values() if not stat.S_ISDIR(thing.kind) and times.get(thing.inode) != thing.changed}


def steps(live: Mapping[str, Thing], edited: Mapping[str, Thing], changed: Collection[int], same: Same) -> list[Step]:
    """Return the steps from the tree to its edited copy, whose inodes in `changed` were made or written since it was copied.

    `same` tells whether the files at a path have the same content in both; it is asked only where all else is the same.
    New things come first, libraries before what may need them, so that nothing that appears lacks what it leads to; what goes
    goes last. Directories in which something came or went get the times of the copy.
    """
    come: list[Step] = []
    looks: list[Step] = []
    gone: list[Step] = []
    whole: set[str] = set()
    busy: set[str] = set()
    for path in sorted(edited):
        here, there = live.get(path), edited[path]
        above = path.rpartition("/")[0]
        if path and above in whole:
            whole.add(path)
        elif here is None:
            come.append(Step(PUT, path))
            whole.add(path)
            busy.add(above)
        elif here.kind != there.kind:
            come.append(Step(SWAP, path))
            whole.add(path)
            busy.add(above)
        elif stat.S_ISDIR(there.kind):
            if (here.look, here.attributes) != (there.look, there.attributes):
                looks.append(_meta(path, there))
        elif _differ(here, there, there.inode in changed) or (_may_differ(here, there, changed) and not same(path)):
            come.append(Step(PUT, path))
            busy.add(above)
    for path in sorted(live):
        above = path.rpartition("/")[0]
        if path not in edited and above in edited and above not in whole:
            gone.append(Step(REMOVE, path))
            busy.add(above)
    said = {step.path for step in looks}
    times = [_meta(path, edited[path]) for path in sorted(busy, reverse=True) if path not in said and path not in whole]
    times += [_meta(step.path, edited[step.path]) for step in looks if step.path in busy]
    come.sort(key=lambda step: (not _is_library(step.path), step.path))
    return [*come, *looks, *gone, *times]


def _differ(here: Thing, there: Thing, changed: bool) -> bool:
    """Tell whether two things of one kind are told apart by looking. What liteimg made again has a time of its own, and is the same."""
    times = changed and here.modified != there.modified
    linked = changed and there.links > 1
    return times or linked or (here.look, here.size, here.text) != (there.look, there.size, there.text)


def _may_differ(here: Thing, there: Thing, changed: Collection[int]) -> bool:
    return stat.S_ISREG(there.kind) and (there.inode in changed or here.modified != there.modified)


def same_file(one: str, other: str) -> bool:
    """Tell whether two regular files have the same content and extended attributes."""
    names = [sorted(os.listxattr(path, follow_symlinks=False)) for path in (one, other)]
    if names[0] != names[1] or any(os.getxattr(one, name) != os.getxattr(other, name) for name in names[0]):
        return False
    with open(one, "rb") as left, open(other, "rb") as right:
        while True:
            piece = left.read(PIECE)
            if piece != right.read(PIECE):
                return False
            if not piece:
                return True


def _is_library(path: str) -> bool:
    return path.startswith((f"{LIBRARY}/", f"{LIBRARY}64/", f"/usr{LIBRARY}/", f"/usr{LIBRARY}64/"))


def _meta(path: str, thing: Thing) -> Step:
    attributes = {name: value.hex() for name, value in thing.attributes}
    return Step(META, path, thing.look, (thing.modified, thing.modified), attributes)
