# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree that nobody changed since liteimg laid it out is known again without planning it anew.

What a plan depends on are rows, and names, kinds, modes and owners in the tree. Names and the metadata of a directory change
no way but through the time of its last change (ctime), which nobody can set; so beside the tree a digest of the rows and
that time of every directory that the plan looked into are kept, with mode and size of the files that liteimg made.
Anything else than exact agreement means a plan from the tree itself. Nothing depends on this file; it may be removed.
"""

from __future__ import annotations

import hashlib
import json
import marshal
import os
import stat
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..apply.files import read_bytes
from ..apply.root import Root
from ..nodes.images import Image
from .layout import FORMAT, RECORD
from .place import above, ancestors
from .template import TEMPLATE
from .treeplan import TreePlan, journal_of

if TYPE_CHECKING:
    from ..nodes.site import Site

RULES = 2
"""To be raised whenever the same rows come to lay the same tree out otherwise (a test of the unit tests tells)."""
NAME = "seen"
COARSE = 5
"""CLOCK_REALTIME_COARSE of Linux, by which file systems tell the time; Python has no name for it."""
SECOND = 1_000_000_000
WHOLE = 2 * SECOND
"""How far from a time of whole seconds another change may bear the same time (ext4 with small inodes, ext3), and as much again."""
TICK = 0.004
"""Seconds after which that clock has gone on, on most kernels."""
WAIT = 0.2
"""Seconds that the file system's clock may take to go on after the last change."""

Stamps = dict[str, list[int]]


def digest_of(site: Site, image: Image) -> str:
    """Return what stands for everything that the tables say of the layout of an image.

    The form (2: no references) may be another one in another Python, and then a plan is made.
    """
    told = [RULES, FORMAT, image.name, dict(image.row), site.setting("liteattach", ""), site.rows("litefile")]
    return hashlib.sha256(marshal.dumps(told, 2)).hexdigest()


def _directories(plan: TreePlan) -> set[str]:
    """Return the directories that the plan of the laid-out tree depends on."""
    made = plan.layout.made
    paths = [*made.directories, *made.files, *made.links, *made.modes, *made.moves, *made.moves.values(), RECORD, TEMPLATE]
    paths += [entry.content for entry in plan.layout.entries]
    looked = {*map(above, plan.looked), *(path for path, here in plan.looked.items() if here is not None and here.kind == "d")}
    holders = {*map(above, paths), *looked, *map(made.content_of, looked)}
    found = {*made.directories, *made.modes, *map(made.content_of, plan.walked)}
    return found.union(holders, *map(ancestors, holders))


def _stamps(root: Root, directories: Iterable[str], files: Iterable[str]) -> Stamps:
    """Return inode and time of the last change of each directory, and mode and size of each file.

    Of what is missing nothing is returned, nor of what is no directory where one was meant; the record and the template are
    as directories: their content counts.
    """
    found: Stamps = {}
    for path in sorted({*directories, RECORD, TEMPLATE}):
        here = root.lstat(path)
        if here is not None and (stat.S_ISDIR(here.st_mode) or path in (RECORD, TEMPLATE)):
            found[path] = [here.st_ino, here.st_ctime_ns]
    for path in sorted(files):
        here = root.lstat(path)
        if here is not None:
            found[path] = [here.st_mode, here.st_size, 0]
    return found


def _file(rootimg: str) -> str:
    return os.path.join(journal_of(rootimg).directory, NAME)


def forget(rootimg: str) -> None:
    """Remove what is remembered of a tree that is about to be changed."""
    if os.path.lexists(_file(rootimg)):
        os.unlink(_file(rootimg))


def remember(plan: TreePlan, root: Root, digest: str, told: dict[str, Any]) -> None:
    """Write down how the tree stands after `plan` was carried out, and the values that the module returns for it.

    Only once the clock of the file system has gone on: a change at the same tick would leave no trace in the times. One that
    goes on by whole seconds is not waited for: of a tree that was just changed there nothing is remembered.
    """
    passed = time.clock_gettime_ns(COARSE) if plan.operations else 0
    made = plan.layout.made
    directories, files = _directories(plan), made.files
    now, end = passed, time.monotonic() + WAIT
    while now <= passed:
        while (now := time.clock_gettime_ns(COARSE)) <= passed:
            if time.monotonic() > end:
                return
            time.sleep(TICK)
        stamps = _stamps(root, directories, files)
        times = [stamp[1] for stamp in stamps.values() if len(stamp) == 2]
        passed = max((at if at % SECOND else at + WHOLE for at in times), default=0)
    path = _file(plan.rootimg)
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    with open(f"{path}.new", "w", encoding="ascii") as stream:
        stream.write(json.dumps({"digest": digest, "told": told, "stamps": stamps}))
    os.rename(f"{path}.new", path)


def recall(rootimg: str, digest: str) -> dict[str, Any] | None:
    """Return the values that were remembered of a tree when rows and tree are the same; else None."""
    journal = journal_of(rootimg)
    content = read_bytes(_file(rootimg))
    if content is None or os.path.lexists(journal.path):
        return None
    try:
        document = json.loads(content)
        if document["digest"] != digest:
            return None
        stamps, told = document["stamps"], document["told"]
        directories = {path for path, stamp in stamps.items() if len(stamp) == 2}
        with Root(rootimg) as root:
            same = _stamps(root, directories, [path for path in stamps if path not in directories]) == stamps
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return told if same and isinstance(told, dict) else None
