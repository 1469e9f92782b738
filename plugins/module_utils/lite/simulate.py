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
from functools import cached_property
from typing import Any

from ..apply.generations import Generation
from ..errors import SiteError
from ..nodes.images import Image, image_of, osimage
from ..nodes.site import Site
from ..tables.lite import LOCALDISK, PERSISTENT, TMPFS
from .carry import NOT_DONE
from .entry import entries_for
from .layout import Layout
from .namespace import LIVE, Inode, Spot, UnreadError
from .nodeplan import NodePlan, compile_plan
from .nodeview import IDENTITY, READ_STATE, RESOLVER, NodeView, node_view
from .place import OWN, ancestors
from .rearranged import rearranged
from .served import Layouts, generation_of
from .treeplan import Wanted, plan_tree
from .trees import Found, Places, tree_at

Row = dict[str, Any]
IDENTITY_FILES = ("/etc/hostname", "/etc/machine-id", "/etc/resolv.conf")
KEPT, LOST, NOT_WRITABLE = "yes", "no", "-"
"""Whether what a node writes there survives a reboot."""
PRINT_LIMIT = 500
"""Names of a tree of one node's own that are compared to know which nodes are alike; larger ones are followed node by node."""


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

    @cached_property
    def paths(self) -> list[str]:
        """The paths that a node may write, and those of its identity, without what lies below another one."""
        paths = {*(entry.path for entry in self.layout.entries), *self.layout.satisfied, *IDENTITY_FILES}
        return sorted(path for path in paths if not any(above in paths for above in ancestors(path)))


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


def unseen(path: str, reason: str) -> Row:
    """Return the row of a path of which it is not known whether anything is there."""
    return {**absent(path), "type": "unknown", "reason": reason}


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
            found.setdefault(path, unseen(path, view.space.blind) if view.space.blind else absent(path))
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
        failed = any(entry["status"] in NOT_DONE and entry["required"] for entry in self.entries)
        missing = any(level["status"] == "failed" and level["required"] for level in self.levels)
        return not (self.faults or self.waits or failed or missing)

    def told(self, node: str) -> str:
        """Return what nodes that are alike have in common: all but their own names and the directories of their levels."""
        faults = [tuple(fault[part].replace(f"node {node}", "node") for part in ("where", "what")) for fault in self.faults]
        text = repr((self.rows, self.entries, faults, self.waits))
        for level in self.levels:
            text = text.replace(level["source"], f"level {level['level']}")
        return text


def _seen(view: NodeView, paths: Iterable[str], digest: bool) -> Seen:
    required = {step.path: step.required for step in view.plan.steps}
    entries = []
    for path, result in sorted(view.results.items()):
        entry = {"path": path, "status": result.status, "source": result.source, "required": required[path]}
        entries.append({**entry, "message": result.message} if result.message else entry)
    levels = []
    for seen, (level, _options) in zip(view.levels, view.plan.levels):
        status = "mounted" if seen.point is not None else "failed" if seen.known else "unknown"
        row = {"level": seen.number, "status": status, "source": seen.source, "own": level.own, "required": level.required}
        levels.append({**row, "message": seen.trouble} if seen.trouble else row)
    return Seen(tuple(rows_of(view, paths, digest)), tuple(entries), tuple(levels), tuple(view.plan.notes), waits=view.waits)


def _print_of(root: Inode, digest: bool) -> object:
    """Return what of a small tree decides what a node makes of it; None where two that look alike may still differ."""
    found: list[object] = []
    waiting = [("", root)]
    while waiting:
        path, inode = waiting.pop()
        names = inode.names if inode.kind == "d" else {}
        if inode.kind not in "df" or inode.unknown or len(found) > PRINT_LIMIT:
            return None
        try:
            wanted = inode.kind == "f" and (digest or path.endswith(RESOLVER))
            content = hashlib.sha256(inode.content()).hexdigest() if wanted else ""
        except UnreadError:
            return None
        found.append((path, inode.kind, inode.mode, inode.owner, inode.group, content))
        waiting.extend((f"{path}/{name}", names[name]) for name in sorted(names))
    return tuple(found)


