# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nodeset: what a noderange boots next, written as one change after everything has been checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..apply.addresses import local_addresses
from ..apply.signing import site_keys
from ..errors import Fault, SiteError, raise_faults
from ..nodes.images import image_of, osimage
from ..nodes.noderange import expand, read_names
from ..nodes.servers import own_nodes, own_view
from ..nodes.site import Site
from ..tables.address import site_directory
from ..tables.columns import Row
from ..tables.plan import Change, lines_of
from ..tables.replica import Replica
from ..tables.schema import TABLES
from ..tables.store import DEFAULT_SITE, open_store
from .bootfiles import BootFiles, names_of
from .method import SHELL
from .once import SPEC as ONCE
from .once import Once, refused
from .planner import Planner, told_words
from .record import Paths, read_record, record_path, update
from .seen import key_of, recall, remember
from .states import State, parse_state

SPEC: dict[str, Any] = {
    "noderange": {"type": "str", "required": True},
    "state": {"type": "str", "default": "osimage"},
    "noupdateinitrd": {"type": "bool", "default": False},
    "own": {"type": "bool", "default": False},
    **ONCE,
    "site": {"type": "str", "default": DEFAULT_SITE},
}
"""Options of the module."""

FEW = 32
"""Up to how many nodes the result tells each word of the kernel line with where it comes from."""


@dataclass
class NodesetPlan:
    """Boot files of all TFTP directories, and the nodetype rows that say which image the nodes now have.

    The rows were planned from version `read_at` of the site; `again` plans them anew when somebody has written since.
    """

    site: str
    directories: list[BootFiles]
    changes: Sequence[Change] = ()
    read_at: int | None = None
    again: Callable[[Mapping[str, Sequence[Row]]], Sequence[Change]] | None = None
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    once: Once = field(default_factory=Once)
    key: str | None = None
    """What was asked, when the next run may know by it that nothing changed."""

    def lines(self) -> list[str]:
        """Return one line a change."""
        return self._file_lines() + self.once.lines() + lines_of(self.changes)

    def _file_lines(self) -> list[str]:
        record = record_path(self.site)
        lines = [line for each in self.directories for line in each.lines()]
        return lines + [f"~ {record}: nodes of {each.tftpdir}" for each in self.directories if each.unrecorded]

    def result(self) -> dict[str, Any]:
        """Return the nodes with what each boots, and the files of nodes that are no more."""
        return {"nodes": self.nodes, "removed": [f"{each.tftpdir}/{path}" for each in self.directories for path in each.removed]}

    def apply(self) -> list[str] | None:
        """Write the files, then the rows, in one transaction; return what was done when the rows were planned anew.

        A path is in the record before its file is written, and until after it is removed.
        """
        record = record_path(self.site)
        with self.once.carried_out(node for each in self.directories for node in each.changing):
            update(record, names_of(self.directories, "added"), {})
            for each in self.directories:
                each.apply()
            update(record, {}, names_of(self.directories, "dropped"))
        if not self.changes:
            if self.key is not None:
                remember(self.site, self.key, self.directories, self.nodes)
            return None
        with open_store(self.site) as store:
            done = store.write(self.changes, self.read_at, self.again)
        return None if done is self.changes else self._file_lines() + self.once.lines() + lines_of(done)


def _images(site: Site, nodes: list[str], state: State, faults: list[Fault]) -> dict[str, str]:
    """Return the image name of each node: the one named, else the node's own."""
    if state.image is not None:
        try:
            return dict.fromkeys(nodes, osimage(site, state.image).name)
        except SiteError as error:
            faults.extend(error.faults)
            return {}
    images: dict[str, str] = {}
    for node in nodes:
        own = _own_image(site, node, faults, state.provmethod)
        if own is not None:
            images[node] = own
    return images


def _own_image(site: Site, node: str, faults: list[Fault], provmethod: str | None = None) -> str | None:
    try:
        return image_of(site, node, provmethod)
    except SiteError as error:
        faults.extend(error.faults)
        return None


