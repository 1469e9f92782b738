# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entries of a boot plan carried out on a name space in memory: the same steps, in the same order, as entries.sh.

What is volatile is the same whether the agent copies it or lays a file system over it, so nothing here knows which.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from ..tables.lite import LOCALDISK, PERSISTENT
from .namespace import Inode, Namespace, Spot, StepError, above_of
from .nodeplan import NodePlan, Step

S = "/.statelite"
DONE, FAILED, SKIPPED, UNKNOWN = "done", "failed", "skipped", "unknown"
NOT_DONE = (FAILED, SKIPPED)
OWN_WORDS = "it leads to a directory that holds statelite's own"
BATCHES = ("copies", "made", "links", "points", "binds")
"""What waits for the end of a depth, in the order in which it is done then."""


@dataclass(frozen=True)
class LevelSeen:
    """One level of the plan: its number, its place on the node (None when it is not mounted), and why it is not or is not known."""

    number: str
    source: str
    point: str | None
    trouble: str = ""
    known: bool = True


@dataclass(frozen=True)
class Result:
    """What an entry became: DONE, FAILED, SKIPPED or UNKNOWN; `source` in the agent's words (level numbers, default, created, kept)."""

    status: str
    source: str
    message: str = ""


def _unknown(kind: str, reason: str, backing: str = "tmpfs") -> Inode:
    return Inode(kind, backing=backing, origin=UNKNOWN, unknown=reason)


def _joined(first: Callable[[], bytes], second: Callable[[], bytes]) -> Callable[[], bytes]:
    return lambda: first() + second()


def rank_of(source: str) -> float:
    """Return when copies of a source are made: the image's first."""
    return float(source) if source.isdigit() else 0


def ways_to(path: str) -> list[str]:
    """Return the directories above a path, the top one first."""
    parts = path.split("/")[1:-1]
    return ["/" + "/".join(parts[:count]) for count in range(1, len(parts) + 1)]


