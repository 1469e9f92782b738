# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The things that modules declare: which tables a thing joins, and which options stand for which columns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from . import images, lite, network, nodes
from .columns import Column, Table


@dataclass(frozen=True)
class Part:
    """An option that stands for columns of a joined table: a dictionary, or (`single`) one cell.

    Omitted, those columns are left alone; given, they are set whole. A row with nothing set besides its key goes.
    """

    option: str
    table: Table
    columns: tuple[str, ...]
    single: bool = False

    @classmethod
    def whole(cls, table: Table, option: str = "", but: tuple[str, ...] = ()) -> Part:
        """A dictionary of all columns of `table` besides the key and those in `but`."""
        names = tuple(name for name in table.names if name not in table.key and name not in but)
        return cls(option or table.name, table, names)


@dataclass(frozen=True)
class Thing:
    """A thing with a module: its main table, the main table's columns that are options, and the joined parts."""

    name: str
    table: Table
    parts: tuple[Part, ...] = ()
    own: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    """Options that may be given as a list, and stand in the table with commas."""

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The main table's columns that are options, the key first."""
        wanted = self.own or self.table.names
        keys = tuple(self.table.column(name) for name in self.table.key)
        return (*keys, *(self.table.column(name) for name in wanted if name not in self.table.key))

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """Every table that the thing writes, each once."""
        return tuple({table.name: table for table in (self.table, *(part.table for part in self.parts))}.values())

    @cached_property
    def csv_columns(self) -> tuple[str, ...]:
        """What may stand in the header of a CSV text: columns, and `option.column` for a dictionary."""
        names = [column.name for column in self.columns]
        for part in self.parts:
            names.extend([part.option] if part.single else (f"{part.option}.{name}" for name in part.columns))
        return tuple(names)

    @property
    def has_image(self) -> bool:
        """Whether rows belong to an image, so that `exclusive_for` can name one."""
        return "image" in self.table.key


OF_NODES = (
    Part.whole(nodes.NODETYPE),
    Part.whole(nodes.NODERES),
    Part.whole(nodes.NODEPOS),
    Part.whole(nodes.NODEHM),
    Part.whole(nodes.BOOTPARAMS),
    Part.whole(nodes.VPD),
)

LITEFILE = Thing("litefile", lite.LITEFILE)
LITETREE = Thing("litetree", lite.LITETREE)
STATELITE = Thing("statelite", lite.STATELITE)
OSIMAGE = Thing("osimage", images.OSIMAGE, (Part.whole(images.LINUXIMAGE, "linux"),), lists=("groups",))
NETWORK = Thing("network", network.NETWORKS)
POLICY = Thing("policy", network.POLICY)
SITE_SETTING = Thing("site_setting", network.SITE)
NODEGROUP = Thing(
    "nodegroup", nodes.NODEGROUP, (*OF_NODES, Part.whole(nodes.HOSTS), Part.whole(nodes.MAC)), lists=("members", "membergroups")
)
NODE = Thing(
    "node",
    nodes.NODELIST,
    (
        Part("mac", nodes.MAC, ("mac",), single=True),
        Part("ip", nodes.HOSTS, ("ip",), single=True),
        *OF_NODES,
        Part.whole(nodes.HOSTS, but=("ip",)),
    ),
    own=("groups", "comments", "disable"),
    lists=("groups",),
)