def nodetype_changes(site: Site, images: Mapping[str, str]) -> list[Change]:
    """Return what makes the nodetype table name the images of `images`, for the nodes for which it names another one.

    A node's own os, arch and profile then are the image's, as the original has it.
    """
    table = TABLES["nodetype"]
    changes: list[Change] = []
    for node, name in images.items():
        if _own_image(site, node, []) == name:
            continue
        image = osimage(site, name)
        own = site.holder(table.name, node)
        new = {"node": node, "provmethod": name, "os": image.osvers, "arch": image.osarch, "profile": image.profile}
        changes.append(Change(table, own, {**(own or {}), **new}))
    return changes


def _asked(site: Site, noderange: str, state: str) -> tuple[State, list[str]]:
    """Return the state and the nodes that are asked for; raises SiteError with what is wrong with both."""
    try:
        asked = parse_state(state)
    except SiteError as error:
        raise SiteError(*error.faults, *_range_faults(site, noderange)) from error
    return asked, expand(site, noderange, read_names)


def _range_faults(site: Site, noderange: str) -> list[Fault]:
    try:
        expand(site, noderange, read_names)
    except SiteError as error:
        return list(error.faults)
    return []


def plan(
    site: Site,
    database: str,
    noderange: str,
    state: str,
    warn: Callable[[str], None],
    read_at: int | None = None,
    noupdateinitrd: bool = False,
    own: bool = False,
    once: Once | None = None,
) -> NodesetPlan:
    """Return the plan that makes the nodes of `noderange` boot as `state` says; `read_at` is the version that `site` was read at.

    `database` is the path of the site database, or its URL. With `own` files are those of nodes that this server serves, and no others;
    nodetype names the image of all. `once` is what was asked of boots for once, and what is recorded of them.

    Raises SiteError with every fault of every node and image.
    """
    asked, nodes = _asked(site, noderange, state)
    if asked.reboot:
        warn("reboot4deploy is not used: the boot files are the same without it")
    once = once or Once()
    faults: list[Fault] = refused(state, asked.kind) if once.asked else []
    served = own_nodes(site, nodes) if own else nodes
    once.settle(served, frozenset(site.nodes()), warn)
    images = _images(site, served if asked.image is None else nodes, asked, faults) if asked.kind == "image" else {}
    changes = nodetype_changes(site, images) if asked.image is not None else []
    chosen = [change.after for change in changes if change.after]
    view = site.with_rows("nodetype", chosen) if chosen else site
    planner = Planner(own_view(view) if own else view, warn, site_keys(site_directory(database)))
    planner.faults, planner.many = faults, len(served) > FEW
    ours = {node: images[node] for node in served if node in images}
    if once.asked:
        planner.tokens = once.tokens({node: _once_state(asked, ours.get(node)) for node in served})
    found = _noted(planner, asked, served, ours)
    firsts = [] if once.asked else [_first(planner, site, text, once) for text in once.states]
    raise_faults(dict.fromkeys(planner.faults))
    planner.finish()
    recorded = read_record(record_path(database))
    if once.asked:
        for node, about in found.items():
            if about:
                about.update(once.set(planner, node, _once_state(asked, ours.get(node)), about, recorded))
        raise_faults(once.faults)
    for first, told in firsts:
        first.finish()
        for node, about in told.items():
            if about:
                found[node] = {**about, **once.stays(planner, first, node, about)}
    finished = _finished(planner, database, recorded)
    finished.once = once
    in_the_way = [fault for each in finished.directories for fault in each.faults()]
    raise_faults(dict.fromkeys(in_the_way + (_not_copied(finished.directories) if noupdateinitrd else [])))

    def again(tables: Mapping[str, Sequence[Row]]) -> Sequence[Change]:
        now = Site(tables, site.here)
        present = frozenset(now.nodes())
        return [] if once.asked else nodetype_changes(now, {node: name for node, name in images.items() if node in present})

    finished.changes, finished.read_at, finished.again = [] if once.asked else changes, read_at, again
    finished.nodes = {node: about for node, about in found.items() if about}
    if len(served) <= FEW:
        for node, words in told_words(planner.words).items():
            finished.nodes[node]["words"] = words
    return finished


