# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One tree: read what stands, plan what is wanted, and carry it out under a journal beside the tree."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Optional

from ..apply.journal import Journal
from ..apply.operations import KeepTimes, Move, Operation, WriteText
from ..apply.outside import SetAside
from ..apply.root import Root
from ..errors import Fault, raise_faults
from .arrange import lay_out
from .converge import Change, times
from .entry import Entry
from .layout import DEFAULT, RECORD, STATELITE, Layout, Made, layout_in, layout_of
from .place import Found
from .standing import Original, foreign_in, inspect, ours_of
from .template import TEMPLATE, template_of

Stamp = tuple[bool, Optional[tuple[int, int, int]]]

JOURNAL = ".liteimg"
"""The directory beside the root image that holds the journal, the lock and what was set aside."""

EDIT = "edit.json"
"""The file in it that tells which edit of the tree is being carried (room edit), until that is whole."""


def journal_of(rootimg: str) -> Journal:
    """Return the journal of a root image."""
    return Journal(os.path.join(os.path.dirname(rootimg), JOURNAL))


@dataclass(frozen=True)
class Wanted:
    """What the tables ask of a tree; entries of None stand for state absent: no layout at all."""

    image: str
    entries: Sequence[Entry] | None
    permission: int = 0o755


@dataclass
class TreePlan:
    """The operations that bring one tree to what is wanted. `begun` are those a killed run left to do.

    `looked` are the paths that the plan depends on, `walked` the directories in which it looked for symbolic links.
    """

    rootimg: str
    wanted: Wanted
    before: Layout | None = None
    layout: Layout = field(default_factory=Layout)
    operations: list[Operation] = field(default_factory=list)
    begun: list[Operation] = field(default_factory=list)
    stamp: Stamp | None = None
    looked: Mapping[str, Found | None] = field(default_factory=dict)
    walked: Iterable[str] = ()

    @property
    def changes(self) -> bool:
        """The tree is not as wanted."""
        return bool(self.begun or self.operations)

    def lines(self) -> list[str]:
        """Return what will be done, path by path; empty when the tree is as wanted."""
        if self.begun:
            lines = [f"finish {line}" for line in (operation.line() for operation in self.begun) if line]
            return lines or ["finish the run that was cut off"]
        if not self.operations:
            return []
        lines = [line for line in (operation.line() for operation in self.operations) if line]
        return lines + self._entry_lines() or [f"record {RECORD}"]

    def _entry_lines(self) -> list[str]:
        """Return a line for each entry that changes without any change of the tree at its path."""
        old = {entry.path: entry for entry in self.before.entries} if self.before else {}
        new = {entry.path: entry for entry in self.layout.entries}
        said = set()
        for operation in self.operations:
            said.add(operation.path[len(DEFAULT) :] if operation.path.startswith(DEFAULT + "/") else operation.path)
            if isinstance(operation, Move):
                said.add(operation.target)
        lines = []
        for path in sorted(old.keys() | new.keys()):
            was, now = old.get(path), new.get(path)
            if was is not None and now is not None:
                if (was.options, was.required, was.kind) != (now.options, now.required, now.kind):
                    lines.append(f"entry {path} {now.options} (was {was.options})")
            elif path not in said:
                lines.append(f"entry {path} {now.options}" if now is not None else f"drop entry {path}")
        return lines

    def apply(self) -> None:
        """Finish what a killed run began, plan again if there was something, and carry the plan out."""
        with Root(self.rootimg) as root:
            self.apply_in(root)

    def apply_in(self, root: Root) -> None:
        """Do what `apply` does in the open tree."""
        journal = journal_of(self.rootimg)
        if self.begun or self.stamp != _stamp(root, journal):
            if self.begun:
                journal.recover(root)
            again = _plan(root, journal, self.wanted)
            self.layout, self.operations, self.begun = again.layout, again.operations, []
            self.looked, self.walked = again.looked, again.walked
        if self.operations:
            journal.run(root, self.operations)


def plan_tree(rootimg: str, wanted: Wanted) -> TreePlan:
    """Return the plan for the tree at `rootimg`. Writes nothing.

    Raises SiteError with every fault: rows that can't be carried out, things in the way.
    """
    with Root(rootimg) as root:
        return _plan(root, journal_of(rootimg), wanted)