class Entries:
    """The state of entries.sh while it runs; `results` by path."""

    def __init__(self, plan: NodePlan, space: Namespace, levels: Sequence[LevelSeen]) -> None:
        self.plan = plan
        self.space = space
        self.levels = levels
        self.results: dict[str, Result] = {}
        self.pending: dict[str, list[tuple[str, Callable[[], object]]]] = {kind: [] for kind in BATCHES}
        self.ranks: dict[str, tuple[int, float]] = {}
        """When the copy of an entry is made: what is laid over its source first, then the image's, then level by level."""
        self.fresh: set[str] = set()
        """Directories that this depth makes for what is copied later: the first copy gives them their attributes."""

    def _find_source(self, step: Step) -> tuple[str, str]:
        """Return (level number, default, none or UNKNOWN; the directory it is in)."""
        for level in self.levels:
            if level.point is None:
                if not level.known:
                    return UNKNOWN, f"level {level.number}: {level.trouble}"
                continue
            place = level.point + step.path
            found = self.space.lookup(place)
            unread = self.space.blind if found is None else found.inode.unknown if step.kind == "d" and not found.inode.names else ""
            if found is not None and self._is_own(found):
                unread = OWN_WORDS
            if unread:
                return UNKNOWN, f"level {level.number}: {unread}"
            if step.kind != "d":
                if found is not None or self.space.stands(place):
                    return level.number, level.point
            elif found is not None and found.inode.kind == "d" and found.inode.names:
                return level.number, level.point
        return ("default" if self.space.stands("/.default" + step.path) else "none"), "/.default"

    def _is_own(self, spot: Spot) -> bool:
        """Tell whether a link leads to the root or among the agent's own directories, which change while it runs."""
        place = self.space.path_of(spot)
        if spot.inode.kind != "d" or place == "/":
            return place == "/"
        return spot.inode.backing == "tmpfs" and not place.startswith((f"{S}/tmpfs/", f"{S}/system/bound/", f"{S}/system/below/"))

    @staticmethod
    def _origin(source: str) -> str:
        return source if source in ("default", "created", "kept", UNKNOWN) else f"level {source}"

    def _copy_one(self, source: str, target: str, origin: str) -> None:
        """As `cp -aHT`: what the source leads to; a dangling link stays the link it is."""
        found = self.space.lookup(source) or self.space.lookup(source, follow=False)
        if found is None:
            raise StepError(f"cannot stat '{source}': No such file or directory")
        there = self.space.lookup(target, follow=False)
        if there is not None and there.inode.kind == "d" and found.inode.kind != "d":
            raise StepError(f"cannot overwrite directory '{target}' with non-directory")
        backing = self.space.directory(above_of(target)).inode.backing
        self.space.put(target, found.inode.copied(backing, self._origin(origin)))

    def _make_empty(self, path: str, kind: str) -> None:
        if kind == "d":
            self.space.directory(path)
            return
        spot = self.space.directory(above_of(path))
        if not self.space.exists(path):
            self.space.put(path, Inode("f", 0o644, backing=spot.inode.backing, origin="created", read=bytes))

    def _place_copy(self, step: Step, source: str, base: str, target: str) -> str:
        self.space.directory(above_of(target))
        if source == "none":
            self._make_empty(target, step.kind)
            return "created"
        if source == UNKNOWN:
            backing = self.space.directory(above_of(target)).inode.backing
            self.space.put(target, _unknown(step.kind, base, backing))
            return UNKNOWN
        self._copy_one(base + step.path, target, source)
        return source

    def _compose(self, step: Step, target: str) -> str:
        """The image's content, then each level's piece in priority order."""
        spot = self.space.directory(above_of(target))
        standing = self.space.lookup(target, follow=False)
        if standing is not None and standing.inode.kind != "d":
            self.space.remove(target)
        pieces = [(level, *self._piece(level, step.path)) for level in self.levels]
        unread = next((f"level {level.number}: {reason}" for level, _piece, reason in pieces if reason), "")
        if unread:
            self.space.put(target, _unknown("f", unread, spot.inode.backing))
            return UNKNOWN
        found = ["default"] if self.space.exists("/.default" + step.path) else []
        if found:
            self._copy_one("/.default" + step.path, target, "default")
        for level, piece, _reason in pieces:
            if piece is not None:
                self._append(piece, f"{level.point}{step.path}", target, level.number)
                found.append(level.number)
        if not found:
            self._make_empty(target, "f")
            return "created"
        made = self.space.lookup(target)
        if made is not None and len(found) > 1:
            made.inode.origin = " + ".join(self._origin(source) for source in found)
        return "+".join(found)

    def _piece(self, level: LevelSeen, path: str) -> tuple[Inode | None, str]:
        """Return a level's file for a con entry, or why it is not known whether there is one."""
        if level.point is None:
            return None, "" if level.known else level.trouble
        found = self.space.lookup(level.point + path)
        if found is None:
            return None, self.space.blind
        return (found.inode if found.inode.kind == "f" else None), ""

    def _append(self, piece: Inode, source: str, target: str, number: str) -> None:
        there = self.space.lookup(target)
        if there is None:
            self._copy_one(source, target, number)
            return
        if there.inode.kind != "f":
            raise StepError(f"{target}: Is a directory")
        there.inode.read = _joined(there.inode.read or bytes, piece.content)

    def _keep_state(self, step: Step, target: str) -> str:
        place = f"{S}/{LOCALDISK}" if step.storage == LOCALDISK else f"{S}/{PERSISTENT}/{self.plan.node}"
        own = self.space.lookup(place)
        if own is not None and own.inode.unknown:
            self.space.directory(above_of(target))
            self.space.put(target, _unknown(step.kind, own.inode.unknown, step.storage))
            return UNKNOWN
        if self.space.stands(target):
            kept = self.space.lookup(target)
            # The root and the directory of the states hold nothing that is not known.
            if kept is None or not self._is_own(kept) or self.space.path_of(kept) in ("/", f"{S}/persistent"):
                return "kept"
            self.space.put(
                target, _unknown(step.kind, f"the {'disk' if step.storage == LOCALDISK else 'state'}: {OWN_WORDS}", step.storage)
            )
            return UNKNOWN
        if self.space.blind:
            unread = self.space.blind
            self.space.directory(above_of(target))
            self.space.put(target, _unknown(step.kind, unread, step.storage))
            return UNKNOWN
        source, base = self._find_source(step)
        self.space.remove(f"{above_of(target)}/.statelite-new")
        area = target[: -len(step.path)]
        # What is missing is made aside with all its content, as `cp --parents` does, and renamed.
        if source not in ("none", UNKNOWN) and self.space.exists(base + step.path):
            self._on_the_way(area, step.path, base, source)
        return self._place_copy(step, source, base, target)

    def _on_the_way(self, area: str, path: str, base: str, source: str) -> None:
        """Have the directories above a place get attributes when its source's turn comes, as far as they are missing now."""
        self.fresh.update(area + inside for inside in ways_to(path) if not self.space.stands(area + inside))
        self.ranks[path] = (1, rank_of(source))
        self._later("copies", path, self._like_source, area, path, base)

    def _mount_point(self, step: Step) -> None:
        try:
            if step.kind == "d":
                if not self.space.is_directory(step.path):
                    self.space.directory(step.path)
            elif not self.space.exists(step.path):
                self._make_empty(step.path, "f")
        except StepError as error:
            raise StepError(f"no mount point in its parent: {error}") from error

    def _failed(self, path: str, message: str, source: str = "-") -> None:
        before = self.results.get(path)
        self.results[path] = Result(FAILED, before.source if before else source, before.message if before and before.message else message)

    def _fill(self, step: Step, target: str) -> str:
        """A volatile place of its own gets its content, and with it the directories above."""
        source, base = self._find_source(step)
        if source == "none":
            self._later("made", step.path, self._make_empty, target, step.kind)
            return "created"
        if source == UNKNOWN or not self.space.exists(base + step.path):
            return self._place_copy(step, source, base, target)
        found = self.space.lookup(base + step.path)
        laid = step.kind == "d" and step.path not in self.plan.copies and "ALL" not in self.plan.copies
        laid = laid and found is not None and found.inode.kind == "d" and bool(found.inode.names)
        self.ranks[step.path] = (0, 0) if laid else (1, rank_of(source))
        self._later("copies", step.path, self._copy_below, target[: -len(step.path)], step, base, source)
        return source

    def _join(self, step: Step, target: str) -> str:
        """A composed file at a place of its own; the directories above are those of its first piece."""
        area = target[: -len(step.path)]
        missing = [area + inside for inside in ways_to(step.path) if not self.space.stands(area + inside)]
        source = self._compose(step, target)
        if source not in ("created", UNKNOWN):
            first = source.partition("+")[0]
            base = next((level.point or "" for level in self.levels if level.number == first), "/.default")
            self.fresh.update(missing)
            self._on_the_way(area, step.path, base, first)
        return source

    def _top(self, step: Step) -> str:
        target, source, unknown = f"{S}/{step.place}", "-", None
        if step.storage == "tmpfs":
            source = self._fill(step, target)
        elif step.storage == "con":
            source = self._join(step, target)
        elif step.storage in (PERSISTENT, LOCALDISK):
            source = self._keep_state(step, target)
        elif step.storage == "ro":
            source, base = self._find_source(step)
            target = base + step.path
            unknown = _unknown(step.kind, base, "level") if source == UNKNOWN else None
            if source == "none":
                self._failed(step.path, "neither a level nor the image has it", source)
        if step.attach in ("image", "symlink") and not self.space.is_link(step.path):
            self._failed(step.path, "the image has no link here: run liteimg", source)
        if step.path in self.results:
            return source
        if step.attach == "symlink":
            self._later("links", step.path, self._link, target, step.path, unknown)
        elif step.attach == "bind" and (step.storage, source, step.place) != ("ro", "default", "-"):
            self._bind(step, target, unknown)
        return source

    def _bind(self, step: Step, target: str, unknown: Inode | None) -> None:
        if unknown is not None:
            self._later("binds", step.path, self.space.mount, step.path, unknown, True)
        else:
            self._later("binds", step.path, self.space.bind, target, step.path, step.storage == "ro")

    def _later(self, batch: str, path: str, action: Callable[..., object], *arguments: object) -> None:
        self.pending[batch].append((path, partial(action, *arguments)))

    def _child(self, step: Step) -> str:
        target, source, unknown = f"{S}/{step.place}", "-", None
        if (step.storage, step.attach) == ("tmpfs", "inline"):
            source, base = self._find_source(step)
            standing = self.space.lookup(target, follow=False)
            if standing is None or standing.inode.kind == "l" or (step.kind == "d" and standing.inode.kind != "d"):
                self.space.remove(target)
                source = self._place_copy(step, source, base, target)
            elif source == UNKNOWN:
                self.space.put(target, _unknown(step.kind, base))
            return source
        if step.storage == "con":
            source = self._join(step, target) if step.attach == "bind" else self._compose(step, target)
        elif step.storage in (PERSISTENT, LOCALDISK):
            source = self._keep_state(step, target)
        elif step.storage == "tmpfs":
            source = self._fill(step, target)
        elif step.storage == "ro":
            source, base = self._find_source(step)
            target = base + step.path
            unknown = _unknown(step.kind, base, "level") if source == UNKNOWN else None
            if source == "none":
                raise StepError("neither a level nor the image has it")
        if step.attach == "bind":
            self._later("points", step.path, self._mount_point, step)
            self._bind(step, target, unknown)
        return source

    def _like_source(self, area: str, path: str, base: str) -> None:
        """Directories above a place that are made for it get the modes and owners that they have in its source."""
        for inside in ways_to(path):
            way = area + inside
            if way not in self.fresh and self.space.stands(way):
                continue
            self.fresh.discard(way)
            made, like = self.space.directory(way), self.space.lookup(base + inside)
            if like is not None and made.inode.backing in ("tmpfs", PERSISTENT, LOCALDISK):
                made.inode.mode, made.inode.owner, made.inode.group = like.inode.mode, like.inode.owner, like.inode.group

    def _copy_below(self, area: str, step: Step, base: str, source: str) -> None:
        """As `cp -aH --parents`."""
        self._like_source(area, step.path, base)
        self._copy_one(base + step.path, area + step.path, source)

    def _link(self, text: str, path: str, unknown: Inode | None) -> None:
        """As `ln -sf` into /.statelite/tmpfs; what a link to an unknown place leads to stands there itself."""
        place = f"{S}/tmpfs{path}"
        self.space.directory(above_of(place))
        standing = self.space.lookup(place, follow=False)
        if standing is not None and standing.inode.kind == "d":
            raise StepError(f"{place}: cannot overwrite directory")
        self.space.put(place, unknown or Inode("l", 0o777, text=text))

    def _guarded(self, path: str, action: Callable[[], object]) -> None:
        try:
            action()
        except StepError as error:
            self._failed(path, str(error))

    def _finish_depth(self) -> None:
        self.pending["copies"].sort(key=lambda each: self.ranks[each[0]])
        for batch in BATCHES:
            for path, action in self.pending[batch]:
                if batch in ("copies", "made") or path not in self.results or self.results[path].status != FAILED:
                    self._guarded(path, action)
            self.pending[batch].clear()
        self.fresh.clear()

    def carry_out(self) -> None:
        """The entries of the plan, depth by depth."""
        for path in self.plan.bridges:
            self._later("links", path, self._link, path, path, None)
        for _depth, steps in groupby(self.plan.steps, key=lambda step: step.depth):
            for step in steps:
                self._step(step)
            self._finish_depth()
        self._finish_depth()

    def _step(self, step: Step) -> None:
        above = self.results.get(step.parent) if step.parent else None
        if above is not None and above.status in NOT_DONE:
            self.results[step.path] = Result(SKIPPED, "-", f"its parent {step.parent} failed")
            return
        try:
            source = self._child(step) if step.parent else self._top(step)
        except StepError as error:
            self._failed(step.path, str(error))
            return
        if step.path not in self.results:
            self.results[step.path] = Result(UNKNOWN if source == UNKNOWN else DONE, source)