def _once_state(asked: State, image: str | None) -> str:
    """Return what a node boots once, its image named."""
    return asked.kind if image is None else f"{asked.provmethod or 'osimage'}={image}"


def _first(planner: Planner, site: Site, text: str, once: Once) -> tuple[Planner, dict[str, dict[str, Any] | None]]:
    """Plan, beside what nodes boot from then on, what some of them boot first; return what the module says about each."""
    asked = parse_state(text)
    nodes = [node for node, each in once.staying.items() if each.state == text]
    images = _images(site, nodes, asked, planner.faults) if asked.kind == "image" else {}
    chosen = [change.after for change in nodetype_changes(site, images) if change.after] if asked.image is not None else []
    first = planner.beside(planner.site.with_rows("nodetype", chosen) if chosen else planner.site)
    first.tokens = once.tokens(dict.fromkeys(nodes, text))
    return first, _noted(first, asked, nodes, images)


def _noted(planner: Planner, asked: State, nodes: list[str], images: Mapping[str, str]) -> dict[str, dict[str, Any] | None]:
    """Have the planner note what every node is to boot; return what the module says about each."""
    if asked.kind == "image":
        for node in nodes:
            if node not in images:
                planner.without_image(node)
        return {node: planner.boots(node, images[node], asked.provmethod) for node in nodes if node in images}
    if asked.kind == SHELL:
        return {node: planner.shell(node) for node in nodes}
    return {node: planner.local(node, asked.kind) for node in nodes}


def _not_copied(directories: Sequence[BootFiles]) -> list[Fault]:
    """Return the fault of each kernel and initramfs that would have to be copied."""
    what = "kernel and initramfs are not those of the image, and noupdateinitrd says that they are not to be copied"
    return [
        Fault(f"{each.tftpdir}/{each.pairs[name].directory}", what, "Run nodeset without noupdateinitrd")
        for each in directories
        for name in each.copied
    ]


def _finished(planner: Planner, database: str, recorded: Mapping[str, Mapping[str, Paths]]) -> NodesetPlan:
    """Compare what is wanted with the directories of this run and with those that ever held files of ours."""
    for tftpdir in recorded:
        planner.directories.setdefault(tftpdir, BootFiles(tftpdir, planner.known))
    named = frozenset(node for files in planner.directories.values() for node in files.wanted)
    for files in planner.directories.values():
        files.recorded = recorded.get(files.tftpdir, {})
        files.compare(named)
    return NodesetPlan(database, list(planner.directories.values()))


def read_and_plan(params: dict[str, Any], warn: Callable[[str], None]) -> NodesetPlan:
    """Read the site and plan, unless nothing changed since the last run; `params` are the options of the module."""
    here = local_addresses()
    with open_store(params["site"]) as store:
        once = Once.of(store.site, params)
        known = None if once.matters else recall(store.site, key_of(store.site, store.revision, params, here))
        if known is not None:
            return NodesetPlan(store.site, [], nodes=known)
        version, tables = store.read()
        database, revision = store.site, store.revision
    told: list[str] = []

    def warned(text: str) -> None:
        told.append(text)
        warn(text)

    asked = params["noderange"], params["state"]
    more = params.get("noupdateinitrd", False), params.get("own", False)
    decided = plan(Site(tables, here), database, *asked, warned, version, *more, once)
    if isinstance(store, Replica):
        store.write(decided.changes)
    if parse_state(params["state"]).kind == "image" and not told and not once.matters and "^" not in params["noderange"]:
        decided.key = key_of(database, revision, params, here)
    return decided
