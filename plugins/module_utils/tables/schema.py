# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every table of the site by name, and the check of rows against it: all faults at once, nothing read or written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..errors import Fault
from . import images, lite, network, nodes, original, rules
from .columns import Column, Row, Table, clean, live

__all__ = ["TABLES", "Column", "Row", "Table", "check_rows", "check_table", "clean", "live", "merge_same"]

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        images.OSIMAGE,
        images.LINUXIMAGE,
        lite.LITEFILE,
        lite.LITETREE,
        lite.STATELITE,
        nodes.NODERES,
        nodes.NODETYPE,
        nodes.NODELIST,
        nodes.NODEGROUP,
        nodes.NODEPOS,
        nodes.NODEHM,
        nodes.MAC,
        nodes.HOSTS,
        network.NETWORKS,
        nodes.BOOTPARAMS,
        nodes.VPD,
        network.POLICY,
        network.SITE,
        *original.KEPT,
    )
}

LATER = frozenset({nodes.VPD.name, *(table.name for table in original.KEPT)})
"""Tables that a database of an earlier release does not have: it has no rows of them, and gets them by its next write."""


def _cell_problems(table: Table, row: Row) -> Iterable[tuple[str, str, str]]:
    for column in table.columns:
        text = row.get(column.name) or ""
        if not text:
            if column.required:
                yield column.name, "it is missing", f"Give the {column.name} of the row"
            continue
        if "\x00" in text or any(0xD800 <= ord(character) < 0xE000 for character in text):
            yield column.name, "it holds bytes that are no text", "Write it in UTF-8"
        elif column.choices and text not in column.choices:
            yield column.name, f"{text!r} is none of the values", "Use " + " or ".join(column.choices)
        else:
            problem = rules.quoted_by_hand(text) if column.name != "comments" else None
            if problem is None and column.rule is not None:
                problem = column.rule(text)
            if problem is not None:
                yield (column.name, *problem)


def _row_problems(table: Table, row: Row) -> Iterable[tuple[str, str, str]]:
    for name in row:
        if name not in table.names:
            yield name, f"the table {table.name} has no such column", "Use " + ", ".join(table.names)
    yield from _cell_problems(table, row)
    if table.row_rule is not None:
        yield from table.row_rule(row)


def check_rows(table: Table, rows: Sequence[Row], places: Sequence[str] | None = None) -> list[Fault]:
    """Return every fault of the rows given to be written into `table`, with the row's key and column.

    `places` says where each row stands in its source (such as "line 7"). Rows with one key are a fault when they differ.
    """
    faults: list[Fault] = []
    seen: dict[tuple[str, ...], int] = {}
    for index, row in enumerate(rows):
        address = table.address(row) + (f" ({places[index]})" if places else "")
        faults.extend(Fault(f"{address}: {column}", what, mend) for column, what, mend in _row_problems(table, row))
        first = seen.setdefault(table.key_of(row), index)
        if first != index and not _same(table, rows[first], row):
            other = places[first] if places else f"row {first + 1} of the list"
            what = f"{other} has the same key and says something else"
            faults.append(Fault(f"{address}: {', '.join(table.key)}", what, "Keep one of them"))
    return faults


def _same(table: Table, one: Row, other: Row) -> bool:
    """Tell whether two rows of one key say the same: all cells besides the key are equal."""
    return all((one.get(name) or "") == (other.get(name) or "") for name in table.names if name not in table.key)


def merge_same(table: Table, rows: Iterable[Row]) -> list[Row]:
    """Return the rows with unset cells dropped and rows that are there twice taken once, in order."""
    merged: dict[tuple[str, ...], Row] = {}
    for row in rows:
        merged.setdefault(table.key_of(row), clean(table, row))
    return list(merged.values())


def check_table(table: Table, rows: Sequence[Row]) -> list[Fault]:
    """Return the faults that only the table as a whole has: rows of one rank that clash."""
    if table is lite.LITEFILE:
        return _litefile_clashes(rows)
    if table in (lite.LITETREE, network.POLICY):
        return _priority_clashes(table, rows)
    if table in (nodes.HOSTS, nodes.MAC):
        return _address_clashes(table, rows)
    return []


def _litefile_clashes(rows: Sequence[Row]) -> list[Fault]:
    """Two live rows for one path and one image must not ask for different things (/x and /x/ are one path)."""
    first: dict[tuple[str, str], Row] = {}
    faults = []
    for row in rows:
        if not live(row) or lite.options_problem(row.get("options") or "") is not None:
            continue
        image, file = lite.LITEFILE.key_of(row)
        other = first.setdefault((image, lite.normal_path(file)[0]), row)
        asked, before = ((lite.parse_options(each.get("options") or ""), each.get("required") == "yes") for each in (row, other))
        if asked != before:
            what = f"the row {other['file']!r} of the same image asks for {other.get('options') or 'blank'!r} on the same path"
            faults.append(Fault(f"{lite.LITEFILE.address(row)}: options", what, "Keep one of the two rows, or give both the same options"))
    return faults


def _priority_clashes(table: Table, rows: Sequence[Row]) -> list[Fault]:
    """Two live rows (of one image) must not have one priority in two spellings (1 and 1.0): their order would be open."""
    first: dict[tuple[object, ...], Row] = {}
    faults = []
    for row in rows:
        priority, *rest = table.key_of(row)
        if not live(row) or rules.number(priority) is not None:
            continue
        other = first.setdefault((float(priority), *rest), row)
        if other is not row and other["priority"] != priority:
            what = f"the row with priority {other['priority']!r} stands at the same place"
            faults.append(Fault(f"{table.address(row)}: priority", what, "Give each row its own number"))
    return faults


def _address_clashes(table: Table, rows: Sequence[Row]) -> list[Fault]:
    """Two nodes must not have one address: the answer service knows a node by it, and the DHCP server by its hardware address."""
    column = "ip" if table is nodes.HOSTS else "mac"
    first: dict[str, str] = {}
    faults = []
    for row in rows:
        text = row.get(column) or ""
        if not live(row) or not text or rules.computed(text):
            continue
        for part in text.split("|"):
            address = part.partition("!")[0].lower().replace("-", ":")
            other = first.setdefault(address, row["node"])
            if other != row["node"]:
                faults.append(Fault(f"{table.address(row)}: {column}", f"{other} has the address {address} too", "Give each node its own"))
    return faults
