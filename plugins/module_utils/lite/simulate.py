# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree that a node would see, path by path, without booting it: type, mode, content, where it comes from, what is kept.

A link by which an entry is attached is shown as what it leads to; every other symbolic link is shown as itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..apply.generations import Generation
from ..errors import SiteError
from ..nodes.images import Image, image_of, osimage
from ..nodes.site import Site
from ..tables.lite import LOCALDISK, PERSISTENT, TMPFS
from .entry import entries_for
from .layout import Layout
from .namespace import LIVE, Inode, Spot, UnreadError
from .nodeplan import NodePlan, compile_plan
from .nodeview import IDENTITY, READ_STATE, NodeView, node_view
from .place import OWN
from .rearranged import rearranged
from .served import Layouts, generation_of
from .treeplan import Wanted, plan_tree
from .trees import Places, tree_at

Row = dict[str, Any]
IDENTITY_FILES = ("/etc/hostname", "/etc/machine-id", "/etc/resolv.conf")
KEPT, LOST, NOT_WRITABLE = "yes", "no", "-"
"""Whether what a node writes there survives a reboot."""


@dataclass(frozen=True)
class Wish:
    """What of the tree is wanted: `paths` with everything below them (none: every entry), or the `whole` tree."""

    paths: Sequence[str] = ()
    whole: bool = False
    digest: bool = False
    state: str = READ_STATE
    resolver: bytes | None = None


@dataclass(frozen=True)
class Laid:
    """The tree a node boots from: a generation of its image, what it is laid out for, and its root as it is read."""

    image: Image
    generation: Generation
    layout: Layout
    root: Inode


@dataclass
class Sight:
    """A site with its images as the management node sees them. `planned` shows trees as liteimg would leave them now."""

    site: Site
    places: Places
    planned: bool = False
    generation: str = ""
    _laid: dict[str, Laid] = field(default_factory=dict)
    _layouts: Layouts = field(default_factory=Layouts)

    def laid(self, node: str) -> Laid:
        """Return the tree that `node` boots from; raises SiteError when there is none."""
        name = image_of(self.site, node)
        if name not in self._laid:
            self._laid[name] = self._lay(osimage(self.site, name))
        return self._laid[name]

    def _lay(self, image: Image) -> Laid:
        generation = generation_of(image, self.generation)
        found = tree_at(generation.rootimg, "image", "image")
        if found.root is None:
            raise SiteError.of(f"image {image.name}, {generation.rootimg}", found.reason, "Run genimage and liteimg for it")
        if not self.planned:
            return Laid(image, generation, self._layouts.of(image, generation), found.root)
        plan = plan_tree(generation.rootimg, Wanted(image.name, entries_for(self.site, image.name), int(image.permission, 8)))
        if plan.begun:
            raise SiteError.of(f"image {image.name}, {generation.rootimg}", "a run of liteimg was cut off", "Run liteimg again first")
        return Laid(image, generation, plan.layout, rearranged(found.root, plan.operations) if plan.operations else found.root)

    def plan(self, node: str) -> NodePlan:
        """Return the boot plan that the answer service would give the node for that tree."""
        laid = self.laid(node)
        number = "-" if laid.generation.number is None else str(laid.generation.number)
        return compile_plan(self.site, node, laid.layout, laid.image, number)

    def view(self, node: str, wish: Wish, plan: NodePlan | None = None) -> NodeView:
        """Return the node's root just before switch_root; `plan` is its plan where that is known."""
        return node_view(plan or self.plan(node), self.laid(node).root, self.places, wish.state, wish.resolver)


def survival(spot: Spot) -> str:
    """Return whether what a node writes at a spot survives a reboot."""
    if spot.mount.readonly or spot.inode.backing not in (TMPFS, PERSISTENT, LOCALDISK):
        return NOT_WRITABLE
    return LOST if spot.inode.backing == TMPFS else KEPT


