# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directories a node mounts besides its root: the levels of litetree and the place of its state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import Fault, SiteError, raise_faults
from .attributes import location
from .images import Image, rank, rows_for_image
from .servers import nfsserver

if TYPE_CHECKING:
    from ..tables.columns import Row
    from .site import Site

OPTIONAL = frozenset({"0", "no", "false"})


@dataclass(frozen=True)
class Level:
    """One litetree row for one node. `server` is an address; `own` says that the directory is this node's alone."""

    priority: str
    server: str
    directory: str
    mntopts: str
    required: bool
    own: bool
    where: str


@dataclass(frozen=True)
class State:
    """Where the state of one node is: `<server>:<directory>/<node>`, `directory` without the node's name.

    `written_server` tells whether the row names a server; without one it is the node's NFS server.
    """

    server: str
    directory: str
    mntopts: str
    where: str
    written_server: bool


def _priority(level: Level) -> tuple[float, str]:
    return float(level.priority), level.priority


def is_required(row: Row) -> bool:
    """Return whether a level must be there for the node to boot (column of ours; unset means it must not)."""
    return (row.get("required") or "").strip().lower() not in ("", *OPTIONAL)


def levels_of(site: Site, node: str, image: Image) -> list[Level]:
    """Return the node's levels, first priority first. A row without server is on the node's NFS server.

    Raises SiteError naming every row that cannot be resolved for the node.
    """
    levels: list[Level] = []
    faults: list[Fault] = []
    for row in rows_for_image(site, "litetree", image):
        written = row.get("directory") or ""
        if not written:
            continue
        where = f"table litetree, priority {row.get('priority')}, image {row.get('image') or 'ALL'}"
        try:
            server, directory = location(site, node, written, where)
            float(row.get("priority") or "")
        except SiteError as error:
            faults.extend(error.faults)
            continue
        except ValueError:
            faults.append(Fault(where, "the priority is not a number", "Give it a number: the lowest is searched first"))
            continue
        levels.append(
            Level(
                (row.get("priority") or "").strip(),
                server or nfsserver(site, node),
                directory,
                row.get("mntopts") or "",
                is_required(row),
                names_node(written),
                where,
            )
        )
    raise_faults(faults)
    return sorted(levels, key=_priority)


def names_node(written: str) -> bool:
    """Return whether a directory as written holds the variable `$node`, so that each node has its own."""
    return "node" in [piece.split("/")[0].split(":")[0].strip() for piece in written.split("$")[1:]]


def _state_rows(site: Site, node: str, image: Image) -> list[tuple[str, Row]]:
    """Return the rows of the statelite table that hold for the node, the strongest first: node, groups; in each by image."""
    found: list[tuple[str, Row]] = []
    site.consulted.add("statelite")
    site.bound = site.bound or bool(site.rows_of("statelite", node))
    for holder, source in [(node, f"node {node}"), *((group, f"group {group}") for group in site.groups(node))]:
        ranked = []
        for row in site.rows_of("statelite", holder):
            near = rank(row, image)
            if near is not None:
                ranked.append((near, row))
        found.extend((source, row) for _near, row in sorted(ranked, key=lambda pair: pair[0]))
    return found


def state_of(site: Site, node: str, image: Image) -> State | None:
    """Return where the node keeps its state, or None when no row gives it a place.

    A statemnt without server is on the node's NFS server. Raises SiteError for a row that cannot be resolved.
    """
    rows = _state_rows(site, node, image)
    for source, row in rows:
        written = row.get("statemnt") or ""
        if not written:
            continue
        where = f"table statelite, {source}, image {row.get('image') or 'ALL'}, column statemnt"
        server, directory = location(site, node, written, where)
        mntopts = next((each.get("mntopts") or "" for _source, each in rows if each.get("mntopts")), "")
        return State(server or nfsserver(site, node), directory, mntopts, where, server is not None)
    return None