def _own_tree(found: Found, name: str, wish: Wish) -> object:
    """Return the print of a tree, or why there is none in words that are the same for every node."""
    return (found.state, found.reason.replace(name, "")) if found.root is None else _print_of(found.root, wish.digest)


def plan_key(plan: NodePlan, wish: Wish, places: Places) -> object:
    """Return what of a plan decides the tree: two nodes with the same key see the same.

    Of a level or a state that is the node's own it is what stands there now, or the node's name where that can't be compared.
    """
    own = f"persistent/{plan.node}/"
    lines: list[object] = []
    apart = plan.disk is not None and wish.state == READ_STATE
    prints: dict[str, object] = {}
    for number, (level, options) in enumerate(plan.levels, 1):
        if level.own:
            found = places.tree(level.server, level.directory, "level", f"level {number}", options)
            prints[str(number)] = _own_tree(found, level.directory, wish)
    if plan.state is not None and plan.state_required and wish.state == READ_STATE:
        found = places.tree(plan.state.server, plan.state.directory, PERSISTENT, "kept", plan.state_options, plan.node)
        prints["state"] = _own_tree(found, plan.node, wish)
    for fields in plan.lines():
        if fields[0] in ("node", "hostname", "machine-id"):
            continue
        if fields[0] == "level" and fields[1] in prints:
            lines.append((*fields[:3], prints[fields[1]], *fields[4:]))
        else:
            lines.append(tuple(f"persistent/-/{text[len(own) :]}" if text.startswith(own) else text for text in fields))
    return tuple(lines), prints.get("state"), plan.node if apart or None in prints.values() else ""


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
        paths = self.sight.laid(node).paths
        return sorted({*paths, *self.more[node]}) if node in self.more else paths

    def of(self, node: str) -> Seen:
        """Return what `node` would see; a node that gets no plan has the faults instead."""
        try:
            plan = self.sight.plan(node)
            paths = self.paths(node)
            key = (image_of(self.sight.site, node), plan_key(plan, self.wish, self.sight.places), tuple(paths))
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
    told: dict[int, tuple[Seen, str]] = {}
    for node, seen in found:
        if id(seen) not in told:
            told[id(seen)] = seen, hashlib.sha256(seen.told(node).encode("utf-8", "surrogateescape")).hexdigest()
        key = told[id(seen)][1]
        groups.setdefault(key, []).append(node)
        results.setdefault(key, seen)
    return [Alike(tuple(nodes), results[key]) for key, nodes in groups.items()]


@dataclass(frozen=True)
class Change:
    """Paths that differ for some nodes, and faults that come or go."""

    nodes: tuple[str, ...]
    paths: tuple[Row, ...]
    faults: tuple[dict[str, str], ...] = ()


def _difference(was: Seen, now: Seen) -> tuple[Row, ...]:
    old, new = ({row["path"]: row for row in seen.rows} for seen in (was, now))
    return tuple(
        {"path": path, "before": old.get(path), "after": new.get(path)}
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    )


def changes(nodes: Sequence[str], before: Simulation, after: Simulation) -> list[Change]:
    """Return what differs between two simulations, grouped by nodes with the same differences."""
    groups: dict[str, list[str]] = {}
    results: dict[str, Change] = {}
    known: dict[tuple[int, int], tuple[Seen, Seen, str, Change]] = {}
    for node in nodes:
        for one, other in ((before, after), (after, before)):
            try:
                one.more[node] = other.sight.laid(node).paths
            except SiteError:
                continue
        was, now = before.of(node), after.of(node)
        pair = (id(was), id(now))
        if pair not in known:
            faults = now.faults if now.faults != was.faults else ()
            differing = () if faults else _difference(was, now)
            key = replace(now, rows=(), entries=()).told(node) if faults else repr(differing)
            known[pair] = was, now, key, Change((), differing, faults)
        _was, _now, key, change = known[pair]
        if change.paths or change.faults:
            groups.setdefault(key, []).append(node)
            results.setdefault(key, change)
    return [replace(results[key], nodes=tuple(members)) for key, members in groups.items()]