def describe(path: str, spot: Spot, digest: bool) -> Row:
    """Return the row of one path."""
    inode = spot.inode.opened()
    row: Row = {
        "path": path,
        "type": "unknown" if inode.unknown and inode.origin != IDENTITY else inode.kind,
        "mode": f"{inode.mode:04o}",
        "origin": inode.origin,
        "place": inode.backing,
        "writable": survival(spot) != NOT_WRITABLE,
        "survives": survival(spot),
    }
    if inode.unknown:
        row["reason"] = inode.unknown
        if inode.origin != IDENTITY:
            del row["mode"]
    elif inode.kind == "l":
        row["target"] = inode.text
    elif inode.kind == "f" and digest and inode.origin != IDENTITY:
        try:
            row["digest"] = hashlib.sha256(inode.content()).hexdigest()
        except UnreadError as error:
            row["reason"] = str(error)
    return row


def absent(path: str) -> Row:
    """Return the row of a path where nothing is."""
    return {"path": path, "type": "absent", "origin": "-", "place": "-", "writable": False, "survives": NOT_WRITABLE}


def _attached(inode: Inode) -> bool:
    return inode.kind == "l" and inode.backing == "image" and ".statelite/tmpfs/" in inode.text


def spots(view: NodeView, path: str) -> Iterator[tuple[str, Spot]]:
    """Give (path, spot) of a path and everything below it, in order of the paths; what is the node's own is not entered.

    A link that leads back to a directory it lies in is shown as itself.
    """
    found = view.space.lookup(path, follow=False)
    if found is None:
        return
    if _attached(found.inode):
        found = view.space.lookup(path) or found
    around: tuple[Inode, ...] = ()
    waiting = [(path if path != "/" else "", found, around)]
    while waiting:
        here, spot, around = waiting.pop()
        yield here or "/", spot
        if spot.inode.kind != "d" or spot.inode.backing == LIVE:
            continue
        around = (*around, spot.inode)
        below = []
        for name, standing in view.space.inside(spot):
            if not here and name in OWN:
                continue
            place, inside = f"{here}/{name}", standing
            if _attached(standing.inode):
                target = view.space.lookup(place)
                inside = standing if target is None or target.inode in around else target
            below.append((place, inside, around))
        waiting.extend(reversed(below))


def entry_paths(layout: Layout) -> list[str]:
    """Return the paths of a layout that a node may write, and those of its identity, without what lies below another one."""
    paths = {*(entry.path for entry in layout.entries), *layout.satisfied, *IDENTITY_FILES}
    return sorted(path for path in paths if not any(path.startswith(other + "/") for other in paths))


def rows_of(view: NodeView, paths: Iterable[str], digest: bool) -> list[Row]:
    """Return the rows of `paths` and everything below them, each path once, sorted; a path that is not there has type absent.

    An image without one of the files of a node's identity has none to be told of.
    """
    found: dict[str, Row] = {}
    for path in paths:
        empty = True
        for place, spot in spots(view, path):
            empty = False
            found.setdefault(place, describe(place, spot, digest))
        if empty and path not in IDENTITY_FILES:
            found.setdefault(path, absent(path))
    return [found[path] for path in sorted(found)]


@dataclass(frozen=True)
class Seen:
    """What one node would see: its rows, what became of each entry, levels, and what a person should know."""

    rows: tuple[Row, ...] = ()
    entries: tuple[Row, ...] = ()
    levels: tuple[Row, ...] = ()
    notes: tuple[str, ...] = ()
    faults: tuple[dict[str, str], ...] = ()
    waits: str = ""

    @property
    def boots(self) -> bool:
        """Whether the node gets a plan, and no required entry or level fails for certain."""
        failed = any(entry["status"] == "failed" and entry["required"] for entry in self.entries)
        missing = any(level["status"] == "failed" and level["required"] for level in self.levels)
        return not (self.faults or self.waits or failed or missing)

    def told(self, node: str) -> object:
        """Return what nodes that are alike have in common: all but their own name in the reasons why they get no plan."""
        faults = [tuple(fault[part].replace(f"node {node}", "node") for part in ("where", "what")) for fault in self.faults]
        return self.rows, self.entries, faults, self.waits


def _seen(view: NodeView, paths: Iterable[str], digest: bool) -> Seen:
    required = {step.path: step.required for step in view.plan.steps}
    entries = []
    for path, result in sorted(view.results.items()):
        entry = {"path": path, "status": result.status, "source": result.source, "required": required[path]}
        entries.append({**entry, "message": result.message} if result.message else entry)
    levels = []
    for seen, (level, _options) in zip(view.levels, view.plan.levels):
        status = "mounted" if seen.point is not None else "failed" if seen.known else "unknown"
        row = {"level": seen.number, "status": status, "source": seen.source, "required": level.required}
        levels.append({**row, "message": seen.trouble} if seen.trouble else row)
    return Seen(tuple(rows_of(view, paths, digest)), tuple(entries), tuple(levels), tuple(view.plan.notes), waits=view.waits)


