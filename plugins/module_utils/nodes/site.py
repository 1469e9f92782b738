# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The declared site as a pure view of its rows: nothing here reads a file, a database or the network."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

from ..errors import SiteError
from ..tables.columns import Row, live
from .values import attribute

T = TypeVar("T")

DEFAULTS = {
    "installdir": "/install",
    "tftpdir": "/tftpboot",
    "xcatdport": "3001",
    "xcatiport": "3002",
    "httpport": "80",
    "httpmethod": "http",
    "liteattach": "link",
}
"""What a key of the site table is when there is no row for it (behaviour.md a; liteattach is ours)."""


def split_list(text: str | None) -> list[str]:
    """Return the items of a comma list, trimmed, without empty ones."""
    return [item.strip() for item in (text or "").split(",") if item.strip()]


def uniform(address: str) -> str:
    """Return an IPv6 address in the one form that all its spellings have in common; anything else as it is."""
    if ":" not in address:
        return address
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address


class Site:
    """Rows by table. `here` are the addresses of the server that looks, for the last default of `servers`."""

    def __init__(self, tables: Mapping[str, Sequence[Row]], here: Sequence[str] = ()) -> None:
        self.here = tuple(here)
        self._tables = {name: [row for row in rows if live(row)] for name, rows in tables.items()}
        self._holders: dict[str, dict[str, list[Row]]] = {}
        self._groups: dict[str, list[str]] | None = None
        self._addresses: dict[str, str] | None = None
        self._made: dict[Hashable, Any] = {}
        self.consulted: set[str] = set()
        """Tables that `attribute` looked into, for whoever empties this first."""
        self.bound = False
        """Whether something that was looked up is one node's own, for whoever sets this to False first."""
        self.joined_attributes = self._joined_attributes()

    def with_rows(self, table: str, rows: Sequence[Row]) -> Site:
        """Return a view in which `rows` of a node table stand in place of the rows of the same nodes."""
        names = {row["node"] for row in rows}
        kept = [row for row in self.rows(table) if row.get("node") not in names]
        return self.with_rows_of(table, [*kept, *rows])

    def with_rows_of(self, table: str, rows: Sequence[Row]) -> Site:
        """Return a view in which the rows of `table` are these."""
        return Site({**self._tables, table: rows}, self.here)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what `make` gives, made once for this view, whose rows never change: what is the same for many nodes."""
        if key not in self._made:
            self._made[key] = make()
        found: T = self._made[key]
        return found

    def rows(self, table: str) -> list[Row]:
        """Return the live rows of `table`; a table without rows gives none."""
        return self._tables.get(table, [])

    def row(self, table: str, **key: str) -> Row | None:
        """Return the first live row whose columns equal `key`, or None."""
        for row in self.rows(table):
            if all((row.get(column) or "") == value for column, value in key.items()):
                return row
        return None

    def holder(self, table: str, name: str) -> Row | None:
        """Return the row of a node table for a node or group name (the last one, should there be several)."""
        rows = self.rows_of(table, name)
        return rows[-1] if rows else None

    def rows_of(self, table: str, name: str) -> Sequence[Row]:
        """Return the rows of a node table for a node or group name, of a table that may have several for one."""
        if table not in self._holders:
            holders = self._holders[table] = {}
            for row in self.rows(table):
                holders.setdefault(row.get("node") or "", []).append(row)
        return self._holders[table].get(name, ())

    def setting(self, key: str, default: str = "") -> str:
        """Return a key of the site table; its documented default, else `default`, when it is not set."""
        row = self.row("site", key=key)
        return (row.get("value") if row else "") or DEFAULTS.get(key, default)

    def nodes(self) -> list[str]:
        """Return the names of all nodes in the order of the nodelist table."""
        return list(self._node_groups())

    def groups(self, node: str) -> list[str]:
        """Return the static groups of `node` in written order; none for a node that is not listed."""
        return self._node_groups().get(node, [])

    def members(self, group: str) -> list[str]:
        """Return the nodes that list `group`."""
        return [node for node, groups in self._node_groups().items() if group in groups]

    def address(self, node: str) -> str | None:
        """Return hosts.ip of a node, or of another host that the table names, or None."""
        found = attribute(self, node, "hosts", "ip")
        return found.text if found else None

    def node_at(self, address: str) -> str | None:
        """Return the node whose hosts.ip is `address`, or None; raises SiteError when two nodes have it."""
        if self._addresses is None:
            addresses: dict[str, str] = {}
            for node in self.nodes():
                own = uniform(self.address(node) or "")
                if own and addresses.setdefault(own, node) != node:
                    raise SiteError.of(
                        f"table hosts, column ip, nodes {addresses[own]} and {node}",
                        f"both have the address {own}",
                        "Give each node its own address: a node is known by it",
                    )
            self._addresses = addresses
        return self._addresses.get(uniform(address))

    def _node_groups(self) -> dict[str, list[str]]:
        if self._groups is None:
            self._groups = {row["node"]: split_list(row.get("groups")) for row in self.rows("nodelist") if row.get("node")}
        return self._groups

    def _joined_attributes(self) -> dict[str, str]:
        """Return site.hierarchicalattrs as attribute -> delimiter (behaviour.md b.1, 5)."""
        joined: dict[str, str] = {}
        for item in split_list(self.setting("hierarchicalattrs")):
            name, _colon, delimiter = item.partition(":")
            joined[name] = delimiter or ","
        return joined
