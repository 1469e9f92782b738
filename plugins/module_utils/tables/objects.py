# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects of `lsdef` and `mkdef`: which attribute of which type is which column; rows to objects and back; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ..errors import Fault, SiteError
from . import images, network, nodes, original
from .columns import Row, Table, clean, live

Tables = Mapping[str, Sequence[Row]]
Standing = Mapping[str, Mapping[tuple[str, ...], Row]]
"""The rows that are there, by table and key."""

RENAMED = {("noderes", "proxydhcp"): "supportproxydhcp", ("nodepos", "u"): "unit"}
"""Attributes that are not named as their column (xCAT's manual page node.7)."""
OF_NODES = (
    nodes.NODETYPE,
    nodes.NODERES,
    nodes.NODEPOS,
    nodes.NODEHM,
    nodes.BOOTPARAMS,
    nodes.VPD,
    nodes.HOSTS,
    nodes.MAC,
    original.CHAIN,
    original.POSTSCRIPTS,
)
WHOLE_SITE = "clustersite"
"""The name of the one object of type site."""


@dataclass(frozen=True)
class ObjectType:
    """A type of object: the table that tells which objects there are, and those with the rest of its attributes."""

    name: str
    main: Table
    joined: tuple[Table, ...] = ()
    named_by: str = ""
    """The column with the object's name, where that is not the key of the main table."""
    comments: Table | None = None
    """The table whose comments are the attribute usercomment, where that is not the main one."""

    @property
    def tables(self) -> tuple[Table, ...]:
        """Every table that an object of this type has cells in."""
        return (self.main, *self.joined)

    @property
    def named(self) -> str:
        """The main table's column with the object's name."""
        return self.named_by or self.main.key[0]

    @cached_property
    def attributes(self) -> dict[str, tuple[Table, str]]:
        """The column of each attribute."""
        found: dict[str, tuple[Table, str]] = {"usercomment": (self.comments or self.main, "comments")}
        for table in self.tables:
            for name in table.names:
                key = self.named if table is self.main else table.key[0]
                if name not in (key, "comments", "disable"):
                    found[RENAMED.get((table.name, name), name)] = (table, name)
        return found


NODE = ObjectType("node", nodes.NODELIST, OF_NODES)
GROUP = ObjectType("group", nodes.NODEGROUP, OF_NODES)
OSIMAGE = ObjectType("osimage", images.OSIMAGE, (images.LINUXIMAGE,), comments=images.LINUXIMAGE)
NETWORK = ObjectType("network", network.NETWORKS, named_by="netname")
POLICY = ObjectType("policy", network.POLICY)
SITE = ObjectType("site", network.SITE)
BOOTTARGET = ObjectType("boottarget", original.BOOTTARGET)
OSDISTRO = ObjectType("osdistro", original.OSDISTRO)
TYPES = {each.name: each for each in (NODE, GROUP, OSIMAGE, NETWORK, POLICY, SITE, BOOTTARGET, OSDISTRO)}
BY_TABLE = {each.main.name: each for each in TYPES.values()}


def objects_of(kind: ObjectType, tables: Tables) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield (name, type, attributes) of every object of a type, by name; what stands in its own rows, nothing of its groups.

    Rows that are disabled, and joined rows of no object, are no objects. Raises SiteError for a network without a name.
    """
    if kind is SITE:
        settings = {row["key"]: row["value"] for row in tables[kind.main.name] if live(row) and row.get("value")}
        if settings:
            yield WHOLE_SITE, kind.name, settings
        return
    joined = {table.name: {row.get(table.key[0]): row for row in tables[table.name] if live(row)} for table in kind.joined}
    for name, main in sorted(_mains(kind, tables).items()):
        rows = {kind.main.name: main, **{table.name: joined[table.name].get(name) or {} for table in kind.joined}}
        cells = {attribute: rows[table.name].get(column) or "" for attribute, (table, column) in kind.attributes.items()}
        yield name, kind.name, {attribute: cell for attribute, cell in cells.items() if cell}


def _mains(kind: ObjectType, tables: Tables) -> dict[str, Row]:
    """Return the main rows by the name of their object; a group may have none but rows in the tables of nodes."""
    mains = {row.get(kind.named) or "": row for row in tables[kind.main.name] if live(row)}
    if "" in mains:
        where = f"{kind.main.address(mains[''])}: {kind.named}"
        raise SiteError.of(where, "an object has no name", f"Give its {kind.named}, or export the table as csv")
    if kind is GROUP:
        known = {row["node"] for row in tables[nodes.NODELIST.name]}
        named = {row["node"] for table in kind.joined for row in tables[table.name] if live(row)}
        mains.update({name: {} for name in named - known - mains.keys()})
    return mains


def objects_named(kind: ObjectType, tables: Tables) -> set[str]:
    """Return the names of the objects of a type that there are, disabled ones too; rows of nodes that no node has are of groups."""
    names = {row.get(kind.named) or "" for row in tables[kind.main.name]}
    if kind is GROUP:
        known = {row["node"] for row in tables[nodes.NODELIST.name]}
        names |= {row["node"] for table in kind.joined for row in tables[table.name]} - known
    return names


def unknown_attributes(kind: ObjectType, attributes: Mapping[str, str]) -> list[str]:
    """Return the attributes that no column of ours stands for; every setting of the site is one."""
    return [] if kind is SITE else sorted(name for name in attributes if name not in kind.attributes)


def rows_of(kind: ObjectType, name: str, attributes: Mapping[str, str], standing: Standing) -> dict[str, Row]:
    """Return the row of each table that makes an object be what is given; a joined one with nothing but its key must go.

    Columns that no attribute stands for (comments of joined tables) stay as they are. A row that was disabled counts again,
    as the object is declared.
    """
    rows: dict[str, Row] = {}
    for table in kind.tables:
        columns = {column: attribute for attribute, (owner, column) in kind.attributes.items() if owner is table}
        given = {column: attributes.get(attribute) or "" for column, attribute in columns.items()}
        given[kind.named if table is kind.main else table.key[0]] = name
        before = standing[table.name].get(table.key_of(given), {})
        kept = {column: cell for column, cell in before.items() if column not in columns and column != "disable"}
        rows[table.name] = clean(table, {**kept, **given})
    return rows


def setting_rows(attributes: Mapping[str, str], standing: Standing) -> list[Row]:
    """Return the rows of the table site that an object of type site gives, each with the comments that it had."""
    before = standing[network.SITE.name]
    return [{**before.get((key,), {}), "key": key, "value": value, "disable": ""} for key, value in attributes.items()]


def membership_faults(where: str, name: str, attributes: Mapping[str, str], groups: Mapping[str, Sequence[str]]) -> list[Fault]:
    """Return a fault for each member of a static group that is not in the group by its own row, which is what counts here.

    `groups` are the groups of each node. The original writes members of static groups into nodelist.
    """
    if attributes.get("grouptype", "static") != "static":
        return []
    members = [member.strip() for member in attributes.get("members", "").split(",") if member.strip() not in ("", "static")]
    return [
        Fault(f"{where}: members", f"the node {member} is not in the group {name}", f"Add {name} to the groups of {member}")
        for member in members
        if name not in groups.get(member, ())
    ]