def plan_key(plan: NodePlan, wish: Wish) -> object:
    """Return what of a plan decides the tree: two nodes with the same key see the same."""
    own = f"persistent/{plan.node}/"
    lines = []
    for fields in plan.lines():
        if fields[0] in ("node", "hostname", "machine-id"):
            continue
        lines.append(tuple(f"persistent/-/{text[len(own) :]}" if text.startswith(own) else text for text in fields))
    own_content = plan.disk is not None or (plan.state is not None and plan.state_required)
    return tuple(lines), plan.node if own_content and wish.state == READ_STATE else ""


@dataclass
class Simulation:
    """Trees of many nodes; nodes whose plans decide the same tree are looked at once."""

    sight: Sight
    wish: Wish
    more: dict[str, list[str]] = field(default_factory=dict)
    """Further paths to show, by node."""
    _known: dict[object, Seen] = field(default_factory=dict)

    def paths(self, node: str) -> list[str]:
        """Return the paths that are shown of a node."""
        if self.wish.whole:
            return ["/"]
        if self.wish.paths:
            return list(self.wish.paths)
        return sorted({*entry_paths(self.sight.laid(node).layout), *self.more.get(node, ())})

    def of(self, node: str) -> Seen:
        """Return what `node` would see; a node that gets no plan has the faults instead."""
        try:
            plan = self.sight.plan(node)
            paths = self.paths(node)
            key = (image_of(self.sight.site, node), plan_key(plan, self.wish), tuple(paths))
            if key not in self._known:
                self._known[key] = _seen(self.sight.view(node, self.wish, plan), paths, self.wish.digest)
        except SiteError as error:
            return Seen(faults=tuple({"where": fault.where, "what": fault.what, "mend": fault.mend} for fault in error.faults))
        return self._known[key]


@dataclass(frozen=True)
class Alike:
    """Nodes with one result."""

    nodes: tuple[str, ...]
    seen: Seen


def alike(found: Iterable[tuple[str, Seen]]) -> list[Alike]:
    """Return nodes grouped by identical result, in the order of their first nodes."""
    groups: dict[str, list[str]] = {}
    results: dict[str, Seen] = {}
    for node, seen in found:
        key = hashlib.sha256(repr(seen.told(node)).encode("utf-8", "surrogateescape")).hexdigest()
        groups.setdefault(key, []).append(node)
        results.setdefault(key, seen)
    return [Alike(tuple(nodes), results[key]) for key, nodes in groups.items()]


@dataclass(frozen=True)
class Change:
    """Paths that differ for some nodes, and faults that come or go."""

    nodes: tuple[str, ...]
    paths: tuple[Row, ...]
    faults: tuple[dict[str, str], ...] = ()


def changes(nodes: Sequence[str], before: Simulation, after: Simulation) -> list[Change]:
    """Return what differs between two simulations, grouped by nodes with the same differences."""
    groups: dict[str, list[str]] = {}
    results: dict[str, Change] = {}
    for node in nodes:
        for one, other in ((before, after), (after, before)):
            try:
                one.more[node] = entry_paths(other.sight.laid(node).layout)
            except SiteError:
                continue
        was, now = before.of(node), after.of(node)
        old, new = ({row["path"]: row for row in seen.rows} for seen in (was, now))
        differing = tuple(
            {"path": path, "before": old.get(path), "after": new.get(path)}
            for path in sorted(old.keys() | new.keys())
            if old.get(path) != new.get(path)
        )
        faults = now.faults if now.faults != was.faults else ()
        if not differing and not faults:
            continue
        key = repr(replace(now, rows=(), entries=()).told(node) if faults else differing)
        groups.setdefault(key, []).append(node)
        results.setdefault(key, Change((), () if faults else differing, faults))
    return [Change(tuple(members), results[key].paths, results[key].faults) for key, members in groups.items()]