def _stamp(root: Root, journal: Journal) -> Stamp:
    """Return what tells whether another run came between the plan and its lock: a journal, and which record stands."""
    found = root.lstat(RECORD)
    return os.path.lexists(journal.path), (found.st_ino, found.st_ctime_ns, found.st_size) if found is not None else None


def _plan(root: Root, journal: Journal, wanted: Wanted) -> TreePlan:
    stamp = _stamp(root, journal)
    pending = journal.pending()
    if pending is not None:
        return _unfinished(root, journal, pending, wanted)
    before = layout_in(root)
    recorded = before.made if before is not None else Made()
    standing = inspect(root, recorded)
    old = standing.made
    tree = Original(root, old, standing.aside)
    layout = Layout() if wanted.entries is None else lay_out(wanted.image, wanted.entries, tree, wanted.permission)
    change = Change(old, layout.made)
    _refuse_foreign(root, old, change.dropped()[1], standing.aside)
    changes = [*_aside(root, journal, standing.aside), *change.taken_back(), *change.made(), *change.modes()]
    present = wanted.entries is not None
    if present and before is not None and not changes and recorded == standing.kept and _alike(before, layout):
        # Files that were written into what liteimg made are no change, as long as nothing comes to stand otherwise for them.
        layout = before
    for path, text in ((TEMPLATE, template_of(layout) if present else None), (RECORD, layout.text() if present else None)):
        was = root.read(path)
        old_text = None if was is None else was.decode("utf-8", "surrogateescape")
        if text != old_text:
            record = WriteText(path, text, old_text)
            changes = [*changes, record] if present else [record, *changes]
    operations = _with_times(changes, old, layout.made, tree)
    return TreePlan(root.path, wanted, before, layout, operations, [], stamp, tree.looked(), tree.walked)


def _with_times(changes: list[Operation], old: Made, new: Made, tree: Original) -> list[Operation]:
    before, after = times(changes, old, new, tree)
    return [*before, *changes, *after] if changes else []


def _unfinished(root: Root, journal: Journal, pending: list[Operation], wanted: Wanted) -> TreePlan:
    """Return the plan of a tree that a killed run left half way: to finish it first, towards the layout it had written down."""
    layout = layout_in(root) or Layout()
    for operation in pending:
        if isinstance(operation, WriteText) and operation.path == RECORD:
            layout = Layout() if operation.text is None else layout_of(operation.text, journal.path)
    left = journal.remaining(root) or [KeepTimes("/", 0, 0)]
    return TreePlan(root.path, wanted, None, layout, [], left)


def _alike(one: Layout, other: Layout) -> bool:
    """Tell whether two layouts differ in nothing but what counts as made by liteimg."""
    return replace(one, made=Made(), missing=()) == replace(other, made=Made(), missing=())


def _refuse_foreign(root: Root, old: Made, directories: Iterable[str], aside: Iterable[str]) -> None:
    """Raise SiteError for things that somebody put where only liteimg's own belongs, in directories that would go."""
    ours = {*ours_of(old, aside), TEMPLATE, f"{STATELITE}/.{os.path.basename(TEMPLATE)}.new"}
    found = [name for path in directories for name in foreign_in(root, old, path, ours)]
    what, mend = "it stands where only liteimg's own belongs", "Move it to its place in the image, or remove it"
    raise_faults([Fault(name, what, mend) for name in found])


def _aside(root: Root, journal: Journal, paths: Sequence[str]) -> list[Operation]:
    """Return how what newer things took the place of goes out of the tree, each under a name that is free."""
    directory = os.path.join(journal.directory, "replaced")
    operations: list[Operation] = []
    taken: set[str] = set()
    for path in sorted(paths):
        if any(path.startswith(other + "/") for other in paths):
            continue
        name = path.strip("/").replace("%", "%25").replace("/", "%2F")
        if len(os.fsencode(name)) > 200:
            name = hashlib.sha256(os.fsencode(path)).hexdigest()
        free, count = name, 1
        while free in taken or os.path.lexists(os.path.join(directory, free)):
            count += 1
            free = f"{name}~{count}"
        taken.add(free)
        operations.append(SetAside(path, directory, free))
    return operations
